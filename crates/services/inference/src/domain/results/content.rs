//! SR content items (PS3.3 §C.17.3). Owns how each value type is written; which items a document
//! holds, and in which order, is its template's business.

use dicom_core::VR;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use super::code::Code;
use super::element::{Item, decimal_string};

/// Relationship Type (0040,A010).
#[derive(Debug, Clone, Copy)]
pub(super) enum Relation {
    Contains,
    HasObsContext,
    HasAcqContext,
    HasConceptMod,
}

impl Relation {
    fn term(self) -> &'static str {
        match self {
            Self::Contains => "CONTAINS",
            Self::HasObsContext => "HAS OBS CONTEXT",
            Self::HasAcqContext => "HAS ACQ CONTEXT",
            Self::HasConceptMod => "HAS CONCEPT MOD",
        }
    }
}

fn item(relation: Option<Relation>, value_type: &str, name: Option<&Code>) -> Item {
    let mut item = Item::new().text(tags::VALUE_TYPE, VR::CS, value_type);
    if let Some(relation) = relation {
        item = item.text(tags::RELATIONSHIP_TYPE, VR::CS, relation.term());
    }
    if let Some(name) = name {
        item = item.sequence(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![name.item()]);
    }
    item
}

/// CONTAINER, identified by its template where `template` names one; the root has no relation.
pub(super) fn container(
    relation: Option<Relation>,
    name: &Code,
    template: Option<&str>,
    children: Vec<InMemDicomObject>,
) -> InMemDicomObject {
    let mut container = item(relation, "CONTAINER", Some(name)).text(
        tags::CONTINUITY_OF_CONTENT,
        VR::CS,
        "SEPARATE",
    );
    if let Some(template) = template {
        let template = Item::new()
            .text(tags::MAPPING_RESOURCE, VR::CS, "DCMR")
            .text(tags::TEMPLATE_IDENTIFIER, VR::CS, template)
            .build();
        container = container.sequence(tags::CONTENT_TEMPLATE_SEQUENCE, vec![template]);
    }
    with_children(container, children)
}

fn with_children(item: Item, children: Vec<InMemDicomObject>) -> InMemDicomObject {
    if children.is_empty() {
        item.build()
    } else {
        item.sequence(tags::CONTENT_SEQUENCE, children).build()
    }
}

/// CODE.
pub(super) fn code(
    relation: Relation,
    name: &Code,
    value: &Code,
    children: Vec<InMemDicomObject>,
) -> InMemDicomObject {
    let item = item(Some(relation), "CODE", Some(name))
        .sequence(tags::CONCEPT_CODE_SEQUENCE, vec![value.item()]);
    with_children(item, children)
}

/// TEXT.
pub(super) fn text(relation: Relation, name: &Code, value: &str) -> InMemDicomObject {
    item(Some(relation), "TEXT", Some(name))
        .text(tags::TEXT_VALUE, VR::UT, value)
        .build()
}

/// TEXT if there is something to say: a text value is never empty.
pub(super) fn optional_text(
    relation: Relation,
    name: &Code,
    value: &str,
) -> Option<InMemDicomObject> {
    (!super::element::fit(VR::UT, value).is_empty()).then(|| text(relation, name, value))
}

/// UIDREF.
pub(super) fn uid_reference(relation: Relation, name: &Code, uid: &str) -> InMemDicomObject {
    item(Some(relation), "UIDREF", Some(name))
        .text(tags::UID, VR::UI, uid)
        .build()
}

/// NUM. A decimal string holds at most 16 characters: where those lose precision the exact value
/// stands beside it (PS3.3 table C.18.1-1).
pub(super) fn number(
    relation: Relation,
    name: &Code,
    value: f64,
    unit: &Code,
    children: Vec<InMemDicomObject>,
) -> InMemDicomObject {
    let decimal = decimal_string(value);
    let exact = decimal.parse::<f64>().is_ok_and(|written| {
        written.to_bits() == value.to_bits() || (written == 0.0 && value == 0.0)
    });
    let mut measured = Item::new()
        .text(tags::NUMERIC_VALUE, VR::DS, &decimal)
        .sequence(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, vec![unit.item()]);
    if !exact {
        measured = measured.fd(tags::FLOATING_POINT_VALUE, value);
    }
    let item = item(Some(relation), "NUM", Some(name))
        .sequence(tags::MEASURED_VALUE_SEQUENCE, vec![measured.build()]);
    with_children(item, children)
}

/// IMAGE; `reference` is the item of its Referenced SOP Sequence.
pub(super) fn image(
    relation: Relation,
    name: Option<&Code>,
    reference: InMemDicomObject,
) -> InMemDicomObject {
    item(Some(relation), "IMAGE", name)
        .sequence(tags::REFERENCED_SOP_SEQUENCE, vec![reference])
        .build()
}
