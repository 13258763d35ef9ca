use std::io::Write as _;
use std::process::{Command, Stdio};

use hilum_contracts::access::{BREAK_GLASS, Role};
use hilum_contracts::audit::{Act, Detail, Entry, Outcome, Subject};
use hilum_contracts::ids::{BreakGlassId, CorrelationId, PersonId, SessionId, TenantId};
use hilum_contracts::scope::{Acting, Principal, Right};
use hilum_platform::auth;
use http::StatusCode;
use serde_json::Value;

use crate::world::{World, person};

#[tokio::test]
async fn a_search_answers_in_pages_over_all_trails_the_newest_first() {
    let world = World::new().await;
    let scope = person("a", Role::Auditor);
    world.filled(&scope).await;
    let all = world.found(&scope, "action=view-study").await;
    let expected = [
        "patients 3",
        "patients 2",
        "imaging 3",
        "patients 1",
        "imaging 2",
        "imaging 1",
    ];
    assert_eq!(all, expected);
    let (mut paged, mut after) = (Vec::new(), String::new());
    loop {
        let query = format!("/audit/entries?action=view-study&limit=1&after={after}");
        let (_, text) = world.ask(&scope, &query).await;
        let page: Value = serde_json::from_str(&text).unwrap();
        let one = &page["items"][0];
        paged.push(format!(
            "{} {}",
            one["writer"].as_str().unwrap(),
            one["position"]
        ));
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(paged, expected);
    for bad in [
        "limit=0",
        "limit=201",
        "after=x",
        "action=x",
        "outcome=x",
        "from=today",
    ] {
        let (status, _) = world.ask(&scope, &format!("/audit/entries?{bad}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn a_patient_is_found_in_trails_that_know_only_the_study() {
    let world = World::new().await;
    let (scope, other) = (person("a", Role::Auditor), person("b", Role::Auditor));
    world.filled(&scope).await;
    world.filled(&other).await;
    let stored = Entry::new(Act::Store)
        .about(Subject::study("1.2"))
        .about(Subject::patient("4711", Some("MARY")));
    world.imaging.record(&scope, stored).await.unwrap();
    let found = world.found(&scope, "patient_id=4711").await;
    assert_eq!(found, ["imaging 4", "patients 2", "imaging 2"]);
    assert!(world.found(&other, "patient_id=4711").await.is_empty());
    // Who searched, and for whom, stands in the trail itself.
    let own = world.found(&scope, "action=view-audit").await;
    assert!(!own.is_empty());
}

#[tokio::test]
async fn who_may_not_read_the_trail_reads_nothing_of_it() {
    let world = World::new().await;
    for role in [
        Role::Radiologist,
        Role::Technologist,
        Role::Integration,
        Role::Device,
    ] {
        for path in ["/audit/entries", "/audit/export", "/audit/seals"] {
            let (status, _) = world.ask(&person("a", role), path).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{role} {path}");
        }
    }
    let administrator = person("a", Role::Administrator);
    assert_eq!(
        world.ask(&administrator, "/audit/export").await.0,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn csv_has_a_line_for_every_entry() {
    let world = World::new().await;
    let scope = person("a", Role::Auditor);
    world.filled(&scope).await;
    let query = Entry::new(Act::Query).about(Subject::query("=HYPERLINK(\"x\"),\nPatientName=É*"));
    world.imaging.record(&scope, query).await.unwrap();
    let (status, text) = world.ask(&scope, "/audit/export?format=csv").await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        text.contains("\"'=HYPERLINK(\"\"x\"\"),\nPatientName=É*\""),
        "{text}"
    );
    assert_eq!(text.matches("view-study").count(), 6);
}

/// One entry of every act, by every kind of principal, in every outcome.
async fn everything(world: &World) {
    let tenant = TenantId::new("a").unwrap();
    let access = BreakGlassId::new();
    let acting = Acting {
        principal: Principal::Person {
            id: PersonId::new(),
            session: SessionId::new(),
        },
        right: Right::BreakGlass {
            role: Role::Auditor,
            access,
        },
        limited_to: Some(BREAK_GLASS.into_iter().collect()),
        from: Some("2001:db8::1".parse().unwrap()),
    };
    let scopes = [
        person("a", Role::Radiologist),
        auth::admitted(&tenant, acting),
        auth::local_operator(&tenant),
        auth::device(&tenant, "CT 1", None),
        auth::service(&tenant, "inference"),
    ];
    for (index, act) in Act::ALL.iter().enumerate() {
        let entry = Entry::new(*act)
            .ended(Outcome::ALL[index % Outcome::ALL.len()])
            .about(Subject::study("1.2.840.10008.1"))
            .about(Subject::query("PatientName=Müller*"))
            .with(Detail::Reason, "code")
            .with(Detail::Model, "")
            .part_of(CorrelationId::new());
        let entry = match index % 2 {
            0 => entry.about(Subject::patient("47 11", Some("St. Mary"))),
            _ => entry,
        };
        let scope = &scopes[index % scopes.len()];
        world.imaging.record(scope, entry).await.unwrap();
    }
    let gone = Subject::study("9.9");
    let entry = Entry::new(Act::Erase).about(gone.clone());
    world.imaging.record(&scopes[0], entry).await.unwrap();
    world.imaging.forget(&scopes[0], &[gone]).await.unwrap();
}

#[tokio::test]
async fn every_entry_is_a_fhir_audit_event_that_another_s_validator_takes() {
    let world = World::new().await;
    let scope = person("a", Role::Auditor);
    everything(&world).await;
    let (status, text) = world.ask(&scope, "/audit/export?format=fhir").await;
    assert_eq!(status, StatusCode::OK);
    // The export itself is the newest entry.
    assert_eq!(text.lines().count(), Act::ALL.len() + 2);
    assert!(text.contains("urn:oid:1.2.840.10008.1"));
    let python = std::env::var("HILUM_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/audit_events.py");
    let mut checked = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python is missing: run `make test-deps`");
    let mut input = checked.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = checked.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let counted = String::from_utf8_lossy(&output.stdout);
    assert_eq!(counted.trim(), (Act::ALL.len() + 2).to_string());
}
