//! The Segmentation (PS3.3 §A.51): BINARY, on the source grid, a frame for each segment and
//! slice that holds something. Owns the object's own modules; positions are the source's,
//! repeated as received, never computed.

use dicom_core::VR;
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;

use super::code::{self, Code};
use super::context::ResultContext;
use super::element::{Item, decimal_string};
use super::error::ResultError;
use super::limits;
use super::mask::{Segment, Segmentation, limit};
use super::modules::{self, Identity};
use super::part10::{self, ResultObject};
use super::received::first_text;
use super::source::{Slice, SourceSeries, sop_reference};
use super::uid::Purpose;

/// Writes the Segmentation of a run.
///
/// # Errors
/// The mask does not fit the source, or a bound is passed.
pub fn segmentation(
    context: &ResultContext,
    source: &SourceSeries,
    segmentation: &Segmentation<'_>,
) -> Result<ResultObject, ResultError> {
    segmentation.check(source)?;
    let frames = segmentation.frames(source);
    limit("the number of frames", frames.len(), limits::FRAMES)?;
    let organization = context.uid(Purpose::DimensionOrganization);
    let object = modules::patient_and_study(&source.header, &source.study_instance_uid)
        .extend(modules::identity(
            context,
            &source.header,
            &Identity {
                sop_class_uid: uids::SEGMENTATION_STORAGE,
                sop_instance_uid: context.uid(Purpose::SegmentationInstance),
                series_instance_uid: context.uid(Purpose::SegmentationSeries),
                modality: "SEG",
                series_number: context.series_numbers.segmentation,
                series_description: context.series_description(""),
            },
        ))
        .extend(series_and_frame_of_reference(context, source))
        .extend(image(context, source, segmentation, frames.len()))
        .sequence(
            tags::CONTRIBUTING_EQUIPMENT_SEQUENCE,
            modules::contributing_equipment(&source.header),
        )
        .sequence(
            tags::SEGMENT_SEQUENCE,
            numbered(segmentation.segments)
                .map(|(number, segment)| segment_item(context, number, segment))
                .collect(),
        )
        .extend(dimensions(&organization))
        .sequence(
            tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
            vec![shared_groups(source)],
        )
        .sequence(
            tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
            per_frame_groups(source, &frames),
        )
        .sequence(tags::REFERENCED_SERIES_SEQUENCE, referenced_series(source))
        .bytes(
            tags::PIXEL_DATA,
            VR::OB,
            segmentation.pack(source, &frames)?,
        )
        .build();
    part10::with_meta(without_empty_sequences(object), &context.equipment)
}

/// Segments with their numbers, from 1.
pub(super) fn numbered(segments: &[Segment]) -> impl Iterator<Item = (u16, &Segment)> {
    (1..=u16::MAX).zip(segments)
}

fn series_and_frame_of_reference(
    context: &ResultContext,
    source: &SourceSeries,
) -> InMemDicomObject {
    let frame_of_reference = source
        .frame_of_reference_uid
        .clone()
        .unwrap_or_else(|| context.uid(Purpose::FrameOfReference));
    Item::new()
        .text(tags::FRAME_OF_REFERENCE_UID, VR::UI, &frame_of_reference)
        .copy_or_empty(&source.header, tags::POSITION_REFERENCE_INDICATOR)
        .copy(&source.header, tags::BODY_PART_EXAMINED)
        .copy(&source.header, tags::LATERALITY)
        .copy(&source.header, tags::PATIENT_POSITION)
        .build()
}

/// Multi-frame Functional Groups, Image Pixel and Segmentation Image (PS3.3 §C.8.20.2).
fn image(
    context: &ResultContext,
    source: &SourceSeries,
    segmentation: &Segmentation<'_>,
    frames: usize,
) -> InMemDicomObject {
    let overlap = if segmentation.overlaps() { "YES" } else { "NO" };
    let item = Item::new()
        .values(tags::IMAGE_TYPE, VR::CS, &["DERIVED", "PRIMARY"])
        .text(tags::IMAGE_COMMENTS, VR::LT, &context.notices().join("\n"))
        .text(tags::NUMBER_OF_FRAMES, VR::IS, &frames.to_string())
        .us(tags::SAMPLES_PER_PIXEL, 1)
        .text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2")
        .us(tags::ROWS, source.rows)
        .us(tags::COLUMNS, source.columns)
        .us(tags::BITS_ALLOCATED, 1)
        .us(tags::BITS_STORED, 1)
        .us(tags::HIGH_BIT, 0)
        .us(tags::PIXEL_REPRESENTATION, 0)
        .text(tags::SEGMENTATION_TYPE, VR::CS, "BINARY")
        .text(tags::SEGMENTS_OVERLAP, VR::CS, overlap)
        .text(tags::CONTENT_LABEL, VR::CS, "SEGMENTATION")
        .text(tags::CONTENT_DESCRIPTION, VR::LO, &context.model.name)
        .empty(tags::CONTENT_CREATOR_NAME, VR::PN);
    lossy(item, &source.header).build()
}

/// What was lossy once is lossy for ever, in what is derived from it too (PS3.3 §C.7.6.1.1.5).
fn lossy(item: Item, source: &InMemDicomObject) -> Item {
    if first_text(source, tags::LOSSY_IMAGE_COMPRESSION).as_deref() == Some("01") {
        item.text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "01")
            .copy(source, tags::LOSSY_IMAGE_COMPRESSION_RATIO)
            .copy(source, tags::LOSSY_IMAGE_COMPRESSION_METHOD)
    } else {
        item.text(tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "00")
    }
}

/// An item of the Segment Sequence (PS3.3 §C.8.20.4).
fn segment_item(context: &ResultContext, number: u16, segment: &Segment) -> InMemDicomObject {
    let codes = |code: &Option<Code>| code.iter().map(Code::item).collect::<Vec<_>>();
    let mut property_type = segment.property_type.item();
    let modifiers = codes(&segment.property_type_modifier);
    if !modifiers.is_empty() {
        property_type = Item::new()
            .extend(property_type)
            .sequence(
                tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE,
                modifiers,
            )
            .build();
    }
    let mut item = Item::new()
        .us(tags::SEGMENT_NUMBER, number)
        .text(tags::SEGMENT_LABEL, VR::LO, &segment.label)
        .text(
            tags::SEGMENT_DESCRIPTION,
            VR::ST,
            &context.notices().join("\n"),
        )
        .text(tags::SEGMENT_ALGORITHM_TYPE, VR::CS, "AUTOMATIC")
        .text(
            tags::SEGMENT_ALGORITHM_NAME,
            VR::LO,
            &segment.algorithm_name,
        )
        .sequence(
            tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE,
            vec![algorithm(context, segment)],
        )
        .sequence(
            tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE,
            vec![segment.category.item()],
        )
        .sequence(
            tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE,
            vec![property_type],
        )
        .text(tags::TRACKING_ID, VR::UT, &segment.label)
        .text(tags::TRACKING_UID, VR::UI, &context.tracking_uid(number));
    if segment.anatomic_region.is_some() {
        item = item.sequence(
            tags::ANATOMIC_REGION_SEQUENCE,
            codes(&segment.anatomic_region),
        );
    }
    if let Some(color) = segment.color {
        item = item.us_values(tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE, &color);
    }
    item.build()
}

/// Algorithm Identification Macro (PS3.3 table 10-19).
fn algorithm(context: &ResultContext, segment: &Segment) -> InMemDicomObject {
    Item::new()
        .sequence(
            tags::ALGORITHM_FAMILY_CODE_SEQUENCE,
            vec![code::ARTIFICIAL_INTELLIGENCE.item()],
        )
        .text(tags::ALGORITHM_NAME, VR::LO, &segment.algorithm_name)
        .text(tags::ALGORITHM_VERSION, VR::LO, &context.model.version)
        .optional_text(tags::ALGORITHM_SOURCE, VR::LO, &context.model.manufacturer)
        .build()
}

/// Multi-frame Dimension (PS3.3 §C.7.6.17): segment, then position.
fn dimensions(organization: &str) -> InMemDicomObject {
    let index = |pointer, group, label: &str| {
        Item::new()
            .text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, organization)
            .at(tags::DIMENSION_INDEX_POINTER, pointer)
            .at(tags::FUNCTIONAL_GROUP_POINTER, group)
            .text(tags::DIMENSION_DESCRIPTION_LABEL, VR::LO, label)
            .build()
    };
    Item::new()
        .sequence(
            tags::DIMENSION_ORGANIZATION_SEQUENCE,
            vec![
                Item::new()
                    .text(tags::DIMENSION_ORGANIZATION_UID, VR::UI, organization)
                    .build(),
            ],
        )
        .sequence(
            tags::DIMENSION_INDEX_SEQUENCE,
            vec![
                index(
                    tags::REFERENCED_SEGMENT_NUMBER,
                    tags::SEGMENT_IDENTIFICATION_SEQUENCE,
                    "Segment Number",
                ),
                index(
                    tags::IMAGE_POSITION_PATIENT,
                    tags::PLANE_POSITION_SEQUENCE,
                    "Image Position (Patient)",
                ),
            ],
        )
        .build()
}

fn shared_groups(source: &SourceSeries) -> InMemDicomObject {
    let spacing = source.slice_spacing().map(decimal_string);
    let mut measures = Item::new().values(tags::PIXEL_SPACING, VR::DS, &source.pixel_spacing);
    if let Some(thickness) = source.slice_thickness.as_ref().or(spacing.as_ref()) {
        measures = measures.values(tags::SLICE_THICKNESS, VR::DS, &[thickness]);
    }
    if let Some(spacing) = &spacing {
        measures = measures.values(tags::SPACING_BETWEEN_SLICES, VR::DS, &[spacing]);
    }
    Item::new()
        .sequence(tags::PIXEL_MEASURES_SEQUENCE, vec![measures.build()])
        .sequence(
            tags::PLANE_ORIENTATION_SEQUENCE,
            vec![
                Item::new()
                    .values(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, &source.orientation)
                    .build(),
            ],
        )
        .build()
}

fn per_frame_groups(source: &SourceSeries, frames: &[(usize, usize)]) -> Vec<InMemDicomObject> {
    // Index values count the positions that occur, from 1 without gaps (PS3.3 §C.7.6.17.1).
    let mut positions: Vec<usize> = frames.iter().map(|(_, slice)| *slice).collect();
    positions.sort_unstable();
    positions.dedup();
    frames
        .iter()
        .filter_map(|(segment, index)| {
            let number = u16::try_from(segment + 1).ok()?;
            let rank = positions.binary_search(index).ok()?;
            let position = u32::try_from(rank + 1).ok()?;
            Some(frame_groups(source.slices.get(*index)?, number, position))
        })
        .collect()
}

fn frame_groups(slice: &Slice, segment: u16, position: u32) -> InMemDicomObject {
    Item::new()
        .sequence(
            tags::FRAME_CONTENT_SEQUENCE,
            vec![
                Item::new()
                    .ul_values(
                        tags::DIMENSION_INDEX_VALUES,
                        &[u32::from(segment), position],
                    )
                    .build(),
            ],
        )
        .sequence(
            tags::PLANE_POSITION_SEQUENCE,
            vec![
                Item::new()
                    .values(tags::IMAGE_POSITION_PATIENT, VR::DS, &slice.position)
                    .build(),
            ],
        )
        .sequence(
            tags::SEGMENT_IDENTIFICATION_SEQUENCE,
            vec![
                Item::new()
                    .us(tags::REFERENCED_SEGMENT_NUMBER, segment)
                    .build(),
            ],
        )
        .sequence(tags::DERIVATION_IMAGE_SEQUENCE, vec![derivation(slice)])
        .build()
}

/// Derivation Image (PS3.3 §C.7.6.16.2.6): the slice that the frame was computed on.
fn derivation(slice: &Slice) -> InMemDicomObject {
    let mut image = sop_reference(&slice.sop_class_uid, &slice.sop_instance_uid);
    if let Some(frame) = slice.frame {
        image = image.text(tags::REFERENCED_FRAME_NUMBER, VR::IS, &frame.to_string());
    }
    let image = image
        .sequence(
            tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
            vec![code::SOURCE_IMAGE.item()],
        )
        .text(tags::SPATIAL_LOCATIONS_PRESERVED, VR::CS, "YES")
        .build();
    Item::new()
        .sequence(
            tags::DERIVATION_CODE_SEQUENCE,
            vec![code::SEGMENTATION.item()],
        )
        .sequence(tags::SOURCE_IMAGE_SEQUENCE, vec![image])
        .build()
}

/// Common Instance Reference (PS3.3 §C.12.2): all of the source, empty frames' slices too.
fn referenced_series(source: &SourceSeries) -> Vec<InMemDicomObject> {
    source
        .instances_by_series()
        .into_iter()
        .map(|(series, instances)| {
            Item::new()
                .text(tags::SERIES_INSTANCE_UID, VR::UI, &series)
                .sequence(tags::REFERENCED_INSTANCE_SEQUENCE, instances)
                .build()
        })
        .collect()
}

/// Drops type 3 sequences that came out without items.
fn without_empty_sequences(mut object: InMemDicomObject) -> InMemDicomObject {
    object.retain(|element| {
        element
            .value()
            .items()
            .is_none_or(|items| !items.is_empty())
    });
    object
}
