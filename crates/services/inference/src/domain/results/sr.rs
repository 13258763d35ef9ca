//! The measurement report: Comprehensive 3D SR (PS3.3 §A.35.13) by TID 1500, with a TID 1411
//! group for each segment of the run's Segmentation. Owns the document's own modules and its
//! content tree; numbers are written as given, never computed.

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::code::{self, Code};
use super::content::{self, Relation};
use super::context::ResultContext;
use super::element::{Item, date_time};
use super::error::ResultError;
use super::mask::Segment;
use super::modules::{self, Identity};
use super::observer;
use super::part10::{self, ResultObject};
use super::received::first_text;
use super::references::hierarchical;
use super::seg::numbered;
use super::source::{SourceSeries, sop_reference};
use super::uid::Purpose;

/// A number measured in one segment.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// Segment Number, from 1.
    pub segment: u16,
    /// What was measured, e.g. [`super::VOLUME`].
    pub name: Code,
    /// The number, finite.
    pub value: f64,
    /// Its unit in UCUM, e.g. [`super::CUBIC_CENTIMETRE`].
    pub unit: Code,
    /// Measurement Method (370129005, SCT).
    pub method: Option<Code>,
    /// Derivation (121401, DCM), e.g. Mean.
    pub derivation: Option<Code>,
}

/// Writes the measurement report of a run; it refers to the Segmentation that
/// [`super::segmentation`] writes for the same run and segments.
///
/// # Errors
/// A measurement is not finite, not coded, or of a segment that does not exist.
pub fn report(
    context: &ResultContext,
    source: &SourceSeries,
    segments: &[Segment],
    measurements: &[Measurement],
) -> Result<ResultObject, ResultError> {
    check(segments, measurements)?;
    let header = &source.header;
    let mut object = modules::patient_and_study(header, &source.study_instance_uid)
        .extend(modules::identity(
            context,
            header,
            &Identity {
                sop_class_uid: uids::COMPREHENSIVE3_DSR_STORAGE,
                sop_instance_uid: context.uid(Purpose::ReportInstance),
                series_instance_uid: context.uid(Purpose::ReportSeries),
                modality: "SR",
                series_number: context.series_numbers.report,
                series_description: context.series_description(""),
            },
        ))
        .empty(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, VR::SQ)
        .empty(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, VR::SQ)
        .text(tags::COMPLETION_FLAG, VR::CS, "COMPLETE")
        .text(tags::VERIFICATION_FLAG, VR::CS, "UNVERIFIED")
        .text(tags::PRELIMINARY_FLAG, VR::CS, "PRELIMINARY")
        .text(
            tags::OBSERVATION_DATE_TIME,
            VR::DT,
            &date_time(modules::content_time(context, header)),
        )
        .sequence(
            tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
            vec![evidence(context, source)],
        );
    if let Some(predecessor) = &context.predecessor {
        object = object.sequence(
            tags::PREDECESSOR_DOCUMENTS_SEQUENCE,
            hierarchical(std::slice::from_ref(predecessor)),
        );
    }
    let object = object
        .extend(document(context, source, segments, measurements))
        .build();
    part10::with_meta(object, &context.equipment)
}

fn check(segments: &[Segment], measurements: &[Measurement]) -> Result<(), ResultError> {
    if segments.is_empty() {
        return Err(ResultError::NoSegments);
    }
    for measurement in measurements {
        let segment = measurement.segment;
        if segment == 0 || usize::from(segment) > segments.len() {
            return Err(ResultError::UnknownSegment { segment });
        }
        if !measurement.value.is_finite() {
            return Err(ResultError::NotFinite { segment });
        }
        if !measurement.name.is_complete() || !measurement.unit.is_complete() {
            return Err(ResultError::Empty {
                what: "a measurement's name or unit",
            });
        }
    }
    Ok(())
}

/// The Segmentation and its source: all that the content tree refers to (PS3.3 §C.17.2.3).
fn evidence(context: &ResultContext, source: &SourceSeries) -> InMemDicomObject {
    let series = |uid: &str, instances| {
        Item::new()
            .text(tags::SERIES_INSTANCE_UID, VR::UI, uid)
            .sequence(tags::REFERENCED_SOP_SEQUENCE, instances)
            .build()
    };
    let mut items = vec![series(
        &context.uid(Purpose::SegmentationSeries),
        vec![segmentation_reference(context).build()],
    )];
    items.extend(
        source
            .instances_by_series()
            .into_iter()
            .map(|(uid, instances)| series(&uid, instances)),
    );
    Item::new()
        .text(tags::STUDY_INSTANCE_UID, VR::UI, &source.study_instance_uid)
        .sequence(tags::REFERENCED_SERIES_SEQUENCE, items)
        .build()
}

fn segmentation_reference(context: &ResultContext) -> Item {
    sop_reference(
        uids::SEGMENTATION_STORAGE,
        &context.uid(Purpose::SegmentationInstance),
    )
}

/// TID 1500 Measurement Report.
fn document(
    context: &ResultContext,
    source: &SourceSeries,
    segments: &[Segment],
    measurements: &[Measurement],
) -> InMemDicomObject {
    let mut children = vec![content::code(
        Relation::HasConceptMod,
        &code::LANGUAGE,
        &code::ENGLISH,
        Vec::new(),
    )];
    children.extend(observer::device(context));
    children.push(content::code(
        Relation::HasConceptMod,
        &code::PROCEDURE_REPORTED,
        &procedure_reported(source),
        Vec::new(),
    ));
    children.push(image_library(source));
    let groups = numbered(segments)
        .map(|(number, segment)| group(context, source, number, segment, measurements))
        .collect();
    children.push(content::container(
        Some(Relation::Contains),
        &code::MEASUREMENTS,
        None,
        groups,
    ));
    content::container(None, &code::REPORT, Some("1500"), children)
}

/// The procedure that the images came from: as the study says it, else by modality.
fn procedure_reported(source: &SourceSeries) -> Code {
    source
        .header
        .get(tags::PROCEDURE_CODE_SEQUENCE)
        .and_then(|element| element.value().items()?.first())
        .and_then(|item| {
            let code = Code::new(
                first_text(item, tags::CODE_VALUE)?,
                first_text(item, tags::CODING_SCHEME_DESIGNATOR)?,
                first_text(item, tags::CODE_MEANING)?,
            );
            Some(code)
        })
        .unwrap_or_else(|| code::procedure(&source.modality))
}

/// TID 1600 Image Library: the source images in one group with what they share.
fn image_library(source: &SourceSeries) -> InMemDicomObject {
    let acquired = Relation::HasAcqContext;
    let mut items = Vec::new();
    if let Some(modality) = code::modality(&source.modality) {
        items.push(content::code(
            acquired,
            &code::MODALITY,
            &modality,
            Vec::new(),
        ));
    }
    if let Some(uid) = &source.frame_of_reference_uid {
        items.push(content::uid_reference(
            acquired,
            &code::FRAME_OF_REFERENCE,
            uid,
        ));
    }
    for (name, value) in [
        (code::PIXEL_ROWS, source.rows),
        (code::PIXEL_COLUMNS, source.columns),
    ] {
        items.push(content::number(
            acquired,
            &name,
            f64::from(value),
            &code::PIXELS,
            Vec::new(),
        ));
    }
    items.extend(
        source
            .instances_by_series()
            .into_iter()
            .flat_map(|(_, instances)| instances)
            .map(|reference| content::image(Relation::Contains, None, reference)),
    );
    let group = content::container(
        Some(Relation::Contains),
        &code::IMAGE_LIBRARY_GROUP,
        None,
        items,
    );
    content::container(
        Some(Relation::Contains),
        &code::IMAGE_LIBRARY,
        None,
        vec![group],
    )
}

/// TID 1411 Volumetric ROI Measurements and Qualitative Evaluations of one segment.
fn group(
    context: &ResultContext,
    source: &SourceSeries,
    number: u16,
    segment: &Segment,
    measurements: &[Measurement],
) -> InMemDicomObject {
    let none = Vec::new;
    let (contains, observed) = (Relation::Contains, Relation::HasObsContext);
    let mut items = vec![
        content::text(observed, &code::TRACKING_ID, &segment.label),
        content::uid_reference(observed, &code::TRACKING_UID, &context.tracking_uid(number)),
        content::code(contains, &code::FINDING_CATEGORY, &segment.category, none()),
        content::code(contains, &code::FINDING, &segment.property_type, none()),
        content::image(
            contains,
            Some(&code::REFERENCED_SEGMENT),
            segmentation_reference(context)
                .us(tags::REFERENCED_SEGMENT_NUMBER, number)
                .build(),
        ),
    ];
    // One item at most (TID 1411 row 12); a source of several series is named by its first.
    if let Some(slice) = source.slices.first() {
        items.push(content::uid_reference(
            contains,
            &code::SOURCE_SERIES,
            &slice.series_instance_uid,
        ));
    }
    if let Some(site) = &segment.anatomic_region {
        items.push(content::code(
            Relation::HasConceptMod,
            &code::FINDING_SITE,
            site,
            none(),
        ));
    }
    items.extend(
        measurements
            .iter()
            .filter(|m| m.segment == number)
            .map(|m| measurement(context, segment, m)),
    );
    items.extend(
        context
            .notices()
            .iter()
            .filter_map(|notice| content::optional_text(contains, &code::COMMENT, notice)),
    );
    content::container(
        Some(contains),
        &code::MEASUREMENT_GROUP,
        Some("1411"),
        items,
    )
}

/// TID 1419 ROI Measurements, with the algorithm that measured (TID 4019).
fn measurement(
    context: &ResultContext,
    segment: &Segment,
    measurement: &Measurement,
) -> InMemDicomObject {
    let modifier = Relation::HasConceptMod;
    let mut children = Vec::new();
    for (name, value) in [
        (code::MEASUREMENT_METHOD, &measurement.method),
        (code::DERIVATION, &measurement.derivation),
    ] {
        if let Some(value) = value {
            children.push(content::code(modifier, &name, value, Vec::new()));
        }
    }
    children.push(content::text(
        modifier,
        &code::ALGORITHM_NAME,
        &segment.algorithm_name,
    ));
    children.extend(content::optional_text(
        modifier,
        &code::ALGORITHM_VERSION,
        &context.model.version,
    ));
    content::number(
        Relation::Contains,
        &measurement.name,
        measurement.value,
        &measurement.unit,
        children,
    )
}
