//! The audit trail of the whole product: no operation passes unrecorded, and
//! nobody changes it unseen.

use hilum_testkit::{As, Hilum, Series, python, run};
use serde_json::{Value, json};

use crate::hilum;
use crate::isolation::{Operation, operations};

/// What neither shows anybody's data nor changes anything: that something
/// changed, and whether the services work.
const UNRECORDED: [&str; 2] = ["GET /api/v1/events", "GET /api/v1/status"];

/// What Identity records itself, in its transactions; its own tests ask it.
const OF_IDENTITY: [&str; 10] = [
    "account",
    "break-glass",
    "devices",
    "invitations",
    "keys",
    "people",
    "roles",
    "settings",
    "sign-in-providers",
    "tenants",
];

/// How many entries the trails of tenant `a` hold. Asking is one more.
fn entries(hilum: &Hilum) -> u64 {
    let verified = hilum
        .api()
        .post("/api/v1/audit/verify", &Value::Null)
        .json();
    assert_eq!(verified["intact"], true, "{verified}");
    let writers = verified["writers"].as_array().unwrap();
    writers
        .iter()
        .map(|one| one["entries"].as_u64().unwrap())
        .sum()
}

/// The entries of an act, the newest first.
fn of_act(hilum: &Hilum, act: &str) -> Vec<Value> {
    hilum
        .api()
        .items(&format!("/api/v1/audit/entries?action={act}&limit=200"))
}

#[test]
fn every_operation_of_the_document_leaves_an_entry() {
    let hilum = hilum().start();
    hilum.takes(&Series::sample());
    let mut unrecorded = Vec::new();
    let mut asked = 0;
    for Operation { method, path, .. } in operations(hilum.api()) {
        let operation = format!("{method} {path}");
        let is_sign_in = path.starts_with("/auth/");
        // It would change the key under the test's feet.
        let is_rotation = path.ends_with("/rotate-master");
        let part = path.split('/').nth(3).unwrap_or_default();
        let is_of_identity = path.starts_with("/api/v1/") && OF_IDENTITY.contains(&part);
        if is_sign_in || is_rotation || is_of_identity || UNRECORDED.contains(&operation.as_str()) {
            continue;
        }
        // Each of another study, or it would be a repeat.
        let study = format!("2.25.{asked}");
        let mut address = path
            .replace("{study_uid}", &study)
            .replace("{study}", &study);
        while let Some(start) = address.find('{') {
            let end = address.find('}').unwrap();
            address.replace_range(start..=end, "1");
        }
        let before = entries(&hilum);
        let body = (method != "GET").then(|| json!({}));
        let operator = As::Operator("a");
        let answer = hilum.api().send(&method, &address, operator, body.as_ref());
        asked += 1;
        // One is the count itself.
        if entries(&hilum) < before + 2 {
            unrecorded.push(format!("{operation} ({})", answer.status));
        }
    }
    assert!(asked > 40, "{asked}");
    assert_eq!(unrecorded, Vec::<String>::new());
}

#[test]
fn a_study_s_way_stands_in_the_trail_with_who_whom_and_how_it_ended() {
    let hilum = hilum().start();
    let series = Series::sample();
    hilum.takes(&series);
    let study = series.study_uid();
    let api = hilum.api();
    for _ in 0..3 {
        assert_eq!(api.get(&format!("/api/v1/studies/{study}")).status, 200);
        assert_eq!(
            api.get(&format!("/dicomweb/studies/{study}/metadata"))
                .status,
            200
        );
        assert_eq!(api.get("/api/v1/studies?q=x&limit=10").status, 200);
    }
    assert_eq!(api.get(&format!("/dicomweb/studies/{study}")).status, 200);
    assert_eq!(api.get("/api/v1/studies/9.9.9").status, 404);

    let views = of_act(&hilum, "view-study");
    let named = |one: &Value| one["subjects"][0]["value"] == *study;
    assert_eq!(
        views.iter().filter(|one| named(one)).count(),
        1,
        "{views:?}"
    );
    let missed: Vec<_> = views.iter().filter(|one| !named(one)).collect();
    assert_eq!(missed.len(), 1);
    assert_eq!(missed[0]["outcome"], "failed");
    assert_eq!(of_act(&hilum, "retrieve").len(), 1);
    assert_eq!(of_act(&hilum, "query").len(), 1);
    let stored = of_act(&hilum, "store");
    let count: u64 = stored
        .iter()
        .map(|one| one["count"].as_u64().unwrap())
        .sum();
    assert_eq!(count, series.files().len() as u64);
    assert!(
        stored
            .iter()
            .all(|one| one["who"].as_str().unwrap().starts_with("device "))
    );
    // By the patient it is found in every service's trail.
    let patient = stored[0]["subjects"].as_array().unwrap();
    let patient = patient.iter().find(|one| one["kind"] == "patient").unwrap();
    let id = patient["value"].as_str().unwrap();
    let found = api.items(&format!("/api/v1/audit/entries?patient_id={id}&limit=200"));
    for act in ["store", "view-study", "retrieve"] {
        assert!(found.iter().any(|one| one["action"] == act), "{act}");
    }
    let b = api.get_for("b", &format!("/api/v1/audit/entries?patient_id={id}"));
    assert_eq!(b.json()["items"], json!([]));
    let export = api.get("/api/v1/audit/export?format=csv");
    assert!(export.text().contains(id));
    hilum.ends_sound();
}

#[test]
fn a_changed_entry_is_named_while_serving_and_afterwards() {
    let mut hilum = hilum().start();
    hilum.takes(&Series::sample());
    let study = Series::sample();
    let path = format!("/api/v1/studies/{}", study.study_uid());
    assert_eq!(hilum.api().get(&path).status, 200);
    let verify = ["audit", "verify", "--tenant", "a"];
    let (report, well) = hilum.command_json(&verify);
    assert!(well, "{report}");
    let _ended = hilum.terminated();
    // At the end what was left was sealed.
    let seals = hilum.data().join("seals").join("a.jsonl");
    let kept = hilum.data().join("kept.jsonl");
    std::fs::copy(&seals, &kept).unwrap();
    let kept = kept.display().to_string();
    let with_seals = [&verify[..], &["--seals", &kept]].concat();
    let (report, well) = hilum.command_json(&with_seals);
    assert!(well, "{report}");
    assert!(report["kept_seals"].as_u64().unwrap() > 0);

    let sql = "UPDATE audit_entry SET body = CAST(replace(CAST(body AS TEXT), \
               '\"outcome\":\"success\"', '\"outcome\":\"failed\"') AS BLOB) WHERE position = 1";
    let change = "import sqlite3, sys\n\
                  db = sqlite3.connect(sys.argv[1])\n\
                  db.execute(sys.argv[2])\n\
                  db.commit()";
    let changed = run(python()
        .args(["-c", change])
        .arg(hilum.data().join("imaging.sqlite"))
        .arg(sql));
    assert!(changed.status.success(), "{changed:?}");
    let (report, well) = hilum.command_json(&with_seals);
    assert!(!well, "{report}");
    let writers = report["writers"].as_array().unwrap();
    let imaging = writers
        .iter()
        .find(|one| one["writer"] == "imaging")
        .unwrap();
    assert_eq!(imaging["faults"], json!(["entry 1 was changed"]));
}
