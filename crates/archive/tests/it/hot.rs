//! What is kept in memory of what was read: it is right, and it goes with what
//! it is of.

use hilum_archive::{
    Archive, ArchiveError, Cause, Limits, MetadataScope, NewDeletion, NewInstance, Rejection,
    RejectionReason, StoreOutcome,
};

use crate::support::{TestArchive, config, instance, noise, scope};

const BODY: usize = 300_000;

fn body(study: u32, number: u32) -> Vec<u8> {
    noise(u64::from(study * 10 + number), BODY)
}

async fn filled() -> TestArchive {
    let test = TestArchive::new().await;
    for (study, number) in [(1, 1), (1, 2), (2, 1)] {
        stores(&test, instance(study, 1, number, body(study, number))).await;
    }
    test
}

async fn stores(test: &TestArchive, new: NewInstance) {
    let outcome = test.archive.store(&test.scope, new).await;
    assert_eq!(outcome.unwrap(), StoreOutcome::Stored);
}

/// The second half of an instance, as a frame is asked for.
async fn frame(
    test: &TestArchive,
    study: u32,
    number: u32,
) -> hilum_archive::Result<Option<Vec<u8>>> {
    let (study, series) = (format!("1.2.{study}"), format!("1.2.{study}.1"));
    let address = (study, series.clone(), format!("{series}.{number}"));
    let half = BODY as u64 / 2;
    let found = test
        .archive
        .instance_part(&test.scope, address, move |found| {
            Some(half..found.row.location.length())
        })
        .await?;
    let Some((_, reader)) = found.and_then(|found| found.part) else {
        return Ok(None);
    };
    Ok(Some(reader.collect().await?.to_vec()))
}

async fn is_given(test: &TestArchive, study: u32, number: u32) {
    let given = frame(test, study, number).await.unwrap();
    assert_eq!(given.as_deref(), Some(&body(study, number)[BODY / 2..]));
}

async fn deletes(test: &TestArchive, of: MetadataScope) {
    let deletion = NewDeletion {
        of,
        cause: Cause::Person,
        reason: "sent twice".into(),
        by: "local operator".into(),
    };
    test.archive.delete(&test.scope, deletion).await.unwrap();
}

fn one(number: u32) -> MetadataScope {
    MetadataScope::Instance {
        study: "1.2.1".into(),
        series: "1.2.1.1".into(),
        instance: format!("1.2.1.1.{number}"),
    }
}

/// Turns one bit in the middle of every object.
fn damage(test: &TestArchive) {
    for path in test.objects() {
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
}

#[tokio::test]
async fn what_was_read_is_given_again_as_it_was_and_what_was_not_is_looked_at() {
    let test = TestArchive::new().await;
    stores(&test, instance(1, 1, 1, body(1, 1))).await;
    is_given(&test, 1, 1).await;
    damage(&test);
    is_given(&test, 1, 1).await;
    assert_eq!(test.bytes("1.2.1.1.1").await, body(1, 1));
    assert!(!test.archive.verify(None).await.unwrap().is_sound());
    let test = test.reopen().await;
    let again = frame(&test, 1, 1).await;
    assert_eq!(again.unwrap_err(), ArchiveError::Corrupt);
}

#[tokio::test]
async fn nothing_damaged_is_kept() {
    let test = TestArchive::new().await;
    stores(&test, instance(1, 1, 1, body(1, 1))).await;
    damage(&test);
    for _ in 0..2 {
        let given = frame(&test, 1, 1).await;
        assert_eq!(given.unwrap_err(), ArchiveError::Corrupt);
    }
    // The same bit again, so that it is as it was.
    damage(&test);
    is_given(&test, 1, 1).await;
}

#[tokio::test]
async fn what_is_deleted_is_not_given_any_more() {
    let test = filled().await;
    let row = test.archive.lookup(&test.scope, "1.2.1.1.2").await.unwrap();
    let location = row.unwrap().location;
    for (study, number) in [(1, 1), (1, 2), (2, 1)] {
        is_given(&test, study, number).await;
    }
    deletes(&test, one(1)).await;
    assert_eq!(frame(&test, 1, 1).await.unwrap(), None);
    is_given(&test, 1, 2).await;
    deletes(&test, MetadataScope::Study("1.2.1".into())).await;
    assert_eq!(frame(&test, 1, 2).await.unwrap(), None);
    // Nor by a place that somebody kept: its key is gone, and so are its bytes.
    let read = test
        .archive
        .read_range(&test.scope, &location, 0..BODY as u64);
    assert_eq!(read.await.unwrap_err(), ArchiveError::NotFound);
    is_given(&test, 2, 1).await;
}

#[tokio::test]
async fn what_a_note_rejects_is_not_given_any_more() {
    let test = filled().await;
    is_given(&test, 1, 1).await;
    let note = NewInstance {
        rejects: Some(Rejection {
            reason: RejectionReason::PatientSafety,
            instances: vec!["1.2.1.1.1".into()],
        }),
        ..instance(1, 9, 1, noise(900, 700))
    };
    stores(&test, note).await;
    assert_eq!(frame(&test, 1, 1).await.unwrap(), None);
    is_given(&test, 1, 2).await;
}

#[tokio::test]
async fn another_content_of_a_uid_does_not_take_the_place_of_what_is_served() {
    let test = filled().await;
    is_given(&test, 1, 1).await;
    let other = test
        .archive
        .store(&test.scope, instance(1, 1, 1, noise(77, BODY)));
    assert_eq!(other.await.unwrap(), StoreOutcome::Conflict);
    is_given(&test, 1, 1).await;
}

#[tokio::test]
async fn a_packed_and_swept_series_is_given_from_where_it_is() {
    let test = filled().await;
    is_given(&test, 1, 1).await;
    test.archive.pack(std::time::Duration::ZERO).await.unwrap();
    test.archive.sweep().await.unwrap();
    for _ in 0..2 {
        is_given(&test, 1, 1).await;
        is_given(&test, 1, 2).await;
    }
}

#[tokio::test]
async fn one_tenant_is_not_given_what_another_one_read() {
    let test = filled().await;
    is_given(&test, 1, 1).await;
    let row = test.archive.lookup(&test.scope, "1.2.1.1.1").await.unwrap();
    let location = row.unwrap().location;
    let other = scope("other");
    stores(&test, instance(1, 1, 3, body(1, 3))).await;
    let read = test.archive.read_range(&other, &location, 0..BODY as u64);
    assert!(read.await.is_err());
    let address = ("1.2.1".into(), "1.2.1.1".into(), "1.2.1.1.1".into());
    let found = test.archive.instance_part(&other, address, |_| None).await;
    assert!(found.unwrap().is_none());
}

#[tokio::test]
async fn everything_is_given_also_when_nothing_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.limits = Limits {
        cached_body_bytes: 0,
        cached_address_bytes: 0,
        ..Limits::default()
    };
    let test = TestArchive {
        archive: Archive::open(config).await.unwrap(),
        scope: scope("default"),
        dir,
    };
    stores(&test, instance(1, 1, 1, body(1, 1))).await;
    is_given(&test, 1, 1).await;
    is_given(&test, 1, 1).await;
}
