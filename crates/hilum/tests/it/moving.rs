//! Images that move in folders: `hilum import`.

use std::path::Path;
use std::process::Command;

use hilum_testkit::{Series, run, wait_until};
use serde_json::json;

use crate::hilum;

/// The series as a medium: `DICOM/…`, DICOMDIR (by dcmtk), and what else lies
/// on media.
fn medium(series: &Series, folder: &Path) {
    let images = folder.join("DICOM");
    std::fs::create_dir_all(&images).unwrap();
    for (number, file) in series.files().iter().enumerate() {
        std::fs::copy(file, images.join(format!("IM{number:04}"))).unwrap();
    }
    std::fs::write(folder.join("README.TXT"), "Read me first.\n".repeat(20)).unwrap();
    let made = run(Command::new("dcmmkdir")
        .current_dir(folder)
        .args(["--invent", "--recurse", "--no-xfer-check"])
        .args(["--general-purpose", "DICOM"]));
    let directory = folder.join("DICOMDIR");
    assert!(
        directory.is_file(),
        "dcmmkdir: {}",
        String::from_utf8_lossy(&made.stderr)
    );
}

#[test]
fn a_folder_is_imported_into_a_serving_hilum_and_starts_no_model() {
    let folder = tempfile::tempdir().unwrap();
    let series = Series::sample();
    medium(&series, folder.path());
    let lost = folder.path().join("DICOM/IM0019");
    std::fs::remove_file(&lost).unwrap();
    let whole = std::fs::read(series.slice(3)).unwrap();
    std::fs::write(folder.path().join("cut"), &whole[..whole.len() / 2]).unwrap();

    let hilum = hilum().with_fast_model().start();
    let from = folder.path().to_str().unwrap();
    let (report, well) = hilum.command_json(&["import", from]);
    assert!(!well, "two files failed: {report}");
    assert_eq!(report["stored"], 19, "{report}");
    assert_eq!(report["ignored"], 2, "the text and the DICOMDIR: {report}");
    let mut failures: Vec<_> = report["failures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failure| (failure["path"].as_str().unwrap(), &failure["reason"]))
        .collect();
    failures.sort_by_key(|(path, _)| *path);
    assert_eq!(failures[0].0, "DICOM/IM0019");
    assert_eq!(failures[1].0, "cut");
    assert_eq!(hilum.api().items("/api/v1/quarantine").len(), 1);

    // What came is known; what is new is taken.
    std::fs::copy(series.slice(19), &lost).unwrap();
    std::fs::remove_file(folder.path().join("cut")).unwrap();
    let (report, well) = hilum.command_json(&["import", from]);
    assert!(well, "{report}");
    assert_eq!(
        (&report["known"], &report["stored"]),
        (&json!(19), &json!(1))
    );
    let (report, well) = hilum.command_json(&["import", from, "--again"]);
    assert!(well, "{report}");
    assert_eq!(report["duplicates"], 20, "{report}");

    let study = series.study_uid();
    assert_eq!(hilum.instances(study, "MR").len(), 20);
    let set = wait_until("the input set knows of all", 30, || {
        let set = hilum.input_sets(study).pop()?;
        (set["instance_count"] == 20).then_some(set)
    });
    assert_eq!(set["state"], "incomplete");
    assert_eq!(set["reason_code"], "imported");
    assert!(hilum.runs(study).is_empty());
    let path = format!("/api/v1/input-sets/{}/accept", set["id"].as_str().unwrap());
    assert_eq!(hilum.api().post(&path, &json!({})).status, 204);
    hilum.run_becomes(study, "succeeded");
    hilum.ends_sound();
}

#[test]
fn a_folder_is_imported_for_another_tenant_while_nobody_serves() {
    let folder = tempfile::tempdir().unwrap();
    let series = Series::another_study("1.2.3.61", &[]);
    medium(&series, folder.path());
    let mut hilum = hilum().start();
    assert!(hilum.terminated().success());
    let from = folder.path().to_str().unwrap();
    let (report, well) = hilum.command_json(&["import", from, "--tenant", "b"]);
    assert!(well, "{report}");
    assert_eq!(report["stored"], 20, "{report}");

    let hilum = hilum.restart();
    let path = "/dicomweb/studies/1.2.3.61/instances";
    let theirs = hilum.api().get_for("b", path);
    assert_eq!(theirs.json().as_array().unwrap().len(), 20);
    assert_eq!(hilum.api().get(path).json(), json!([]));
    assert_eq!(hilum.api().get_for("c", path).status, 404);
    // What came over the network goes on where the import ended.
    let sent = hilum.receives_for("HILUM_B", &series.files()[..1]);
    assert!(sent.accepted, "{}", sent.output);
    hilum.ends_sound();
}
