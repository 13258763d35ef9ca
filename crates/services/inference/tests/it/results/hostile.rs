//! Headers are others' bytes: whatever they hold, a result is written or refused, never a panic.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use hilum_inference::domain::results::{
    Mask, Segmentation, SliceHeader, SourceSeries, report, segmentation, to_bytes,
};
use proptest::prelude::*;

use super::fixture::{brain, run, synthetic};

const TAGS: [Tag; 16] = [
    tags::SPECIFIC_CHARACTER_SET,
    tags::SOP_INSTANCE_UID,
    tags::STUDY_INSTANCE_UID,
    tags::PATIENT_NAME,
    tags::PATIENT_ID,
    tags::PATIENT_AGE,
    tags::STUDY_DATE,
    tags::TIMEZONE_OFFSET_FROM_UTC,
    tags::PROCEDURE_CODE_SEQUENCE,
    tags::IMAGE_POSITION_PATIENT,
    tags::IMAGE_ORIENTATION_PATIENT,
    tags::PIXEL_SPACING,
    tags::ROWS,
    tags::COLUMNS,
    tags::MANUFACTURER,
    tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
];

fn value() -> impl Strategy<Value = (VR, PrimitiveValue)> {
    let text = prop_oneof![
        ".{0,40}",
        "[0-9.eE+\\\\-]{0,40}",
        Just("1e308\\1e308\\1e308".to_owned()),
        Just("\\777\\é\u{0}".to_owned()),
    ];
    prop_oneof![
        text.prop_map(|t| (VR::LO, PrimitiveValue::from(t))),
        prop::collection::vec(any::<u8>(), 0..20)
            .prop_map(|b| (VR::UN, PrimitiveValue::U8(b.into()))),
        any::<u16>().prop_map(|n| (VR::US, PrimitiveValue::from(n))),
        any::<f64>().prop_map(|n| (VR::FD, PrimitiveValue::from(n))),
        Just((VR::UN, PrimitiveValue::Empty)),
    ]
}

/// Items in items, 40 deep.
fn deep() -> InMemDicomObject {
    (0..40).fold(InMemDicomObject::new_empty(), |inner, _| {
        InMemDicomObject::from_element_iter([DataElement::new(
            tags::PROCEDURE_CODE_SEQUENCE,
            VR::SQ,
            DataSetSequence::from(vec![inner]),
        )])
    })
}

proptest! {
    #[test]
    fn any_header_is_written_or_refused(
        changes in prop::collection::vec((0..TAGS.len(), value()), 1..4),
        frame in prop::option::of(any::<u32>()),
        nested in any::<bool>(),
    ) {
        let mut headers = synthetic(2, 3, 3);
        for header in &mut headers {
            if nested {
                header.put(DataElement::new(
                    tags::PROCEDURE_CODE_SEQUENCE,
                    VR::SQ,
                    DataSetSequence::from(vec![deep()]),
                ));
            }
            for (index, (vr, value)) in &changes {
                header.put(DataElement::new(TAGS[*index], *vr, value.clone()));
            }
        }
        let slices: Vec<_> = headers
            .iter()
            .map(|header| SliceHeader { header, frame })
            .collect();
        if let Ok(source) = SourceSeries::from_slices(&slices) {
            let segments = [brain()];
            let mask = vec![1; source.voxels().min(1 << 20)];
            let input = Segmentation {
                segments: &segments,
                mask: Mask::Labels(&mask),
            };
            let written = [
                segmentation(&run(), &source, &input),
                report(&run(), &source, &segments, &[]),
            ];
            for object in written.iter().flatten() {
                let bytes = to_bytes(object).expect("what is built can be written");
                let read = dicom_object::from_reader(bytes.as_slice());
                prop_assert!(read.is_ok(), "what is written can be read");
            }
        }
    }
}
