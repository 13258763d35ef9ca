//! The sample series, synthetic series, masks and a run to write results for.

use std::path::{Path, PathBuf};

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::{InMemDicomObject, OpenFileOptions};
use hilum_inference::domain::results::{
    Code, Equipment, ModelIdentity, ResultContext, Segment, SeriesNumbers, SourceSeries, cielab,
};
use time::macros::datetime;
use uuid::Uuid;

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// Headers of the sample series, in its slice order.
pub(crate) fn sample() -> Vec<InMemDicomObject> {
    (1..=20)
        .map(|i| {
            let path = repository().join(format!("samples/mr-brain/brain_{i:03}.dcm"));
            OpenFileOptions::new()
                .read_until(tags::PIXEL_DATA)
                .open_file(path)
                .expect("the sample series is part of the repository")
                .into_inner()
        })
        .collect()
}

pub(crate) fn put(object: &mut InMemDicomObject, tag: Tag, vr: VR, text: &str) {
    let values = text.split('\\').map(str::to_owned).collect();
    object.put(DataElement::new(tag, vr, PrimitiveValue::Strs(values)));
}

/// A CT series of valid UIDs with `slices` slices of `rows` × `columns`, tilted about x.
pub(crate) fn synthetic(slices: u32, rows: u16, columns: u16) -> Vec<InMemDicomObject> {
    (0..slices)
        .map(|i| {
            let mut o = InMemDicomObject::new_empty();
            put(
                &mut o,
                tags::SOP_CLASS_UID,
                VR::UI,
                "1.2.840.10008.5.1.4.1.1.2",
            );
            put(
                &mut o,
                tags::SOP_INSTANCE_UID,
                VR::UI,
                &format!("2.25.31.{}", i + 1),
            );
            for (tag, vr, text) in [
                (tags::STUDY_INSTANCE_UID, VR::UI, "2.25.11"),
                (tags::SERIES_INSTANCE_UID, VR::UI, "2.25.21"),
                (tags::FRAME_OF_REFERENCE_UID, VR::UI, "2.25.41"),
                (tags::MODALITY, VR::CS, "CT"),
                (tags::MANUFACTURER, VR::LO, "Someone"),
                (tags::PATIENT_NAME, VR::PN, "Nobody^Known"),
                (tags::PATIENT_ID, VR::LO, "42"),
                (tags::STUDY_DATE, VR::DA, "20260102"),
                (
                    tags::IMAGE_ORIENTATION_PATIENT,
                    VR::DS,
                    "1\\0\\0\\0\\0.8\\0.6",
                ),
                (tags::PIXEL_SPACING, VR::DS, "0.7\\0.8"),
                (tags::SLICE_THICKNESS, VR::DS, "3"),
            ] {
                put(&mut o, tag, vr, text);
            }
            let along = f64::from(i) * 2.5;
            let position = format!("-10.5\\{}\\{}", -0.6 * along, 0.8 * along);
            put(&mut o, tags::IMAGE_POSITION_PATIENT, VR::DS, &position);
            o.put(DataElement::new(
                tags::ROWS,
                VR::US,
                PrimitiveValue::from(rows),
            ));
            o.put(DataElement::new(
                tags::COLUMNS,
                VR::US,
                PrimitiveValue::from(columns),
            ));
            o
        })
        .collect()
}

/// [`synthetic`] as one enhanced instance: the grid in functional groups (PS3.3 §C.7.6.16).
pub(crate) fn enhanced(slices: u32, rows: u16, columns: u16) -> InMemDicomObject {
    let group = |sequence, holder: &InMemDicomObject, wanted: &[Tag]| {
        let kept = wanted.iter().filter_map(|tag| holder.get(*tag)).cloned();
        let item = InMemDicomObject::from_element_iter(kept);
        DataElement::new(sequence, VR::SQ, DataSetSequence::from(vec![item]))
    };
    let headers = synthetic(slices, rows, columns);
    let mut object = headers[0].clone();
    put(
        &mut object,
        tags::SOP_CLASS_UID,
        VR::UI,
        "1.2.840.10008.5.1.4.1.1.2.1",
    );
    let shared = InMemDicomObject::from_element_iter([
        group(
            tags::PLANE_ORIENTATION_SEQUENCE,
            &object,
            &[tags::IMAGE_ORIENTATION_PATIENT],
        ),
        group(
            tags::PIXEL_MEASURES_SEQUENCE,
            &object,
            &[tags::PIXEL_SPACING, tags::SLICE_THICKNESS],
        ),
    ]);
    let frames: Vec<_> = headers
        .iter()
        .map(|header| {
            InMemDicomObject::from_element_iter([group(
                tags::PLANE_POSITION_SEQUENCE,
                header,
                &[tags::IMAGE_POSITION_PATIENT],
            )])
        })
        .collect();
    for tag in [
        tags::IMAGE_ORIENTATION_PATIENT,
        tags::IMAGE_POSITION_PATIENT,
        tags::PIXEL_SPACING,
        tags::SLICE_THICKNESS,
    ] {
        object.remove_element(tag);
    }
    for (tag, items) in [
        (tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, vec![shared]),
        (tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, frames),
    ] {
        object.put(DataElement::new(tag, VR::SQ, DataSetSequence::from(items)));
    }
    object
}

pub(crate) fn source(headers: &[InMemDicomObject]) -> SourceSeries {
    SourceSeries::from_headers(headers).expect("the headers make a source")
}

pub(crate) fn run() -> ResultContext {
    ResultContext {
        run: Uuid::from_u128(0x1234_5678_9abc_def0),
        created: datetime!(2026-11-05 09:07:03.045 +01:00),
        model: ModelIdentity {
            name: "Brain extraction".into(),
            version: "1.0.2".into(),
            manufacturer: "Somewhere University".into(),
        },
        equipment: Equipment {
            manufacturer: "Hilum".into(),
            model_name: "Hilum".into(),
            serial_number: "1".into(),
            software_version: "0.1.0".into(),
            implementation_class_uid: "2.25.1".into(),
            implementation_version_name: "HILUM_0.1.0".into(),
        },
        warnings: vec!["Input outside the model's intended use: not T1-weighted.".into()],
        predecessor: None,
        series_numbers: SeriesNumbers {
            segmentation: 9001,
            report: 9002,
            rejection: 9003,
        },
    }
}

pub(crate) fn brain() -> Segment {
    Segment {
        label: "Brain".into(),
        category: Code::new("123037004", "SCT", "Anatomical Structure"),
        property_type: Code::new("12738006", "SCT", "Brain"),
        property_type_modifier: None,
        anatomic_region: None,
        algorithm_name: "deepbet".into(),
        color: Some(cielab([222, 100, 80])),
    }
}

pub(crate) fn kidney(label: &str, side: Code) -> Segment {
    Segment {
        label: label.into(),
        property_type: Code::new("64033007", "SCT", "Kidney"),
        property_type_modifier: Some(side),
        anatomic_region: Some(Code::new("818983003", "SCT", "Abdomen")),
        ..brain()
    }
}

/// An ellipsoid in the middle of the grid that leaves the first and last slices empty.
pub(crate) fn ellipsoid(slices: usize, rows: usize, columns: usize) -> Vec<u8> {
    let mut mask = Vec::with_capacity(slices * rows * columns);
    let unit = |i: usize, n: usize| (i as f64 + 0.5) / n as f64 * 2.0 - 1.0;
    for z in 0..slices {
        for y in 0..rows {
            for x in 0..columns {
                let (x, y, z) = (unit(x, columns), unit(y, rows), unit(z, slices));
                let inside = (x - 0.1).powi(2) + 1.3 * y.powi(2) + 1.5 * z.powi(2) < 0.7;
                mask.push(u8::from(inside));
            }
        }
    }
    mask
}
