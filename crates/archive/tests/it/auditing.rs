//! What the archive writes into its audit trail, in its own transactions.

use hilum_archive::{
    Cause, Corrected, ErasedPatient, HoldOn, MetadataScope, NewCorrection, NewDeletion,
};
use hilum_contracts::audit::{Act, Detail, Subject};
use hilum_contracts::ids::CorrelationId;
use hilum_platform::audit::{AuditSource, Chain, Fault, Filter, Find, Found};
use hilum_platform::scope::TenantScope;

use crate::support::{TestArchive, config, instance, is_on_postgres, noise, scope};

async fn verified(test: &TestArchive, scope: &TenantScope) -> (u64, Vec<Fault>) {
    let head = test.archive.head(scope).await.unwrap();
    let mut chain = Chain::new(scope.tenant(), test.archive.writer(), head);
    let rows = test.archive.entries(scope, 0, 1_000).await.unwrap();
    for row in &rows {
        chain.next(row);
    }
    chain.end()
}

async fn all(test: &TestArchive, scope: &TenantScope) -> Vec<Found> {
    let every = Filter::default();
    let found = test.archive.search(scope, &every, None, 1_000).await;
    let mut found = found.unwrap();
    found.reverse();
    found
}

fn acts(found: &[Found]) -> Vec<(Act, u64)> {
    let of = |one: &Found| (one.record.act, one.record.count);
    found.iter().map(of).collect()
}

/// An association of `count` instances of one study.
async fn send(test: &TestArchive, scope: &TenantScope, study: u32, count: u32) {
    let id = CorrelationId::new();
    for number in 0..count {
        let mut new = instance(study, 1, number, noise(u64::from(number), 300));
        new.correlation = id;
        test.archive.store(scope, new).await.unwrap();
    }
    test.archive.end_store(scope, id).await.unwrap();
    test.archive.end_store(scope, id).await.unwrap();
}

#[tokio::test]
async fn an_association_has_one_entry_for_a_study_and_one_for_the_rest_of_its_count() {
    let test = TestArchive::new().await;
    send(&test, &test.scope, 1, 7).await;
    let found = all(&test, &test.scope).await;
    assert_eq!(acts(&found), [(Act::Store, 1), (Act::Store, 6)]);
    assert_eq!(found[0].record.correlation, found[1].record.correlation);
    let study = instance(1, 1, 0, vec![]).study;
    assert!(found[0].subjects.contains(&Some(Subject::study(study))));
    assert!(matches!(
        found[0].subjects[1],
        Some(Subject::Patient { .. })
    ));
    assert_eq!(verified(&test, &test.scope).await, (2, vec![]));
}

#[tokio::test]
async fn what_is_sent_again_is_one_entry_with_its_count() {
    let test = TestArchive::new().await;
    send(&test, &test.scope, 1, 3).await;
    send(&test, &test.scope, 1, 3).await;
    let found = all(&test, &test.scope).await;
    assert_eq!(
        acts(&found),
        [(Act::Store, 1), (Act::Store, 2), (Act::Store, 3)]
    );
    assert_eq!(found[2].record.details[&Detail::Change], "resent");
    assert_eq!(found[2].subjects, found[0].subjects);
    assert_ne!(found[2].record.correlation, found[0].record.correlation);
    assert_eq!(verified(&test, &test.scope).await, (3, vec![]));
}

#[tokio::test]
async fn what_was_sent_again_and_erased_before_it_was_counted_names_nobody() {
    let test = TestArchive::new().await;
    send(&test, &test.scope, 1, 1).await;
    let id = CorrelationId::new();
    let mut new = instance(1, 1, 0, noise(0, 300));
    new.correlation = id;
    let uid = new.study.clone();
    test.archive.store(&test.scope, new).await.unwrap();
    let deletion = NewDeletion {
        of: MetadataScope::Study(uid),
        cause: Cause::Person,
        reason: String::new(),
        by: "test".to_owned(),
    };
    test.archive.delete(&test.scope, deletion).await.unwrap();
    test.archive.end_store(&test.scope, id).await.unwrap();
    let found = all(&test, &test.scope).await;
    let last = found.last().unwrap();
    assert_eq!(last.record.details[&Detail::Change], "resent");
    assert!(last.subjects.is_empty(), "{:?}", last.subjects);
}

#[tokio::test]
async fn counts_that_wait_are_written_when_the_archive_closes() {
    let test = TestArchive::new().await;
    let id = CorrelationId::new();
    for number in 0..3 {
        let mut new = instance(1, 1, number, noise(u64::from(number), 300));
        new.correlation = id;
        test.archive.store(&test.scope, new).await.unwrap();
    }
    let test = test.reopen().await;
    let found = all(&test, &test.scope).await;
    assert_eq!(acts(&found), [(Act::Store, 1), (Act::Store, 2)]);
}

#[tokio::test]
async fn changes_stand_in_the_trail_with_whom_they_are_about() {
    let test = TestArchive::new().await;
    send(&test, &test.scope, 1, 2).await;
    let new = instance(1, 1, 0, vec![]);
    let (uid, old) = (new.study.clone(), new.patient.clone());
    let study = test
        .archive
        .study(&test.scope, &uid)
        .await
        .unwrap()
        .unwrap();
    let mut patient = old.clone();
    patient.id = Some("CORRECTED".to_owned());
    let correction = NewCorrection {
        study: uid.clone(),
        revision: study.revision,
        corrected: Corrected::Study {
            patient,
            attributes: new.study_attributes.clone(),
        },
        overlay: "{}".to_owned(),
        detail: "{}".to_owned(),
        reason: "wrong patient".to_owned(),
        by: "test".to_owned(),
    };
    test.archive.correct(&test.scope, correction).await.unwrap();
    let on = HoldOn::Study { study: uid.clone() };
    let (reason, by) = ("court".to_owned(), "test".to_owned());
    let hold = test.archive.place_hold(&test.scope, on, reason, by.clone());
    let hold = hold.await.unwrap();
    let deletion = NewDeletion {
        of: MetadataScope::Study(uid.clone()),
        cause: Cause::Person,
        reason: String::new(),
        by: by.clone(),
    };
    let refused = test.archive.delete(&test.scope, deletion.clone()).await;
    refused.unwrap_err();
    test.archive.lift_hold(&test.scope, hold, by).await.unwrap();
    test.archive.delete(&test.scope, deletion).await.unwrap();

    let found = all(&test, &test.scope).await;
    let acts: Vec<_> = found.iter().map(|one| one.record.act).collect();
    let expected = [
        Act::Store,
        Act::Store,
        Act::Correct,
        Act::Hold,
        Act::LiftHold,
        Act::Delete,
    ];
    assert_eq!(acts, expected);
    let of = |id: &str| Some(Subject::patient(id, old.issuer.as_deref()));
    assert!(found[2].subjects.contains(&of("CORRECTED")));
    assert!(found[2].subjects.contains(&of(old.id.as_deref().unwrap())));
    assert!(found[5].subjects.contains(&of("CORRECTED")));
    let find = Find::PatientId("CORRECTED".to_owned());
    let beside = test.archive.beside(&test.scope, &find, 10).await.unwrap();
    assert!(beside.contains(&Subject::study(uid)));
}

#[tokio::test]
async fn an_erasure_leaves_a_chain_that_verifies_and_names_nobody() {
    let test = TestArchive::new().await;
    let other = scope("other");
    send(&test, &test.scope, 1, 2).await;
    send(&test, &other, 1, 2).await;
    let new = instance(1, 1, 0, vec![]);
    let patient = ErasedPatient {
        id: new.patient.id.clone().unwrap(),
        issuer: new.patient.issuer.clone(),
    };
    let erased = test
        .archive
        .erase(&test.scope, patient.clone(), &[], "test");
    erased.await.unwrap();
    let certified = test.archive.certify(&test.scope, patient, "{}".to_owned());
    certified.await.unwrap();
    let found = all(&test, &test.scope).await;
    assert!(
        found
            .iter()
            .all(|one| one.subjects.iter().all(Option::is_none))
    );
    let acts: Vec<_> = found.iter().map(|one| one.record.act).collect();
    assert_eq!(
        acts,
        [Act::Store, Act::Store, Act::Erase, Act::Delete, Act::Erase]
    );
    assert_eq!(verified(&test, &test.scope).await, (5, vec![]));
    let named = all(&test, &other).await;
    assert!(
        named
            .iter()
            .all(|one| one.subjects.iter().all(Option::is_some))
    );
}

#[tokio::test]
async fn an_index_that_is_made_again_keeps_the_trail_and_says_so() {
    if is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    send(&test, &test.scope, 1, 2).await;
    let TestArchive {
        archive,
        scope,
        dir,
    } = test;
    archive.close().await;
    drop(archive);
    hilum_archive::Archive::rebuild_index(config(dir.path()), None)
        .await
        .unwrap();
    let archive = hilum_archive::Archive::open(config(dir.path()))
        .await
        .unwrap();
    let test = TestArchive {
        archive,
        scope,
        dir,
    };
    let found = all(&test, &test.scope).await;
    let acts: Vec<_> = found.iter().map(|one| one.record.act).collect();
    assert_eq!(acts, [Act::Store, Act::Store, Act::BeginAudit]);
    assert_eq!(verified(&test, &test.scope).await, (3, vec![]));
}
