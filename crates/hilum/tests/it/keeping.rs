//! What a tenant may hold, what must be kept, and what is kept no longer.

use hilum_testkit::{Hilum, Series, wait_until};
use serde_json::{Value, json};

use crate::hilum;

fn delete_status(hilum: &Hilum, path: &str) -> u16 {
    let reason = json!({ "reason": "a test" });
    hilum.api().delete_with(path, &reason).status
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
