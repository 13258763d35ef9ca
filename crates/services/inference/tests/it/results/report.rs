use hilum_inference::domain::results::{
    CUBIC_CENTIMETRE, Code, InstanceReference, Measurement, ResultError, Segment, SourceSeries,
    VOLUME, VOXEL_SUM, rejection_note, report,
};

use super::fixture::{brain, kidney, run, sample, source, synthetic};
use super::peers::{dciodvfy, dcmtk, python, write};
use super::segmentation::SAMPLE_UIDS;

fn volume(segment: u16, value: f64) -> Measurement {
    Measurement {
        segment,
        name: VOLUME,
        value,
        unit: CUBIC_CENTIMETRE,
        method: None,
        derivation: None,
    }
}

fn reference(class: &str, ordinal: u32) -> InstanceReference {
    InstanceReference {
        study_instance_uid: "2.25.11".into(),
        series_instance_uid: format!("2.25.5{ordinal}"),
        sop_class_uid: class.into(),
        sop_instance_uid: format!("2.25.6{ordinal}"),
    }
}

/// Writes a report and asserts that others find it valid. Returns what highdicom reads.
fn check(
    run: &hilum_inference::domain::results::ResultContext,
    source: &SourceSeries,
    segments: &[Segment],
    measurements: &[Measurement],
) -> (serde_json::Value, String) {
    let directory = tempfile::tempdir().unwrap();
    let object = report(run, source, segments, measurements).unwrap();
    let path = write(directory.path(), "sr.dcm", &object);
    assert_eq!(dciodvfy(&path, &[SAMPLE_UIDS]), Vec::<String>::new());
    let dump = dcmtk("dsrdump", &[], &path);
    (python("read_sr.py", &[&path]), dump)
}

#[test]
fn a_volume_of_the_sample_reads_as_it_was_measured() {
    let source = source(&sample());
    let (said, dump) = check(&run(), &source, &[brain()], &[volume(1, 1292.5)]);
    let group = &said["groups"][0];
    assert_eq!(
        group["measurements"],
        serde_json::json!([
            {"name": "118565006", "value": 1292.5, "unit": "cm3", "method": null}
        ])
    );
    assert_eq!(group["finding"], "Brain");
    assert_eq!(group["segment"], 1);
    assert_eq!(
        group["source_series"],
        "0.0.0.0.3.8811.2.20010413115754.12432"
    );
    assert_eq!(said["verification"], "UNVERIFIED");
    assert!(
        said["description"]
            .as_str()
            .unwrap()
            .starts_with("Research use only, not for clinical use")
    );
    assert_eq!(
        group["comments"],
        serde_json::json!([
            "Research use only, not for clinical use.",
            "Input outside the model's intended use: not T1-weighted."
        ])
    );
    assert!(dump.contains("1292.5"), "{dump}");
}

#[test]
fn each_segment_has_its_group_and_its_numbers() {
    let sides = [
        kidney("Left kidney", Code::new("7771000", "SCT", "Left")),
        kidney("Right kidney", Code::new("24028007", "SCT", "Right")),
    ];
    let mut third = volume(2, 1.0 / 3.0);
    third.method = Some(VOXEL_SUM);
    let (said, _) = check(
        &run(),
        &source(&synthetic(3, 4, 5)),
        &sides,
        &[volume(1, 150.25), third],
    );
    assert_eq!(said["groups"][0]["measurements"][0]["value"], 150.25);
    // Exact: Floating Point Value stands beside the decimal string.
    assert_eq!(said["groups"][1]["measurements"][0]["value"], 1.0 / 3.0);
    assert_eq!(
        said["groups"][1]["measurements"][0]["method"],
        "Sum of segmented voxel method for volume"
    );
    assert_eq!(said["groups"][1]["segment"], 2);
    assert_eq!(said["groups"][1]["site"], serde_json::json!(["Abdomen"]));
}

#[test]
fn a_superseding_report_names_its_predecessor() {
    let mut run = run();
    run.predecessor = Some(reference("1.2.840.10008.5.1.4.1.1.88.34", 1));
    let (said, _) = check(
        &run,
        &source(&synthetic(3, 4, 5)),
        &[brain()],
        &[volume(1, 2.0)],
    );
    assert_eq!(said["predecessors"], serde_json::json!(["2.25.61"]));
}

#[test]
fn a_superseded_segmentation_is_rejected_by_a_key_object() {
    let directory = tempfile::tempdir().unwrap();
    let superseded = [
        reference("1.2.840.10008.5.1.4.1.1.66.4", 1),
        reference("1.2.840.10008.5.1.4.1.1.66.4", 2),
    ];
    let note = rejection_note(&run(), &source(&synthetic(3, 4, 5)), &superseded).unwrap();
    let path = write(directory.path(), "ko.dcm", &note);
    assert_eq!(dciodvfy(&path, &[]), Vec::<String>::new());
    let dump = dcmtk("dsrdump", &["+Pu"], &path);
    for expected in ["Rejected for Quality Reasons", "2.25.61", "2.25.62"] {
        assert!(dump.contains(expected), "{dump}");
    }
}

#[test]
fn a_measurement_that_means_nothing_is_refused() {
    let source = source(&synthetic(1, 4, 5));
    let attempt = |m| report(&run(), &source, &[brain()], &[m]).unwrap_err();
    assert_eq!(
        attempt(volume(1, f64::NAN)),
        ResultError::NotFinite { segment: 1 }
    );
    for segment in [0, 2] {
        assert_eq!(
            attempt(volume(segment, 1.0)),
            ResultError::UnknownSegment { segment }
        );
    }
}
