//! Rejection notes: what they hide, whenever it comes, and what a note that is
//! deleted gives back.

use std::time::Duration;

use futures::TryStreamExt;
use hilum_archive::{
    Cause, InstanceFilter, MetadataScope, NewDeletion, NewInstance, Page, Rejection,
    RejectionReason, StoreOutcome, StudyFilter, WorklistCursor,
};
use hilum_platform::events::OutboxSource;

use crate::support::{TestArchive, instance, noise};

fn note(number: u32, reason: RejectionReason, of: &[&str]) -> NewInstance {
    NewInstance {
        rejects: Some(Rejection {
            reason,
            instances: of.iter().map(|uid| (*uid).to_owned()).collect(),
        }),
        ..instance(1, 9, number, noise(u64::from(number) + 900, 700))
    }
}

async fn stores(test: &TestArchive, new: NewInstance) {
    let outcome = test.archive.store(&test.scope, new).await;
    assert_eq!(outcome.unwrap(), StoreOutcome::Stored);
}

async fn images(test: &TestArchive, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        stores(test, instance(1, 1, number, noise(number.into(), 2_000))).await;
    }
}

fn address(uid: &str) -> MetadataScope {
    let series = uid.rsplit_once('.').unwrap().0.to_owned();
    MetadataScope::Instance {
        study: series.rsplit_once('.').unwrap().0.to_owned(),
        series,
        instance: uid.to_owned(),
    }
}

/// Instances that every kind of question answers with.
async fn answered(test: &TestArchive) -> Vec<String> {
    let (archive, scope) = (&test.archive, &test.scope);
    let every = InstanceFilter::default();
    let mut uids: Vec<String> = archive
        .instances(scope, &every, Page::first(100))
        .await
        .unwrap()
        .into_iter()
        .map(|row| row.sop_instance)
        .collect();
    let metadata: Vec<_> = archive
        .instance_metadata(scope, MetadataScope::Study("1.2.1".into()))
        .try_collect()
        .await
        .unwrap();
    let listed: Vec<String> = metadata
        .into_iter()
        .map(|found| found.row.sop_instance)
        .collect();
    uids.sort();
    let mut listed = listed;
    listed.sort();
    assert_eq!(uids, listed);
    for uid in &uids {
        assert!(archive.lookup(scope, uid).await.unwrap().is_some());
    }
    let filter = StudyFilter::default();
    let page = archive.worklist(scope, &filter, None::<WorklistCursor>, 10);
    let counted: u64 = page
        .await
        .unwrap()
        .studies
        .iter()
        .map(|s| s.instances)
        .sum();
    assert_eq!(counted, uids.len() as u64);
    uids
}

async fn hidden(test: &TestArchive) -> Vec<(RejectionReason, u64)> {
    let found = test.archive.rejected(&test.scope, "1.2.1").await;
    found.unwrap().into_iter().collect()
}

async fn is_retrieved(test: &TestArchive, uid: &str) -> bool {
    let found: Vec<_> = test
        .archive
        .instance_metadata(&test.scope, address(uid))
        .try_collect()
        .await
        .unwrap();
    !found.is_empty()
}

async fn deletes(test: &TestArchive, uid: &str) {
    let deletion = NewDeletion {
        of: address(uid),
        cause: Cause::Person,
        reason: "rejected by mistake".into(),
        by: "local operator".into(),
    };
    test.archive.delete(&test.scope, deletion).await.unwrap();
}

#[tokio::test]
async fn a_note_hides_what_it_names_in_rows_and_in_packs_and_its_deletion_shows_it_again() {
    for packed in [false, true] {
        let test = TestArchive::new().await;
        images(&test, 1..=4).await;
        if packed {
            test.archive.pack(Duration::ZERO).await.unwrap();
        }
        let before = answered(&test).await;
        let named = ["1.2.1.1.2", "1.2.1.1.4", "9.9.9"];
        stores(&test, note(1, RejectionReason::PatientSafety, &named)).await;
        let left = ["1.2.1.1.1", "1.2.1.1.3", "1.2.1.9.1"];
        assert_eq!(answered(&test).await, left, "packed: {packed}");
        for uid in &named[..2] {
            assert!(
                test.archive
                    .lookup(&test.scope, uid)
                    .await
                    .unwrap()
                    .is_none()
            );
            assert!(!is_retrieved(&test, uid).await);
        }
        // The same bytes again are known, and stay hidden.
        let again = instance(1, 1, 2, noise(2, 2_000));
        let outcome = test.archive.store(&test.scope, again).await;
        assert_eq!(outcome.unwrap(), StoreOutcome::Duplicate);
        assert_eq!(answered(&test).await, left);
        // Packing anew, and a restart, change nothing.
        assert_eq!(hidden(&test).await, [(RejectionReason::PatientSafety, 2)]);
        test.archive.pack(Duration::ZERO).await.unwrap();
        let test = test.reopen().await;
        assert_eq!(answered(&test).await, left, "packed: {packed}");
        assert_eq!(hidden(&test).await, [(RejectionReason::PatientSafety, 2)]);
        assert!(test.archive.verify(None).await.unwrap().is_sound());

        deletes(&test, "1.2.1.9.1").await;
        assert_eq!(answered(&test).await, before, "packed: {packed}");
        assert_eq!(hidden(&test).await, []);
        assert_eq!(test.bytes("1.2.1.1.2").await, noise(2, 2_000));
        assert!(test.archive.verify(None).await.unwrap().is_sound());
    }
}

#[tokio::test]
async fn a_note_that_comes_first_counts_when_its_instances_come() {
    let test = TestArchive::new().await;
    stores(
        &test,
        note(
            1,
            RejectionReason::WorklistEntry,
            &["1.2.1.1.2", "1.2.1.1.3"],
        ),
    )
    .await;
    images(&test, 1..=3).await;
    assert_eq!(answered(&test).await, ["1.2.1.1.1", "1.2.1.9.1"]);
    // A second note keeps hidden what the first one gives back.
    stores(&test, note(2, RejectionReason::Quality, &["1.2.1.1.3"])).await;
    assert_eq!(hidden(&test).await, [(RejectionReason::WorklistEntry, 2)]);
    deletes(&test, "1.2.1.9.1").await;
    assert_eq!(
        answered(&test).await,
        ["1.2.1.1.1", "1.2.1.1.2", "1.2.1.9.2"]
    );
}

#[tokio::test]
async fn what_is_rejected_for_its_quality_is_still_given_at_its_address() {
    let test = TestArchive::new().await;
    images(&test, 1..=2).await;
    test.archive.pack(Duration::ZERO).await.unwrap();
    stores(&test, note(1, RejectionReason::Quality, &["1.2.1.1.2"])).await;
    assert_eq!(answered(&test).await, ["1.2.1.1.1", "1.2.1.9.1"]);
    assert!(is_retrieved(&test, "1.2.1.1.2").await);
    test.archive.pack(Duration::ZERO).await.unwrap();
    assert!(is_retrieved(&test, "1.2.1.1.2").await);
    // Not any more, once a stricter note names it.
    stores(
        &test,
        note(2, RejectionReason::PatientSafety, &["1.2.1.1.2"]),
    )
    .await;
    assert!(!is_retrieved(&test, "1.2.1.1.2").await);
}

#[tokio::test]
async fn a_note_is_hidden_by_no_other_one() {
    let test = TestArchive::new().await;
    // The second names the first before it comes, the third afterwards.
    stores(&test, note(2, RejectionReason::Quality, &["1.2.1.9.1"])).await;
    stores(&test, note(1, RejectionReason::Quality, &["1.2.1.1.1"])).await;
    stores(
        &test,
        note(3, RejectionReason::Quality, &["1.2.1.9.1", "1.2.1.9.3"]),
    )
    .await;
    images(&test, 1..=1).await;
    assert_eq!(
        answered(&test).await,
        ["1.2.1.9.1", "1.2.1.9.2", "1.2.1.9.3"]
    );
}

#[tokio::test]
async fn what_outlived_its_retention_is_deleted_once_nothing_holds_it() {
    let test = TestArchive::new().await;
    images(&test, 1..=3).await;
    test.archive.pack(Duration::ZERO).await.unwrap();
    let on = hilum_archive::HoldOn::Study {
        study: "1.2.1".into(),
    };
    let place = test.archive.place_hold(
        &test.scope,
        on,
        "litigation".into(),
        "local operator".into(),
    );
    let hold = place.await.unwrap();
    let named = ["1.2.1.1.2", "1.2.1.1.3"];
    stores(&test, note(1, RejectionReason::RetentionExpired, &named)).await;
    assert_eq!(answered(&test).await, ["1.2.1.1.1", "1.2.1.9.1"]);
    assert_eq!(test.archive.retire_rejected(&test.scope).await.unwrap(), 0);
    let lifted = test
        .archive
        .lift_hold(&test.scope, hold, "local operator".into());
    lifted.await.unwrap();
    assert_eq!(test.archive.retire_rejected(&test.scope).await.unwrap(), 2);
    assert_eq!(test.archive.retire_rejected(&test.scope).await.unwrap(), 0);
    let again = instance(1, 1, 2, noise(2, 2_000));
    let outcome = test.archive.store(&test.scope, again).await;
    assert_eq!(outcome.unwrap_err(), hilum_archive::ArchiveError::Deleted);
    assert!(test.archive.verify(None).await.unwrap().is_sound());
}

#[tokio::test]
async fn it_is_told_what_left_and_what_came_back() {
    let test = TestArchive::new().await;
    images(&test, 1..=3).await;
    stores(&test, note(1, RejectionReason::Quality, &["1.2.1.1.2"])).await;
    deletes(&test, "1.2.1.9.1").await;
    let events = test.archive.unsent(100).await.unwrap();
    let told: Vec<_> = events
        .iter()
        .filter(|(_, event)| event.kind == "imaging.instances.rejected.v1")
        .map(|(_, event)| (event.data["rejected"].clone(), event.data["left"].clone()))
        .collect();
    assert_eq!(told, [(true.into(), 2.into()), (false.into(), 3.into())]);
}
