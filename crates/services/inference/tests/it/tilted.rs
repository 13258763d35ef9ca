//! The sample in slices that lie askew in the patient, as a technician plans
//! them along the brain instead of the table: the same brain comes out.

use dicom_core::{DataElement, PrimitiveValue, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::FileMetaTableBuilder;
use hilum_inference::domain::geometry::Geometry;
use hilum_inference::domain::volume::Volume;
use hilum_inference::gate;
use hilum_inference::models::Model;
use hilum_inference::runtime::Runtime;

use crate::geometry::{SYNTAX, Slices, decimal, native, sample};
use crate::models::{library, root};

type Vector = [f64; 3];

fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// `v` turned by so many degrees about the patient's left-right axis, then
/// about the feet-head axis.
fn turned(v: Vector, [about_x, about_z]: [f64; 2]) -> Vector {
    let (sin, cos) = about_x.to_radians().sin_cos();
    let [x, y, z] = [v[0], cos * v[1] - sin * v[2], sin * v[1] + cos * v[2]];
    let (sin, cos) = about_z.to_radians().sin_cos();
    [cos * x - sin * y, sin * x + cos * y, z]
}

/// The patient's point at a slice, row and column.
fn point(geometry: &Geometry, at: Vector) -> Vector {
    std::array::from_fn(|i| {
        let steps =
            (0..3).map(|axis| geometry.directions[axis][i] * geometry.spacing[axis] * at[axis]);
        geometry.origin[i] + steps.sum::<f64>()
    })
}

/// The grey value at a point of the patient, linear between voxels; 0 outside.
fn grey(geometry: &Geometry, volume: &Volume, point: Vector) -> f64 {
    let from_origin = std::array::from_fn(|i| point[i] - geometry.origin[i]);
    let at: Vector = std::array::from_fn(|axis| {
        dot(from_origin, geometry.directions[axis]) / geometry.spacing[axis]
    });
    let mut sum = 0.0;
    for corner in 0..8_usize {
        let mut weight = 1.0;
        let mut index = [0; 3];
        for axis in 0..3 {
            let upper = corner >> axis & 1;
            let fraction = at[axis] - at[axis].floor();
            weight *= if upper == 1 { fraction } else { 1.0 - fraction };
            index[axis] = at[axis].floor() as i64 + upper as i64;
        }
        let [slice, row, column] = index.map(|i| usize::try_from(i).unwrap_or(usize::MAX));
        sum += weight
            * volume
                .get([slice, row, column])
                .map_or(0.0, |&g| f64::from(g));
    }
    sum
}

/// The sample, cut anew into as many slices that are turned about its middle.
fn tilted(degrees: [f64; 2]) -> Slices {
    let mut slices = sample();
    let (old, volume, _) = native(&slices).expect("the sample");
    let middle = old.dims.map(|n| (n as f64 - 1.0) / 2.0);
    let mut new = old.clone();
    new.directions = old.directions.map(|d| turned(d, degrees));
    let (from, to) = (point(&new, middle), point(&old, middle));
    new.origin = std::array::from_fn(|i| new.origin[i] + to[i] - from[i]);
    let [_, rows, columns] = old.dims;
    for (slice, (object, pixels)) in slices.iter_mut().enumerate() {
        let at = |row: usize, column: usize| point(&new, [slice as f64, row as f64, column as f64]);
        decimal(object, tags::IMAGE_POSITION_PATIENT, &at(0, 0));
        let orientation = [new.directions[2], new.directions[1]].concat();
        decimal(object, tags::IMAGE_ORIENTATION_PATIENT, &orientation);
        *pixels = (0..rows * columns)
            .map(|i| grey(&old, &volume, at(i / columns, i % columns)).round() as u16)
            .collect();
    }
    slices
}

/// What the fast model measures, cm³.
fn brain_volume(slices: &Slices, runtime: &mut Runtime) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    for (number, (object, pixels)) in slices.iter().enumerate() {
        let mut object = object.clone();
        object.put(DataElement::new(
            tags::PIXEL_DATA,
            VR::OW,
            PrimitiveValue::U16(pixels.clone().into()),
        ));
        let meta = FileMetaTableBuilder::new()
            .transfer_syntax(SYNTAX)
            .media_storage_sop_class_uid(uids::MR_IMAGE_STORAGE);
        let file = object.with_meta(meta).unwrap();
        file.write_to_file(folder.path().join(format!("{number}.dcm")))
            .unwrap();
    }
    let model = Model::load(&root().join("models/brain-mask-small")).unwrap();
    let results = gate::run_files(&model, folder.path(), runtime, &mut |_, _| {}).unwrap();
    results.figures.measurements[0].value
}

#[test]
fn slices_that_lie_askew_give_the_same_brain() {
    let mut runtime = Runtime::load(&library(), 2).expect("the runtime loads");
    let straight = sample();
    let (geometry, volume, _) = native(&straight).unwrap();
    let expected = brain_volume(&straight, &mut runtime);
    for degrees in [[8.0, 0.0], [0.0, 8.0], [-5.0, 5.0]] {
        let slices = tilted(degrees);
        let (askew, its_volume, _) = native(&slices).unwrap();
        // The same grey in the same places of the patient, up to what cutting
        // slices of 7 mm anew blurs.
        let (mut difference, mut all) = (0.0, 0.0);
        for i in 0..4_000 {
            let along =
                |step: usize, n: usize| 2.0 + (i * step % 97) as f64 / 97.0 * (n as f64 - 5.0);
            let [slices, rows, columns] = geometry.dims;
            let place = point(
                &geometry,
                [along(31, slices), along(53, rows), along(71, columns)],
            );
            let [a, b] =
                [(&geometry, &volume), (&askew, &its_volume)].map(|(g, v)| grey(g, v, place));
            difference += (a - b).abs();
            all += a;
        }
        println!("{degrees:?}: grey {}", difference / all);
        let found = brain_volume(&slices, &mut runtime);
        println!("{degrees:?}: {found} instead of {expected} cm³");
        assert!(difference < 0.1 * all, "{degrees:?}: {difference} of {all}");
        assert!(
            (found - expected).abs() < 0.03 * expected,
            "{degrees:?}: {found} instead of {expected} cm³"
        );
    }
}
