//! Every event and every job of another tenant that names what is `a`'s, as a
//! service that is mistaken, or whoever can write to a database, would leave it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use hilum_contracts::Event;
use hilum_contracts::event::Payload;
use hilum_contracts::ids::{CorrelationId, TenantId};
use hilum_contracts::imaging::{
    InputSetReady, InstanceRef, InstancesDeleted, InstancesMoved, InstancesRejected,
    InstancesStored, PatientIdentity, ReadyReason, ResultsPublished, StudyCorrected, StudyFacts,
};
use hilum_contracts::inference::RunFinished;
use hilum_contracts::patients::ConflictResolved;
use hilum_platform::clock;
use hilum_testkit::{As, Hilum, Storescp, python, run, wait_until};
use serde_json::{Value, json};

use super::names::{Names, tenant_with_everything};
use super::{changed, operations, seen};
use crate::hilum;

/// What a test does with the rows of a data folder; `rows.py` says what.
fn rows(arguments: &[&str], data: &Path, input: Option<&Value>) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/isolation/rows.py");
    let mut command = python();
    command.arg(script).arg(arguments[0]).arg(data);
    command.args(&arguments[1..]);
    let output = match input {
        None => run(&mut command),
        Some(input) => {
            let piped = command.stdin(Stdio::piped()).stderr(Stdio::piped());
            let mut child = piped.spawn().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(input.to_string().as_bytes()).unwrap();
            drop(stdin);
            child.wait_with_output().unwrap()
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "rows.py: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// The names that `const NAME: &'static str = "…";` has in the code.
fn constants(name: &str) -> BTreeSet<String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let start = format!("const {name}: &'static str = \"");
    let mut found = BTreeSet::new();
    for file in crate::architecture::source_files(&crates) {
        if file.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        for rest in text.split(&start).skip(1) {
            found.insert(rest.split_once('"').unwrap().0.to_owned());
        }
    }
    found
}

/// The files of the code that take jobs, of one kind each.
fn workers() -> BTreeSet<String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let files = crate::architecture::source_files(&crates.join("services"));
    let takes = |file: &&std::path::PathBuf| {
        let text = std::fs::read_to_string(file).unwrap();
        !file.components().any(|part| part.as_os_str() == "tests")
            && text.contains("impl jobs::Worker for")
    };
    let named = |file: &std::path::PathBuf| {
        let shown = file.display().to_string();
        shown.split_once("/services/").unwrap().1.to_owned()
    };
    files.iter().filter(takes).map(named).collect()
}

fn told<P: Payload>(subject: &str, sequence: u64, payload: &P) -> Event {
    let tenant = TenantId::new("b").unwrap();
    let now = clock::system().now();
    Event::new(
        tenant,
        CorrelationId::new(),
        now,
        subject,
        sequence,
        payload,
    )
    .unwrap()
}

/// Each kind of event, told by `b` of what is `a`'s. The patient is the event's
/// own: what it carries is what its service wrote into it.
fn events(names: &Names, results: Vec<InstanceRef>) -> Vec<Event> {
    let text = |name: &str| names.value(name).to_owned();
    let (study_uid, series_uid) = (text("study"), text("series"));
    let sop_instance_uids = vec![text("instance")];
    let patient = PatientIdentity {
        id: "A-4711".to_owned(),
        name: "Planted^B".to_owned(),
        birth_date: "19850505".to_owned(),
        ..PatientIdentity::default()
    };
    let now = clock::system().now();
    let run = text("run").parse().unwrap();
    let input_set = text("input_set").parse().unwrap();
    vec![
        told(
            &series_uid,
            1,
            &InstancesStored {
                study_uid: study_uid.clone(),
                series_uid: series_uid.clone(),
                modality: "MR".to_owned(),
                patient: patient.clone(),
                added: 20,
                intake_id: CorrelationId::new(),
                origin: "dimse:CT_B".to_owned(),
                last_stored_at: now,
            },
        ),
        told(
            &series_uid,
            1,
            &InputSetReady {
                input_set,
                revision: 9,
                supersedes: Some(input_set),
                study_uid: study_uid.clone(),
                series_uid: series_uid.clone(),
                modality: "MR".to_owned(),
                instance_count: 20,
                digest: "00".repeat(32),
                reason: ReadyReason::AcceptedByPerson,
                reason_text: "planted".to_owned(),
                last_instance_at: now,
            },
        ),
        told(
            &text("run"),
            1,
            &ResultsPublished {
                run,
                study_uid: study_uid.clone(),
                instances: results,
                patient: patient.clone(),
                model: "a-model".to_owned(),
                study: StudyFacts::default(),
            },
        ),
        told(
            &text("patient_conflict"),
            1,
            &ConflictResolved {
                study_uids: vec![study_uid.clone(), text("held_study")],
            },
        ),
        told(
            &text("run"),
            1,
            &RunFinished {
                run,
                input_set,
                study_uid: study_uid.clone(),
                state: "failed".to_owned(),
                reason: None,
            },
        ),
        told(
            &study_uid,
            9,
            &StudyCorrected {
                study_uid: study_uid.clone(),
                series_uid: None,
                patient: Some(patient),
            },
        ),
        told(
            &series_uid,
            9,
            &InstancesMoved {
                from_study_uid: study_uid.clone(),
                from_series_uid: series_uid.clone(),
                study_uid: "1.2.3.99".to_owned(),
                series_uid: "1.2.3.99.1".to_owned(),
                sop_instance_uids: sop_instance_uids.clone(),
                left: 0,
                total: 1,
            },
        ),
        told(
            &series_uid,
            9,
            &InstancesRejected {
                study_uid: study_uid.clone(),
                series_uid: series_uid.clone(),
                sop_instance_uids,
                rejected: true,
                left: 0,
            },
        ),
        told(
            &study_uid,
            9,
            &InstancesDeleted {
                study_uid: study_uid.clone(),
                series_uid: None,
                sop_instance_uid: None,
                instances: 20,
            },
        ),
    ]
}

/// Each worker's jobs, of `b` and about what is `a`'s; and of `a`, about what is
/// `a`'s, on the way to `b`'s destination.
fn jobs(names: &Names) -> (BTreeSet<String>, Vec<Value>) {
    let job = |database: &str, tenant: &str, kind: &str, subject: &str| {
        json!({ "database": database, "table": "jobs", "row": {
            "id": CorrelationId::new().to_string(), "tenant": tenant, "kind": kind,
            "subject": names.value(subject), "correlation_id": CorrelationId::new().to_string(),
            "state": "queued", "attempts": 0, "run_at": 0, "created_at": 0,
        }})
    };
    let known = [
        "inference/src/workers/runner.rs",
        "integration/src/sending/mod.rs",
    ];
    let planted = vec![
        job("inference.sqlite", "b", "run", "run"),
        job("integration.sqlite", "b", "delivery/b/spy", "delivery"),
        job("integration.sqlite", "b", "delivery/a/pacs", "delivery"),
        job(
            "integration.sqlite",
            "a",
            "delivery/b/spy",
            "waiting_delivery",
        ),
    ];
    (known.map(ToOwned::to_owned).into(), planted)
}

/// The study of `a` whose delivery waits for a decision.
fn held_study(hilum: &Hilum) -> String {
    wait_until("a delivery is held", 60, || {
        let all = hilum.api().items("/api/v1/deliveries");
        let held = all.into_iter().find(|one| one["state"] == "held")?;
        Some(held["study_uid"].as_str()?.to_owned())
    })
}

/// A delivery of `a` that was planned and not tried, and has no job.
fn waiting_delivery(names: &Names, results: &[InstanceRef]) -> (String, Vec<Value>) {
    let id = CorrelationId::new().to_string();
    let mut all = vec![
        json!({ "database": "integration.sqlite", "table": "deliveries", "row": {
            "id": id, "tenant": "a", "run_id": CorrelationId::new().to_string(),
            "study_uid": names.value("study"), "destination": "pacs",
            "correlation_id": CorrelationId::new().to_string(), "state": "waiting", "created_at": 0,
        }}),
    ];
    for (ordinal, one) in results.iter().enumerate() {
        all.push(
            json!({ "database": "integration.sqlite", "table": "delivery_instances", "row": {
                "delivery": id, "ordinal": ordinal, "sop_class_uid": one.sop_class_uid,
                "sop_instance_uid": one.sop_instance_uid, "series_uid": one.series_uid,
                "transfer_syntax_uid": one.transfer_syntax_uid, "length": one.length,
            }}),
        );
    }
    (id, all)
}

#[test]
fn no_event_or_job_of_another_tenant_reaches_what_it_names() {
    let pacs = Storescp::up_for_ct_only();
    let spy = Storescp::up();
    let destination = |name: &str, tenant: &str, peer: &Storescp| {
        format!(
            "{{ name = \"{name}\", tenant = \"{tenant}\", ae_title = \"PACS\", address = \"{}\" }}",
            peer.address()
        )
    };
    let destinations = [
        destination("pacs", "a", &pacs),
        destination("spy", "b", &spy),
    ];
    let mut hilum = hilum()
        .with_fast_model()
        .with_setting("destinations", format!("[{}]", destinations.join(", ")))
        .with_setting("deliveries", super::DELIVERIES)
        .with_setting("identity", "{ public_url = \"http://127.0.0.1\" }")
        .start();
    let mut names = tenant_with_everything(&hilum);
    names.0.insert("held_study", held_study(&hilum));
    let data = hilum.data().to_owned();
    let at_rest = |what: &str| {
        wait_until(what, 60, || {
            (rows(&["waiting"], &data, None).trim() == "0").then_some(())
        });
    };
    at_rest("everything of a is done");
    let results = hilum.instances(names.value("study"), "SEG");
    let uid = |one: &Value, tag: &str| one[tag]["Value"][0].as_str().unwrap().to_owned();
    let results: Vec<InstanceRef> = results
        .iter()
        .map(|one| InstanceRef {
            sop_class_uid: uid(one, "00080016"),
            sop_instance_uid: uid(one, "00080018"),
            series_uid: uid(one, "0020000E"),
            transfer_syntax_uid: "1.2.840.10008.1.2.1".to_owned(),
            length: 1_000,
        })
        .collect();
    assert!(!results.is_empty());
    // An event of `a`'s that can't be taken, as a dead letter that can be named.
    let mut bad = told("1.2.3", 1, &ConflictResolved { study_uids: vec![] });
    bad.tenant = TenantId::new("a").unwrap();
    bad.data = json!({ "study_uids": "Secret" });
    let _ended = hilum.terminated();
    let plant = |event: &Event| {
        let row = json!({ "event": serde_json::to_string(event).unwrap() });
        json!({ "database": "patients.sqlite", "table": "outbox", "row": row })
    };
    let (delivery, mut planted) = waiting_delivery(&names, &results);
    names.0.insert("waiting_delivery", delivery);
    planted.push(plant(&bad));
    rows(&["plant"], &data, Some(&Value::Array(planted)));
    let mut hilum = hilum.restart();
    at_rest("the bad event is a dead letter");
    names
        .0
        .insert("consumer", "integration.deliveries".to_owned());
    names.0.insert("event_id", bad.id.to_string());
    let operations = operations(hilum.api());
    let before = seen(hilum.api(), &operations, "a", &names);
    assert!(
        before
            .values()
            .any(|answer| answer.contains(&bad.id.to_string()))
    );
    let _ended = hilum.terminated();
    let rows_before = rows(&["dump", "a"], &data, None);
    assert!(rows_before.contains("Secret"));

    let planted = events(&names, results);
    let kinds: BTreeSet<String> = planted.iter().map(|event| event.kind.clone()).collect();
    assert_eq!(kinds, constants("KIND"), "a new event: tell it here");
    let (known, jobs) = jobs(&names);
    assert_eq!(known, workers(), "a new worker: give it a job here");
    let all: Vec<Value> = planted.iter().map(plant).chain(jobs).collect();
    rows(&["plant"], &data, Some(&Value::Array(all)));
    let hilum = hilum.restart();
    at_rest("every planted event and job was taken");

    let of_b = |path: &str| hilum.api().send("GET", path, As::Operator("b"), None);
    wait_until("the delivery that b planned was tried", 60, || {
        let found = of_b("/api/v1/deliveries").json();
        // What it names is not there, as far as `b` can know.
        let given_up = |one: &Value| one["state"] == "given-up";
        found["items"]
            .as_array()?
            .iter()
            .any(given_up)
            .then_some(())
    });
    wait_until("the run that b planned has ended", 60, || {
        let found = of_b("/api/v1/runs").json();
        let runs = found["items"].as_array()?;
        runs.iter()
            .any(|run| run["reason_code"] == "input-gone")
            .then_some(())
    });
    assert!(spy.received().is_empty(), "{:?}", spy.received());
    for (path, answer) in seen(hilum.api(), &operations, "b", &names) {
        assert!(!answer.contains("Secret"), "b sees at {path}: {answer}");
    }
    let replay = format!(
        "/api/v1/dead-letters/integration.deliveries/{}/replay",
        bad.id
    );
    let replayed = hilum
        .api()
        .send("POST", &replay, As::Operator("b"), Some(&json!({})));
    assert_eq!(replayed.status, 409, "{}", replayed.text());
    let mut after = seen(hilum.api(), &operations, "a", &names);
    let mut before = before;
    // The job that was planted among those of `a` was given up, and it is told why.
    let list = "/api/v1/jobs";
    let told = "The destination is another tenant's.";
    assert!(!before.remove(list).unwrap().contains(told));
    assert!(after.remove(list).unwrap().contains(told));
    assert_eq!(changed(&before, &after), Vec::<String>::new());
    assert!(!hilum.log().contains("panicked"));
    assert!(!hilum.log().contains("Secret"));
    let mut hilum = hilum;
    let _ended = hilum.terminated();
    let of_a = |dump: &str| -> Vec<String> {
        let all: Vec<Value> = serde_json::from_str(dump).unwrap();
        let all = all.into_iter().map(|row| row.to_string());
        // The job that was planted.
        all.filter(|row| !row.contains("delivery/b/spy")).collect()
    };
    let rows_after = rows(&["dump", "a"], &data, None);
    assert_eq!(of_a(&rows_before), of_a(&rows_after));
}
