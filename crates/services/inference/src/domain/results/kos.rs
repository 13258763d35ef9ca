//! The rejection note: a Key Object Selection Document (PS3.3 §A.35.4, PS3.16 TID 2010) titled
//! "Rejected for Quality Reasons" that takes superseded results out of use wherever they were
//! delivered, as IHE RAD IOCM describes. Owns the document; who is told is delivery's business.

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::code;
use super::content::{self, Relation};
use super::context::{InstanceReference, ResultContext};
use super::error::ResultError;
use super::modules::{self, Identity};
use super::observer;
use super::part10::{self, ResultObject};
use super::references::hierarchical;
use super::source::{SourceSeries, sop_reference};
use super::uid::Purpose;

/// Writes the note by which this run rejects the Segmentations that it supersedes.
///
/// # Errors
/// [`ResultError::Empty`] when there is nothing to reject.
pub fn rejection_note(
    context: &ResultContext,
    source: &SourceSeries,
    superseded: &[InstanceReference],
) -> Result<ResultObject, ResultError> {
    if superseded.is_empty() {
        return Err(ResultError::Empty {
            what: "the list of superseded segmentations",
        });
    }
    let object = modules::patient_and_study(&source.header, &source.study_instance_uid)
        .extend(modules::identity(
            context,
            &source.header,
            &Identity {
                sop_class_uid: uids::KEY_OBJECT_SELECTION_DOCUMENT_STORAGE,
                sop_instance_uid: context.uid(Purpose::RejectionInstance),
                series_instance_uid: context.uid(Purpose::RejectionSeries),
                modality: "KO",
                series_number: context.series_numbers.rejection,
                series_description: context.series_description("superseded "),
            },
        ))
        .empty(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, VR::SQ)
        .sequence(
            tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
            hierarchical(superseded),
        )
        .extend(document(context, superseded))
        .build();
    part10::with_meta(object, &context.equipment)
}

/// TID 2010 Key Object Selection. The reason is the nearest of CID 7011: the mask was computed
/// from less than what is now known of the input; the description says so in words.
fn document(context: &ResultContext, superseded: &[InstanceReference]) -> InMemDicomObject {
    let mut children = vec![content::code(
        Relation::HasConceptMod,
        &code::TITLE_MODIFIER,
        &code::INAPPROPRIATE_PROCESSING,
        Vec::new(),
    )];
    children.extend(observer::device(context));
    children.push(content::text(
        Relation::Contains,
        &code::KEY_OBJECT_DESCRIPTION,
        "Superseded by a later result of the same model on newer input.",
    ));
    children.extend(superseded.iter().map(|reference| {
        content::image(
            Relation::Contains,
            None,
            sop_reference(&reference.sop_class_uid, &reference.sop_instance_uid).build(),
        )
    }));
    content::container(None, &code::REJECTED_FOR_QUALITY, Some("2010"), children)
}
