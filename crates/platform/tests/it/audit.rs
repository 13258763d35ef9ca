use std::sync::Arc;

use async_trait::async_trait;
use hilum_contracts::access::Role;
use hilum_contracts::audit::{Act, Detail, Entry, Outcome, Subject};
use hilum_contracts::ids::{PersonId, SessionId, TenantId};
use hilum_contracts::scope::{Acting, Principal, Right, TenantScope};
use hilum_platform::audit::{
    AuditSource, Chain, Fault, Filter, Find, KeyError, Keyring, TenantKeys, Trail,
};
use hilum_platform::db::{self, Across, Db};
use hilum_platform::{auth, clock};
use zeroize::Zeroizing;

use crate::database;

/// Tenants have keys but for the one that was ended.
struct Derived;

#[async_trait]
impl TenantKeys for Derived {
    async fn derive(
        &self,
        tenant: &TenantId,
        purpose: &str,
    ) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        if tenant.as_str() == "ended" {
            return Err(KeyError::Destroyed);
        }
        if tenant.as_str() == "restored" {
            return Err(KeyError::Unavailable("no archive".to_owned()));
        }
        let mut secret = Zeroizing::new([7; 32]);
        for (byte, from) in secret
            .iter_mut()
            .zip(tenant.as_str().bytes().chain(purpose.bytes()))
        {
            *byte = from;
        }
        Ok(secret)
    }
}

pub(crate) fn trail(db: &Db) -> Trail {
    let keyring = Keyring::new(Arc::new(Derived));
    Trail::new(db.clone(), keyring, clock::system(), "imaging")
}

fn person(tenant: &str) -> TenantScope {
    let acting = Acting {
        principal: Principal::Person {
            id: PersonId::new(),
            session: SessionId::new(),
        },
        right: Right::Role(Role::Radiologist),
        limited_to: None,
        from: Some([192, 0, 2, 7].into()),
    };
    auth::admitted(&TenantId::new(tenant).unwrap(), acting)
}

fn view(study: &str) -> Entry {
    Entry::new(Act::ViewStudy).about(Subject::study(study))
}

/// What verifying the chain says: how many entries, and what is wrong.
async fn verified(trail: &Trail, scope: &TenantScope) -> (u64, Vec<Fault>) {
    let head = trail.head(scope).await.unwrap();
    let mut chain = Chain::new(scope.tenant(), trail.writer(), head);
    loop {
        let rows = trail.entries(scope, chain.position(), 3).await.unwrap();
        if rows.is_empty() {
            return chain.end();
        }
        for row in &rows {
            chain.next(row);
        }
    }
}

async fn change(db: &Db, sql: impl Into<db::Text>) {
    let mut tx = db.begin(Across::Nobody).await.unwrap();
    db::query(sql).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

/// A trail with five entries.
async fn five() -> (hilum_testkit::Place, Db, Trail, TenantScope) {
    let (dir, db) = database().await;
    let (trail, scope) = (trail(&db), person("a"));
    for study in ["1.1", "1.2", "1.3", "1.4", "1.5"] {
        trail.record(&scope, view(study)).await.unwrap();
    }
    assert_eq!(verified(&trail, &scope).await, (5, vec![]));
    (dir, db, trail, scope)
}

#[tokio::test]
async fn a_changed_entry_is_found_and_named() {
    for sql in [
        db::each(
            "UPDATE audit_entry SET body = CAST(replace(CAST(body AS TEXT), '192.0.2.7', '192.0.2.8') AS BLOB) WHERE position = 3",
            "UPDATE audit_entry SET body = convert_to(replace(convert_from(body, 'UTF8'), '192.0.2.7', '192.0.2.8'), 'UTF8') WHERE position = 3",
        ),
        "UPDATE audit_entry SET who = 'local operator' WHERE position = 3".into(),
        "UPDATE audit_entry SET at = at + 1 WHERE position = 3".into(),
        db::each(
            "UPDATE audit_entry SET body = x'00' WHERE position = 3",
            "UPDATE audit_entry SET body = decode('00', 'hex') WHERE position = 3",
        ),
    ] {
        let (_dir, db, trail, scope) = five().await;
        change(&db, sql.clone()).await;
        let (_, faults) = verified(&trail, &scope).await;
        assert_eq!(faults[0], Fault::Changed { position: 3 }, "{sql:?}");
    }
}

#[tokio::test]
async fn a_removed_entry_is_found_and_named() {
    let (_dir, db, trail, scope) = five().await;
    change(&db, "DELETE FROM audit_entry WHERE position IN (2, 3)").await;
    let (entries, faults) = verified(&trail, &scope).await;
    assert_eq!(
        (entries, faults),
        (3, vec![Fault::Removed { first: 2, last: 3 }])
    );
}

#[tokio::test]
async fn entries_that_changed_places_are_found_and_named() {
    let (_dir, db, trail, scope) = five().await;
    change(
        &db,
        "UPDATE audit_entry SET position = 100 WHERE position = 2",
    )
    .await;
    change(
        &db,
        "UPDATE audit_entry SET position = 2 WHERE position = 4",
    )
    .await;
    change(
        &db,
        "UPDATE audit_entry SET position = 4 WHERE position = 100",
    )
    .await;
    let (_, faults) = verified(&trail, &scope).await;
    let writer = || "imaging".to_owned();
    assert!(faults.contains(&Fault::Moved {
        position: 2,
        written: 4,
        writer: writer()
    }));
    assert!(faults.contains(&Fault::Moved {
        position: 4,
        written: 2,
        writer: writer()
    }));
}

#[tokio::test]
async fn a_truncated_chain_is_found_and_its_end_named() {
    let (_dir, db, trail, scope) = five().await;
    change(&db, "DELETE FROM audit_entry WHERE position > 3").await;
    let (_, faults) = verified(&trail, &scope).await;
    assert_eq!(faults, [Fault::Truncated { first: 4, last: 5 }]);
}

#[tokio::test]
async fn an_entry_of_another_tenant_has_no_place_in_the_chain() {
    let (_dir, db, trail, scope) = five().await;
    trail.record(&person("b"), view("1.1")).await.unwrap();
    change(
        &db,
        "DELETE FROM audit_entry WHERE tenant = 'a' AND position = 1",
    )
    .await;
    change(
        &db,
        "UPDATE audit_entry SET tenant = 'a' WHERE tenant = 'b'",
    )
    .await;
    let (_, faults) = verified(&trail, &scope).await;
    assert!(matches!(faults[0], Fault::Moved { position: 1, .. }));
}

#[tokio::test]
async fn what_is_rolled_back_was_never_recorded() {
    let (_dir, db) = database().await;
    let (trail, scope) = (trail(&db), person("a"));
    let mut tx = db.begin(Across::Nobody).await.unwrap();
    trail.append(&mut tx, &scope, view("1.1")).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(verified(&trail, &scope).await, (0, vec![]));
}

#[tokio::test]
async fn what_can_t_be_recorded_is_an_error_and_holds_up_no_other_tenant() {
    let (_dir, db) = database().await;
    let trail = trail(&db);
    let (ended, other) = (person("ended"), person("a"));
    let (refused, recorded) = tokio::join!(
        trail.saw(&ended, view("1.1")),
        trail.saw(&other, view("1.1"))
    );
    assert!(refused.is_err());
    recorded.unwrap();
    assert!(trail.saw(&ended, view("1.1")).await.is_err());
    assert_eq!(verified(&trail, &other).await, (1, vec![]));
}

#[tokio::test]
async fn two_tenants_with_the_same_identifiers_never_meet() {
    let (_dir, db) = database().await;
    let trail = trail(&db);
    let (a, b) = (person("a"), person("b"));
    let patient = Subject::patient("4711", None);
    for scope in [&a, &b] {
        let entry = view("1.1").about(patient.clone());
        trail.record(scope, entry).await.unwrap();
    }
    trail
        .record(&b, view("1.2").about(patient.clone()))
        .await
        .unwrap();
    let of = Filter {
        about: vec![vec![Find::PatientId("4711".to_owned())]],
        ..Filter::default()
    };
    let found = trail.search(&a, &of, None, 10).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].record.tenant.as_str(), "a");
    let beside = trail
        .beside(&a, &Find::Subject(patient.clone()), 10)
        .await
        .unwrap();
    assert_eq!(beside, [Subject::study("1.1")]);
    trail
        .forget(&a, std::slice::from_ref(&patient))
        .await
        .unwrap();
    assert_eq!(trail.search(&a, &of, None, 10).await.unwrap(), []);
    assert_eq!(trail.search(&b, &of, None, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn after_an_erasure_the_chain_verifies_and_nobody_is_named() {
    let (dir, db) = database().await;
    let (trail, scope) = (trail(&db), person("a"));
    let (patient, study) = (
        Subject::patient("PAT-4711", Some("MARY")),
        Subject::study("1.2.840.9"),
    );
    let gone = [patient.clone(), study.clone()];
    for entry in [
        Entry::new(Act::Store)
            .about(patient.clone())
            .about(study.clone()),
        Entry::new(Act::Query).about(Subject::query("PatientID=PAT-4711")),
        Entry::new(Act::Query).about(Subject::query("PatientID=PAT-47110")),
        view("1.2.840.9"),
        view("1.2.840.91"),
    ] {
        trail.saw(&scope, entry.clone()).await.unwrap();
        trail.saw(&scope, entry).await.unwrap();
    }
    assert_eq!(trail.forget(&scope, &gone).await.unwrap(), 3);
    trail.close().await;
    db.forget(scope.tenant(), &["1.2.840.9".to_owned()], &[])
        .await
        .unwrap();
    assert_eq!(trail.forget(&scope, &gone).await.unwrap(), 0);

    // The repeats of the two that are left were told of.
    assert_eq!(verified(&trail, &scope).await, (7, vec![]));
    let found = trail
        .search(&scope, &Filter::default(), None, 100)
        .await
        .unwrap();
    let named: Vec<_> = found
        .iter()
        .flat_map(|one| one.subjects.clone())
        .flatten()
        .collect();
    assert!(named.iter().all(|one| {
        [
            Subject::query("PatientID=PAT-47110"),
            Subject::study("1.2.840.91"),
        ]
        .contains(one)
    }));
    let all = found.iter().map(|one| one.subjects.len()).sum::<usize>();
    assert_eq!((all, named.len()), (8, 4));
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap().path();
        // A server's folder is its own.
        if file.is_dir() {
            continue;
        }
        let bytes = std::fs::read(file).unwrap();
        for name in ["PAT-4711", "1.2.840.9"] {
            assert!(
                !bytes
                    .windows(name.len())
                    .any(|part| part == name.as_bytes()),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn a_look_that_began_before_an_erasure_and_is_recorded_after_it_names_nobody() {
    let (_dir, db) = database().await;
    let (trail, scope) = (trail(&db), person("a"));
    let (study, patient) = (Subject::study("1.1"), Subject::patient("4711", None));
    let began = trail.now();
    let gone = [study.clone(), patient.clone()];
    trail.forget(&scope, &gone).await.unwrap();
    let search = Entry::new(Act::Query).about(Subject::query("PatientID=4711"));
    for late in [view("1.1"), view("1.2"), search] {
        trail.saw_since(&scope, began, late.clone()).await.unwrap();
        trail.saw_since(&scope, began, late).await.unwrap();
    }
    trail.close().await;
    let every = Filter::default();
    let found = trail.search(&scope, &every, None, 10).await.unwrap();
    let named: Vec<_> = found.iter().flat_map(|one| &one.subjects).collect();
    assert_eq!(found.len(), 6);
    // Each was about somebody, and who that was is known of the other study alone.
    assert_eq!(named.len(), 6);
    let known: Vec<_> = named.iter().filter_map(|one| one.as_ref()).collect();
    assert_eq!(known, [&Subject::study("1.2"), &Subject::study("1.2")]);
    let rows: i64 = db::query_scalar("SELECT COUNT(*) FROM audit_subject")
        .fetch_one(db.read(Across::Nobody))
        .await
        .unwrap();
    assert_eq!(rows, 1);
    assert_eq!(verified(&trail, &scope).await, (6, vec![]));

    // Whoever asks afterwards says themselves whom they ask for.
    trail.saw(&scope, view("1.1")).await.unwrap();
    let found = trail.search(&scope, &every, None, 1).await.unwrap();
    assert_eq!(found[0].subjects, [Some(study)]);
}

#[tokio::test]
async fn what_is_about_nobody_is_recorded_while_the_keys_are_away() {
    let (_dir, db) = database().await;
    let (trail, restored) = (trail(&db), person("restored"));
    let entry = Entry::new(Act::Restore);
    trail.record(&restored, entry).await.unwrap();
    trail.record(&restored, view("1.1")).await.unwrap_err();
    assert_eq!(verified(&trail, &restored).await, (1, vec![]));
}

#[tokio::test]
async fn nothing_follows_the_last_entry_of_an_ended_tenant() {
    let (_dir, db) = database().await;
    let (trail, ended) = (trail(&db), person("ended"));
    let entry = Entry::new(Act::ChangeSettings);
    trail.record(&ended, entry.clone()).await.unwrap();
    db.end_tenant(ended.tenant(), &[]).await.unwrap();
    let last = Entry::new(Act::EndTenant);
    trail.record(&ended, last).await.unwrap();
    trail.record(&ended, entry).await.unwrap_err();
    trail.record(&ended, view("1.1")).await.unwrap_err();
    assert_eq!(verified(&trail, &ended).await, (2, vec![]));
}

#[tokio::test]
async fn a_look_is_recorded_once_for_a_session_and_its_repeats_are_counted() {
    let (_dir, db) = database().await;
    let (trail, scope) = (trail(&db), person("a"));
    let looks = (0..50).map(|_| trail.saw(&scope, view("1.1")));
    for look in futures::future::join_all(looks).await {
        look.unwrap();
    }
    assert_eq!(verified(&trail, &scope).await.0, 1);
    trail.saw(&person("a"), view("1.1")).await.unwrap();
    let refused = view("1.1").ended(Outcome::Refused);
    trail.saw(&scope, refused).await.unwrap();
    assert_eq!(verified(&trail, &scope).await.0, 3);

    trail.close().await;
    trail.close().await;
    let found = trail
        .search(&scope, &Filter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(found.len(), 4);
    assert_eq!(found[0].record.count, 49);
    assert_eq!(found[0].record.details[&Detail::Repeats], "49");
}

#[tokio::test]
async fn the_trail_is_searched_by_whom_what_who_and_when_in_pages() {
    let (_dir, _db, trail, scope) = five().await;
    let other = person("a");
    let entry = Entry::new(Act::Delete).about(Subject::study("1.3"));
    trail
        .record(&other, entry.ended(Outcome::Failed))
        .await
        .unwrap();
    let search = async |filter: Filter| {
        let found = trail.search(&scope, &filter, None, 100).await.unwrap();
        found
            .iter()
            .map(|one| one.record.position)
            .collect::<Vec<_>>()
    };
    let study = vec![Find::Subject(Subject::study("1.3"))];
    let about = Filter {
        about: vec![study],
        ..Filter::default()
    };
    assert_eq!(search(about).await, [6, 3]);
    let act = Filter {
        act: Some(Act::Delete),
        ..Filter::default()
    };
    assert_eq!(search(act).await, [6]);
    let outcome = Filter {
        outcome: Some(Outcome::Failed),
        ..Filter::default()
    };
    assert_eq!(search(outcome).await, [6]);
    let who = Filter {
        who: Some(other.principal().to_string()),
        ..Filter::default()
    };
    assert_eq!(search(who).await, [6]);
    let never = Filter {
        until: Some(0),
        ..Filter::default()
    };
    assert!(search(never).await.is_empty());

    let (mut before, mut all) = (None, Vec::new());
    loop {
        let page = trail
            .search(&scope, &Filter::default(), before, 4)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        before = Some((last.record.at, last.record.position));
        all.extend(page.iter().map(|one| one.record.position));
    }
    assert_eq!(all, [6, 5, 4, 3, 2, 1]);
}

#[tokio::test]
async fn a_prefix_that_was_kept_long_enough_goes_and_the_rest_verifies() {
    let (_dir, _db, trail, scope) = five().await;
    assert_eq!(trail.remove(&scope, 3).await.unwrap(), 3);
    assert_eq!(trail.remove(&scope, 3).await.unwrap(), 0);
    assert_eq!(trail.remove(&scope, 9).await.unwrap(), 0);
    assert_eq!(verified(&trail, &scope).await, (2, vec![]));
    let find = Find::Subject(Subject::study("1.1"));
    let about = Filter {
        about: vec![vec![find]],
        ..Filter::default()
    };
    assert_eq!(trail.search(&scope, &about, None, 9).await.unwrap(), []);
}
