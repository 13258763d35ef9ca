//! What was refused is kept once, bounded, readable, and gone when deleted.

use std::sync::Arc;

use bytes::Bytes;
use hilum_archive::{
    Archive, ArchiveConfig, ArchiveError, Body, Limits, LocalDisk, NewQuarantined, Origin, Page,
    QuarantineOutcome,
};
use hilum_contracts::ids::CorrelationId;

use crate::support::{TestArchive, config, files, noise, scope, sha256};

fn refused(body: Vec<u8>) -> NewQuarantined {
    NewQuarantined {
        sha256: sha256(&body),
        body: Body::Memory(Bytes::from(body)),
        reason: "truncated".into(),
        detail: "ends within an element".into(),
        transfer_syntax: None,
        origin: Origin::Stow,
        correlation: CorrelationId::new(),
        received_at: hilum_platform::clock::from_millis(1),
    }
}

#[tokio::test]
async fn what_was_refused_is_kept_once_and_can_be_read_and_deleted() {
    let test = TestArchive::new().await;
    let body = noise(1, 100_000);
    let QuarantineOutcome::Kept(id) = test
        .archive
        .quarantine(&test.scope, refused(body.clone()))
        .await
        .unwrap()
    else {
        panic!("not kept")
    };
    let again = test
        .archive
        .quarantine(&test.scope, refused(body.clone()))
        .await
        .unwrap();
    assert_eq!(again, QuarantineOutcome::AlreadyHeld(id));
    let items = test
        .archive
        .quarantined(&test.scope, Page::first(10))
        .await
        .unwrap();
    assert_eq!(
        (items.len(), items[0].times, items[0].length),
        (1, 2, 100_000)
    );
    let read = test
        .archive
        .read_quarantined(&test.scope, id, 0..100_000)
        .await
        .unwrap();
    assert_eq!(read.collect().await.unwrap(), body);
    let report = test.archive.verify(None).await.unwrap();
    assert!(report.faults.is_empty(), "{report:?}");

    assert!(
        test.archive
            .quarantined_item(&scope("other"), id)
            .await
            .unwrap()
            .is_none()
    );
    test.archive
        .delete_quarantined(&test.scope, id)
        .await
        .unwrap();
    let gone = test.archive.delete_quarantined(&test.scope, id).await;
    assert_eq!(gone, Err(ArchiveError::NotFound));
    test.archive.sweep().await.unwrap();
    assert!(test.objects().is_empty());
}

#[tokio::test]
async fn a_full_quarantine_keeps_what_came_first() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        quarantine_items: 2,
        quarantine_bytes: 1_000,
        ..Limits::default()
    };
    let config = ArchiveConfig {
        limits,
        ..config(dir.path())
    };
    let archive = Archive::open_on(config, Arc::new(LocalDisk)).await.unwrap();
    let scope = scope("default");
    let keep = |seed, len| archive.quarantine(&scope, refused(noise(seed, len)));
    assert!(matches!(
        keep(1, 600).await.unwrap(),
        QuarantineOutcome::Kept(_)
    ));
    assert_eq!(
        keep(2, 600).await.unwrap(),
        QuarantineOutcome::Full,
        "bytes"
    );
    assert!(matches!(
        keep(3, 100).await.unwrap(),
        QuarantineOutcome::Kept(_)
    ));
    assert_eq!(
        keep(4, 100).await.unwrap(),
        QuarantineOutcome::Full,
        "items"
    );
    assert!(matches!(
        keep(1, 600).await.unwrap(),
        QuarantineOutcome::AlreadyHeld(_)
    ));
    assert_eq!(files(&dir.path().join("objects")).len(), 2);
}
