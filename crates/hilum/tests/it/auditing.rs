//! The audit trail of the whole product: no operation passes unrecorded, and
//! nobody changes it unseen.

use hilum_contracts::access::Action;
use hilum_testkit::{As, Hilum, Series, python, run};
use serde_json::{Value, json};

use crate::hilum;
use crate::isolation::{Operation, operations};

/// What neither shows anybody's data nor changes anything: that something
/// changed, whether the services work, and the matrix that is in the docs.
const UNRECORDED: [&str; 3] = [
    "GET /api/v1/events",
    "GET /api/v1/status",
    "GET /api/v1/roles",
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
        if is_sign_in || is_rotation || UNRECORDED.contains(&operation.as_str()) {
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
    assert!(asked > 70, "{asked}");
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

#[test]
fn every_operation_that_a_role_does_not_include_leaves_its_refusal() {
    let hilum = hilum().start();
    let body = json!({"name": "store only", "role": "integration", "limited_to": ["store-images"]});
    let key = hilum.api().post("/api/v1/keys", &body).json();
    let key = key["key"].as_str().unwrap();
    let (mut silent, mut refused) = (Vec::new(), 0);
    for operation in operations(hilum.api()) {
        let Operation {
            method,
            path,
            action,
        } = operation;
        if action.is_none_or(|action| action == Action::StoreImages) {
            continue;
        }
        let mut address = path.clone();
        while let Some(start) = address.find('{') {
            let end = address.find('}').unwrap();
            address.replace_range(start..=end, "1");
        }
        let before = entries(&hilum);
        let body = (method != "GET").then(|| json!({}));
        let who = As::Key(key);
        let answer = hilum.api().send(&method, &address, who, body.as_ref());
        assert_eq!(answer.status, 403, "{method} {path}");
        refused += 1;
        // One is the count itself.
        if entries(&hilum) < before + 2 {
            silent.push(format!("{method} {path}"));
        }
    }
    assert!(refused > 70, "{refused}");
    assert_eq!(silent, Vec::<String>::new());
    assert!(of_act(&hilum, "refused").len() > 70);
}

#[test]
fn an_export_stands_in_the_trail_before_its_first_byte_and_with_how_it_ended() {
    let hilum = hilum().start();
    let series = Series::sample();
    hilum.takes(&series);
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("out").display().to_string();
    let (_, well) = hilum.command_json(&["export", &to, "--study", series.study_uid()]);
    assert!(well);
    let exports = of_act(&hilum, "export");
    let changes: Vec<&Value> = exports
        .iter()
        .map(|one| &one["details"]["change"])
        .collect();
    assert_eq!(changes, ["ended", "begun"]);
    assert_eq!(exports[1]["subjects"][0]["value"], *series.study_uid());
    assert_eq!(exports[0]["count"], series.files().len());
    assert_eq!(
        exports[0]["details"]["export"],
        exports[1]["details"]["export"]
    );
}

#[test]
fn what_the_operator_does_to_an_installation_that_nobody_serves_is_recorded() {
    let mut hilum = hilum().start();
    hilum.takes(&Series::sample());
    assert!(hilum.terminated().success());
    let folder = tempfile::tempdir().unwrap();
    let text = |path: &std::path::Path| path.display().to_string();
    let (copy, restored) = (folder.path().join("copy"), folder.path().join("restored"));
    for arguments in [vec!["keys", "rotate-master"], vec!["backup", &text(&copy)]] {
        let (report, well) = hilum.command_json(&arguments);
        assert!(well, "{report}");
    }
    let output = hilum.command(&["restore", &text(&copy), "--data", &text(&restored)]);
    assert!(output.status.success());
    let key = "keys/master.key";
    std::fs::create_dir_all(restored.join("keys")).unwrap();
    std::fs::copy(hilum.data().join(key), restored.join(key)).unwrap();
    let [config, file, _, _] = hilum.installation();
    let audit = |act: &str, of: &[&str], data: &std::path::Path| -> Value {
        let data = text(data);
        let on = ["audit", act, "--json", "--data", &data, &config, &file];
        let output = hilum.command(&[&on[..], of].concat());
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let list = |of: &[&str], data: &std::path::Path| {
        let answer = audit("list", of, data);
        let told = |one: &Value| {
            let change = one["details"]["change"].as_str().unwrap_or_default();
            format!("{} {change}", one["action"].as_str().unwrap())
        };
        let items = answer["items"].as_array().unwrap();
        items.iter().map(told).collect::<Vec<String>>()
    };
    let expected = [
        "backup ended",
        "backup begun",
        "rotate-master-key ended",
        "rotate-master-key begun",
    ];
    for whose in [&["--installation"][..], &["--tenant", "a"]] {
        let told = list(whose, hilum.data());
        let told: Vec<&String> = told.iter().filter(|one| !one.starts_with("view")).collect();
        assert_eq!(told[..4], expected, "{whose:?}");
        // The copy was made between the two.
        let told = list(whose, &restored);
        let told: Vec<&String> = told.iter().filter(|one| !one.starts_with("view")).collect();
        assert_eq!(
            told[..3],
            ["restore ", "backup begun", "rotate-master-key ended"]
        );
    }
    // The key that signs came with the backup: old seals and new ones are the same installation's.
    for whose in [&["--installation"][..], &["--tenant", "a"]] {
        let report = audit("verify", whose, &restored);
        assert!(report["seals"].as_u64().unwrap() > 0, "{report}");
    }
}

#[test]
fn live_updates_end_when_the_key_that_listens_is_revoked() {
    use std::io::{Read as _, Write as _};
    let hilum = hilum().start();
    let api = hilum.api();
    let made = json!({"name": "listens", "role": "radiologist"});
    let made = api.post("/api/v1/keys", &made).json();
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let mut stream = std::net::TcpStream::connect(api.0).unwrap();
    let request = format!(
        "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    assert_eq!(api.delete(&format!("/api/v1/keys/{id}")).status, 204);
    // Long before the next sign of life, which comes every 15 seconds.
    let soon = std::time::Duration::from_secs(10);
    stream.set_read_timeout(Some(soon)).unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
}
