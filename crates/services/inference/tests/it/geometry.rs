//! The sample in every form that scanners and archives send it in: the same
//! brain comes out, or the run is refused.

use std::path::Path;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN;
use hilum_inference::domain::geometry::Geometry;
use hilum_inference::domain::manifest::Manifest;
use hilum_inference::domain::refusal::Refusal;
use hilum_inference::domain::volume::Volume;
use hilum_inference::gate::split_part10;
use hilum_inference::series::Series;

use crate::models::root;

pub(crate) const SYNTAX: &str = "1.2.840.10008.1.2.1";
const SIDE: usize = 256;

/// Slices, inferior first, with their grey values.
pub(crate) fn sample() -> Slices {
    (1..=20)
        .map(|n| {
            let path = root().join(format!("samples/mr-brain/brain_{n:03}.dcm"));
            let bytes = std::fs::read(Path::new(&path)).expect("the sample");
            let (_, data_set) = split_part10(&bytes).expect("a DICOM file");
            // The first file ends with stray bytes.
            let read = |cut: usize| {
                InMemDicomObject::read_dataset_with_ts(
                    &data_set[..data_set.len() - cut],
                    &EXPLICIT_VR_LITTLE_ENDIAN.erased(),
                )
            };
            let mut object = (0..8).find_map(|cut| read(cut).ok()).expect("a data set");
            let pixels: Vec<u16> = object
                .take_element(tags::PIXEL_DATA)
                .unwrap()
                .value()
                .to_multi_int()
                .unwrap();
            (object, pixels[..SIDE * SIDE].to_vec())
        })
        .collect()
}

pub(crate) fn decimal(object: &mut InMemDicomObject, tag: Tag, values: &[f64]) {
    let text: Vec<String> = values.iter().map(|v| format!("{v:.6}")).collect();
    object.put(DataElement::new(
        tag,
        VR::DS,
        PrimitiveValue::Strs(text.into()),
    ));
}

fn numbers(object: &InMemDicomObject, tag: Tag) -> Vec<f64> {
    hilum_inference::domain::header::numbers(object, tag)
}

pub(crate) type Slices = Vec<(InMemDicomObject, Vec<u16>)>;

/// The series as it is put together: its geometry, its grey values by slice,
/// row and column, and how many data sets it is of.
pub(crate) fn native(slices: &Slices) -> Result<(Geometry, Volume, usize), Refusal> {
    let manifest =
        std::fs::read_to_string(root().join("models/brain-mask-small/hilum-model.toml")).unwrap();
    let input = Manifest::parse(&manifest).unwrap().input;
    let mut series = Series::new(u64::MAX);
    for (object, pixels) in slices {
        let mut object = object.clone();
        object.put(DataElement::new(
            tags::PIXEL_DATA,
            VR::OW,
            PrimitiveValue::U16(pixels.clone().into()),
        ));
        let mut bytes = Vec::new();
        object
            .write_dataset_with_ts(&mut bytes, &EXPLICIT_VR_LITTLE_ENDIAN.erased())
            .unwrap();
        series.add(SYNTAX, &bytes)?;
    }
    let (geometry, volume, data_sets) = series.assemble(&input)?;
    Ok((geometry, volume, data_sets.len()))
}

fn assemble(slices: &Slices) -> Result<(f64, Volume, usize), Refusal> {
    let (geometry, volume, count) = native(slices)?;
    Ok((geometry.voxel_mm3(), geometry.to_ras.apply(volume), count))
}

/// The same voxels in the same places, whatever way they came.
fn check_same(slices: &Slices) {
    let (voxel, expected, _) = assemble(&sample()).expect("the sample");
    let (found_voxel, found, _) = assemble(slices).expect("the changed sample");
    assert!(
        (voxel - found_voxel).abs() < 1e-3 * voxel,
        "{voxel} {found_voxel}"
    );
    assert_eq!(found.dim(), expected.dim());
    assert!(found == expected, "the volumes differ");
}

fn check_refused(slices: &Slices, code: &str) {
    let refusal = assemble(slices).expect_err(code);
    assert_eq!(refusal.code(), code, "{refusal}");
}

#[test]
fn the_sample_is_one_volume_of_the_reference_spacing() {
    let (voxel, volume, count) = assemble(&sample()).unwrap();
    assert!(
        (voxel - 0.859_375 * 0.859_375 * 7.0005).abs() < 1e-3,
        "{voxel}"
    );
    assert_eq!((volume.dim(), count), ((256, 256, 20), 20));
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    let mut slices = sample();
    slices.reverse();
    check_same(&slices);
    slices.swap(2, 17);
    slices.rotate_left(7);
    check_same(&slices);
}

#[test]
fn rows_that_run_upwards_or_leftwards_are_the_same_volume() {
    let mut slices = sample();
    for (object, pixels) in &mut slices {
        // Columns from right to left: the first pixel is where the last one of its row was.
        let (mut position, mut orientation) = (
            numbers(object, tags::IMAGE_POSITION_PATIENT),
            numbers(object, tags::IMAGE_ORIENTATION_PATIENT),
        );
        for i in 0..3 {
            position[i] += orientation[i] * 0.859_375 * (SIDE - 1) as f64;
            orientation[i] = -orientation[i];
        }
        decimal(object, tags::IMAGE_POSITION_PATIENT, &position);
        decimal(object, tags::IMAGE_ORIENTATION_PATIENT, &orientation);
        for row in pixels.chunks_mut(SIDE) {
            row.reverse();
        }
    }
    // The normal points the other way now, so the slices run downwards.
    check_same(&slices);
}

/// Re-slices the sample: slice axis, row (downwards) axis and column axis of
/// the new series are these axes of the old one (0 slice, 1 row, 2 column).
fn resliced(axes: [usize; 3]) -> Slices {
    let old = sample();
    let orientation = numbers(&old[0].0, tags::IMAGE_ORIENTATION_PATIENT);
    let first = numbers(&old[0].0, tags::IMAGE_POSITION_PATIENT);
    let (right, down) = (&orientation[..3], &orientation[3..]);
    let normal = [
        right[1] * down[2] - right[2] * down[1],
        right[2] * down[0] - right[0] * down[2],
        right[0] * down[1] - right[1] * down[0],
    ];
    let directions = [normal.to_vec(), down.to_vec(), right.to_vec()];
    let spacing = [7.0005, 0.859_375, 0.859_375];
    let dims = [20, SIDE, SIDE];
    (0..dims[axes[0]])
        .map(|slice| {
            let mut object = old[0].0.clone();
            object.put(DataElement::new(
                tags::SOP_INSTANCE_UID,
                VR::UI,
                PrimitiveValue::from(format!("1.2.3.{slice}")),
            ));
            let position: Vec<f64> = (0..3)
                .map(|i| first[i] + directions[axes[0]][i] * spacing[axes[0]] * slice as f64)
                .collect();
            decimal(&mut object, tags::IMAGE_POSITION_PATIENT, &position);
            decimal(
                &mut object,
                tags::IMAGE_ORIENTATION_PATIENT,
                &[&directions[axes[2]][..], &directions[axes[1]][..]].concat(),
            );
            decimal(
                &mut object,
                tags::PIXEL_SPACING,
                &[spacing[axes[1]], spacing[axes[2]]],
            );
            let (rows, columns) = (dims[axes[1]], dims[axes[2]]);
            object.put(DataElement::new(
                tags::ROWS,
                VR::US,
                PrimitiveValue::from(rows as u16),
            ));
            object.put(DataElement::new(
                tags::COLUMNS,
                VR::US,
                PrimitiveValue::from(columns as u16),
            ));
            let mut pixels = Vec::with_capacity(rows * columns);
            for row in 0..rows {
                for column in 0..columns {
                    let mut at = [0; 3];
                    (at[axes[0]], at[axes[1]], at[axes[2]]) = (slice, row, column);
                    pixels.push(old[at[0]].1[at[1] * SIDE + at[2]]);
                }
            }
            (object, pixels)
        })
        .collect()
}

#[test]
fn sagittal_and_coronal_slices_are_the_same_volume() {
    check_same(&resliced([2, 0, 1]));
    check_same(&resliced([1, 0, 2]));
    check_same(&resliced([2, 1, 0]));
}

#[test]
fn what_is_not_one_volume_is_refused() {
    let good = sample();
    let changed = |change: &dyn Fn(&mut Slices)| {
        let mut slices = good.clone();
        change(&mut slices);
        slices
    };
    let text = |tag, vr, value: &str| DataElement::new(tag, vr, PrimitiveValue::from(value));
    check_refused(&changed(&|s| drop(s.remove(9))), "missing-slices");
    check_refused(&changed(&|s| s.push(s[4].clone())), "duplicate-positions");
    check_refused(
        &changed(&|s| {
            for (object, _) in s.iter_mut() {
                object.put(text(tags::ECHO_TIME, VR::DS, "90"));
            }
            s.extend(good.clone());
        }),
        "multiple-echoes",
    );
    check_refused(
        &changed(&|s| {
            for (index, (object, _)) in s.iter_mut().enumerate() {
                let mut position = numbers(object, tags::IMAGE_POSITION_PATIENT);
                position[1] += index as f64 * 2.0;
                decimal(object, tags::IMAGE_POSITION_PATIENT, &position);
            }
        }),
        "gantry-tilt",
    );
    check_refused(
        &changed(&|s| {
            decimal(
                &mut s[3].0,
                tags::IMAGE_ORIENTATION_PATIENT,
                &[0.0, 1.0, 0.0, 0.0, 0.0, -1.0],
            )
        }),
        "mixed-orientations",
    );
    check_refused(&changed(&|s| s[3].1.truncate(100)), "undecodable");
    check_refused(
        &changed(&|s| {
            s.iter_mut()
                .for_each(|s| drop(s.0.put(text(tags::MODALITY, VR::CS, "CT"))))
        }),
        "modality",
    );
    check_refused(
        &changed(&|s| {
            s.iter_mut()
                .for_each(|s| drop(s.0.put(text(tags::IMAGE_TYPE, VR::CS, "DERIVED\\SECONDARY"))))
        }),
        "image-type",
    );
    check_refused(
        &changed(&|s| {
            s.iter_mut()
                .for_each(|s| decimal(&mut s.0, tags::PIXEL_SPACING, &[0.2, 0.2]))
        }),
        "field-of-view",
    );
}

#[test]
fn a_localizer_in_the_series_is_left_out() {
    let mut slices = sample();
    let mut scout = slices[0].clone();
    scout.0.put(DataElement::new(
        tags::IMAGE_TYPE,
        VR::CS,
        PrimitiveValue::from("ORIGINAL\\PRIMARY\\LOCALIZER"),
    ));
    decimal(
        &mut scout.0,
        tags::IMAGE_ORIENTATION_PATIENT,
        &[0.0, 1.0, 0.0, 0.0, 0.0, -1.0],
    );
    slices.insert(5, scout);
    check_same(&slices);
}
