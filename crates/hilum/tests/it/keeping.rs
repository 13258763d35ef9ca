//! What a tenant may hold, what must be kept, and what is kept no longer.

use std::path::PathBuf;

use hilum_contracts::access::Role;
use hilum_testkit::{Hilum, Series, python, run, storescu, wait_until};
use serde_json::{Value, json};

use crate::hilum;
use crate::isolation::key;

fn delete_status(hilum: &Hilum, path: &str) -> u16 {
    let reason = json!({ "reason": "a test" });
    hilum.api().delete_with(path, &reason).status
}

/// What dcmtk and dicomweb-client make of the answers to these images.
pub(crate) fn others_are_told_that_there_is_no_room(hilum: &Hilum, key: &str, files: &[PathBuf]) {
    let sent = run(storescu(hilum.dicom(), "HILUM_A", &[]).arg(&files[0]));
    let said = String::from_utf8_lossy(&sent.stderr) + String::from_utf8_lossy(&sent.stdout);
    assert!(!sent.status.success(), "{said}");
    assert!(said.contains("Refused: OutOfResources"), "{said}");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/no_room_session.py");
    let mut session = python();
    session.arg(script).arg(hilum.url()).arg(key).args(files);
    let output = run(&mut session);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn a_full_quota_refuses_what_is_new_and_harms_nothing_that_is_there() {
    let hilum = hilum().with_rules_for_a("quota_instances = 5").start();
    let series = Series::sample();
    let items: Vec<Value> = series
        .files()
        .iter()
        .map(|file| json!({ "path": file, "part10": true }))
        .collect();
    // PS3.4 §B.2.3: out of resources.
    let statuses = hilum.receives_raw(&[], &items);
    let full = vec![Some(0xa700); 15];
    assert_eq!(statuses, [vec![Some(0); 5], full].concat());
    let again = hilum.receives_raw(&[], &items[..5]);
    assert_eq!(again, [Some(0); 5], "what is there takes no room");
    let stow = hilum.stow(&series.files()[5..6]);
    // 507, and A700 for the instance.
    assert_eq!(stow.status, 507, "{}", stow.text());
    let failed = &stow.json()["00081198"]["Value"][0];
    assert_eq!(failed["00081197"]["Value"][0], 0xa700, "{}", stow.text());
    let key = key(&hilum, "a", Role::Integration);
    others_are_told_that_there_is_no_room(&hilum, &key, &series.files()[5..8]);
    let (report, well) = hilum.command_json(&["storage"]);
    assert!(well, "{report}");
    let tenant = &report["tenants"]["a"];
    assert_eq!(
        (&tenant["instances"], &tenant["quota_instances"]),
        (&json!(5), &json!(5))
    );
    assert!(tenant["index_bytes"].as_u64() > Some(0) && tenant["key_bytes"].as_u64() > Some(0));

    // The other tenant has room, and deleting makes some.
    let sent = hilum.receives_for("HILUM_B", series.files());
    assert!(sent.accepted, "{}", sent.output);
    let path = format!("/api/v1/studies/{}", series.study_uid());
    assert_eq!(delete_status(&hilum, &path), 200);
    let another = Series::another_study("1.2.3.70", &[]);
    assert!(hilum.receives(&another.files()[..5]).accepted);
    hilum.ends_sound();
}

#[test]
fn storage_is_told_of_every_tenant_and_no_question_makes_an_archive() {
    let mut hilum = hilum().start();
    let made = json!({ "display_name": "North", "name": "north" });
    assert_eq!(hilum.api().post("/api/v1/tenants", &made).status, 200);
    let tenants = |hilum: &Hilum| {
        let (report, well) = hilum.command_json(&["storage"]);
        assert!(well, "{report}");
        let tenants = report["tenants"].as_object().unwrap();
        tenants.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(tenants(&hilum), ["a", "b", "north"]);
    assert!(hilum.terminated().success());
    assert_eq!(tenants(&hilum), ["a", "b", "north"]);

    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    for command in [
        &["storage"][..],
        &["hold", "list"],
        &["verify"],
        &["audit", "verify"],
    ] {
        let asked = [command, &["--data", nowhere.to_str().unwrap()]].concat();
        let output = hilum.command(&asked);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("there is no archive in"),
            "{command:?}: {said}"
        );
        assert!(!output.status.success() && !nowhere.exists(), "{command:?}");
    }
}

#[test]
fn a_hold_outlives_everybody_who_wants_to_delete() {
    let hilum = hilum().start();
    let old = |study: &str, patient: &str| {
        let patient = format!("PatientID={patient}");
        Series::another_study(study, &["StudyDate=19900101", &patient])
    };
    for (study, patient) in [("1.2.3.71", "71"), ("1.2.3.72", "72"), ("1.2.3.73", "73")] {
        hilum.takes(&old(study, patient));
    }
    let reason = ["--reason", "a claim is being heard"];
    let (on_study, well) =
        hilum.command_json(&[&["hold", "place", "--study", "1.2.3.71"], &reason[..]].concat());
    assert!(well, "{on_study}");
    let (on_patient, well) =
        hilum.command_json(&[&["hold", "place", "--patient", "72"], &reason[..]].concat());
    assert!(well, "{on_patient}");
    for study in ["1.2.3.71", "1.2.3.72"] {
        let path = format!("/api/v1/studies/{study}");
        assert_eq!(delete_status(&hilum, &path), 409, "{study}");
        let detail = hilum.api().get(&path).json();
        assert_eq!(detail["holds"][0]["reason"], reason[1], "{detail}");
    }

    // A rule deletes what is over, at once after the start, and not these.
    let expiring = "retention = [{ modalities = [\"MR\"], expire_days = 3650 }]";
    let mut hilum = hilum;
    assert!(hilum.terminated().success());
    let mut hilum = hilum.with_rules_for_a(expiring).restart();
    wait_until("the rule deletes a study", 30, || {
        (hilum.api().get("/api/v1/studies/1.2.3.73").status == 404).then_some(())
    });
    let deletions = hilum.api().items("/api/v1/deletions");
    assert_eq!(deletions.len(), 1, "{deletions:?}");
    assert_eq!(deletions[0]["cause"], "retention");
    assert_eq!(hilum.instances("1.2.3.71", "MR").len(), 20);
    assert_eq!(hilum.instances("1.2.3.72", "MR").len(), 20);

    // Lifted while nobody serves; a rule that keeps refuses a person, too.
    assert!(hilum.terminated().success());
    for hold in [&on_study, &on_patient] {
        let id = hold["id"].to_string();
        let (answer, well) = hilum.command_json(&["hold", "lift", &id]);
        assert!(well, "{answer}");
    }
    let (list, _) = hilum.command_json(&["hold", "list"]);
    assert_eq!(list["items"], json!([]));
    let keeping = "retention = [{ since = \"reception\", keep_days = 30 }]";
    let mut hilum = hilum.with_rules_for_a(keeping).restart();
    assert_eq!(delete_status(&hilum, "/api/v1/studies/1.2.3.71"), 409);
    let detail = hilum.api().get("/api/v1/studies/1.2.3.71").json();
    assert!(detail["keep_until"].is_string(), "{detail}");
    assert!(hilum.terminated().success());
    let hilum = hilum.with_rules_for_a("").restart();
    assert_eq!(delete_status(&hilum, "/api/v1/studies/1.2.3.71"), 200);
    hilum.ends_sound();
}
