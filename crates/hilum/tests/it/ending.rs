//! The end of a tenant: nobody of it gets in, every file of the data folder is
//! searched for what it could be known by, and what it leaves is proof.

use std::path::Path;
use std::process::Command;

use hilum_testkit::{As, Hilum, Series, wait_until};
use serde_json::{Value, json};

use crate::attacks::person;
use crate::erasure::{holders, wrapped_keys};
use crate::hilum;

const STUDY: &str = "1.2.826.0.1.3680043.8.498.77101";

/// What names patient, study and people of tenant `a`, as it could stand in any
/// file.
const TRACES: [&str; 9] = [
    "ENDME-7731",
    "Zyxwvutian",
    "zyxwvutian",
    "ACC-ZYXW-9",
    "Endable thorax",
    "19370313",
    "anna.endable@example.org",
    "anna.invited@example.org",
    STUDY,
];

fn endable() -> Series {
    Series::another_study(
        STUDY,
        &[
            "PatientID=ENDME-7731",
            "PatientName=Zyxwvutian^Quentin",
            "PatientBirthDate=19370313",
            "AccessionNumber=ACC-ZYXW-9",
            "StudyDescription=Endable thorax",
        ],
    )
}

fn end(hilum: &Hilum, by: As<'_>, body: &Value) -> hilum_testkit::Answer {
    hilum
        .api()
        .send("POST", "/api/v1/tenant/end", by, Some(body))
}

fn assert_nothing_left(data: &Path) {
    for trace in TRACES {
        let left = holders(data, trace.as_bytes());
        assert!(left.is_empty(), "{trace} is in {left:?}");
    }
}

/// Of the operator, about what is there beside `a`.
fn ended(hilum: &Hilum) -> Vec<Value> {
    let answer = hilum
        .api()
        .send("GET", "/api/v1/tenants/ended", As::Operator("b"), None);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["items"].as_array().cloned().unwrap()
}

#[test]
fn an_owner_ends_the_organisation_and_nothing_of_it_is_left_in_any_file() {
    let hilum = hilum().with_fast_model().start();
    let api = hilum.api();
    let staying = Series::sample();
    let sent = hilum.receives_for("HILUM_B", staying.files());
    assert!(sent.accepted, "{}", sent.output);
    hilum.takes(&endable());
    hilum.run_becomes(STUDY, "succeeded");
    // Cut off in its pixels: no instance, kept in quarantine.
    let whole = std::fs::read(endable().slice(0)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.dcm");
    std::fs::write(&cut, &whole[..whole.len() - 4_000]).unwrap();
    let _ = hilum.stow(&[&cut]);
    let (_, owner) = person(&hilum, "anna.endable@example.org", "owner");
    let (_, reader) = person(&hilum, "ben.endable@example.org", "radiologist");
    let done = |method: &str, path: &str, body: Value| {
        let answer = api.send(method, path, As::Operator("a"), Some(&body));
        assert!(answer.status < 300, "{path}: {}", answer.text());
        answer.json()
    };
    let invited = json!({ "email": "anna.invited@example.org", "role": "auditor" });
    done("POST", "/api/v1/invitations", invited);
    let program = json!({ "name": "Zyxwvutian's program", "role": "integration" });
    let key = done("POST", "/api/v1/keys", program);
    let key = key["key"].as_str().unwrap().to_owned();
    let hold = json!({ "study_uid": STUDY, "reason": "a court asks about Zyxwvutian" });
    let hold = done("POST", "/api/v1/holds", hold);
    let keys = wrapped_keys(&hilum);
    for trace in TRACES {
        let found = holders(hilum.data(), trace.as_bytes());
        assert!(!found.is_empty(), "the search finds {trace}");
    }

    // Not by mistake, not over a hold, and by nobody else.
    let meant = json!({ "confirm": "a" });
    let refused = end(&hilum, As::Browser(&owner), &json!({ "confirm": "b" }));
    assert_eq!(refused.status, 400, "{}", refused.text());
    let refused = end(&hilum, As::Browser(&reader), &meant);
    assert_eq!(refused.status, 403, "{}", refused.text());
    let refused = end(&hilum, As::Browser(&owner), &meant);
    assert_eq!(refused.status, 409, "{}", refused.text());
    assert!(refused.text().contains("legal hold"), "{}", refused.text());
    let over = json!({ "confirm": "a", "override_holds": true });
    let refused = end(&hilum, As::Browser(&owner), &over);
    assert_eq!(refused.status, 403, "{}", refused.text());
    let lifted = format!("/api/v1/holds/{}", hold["id"]);
    let lifted = api.send("DELETE", &lifted, As::Operator("a"), Some(&json!({})));
    assert!(lifted.status < 300, "{}", lifted.text());

    let answer = end(&hilum, As::Browser(&owner), &meant);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let certificate = answer.json();
    assert_eq!(certificate["studies"], 1);
    assert_eq!(
        (&certificate["people"], &certificate["api_keys"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(certificate["right"], "owner");
    assert!(
        certificate["instances"].as_u64() > Some(20),
        "{certificate}"
    );
    assert!(certificate["keys"].as_u64() > Some(1), "{certificate}");

    assert_nothing_left(hilum.data());
    let left = wrapped_keys(&hilum);
    for (id, key) in keys.iter().filter(|key| !left.contains(key)) {
        assert!(holders(hilum.data(), key).is_empty(), "key {id:x?}");
    }
    assert!(left.len() < keys.len());
    assert!(!hilum.data().join("objects/a").exists());

    // Nobody gets in.
    for by in [As::Browser(&owner), As::Browser(&reader), As::Key(&key)] {
        let answer = api.send("GET", "/api/v1/studies", by, None);
        assert_eq!(answer.status, 401, "{by:?}: {}", answer.text());
    }
    let answer = api.send("GET", "/api/v1/studies", As::Operator("a"), None);
    assert_eq!(answer.status, 404, "{}", answer.text());
    let sent = hilum.receives(endable().files());
    assert!(!sent.accepted, "{}", sent.output);
    let again = json!({ "display_name": "Another", "name": "a", "ae_title": "HILUM_C" });
    let made = api.send("POST", "/api/v1/tenants", As::Operator("b"), Some(&again));
    assert_eq!(made.status, 409, "{}", made.text());

    // The other tenant is whole; the certificate and the trail are kept.
    let studies = api.send("GET", "/api/v1/studies", As::Operator("b"), None);
    let studies = studies.json()["items"].as_array().cloned().unwrap();
    assert_eq!(studies.len(), 1, "{studies:?}");
    assert_eq!(ended(&hilum)[0]["certificate"], certificate);
    let verified = |hilum: &Hilum| {
        let (found, is_well) = hilum.command_json(&["audit", "verify", "--tenant", "a"]);
        assert!(is_well, "{found}");
        let writers = found["writers"].as_array().unwrap();
        let of = |name| writers.iter().find(|one| one["writer"] == name).unwrap();
        assert!(of("identity")["entries"].as_u64() > Some(5), "{found}");
        assert!(of("archive")["entries"].as_u64() > Some(2), "{found}");
        found["seals"].as_u64().unwrap()
    };
    let seals = verified(&hilum);
    let hilum = hilum.killed_and_restarted();
    assert_nothing_left(hilum.data());
    assert!(hilum.log().contains("names a tenant that was ended"));
    assert!(verified(&hilum) >= seals);
    let (list, _) = hilum.command_json(&["tenants", "list"]);
    assert_eq!(list["tenants"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list["ended"][0]["certificate"], certificate, "{list}");
    let (storage, is_well) = hilum.command_json(&["storage"]);
    assert!(
        is_well && storage["tenants"]["b"]["studies"] == 1,
        "{storage}"
    );
    // What was sealed at its stop is held against seals that were kept elsewhere.
    let mut hilum = hilum;
    assert!(hilum.terminated().success());
    let kept = hilum.data().join("seals/a.jsonl");
    let of = ["audit", "verify", "--tenant", "a", "--seals"];
    let (found, is_well) = hilum.command_json(&[of.as_slice(), &[kept.to_str().unwrap()]].concat());
    assert!(is_well, "{found}");
    assert!(found["kept_seals"].as_u64() > Some(0), "{found}");
    assert_eq!(found["kept_seals"], found["seals"]);
    hilum.restart().ends_sound();
}

#[test]
fn an_end_that_was_killed_goes_on_before_anything_is_served() {
    for step in ["end.closed", "end.keys-destroyed", "end.rows"] {
        let mut hilum = hilum().start();
        hilum.takes(&endable());
        let hold = json!({ "study_uid": STUDY, "reason": "a court asks" });
        assert!(hilum.api().post("/api/v1/holds", &hold).status < 300);
        assert!(hilum.terminated().success());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("certificate.json");
        let ends = |more: &[&str], step: Option<&str>| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_hilum"));
            command
                .args(["tenants", "end", "a", "--yes", "--certificate"])
                .arg(&file)
                .args(more)
                .args(hilum.installation());
            if let Some(step) = step {
                command.env("ARCHIVE_STEP", format!("{step}=kill@1"));
            }
            let output = hilum_testkit::run(&mut command);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            (output.status, said)
        };
        let (status, said) = ends(&[], None);
        assert!(!status.success() && said.contains("legal hold"), "{said}");
        assert!(!file.exists());
        let (status, said) = ends(&["--override-holds"], Some(step));
        assert_eq!(status.code(), None, "{step} was not passed: {said}");

        let hilum = hilum.restart();
        assert_nothing_left(hilum.data());
        let found = ended(&hilum);
        assert_eq!(found[0]["name"], "a");
        let certificate = &found[0]["certificate"];
        assert_eq!(certificate["instances"], 20, "{step}: {certificate}");
        assert_eq!(certificate["overridden_holds"], 1);
        assert_eq!(certificate["right"], "operator");
        hilum.ends_sound();
    }
}

#[test]
fn a_restored_backup_ends_the_tenant_again_and_makes_no_other_of_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let hilum = hilum().start();
    let sent = hilum.receives_for("HILUM_B", Series::sample().files());
    assert!(sent.accepted, "{}", sent.output);
    hilum.takes(&endable());
    // A patient who was erased before is in the backup, too, and so is the record.
    hilum.takes(&Series::another_study("1.2.3.71", &["PatientID=GONE-1"]));
    let backup = folder.path().join("backup");
    let said = |arguments: &[&str]| {
        let output = hilum.command(arguments);
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.success(), "{arguments:?}: {said}");
    };
    said(&["backup", &text(&backup), "--data", &text(hilum.data())]);
    let erased = json!({ "patient_id": "GONE-1", "issuer": null });
    let erased = hilum.api().post("/api/v1/erasures", &erased);
    assert_eq!(erased.status, 200, "{}", erased.text());
    let answer = end(&hilum, As::Operator("a"), &json!({ "confirm": "a" }));
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["backups"][0]["state"], "told");
    let to = folder.path().join("restored");
    said(&["restore", &text(&backup), "--data", &text(&to)]);
    let key = "keys/master.key";
    std::fs::create_dir_all(to.join("keys")).unwrap();
    std::fs::copy(hilum.data().join(key), to.join(key)).unwrap();
    assert!(
        !holders(&to, b"Zyxwvutian").is_empty(),
        "the search finds it"
    );
    drop(hilum);

    let hilum = crate::hilum().on_data(&to).start();
    assert_nothing_left(&to);
    assert_eq!(ended(&hilum)[0]["name"], "a");
    let studies = wait_until("b is there", 10, || {
        let found = hilum
            .api()
            .send("GET", "/api/v1/studies", As::Operator("b"), None);
        found.json()["items"].as_array().cloned()
    });
    assert_eq!(studies.len(), 1);
    hilum.ends_sound();
}
