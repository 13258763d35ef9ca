use std::path::Path;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use hilum_inference::domain::results::{
    Code, Mask, ResultError, Segment, Segmentation, SliceHeader, SourceSeries, segmentation,
    to_bytes,
};

use super::fixture::{brain, ellipsoid, enhanced, kidney, put, run, sample, source, synthetic};
use super::peers::{dciodvfy, dcmtk, python, write};

/// The sample was de-identified with UIDs of the root 0, which is reserved: what repeats them
/// inherits the complaint.
pub(crate) const SAMPLE_UIDS: &str = "Illegal root for UID - \"0.0.0.0.";

/// [`check_frames`] for a source of one instance a slice.
fn check(source: &SourceSeries, segments: &[Segment], volumes: &[&[u8]]) -> serde_json::Value {
    check_frames(source, segments, volumes, &[])
}

/// Writes a Segmentation of `volumes` and asserts that others find it valid and read the mask back
/// voxel for voxel. Returns what highdicom says of it.
fn check_frames(
    source: &SourceSeries,
    segments: &[Segment],
    volumes: &[&[u8]],
    frames: &[&str],
) -> serde_json::Value {
    let directory = tempfile::tempdir().unwrap();
    let mask = match volumes {
        [labels] => Mask::Labels(labels),
        _ => Mask::Volumes(volumes),
    };
    let object = segmentation(&run(), source, &Segmentation { segments, mask }).unwrap();
    let path = write(directory.path(), "seg.dcm", &object);
    assert_eq!(dciodvfy(&path, &[SAMPLE_UIDS]), Vec::<String>::new());
    dcmtk("dcmdump", &["-q"], &path);
    let read = directory.path().join("mask");
    let mut arguments = vec![path.as_path(), read.as_path()];
    arguments.extend(frames.iter().map(Path::new));
    let said = python("read_seg.py", &arguments);
    assert!(
        std::fs::read(&read).unwrap() == volumes.concat(),
        "highdicom reads another mask than was written"
    );
    said
}

#[test]
fn a_mask_on_the_sample_comes_back_voxel_for_voxel() {
    let headers = sample();
    let source = source(&headers);
    let mask = ellipsoid(20, 256, 256);
    let said = check(&source, &[brain()], &[&mask]);

    let filled = mask.chunks(256 * 256).filter(|s| s.contains(&1)).count();
    assert!(filled < 20, "the fixture leaves slices empty");
    assert_eq!(said["frames"], filled);
    assert_eq!(said["segments"][0]["algorithm"], "AUTOMATIC");
    // Positions are those of the source, character by character.
    let first = mask.chunks(256 * 256).position(|s| s.contains(&1)).unwrap();
    let position = headers[first].get(tags::IMAGE_POSITION_PATIENT).unwrap();
    let received: Vec<String> = position
        .value()
        .to_multi_str()
        .unwrap()
        .iter()
        .map(|s| s.trim().to_owned())
        .collect();
    assert_eq!(said["positions"][0], serde_json::json!(received));
    // Rounded positions, 6.998 mm apart on average; SpacingBetweenSlices of the source says 2.
    let spacing = said["volume"]["spacing"][0].as_f64().unwrap();
    assert!((spacing - 7.0).abs() < 0.05, "{said}");
    let voxels: u64 = mask.iter().map(|v| u64::from(*v)).sum();
    assert_eq!(said["volume"]["voxels"], voxels);
}

#[test]
fn frames_of_an_odd_number_of_pixels_are_packed_one_after_another() {
    let source = source(&synthetic(5, 7, 9));
    let said = check(&source, &[brain()], &[&ellipsoid(5, 7, 9)]);
    assert!((said["volume"]["spacing"][0].as_f64().unwrap() - 2.5).abs() < 1e-6);
}

#[test]
fn overlapping_segments_keep_their_voxels() {
    let source = source(&synthetic(6, 11, 13));
    let left = ellipsoid(6, 11, 13);
    let right: Vec<u8> = left.iter().rev().copied().collect();
    let sides = [
        kidney("Left kidney", Code::new("7771000", "SCT", "Left")),
        kidney("Right kidney", Code::new("24028007", "SCT", "Right")),
    ];
    let said = check(&source, &sides, &[&left, &right]);
    assert_eq!(said["segments"][1]["label"], "Right kidney");
    assert_ne!(
        said["segments"][0]["tracking_uid"],
        said["segments"][1]["tracking_uid"]
    );
}

#[test]
fn one_segment_of_two_may_be_empty() {
    let source = source(&synthetic(4, 8, 8));
    let mask = ellipsoid(4, 8, 8);
    check(&source, &[brain(), brain()], &[&mask, &vec![0; mask.len()]]);
}

#[test]
fn a_single_slice_makes_a_segmentation() {
    check(
        &source(&synthetic(1, 9, 9)),
        &[brain()],
        &[&ellipsoid(1, 9, 9)],
    );
}

#[test]
fn a_model_that_found_nothing_still_says_so_on_every_slice() {
    let said = check(&source(&synthetic(3, 5, 5)), &[brain()], &[&[0; 75]]);
    assert_eq!(said["frames"], 3);
}

#[test]
fn slices_may_be_frames_of_one_enhanced_instance() {
    let header = enhanced(4, 7, 6);
    // The frames in reverse: the order of the mask counts, not that of the instance.
    let slices: Vec<_> = (1..=4)
        .rev()
        .map(|frame| SliceHeader {
            header: &header,
            frame: Some(frame),
        })
        .collect();
    let source = SourceSeries::from_slices(&slices).unwrap();
    let mask: Vec<u8> = (0..4 * 7 * 6).map(|i| u8::from(i % 5 == 0)).collect();
    let said = check_frames(&source, &[brain()], &[&mask], &["4", "3", "2", "1"]);
    assert!((said["volume"]["spacing"][0].as_f64().unwrap() - 2.5).abs() < 1e-6);
}

#[test]
fn labels_of_one_volume_become_segments() {
    let source = source(&synthetic(3, 5, 6));
    let labels: Vec<u8> = (0..90).map(|i| i % 4).collect();
    let segments = [brain(), brain(), brain()];
    let directory = tempfile::tempdir().unwrap();
    let input = Segmentation {
        segments: &segments,
        mask: Mask::Labels(&labels),
    };
    let object = segmentation(&run(), &source, &input).unwrap();
    let path = write(directory.path(), "seg.dcm", &object);
    assert_eq!(dciodvfy(&path, &[]), Vec::<String>::new());
    let read = directory.path().join("mask");
    let said = python("read_seg.py", &[&path, &read]);
    assert_eq!(said["frames"], 9);
    let expected: Vec<u8> = (1..=3)
        .flat_map(|label| labels.iter().map(move |v| u8::from(*v == label)))
        .collect();
    assert!(std::fs::read(&read).unwrap() == expected);
}

#[test]
fn a_source_without_frame_of_reference_still_has_a_space() {
    let mut headers = synthetic(3, 5, 5);
    for header in &mut headers {
        header.remove_element(tags::FRAME_OF_REFERENCE_UID);
    }
    check(&source(&headers), &[brain()], &[&ellipsoid(3, 5, 5)]);
}

#[test]
fn what_was_lossy_stays_lossy() {
    let mut headers = synthetic(2, 4, 4);
    for header in &mut headers {
        put(header, tags::LOSSY_IMAGE_COMPRESSION, VR::CS, "01");
        put(header, tags::LOSSY_IMAGE_COMPRESSION_RATIO, VR::DS, "10");
        put(
            header,
            tags::LOSSY_IMAGE_COMPRESSION_METHOD,
            VR::CS,
            "ISO_10918_1",
        );
    }
    check(&source(&headers), &[brain()], &[&[1; 32]]);
}

#[test]
fn slices_that_are_no_grid_are_refused() {
    let spoilt = |tag, vr, text: &str| {
        let mut headers = synthetic(3, 4, 4);
        put(&mut headers[1], tag, vr, text);
        SourceSeries::from_headers(&headers).unwrap_err()
    };
    for (tag, vr, text) in [
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "0\\1\\0\\0\\0\\1"),
        (tags::PIXEL_SPACING, VR::DS, "0.8\\0.8"),
        (tags::FRAME_OF_REFERENCE_UID, VR::UI, "2.25.42"),
        (tags::STUDY_INSTANCE_UID, VR::UI, "2.25.12"),
    ] {
        assert_eq!(
            spoilt(tag, vr, text),
            ResultError::MixedSlices { tag, slice: 1 }
        );
    }
    for (tag, vr, text) in [
        (tags::IMAGE_POSITION_PATIENT, VR::DS, "1\\2"),
        (tags::IMAGE_POSITION_PATIENT, VR::DS, "1\\2\\NaN"),
        (tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "a\\b"),
        (tags::SOP_INSTANCE_UID, VR::UI, " "),
    ] {
        assert_eq!(
            spoilt(tag, vr, text),
            ResultError::MissingAttribute { tag, slice: 1 }
        );
    }
    assert_eq!(
        SourceSeries::from_headers(&[]).unwrap_err(),
        ResultError::NoSlices
    );
}

#[test]
fn the_same_run_gives_the_same_bytes_and_another_run_other_names() {
    let source = source(&synthetic(3, 5, 5));
    let mask = ellipsoid(3, 5, 5);
    let segments = [brain()];
    let input = Segmentation {
        segments: &segments,
        mask: Mask::Labels(&mask),
    };
    let write = |run| to_bytes(&segmentation(&run, &source, &input).unwrap()).unwrap();
    assert_eq!(write(run()), write(run()));
    let mut other = run();
    other.run = uuid::Uuid::from_u128(99);
    let uid = |run| {
        let object = segmentation(&run, &source, &input).unwrap();
        object.meta().media_storage_sop_instance_uid().to_owned()
    };
    assert_ne!(uid(run()), uid(other));
}

#[test]
fn a_mask_that_is_not_on_the_grid_is_refused() {
    let source = source(&synthetic(3, 5, 5));
    let segments = [brain()];
    let attempt = |mask: &[u8]| {
        let input = Segmentation {
            segments: &segments,
            mask: Mask::Labels(mask),
        };
        segmentation(&run(), &source, &input).unwrap_err()
    };
    assert_eq!(
        attempt(&[0; 74]),
        ResultError::MaskShape {
            expected: 75,
            actual: 74
        }
    );
    assert_eq!(
        attempt(&[2; 75]),
        ResultError::UnknownLabel {
            label: 2,
            segments: 1
        }
    );
}
