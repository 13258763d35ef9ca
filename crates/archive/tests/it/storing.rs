//! What is stored comes back; the same-UID rule; group commit.

use futures::TryStreamExt;
use hilum_archive::limits::COMPARISON_ATTEMPTS;
use hilum_archive::{ArchiveError, Body, Decision, MetadataScope, Page, Standing, StoreOutcome};
use hilum_contracts::imaging::InstancesStored;
use hilum_platform::events::OutboxSource;

use crate::support::{TestArchive, instance, noise, scope};

#[tokio::test]
async fn an_instance_comes_back_byte_for_byte_also_after_a_restart() {
    let test = TestArchive::new().await;
    let body = noise(1, 200_000);
    let stored = test
        .archive
        .store(&test.scope, instance(1, 1, 1, body.clone()))
        .await
        .unwrap();
    assert_eq!(stored, StoreOutcome::Stored);
    assert_eq!(test.bytes("1.2.1.1.1").await, body);
    let test = test.reopen().await;
    assert_eq!(test.bytes("1.2.1.1.1").await, body);
    let row = test
        .archive
        .lookup(&test.scope, "1.2.1.1.1")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.flags, ["trailing-bytes"]);
    assert_eq!(row.attributes.number, Some(1));
    let metadata: Vec<_> = test
        .archive
        .instance_metadata(&test.scope, MetadataScope::Study("1.2.1".into()))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(metadata.len(), 1);
    assert!(metadata[0].metadata.starts_with(b"{\"00080018\""));
    assert_eq!(&metadata[0].layout[..], b"layout");
}

#[tokio::test]
async fn a_spool_file_and_a_large_body_are_streamed_and_come_back() {
    let test = TestArchive::new().await;
    let body = noise(2, 9 << 20);
    test.archive
        .store(&test.scope, instance(1, 1, 1, body.clone()))
        .await
        .unwrap();
    let mut spooled = instance(1, 1, 2, noise(3, 3 << 20));
    let Body::Memory(bytes) = spooled.body.clone() else {
        unreachable!()
    };
    let path = test.dir.path().join("spool");
    std::fs::write(&path, &bytes).unwrap();
    spooled.body = Body::Spool {
        path: path.clone(),
        length: bytes.len() as u64,
    };
    test.archive
        .store(&test.scope, spooled.clone())
        .await
        .unwrap();
    assert_eq!(test.bytes("1.2.1.1.1").await, body);
    assert_eq!(test.bytes("1.2.1.1.2").await, bytes);

    // A spool file that changed since it was hashed is not stored.
    let mut changed = bytes.to_vec();
    changed[7] ^= 1;
    std::fs::write(&path, &changed).unwrap();
    spooled.sop_instance = "1.2.1.1.3".into();
    spooled.sha256 = crate::support::sha256(&bytes);
    let error = test.archive.store(&test.scope, spooled).await.unwrap_err();
    assert!(matches!(error, ArchiveError::Invalid(_)), "{error}");
    assert!(
        test.archive
            .lookup(&test.scope, "1.2.1.1.3")
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn what_one_tenant_stores_does_not_exist_for_another() {
    let test = TestArchive::new().await;
    test.archive
        .store(&test.scope, instance(1, 1, 1, noise(1, 100)))
        .await
        .unwrap();
    let other = scope("other");
    assert!(
        test.archive
            .lookup(&other, "1.2.1.1.1")
            .await
            .unwrap()
            .is_none()
    );
    let row = test
        .archive
        .lookup(&test.scope, "1.2.1.1.1")
        .await
        .unwrap()
        .unwrap();
    let stolen = test
        .archive
        .read_range(&other, &row.location, 0..100)
        .await
        .unwrap_err();
    assert_eq!(stolen, ArchiveError::NotFound);
    // The same UIDs there are another thing.
    let theirs = test
        .archive
        .store(&other, instance(1, 1, 1, noise(2, 100)))
        .await
        .unwrap();
    assert_eq!(theirs, StoreOutcome::Stored);
}

#[tokio::test]
async fn the_same_bytes_again_are_acknowledged_and_kept_once() {
    let test = TestArchive::new().await;
    let first = instance(1, 1, 1, noise(1, 70_000));
    test.archive
        .store(&test.scope, first.clone())
        .await
        .unwrap();
    let again = test
        .archive
        .store(&test.scope, first.clone())
        .await
        .unwrap();
    assert_eq!(again, StoreOutcome::Duplicate);
    assert_eq!(test.objects().len(), 1);
    // Also when both are on the way at once.
    let both = instance(1, 1, 2, noise(2, 70_000));
    let (a, b) = tokio::join!(
        test.archive.store(&test.scope, both.clone()),
        test.archive.store(&test.scope, both.clone()),
    );
    let mut outcomes = [a.unwrap(), b.unwrap()];
    outcomes.sort_by_key(|outcome| *outcome == StoreOutcome::Duplicate);
    assert_eq!(outcomes, [StoreOutcome::Stored, StoreOutcome::Duplicate]);
    let study = test
        .archive
        .study(&test.scope, "1.2.1")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((study.series, study.instances), (1, 2));
}

#[tokio::test]
async fn another_encoding_is_a_variant_and_the_first_is_served() {
    let test = TestArchive::new().await;
    let first = instance(1, 1, 1, noise(1, 100));
    let mut other = instance(1, 1, 1, noise(2, 80));
    other.comparison = first.comparison;
    test.archive.store(&test.scope, first).await.unwrap();
    let outcome = test
        .archive
        .store(&test.scope, other.clone())
        .await
        .unwrap();
    assert_eq!(outcome, StoreOutcome::Variant);
    assert_eq!(test.bytes("1.2.1.1.1").await, noise(1, 100));
    let again = test.archive.store(&test.scope, other).await.unwrap();
    assert_eq!(again, StoreOutcome::Duplicate);
    assert!(
        test.archive
            .conflicts(&test.scope, Page::first(10))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn another_content_is_a_conflict_until_a_person_decides() {
    let test = TestArchive::new().await;
    test.archive
        .store(&test.scope, instance(1, 1, 1, noise(1, 100)))
        .await
        .unwrap();
    // The contender claims another study, which does not exist until it is served.
    let mut contender = instance(2, 1, 1, noise(2, 100));
    contender.sop_instance = "1.2.1.1.1".into();
    let outcome = test.archive.store(&test.scope, contender).await.unwrap();
    assert_eq!(outcome, StoreOutcome::Conflict);
    assert_eq!(test.bytes("1.2.1.1.1").await, noise(1, 100));
    assert!(
        test.archive
            .study(&test.scope, "1.2.2")
            .await
            .unwrap()
            .is_none()
    );
    let conflicts = test
        .archive
        .conflicts(&test.scope, Page::first(10))
        .await
        .unwrap();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].contender.standing, Standing::Conflict);
    let contender = &conflicts[0].contender.location;
    let read = test
        .archive
        .read_range(&test.scope, contender, 0..100)
        .await
        .unwrap();
    assert_eq!(read.collect().await.unwrap(), noise(2, 100));

    let id = conflicts[0].id;
    test.archive
        .decide_conflict(&test.scope, id, Decision::ServeContender)
        .await
        .unwrap();
    assert_eq!(test.bytes("1.2.1.1.1").await, noise(2, 100));
    assert!(
        test.archive
            .study(&test.scope, "1.2.1")
            .await
            .unwrap()
            .is_none()
    );
    let study = test
        .archive
        .study(&test.scope, "1.2.2")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (study.series, study.instances, study.modalities),
        (1, 1, vec!["CT".to_owned()])
    );
    assert!(
        test.archive
            .conflicts(&test.scope, Page::first(10))
            .await
            .unwrap()
            .is_empty()
    );
    let twice = test
        .archive
        .decide_conflict(&test.scope, id, Decision::KeepServed)
        .await;
    assert_eq!(twice, Err(ArchiveError::NotFound));
}

#[tokio::test]
async fn a_conflict_that_is_only_another_encoding_becomes_a_variant() {
    let test = TestArchive::new().await;
    let store = |seed| {
        let mut contender = instance(1, 1, 1, noise(seed, 100));
        contender.comparison = None;
        test.archive.store(&test.scope, contender)
    };
    store(1).await.unwrap();
    for seed in [2, 3] {
        assert_eq!(store(seed).await.unwrap(), StoreOutcome::Conflict);
    }
    let next = || test.archive.begin_comparison(&test.scope);

    let encoded = next().await.unwrap().unwrap();
    assert_eq!(&encoded.contender.layout[..], b"layout");
    assert_eq!(encoded.served.row.standing, Standing::Served);
    let other = next().await.unwrap().unwrap();
    assert_ne!(encoded.id, other.id);
    test.archive
        .end_comparison(&test.scope, &encoded, true)
        .await
        .unwrap();
    test.archive
        .end_comparison(&test.scope, &other, false)
        .await
        .unwrap();

    assert!(next().await.unwrap().is_none());
    let page = Page::first(10);
    let conflicts = test.archive.conflicts(&test.scope, page).await.unwrap();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].id, other.id);
    assert_eq!(test.bytes("1.2.1.1.1").await, noise(1, 100));
}

#[tokio::test]
async fn a_comparison_that_never_ends_is_given_up_also_across_restarts() {
    let mut test = TestArchive::new().await;
    for seed in [1, 2] {
        let mut contender = instance(1, 1, 1, noise(seed, 100));
        contender.comparison = None;
        test.archive.store(&test.scope, contender).await.unwrap();
    }
    for _ in 0..COMPARISON_ATTEMPTS {
        let begun = test.archive.begin_comparison(&test.scope).await.unwrap();
        assert!(begun.is_some());
        test = test.reopen().await;
    }
    let begun = test.archive.begin_comparison(&test.scope).await.unwrap();
    assert!(begun.is_none());
    let page = Page::first(10);
    let conflicts = test.archive.conflicts(&test.scope, page).await.unwrap();
    assert_eq!(conflicts.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_share_bundles_and_nothing_is_lost_or_mixed_up() {
    let test = TestArchive::new().await;
    let mut tasks = Vec::new();
    for series in 0..8_u32 {
        let (archive, scope) = (test.archive.clone(), test.scope.clone());
        tasks.push(tokio::spawn(async move {
            for number in 0..25 {
                let body = noise(u64::from(series * 1_000 + number), 20_000);
                let outcome = archive
                    .store(&scope, instance(1, series, number, body))
                    .await
                    .unwrap();
                assert_eq!(outcome, StoreOutcome::Stored);
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let study = test
        .archive
        .study(&test.scope, "1.2.1")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((study.series, study.instances), (8, 200));
    assert_eq!(study.modalities, ["CT", "MR"]);
    assert!(test.objects().len() < 200, "nothing was bundled");
    for series in 0..8_u32 {
        for number in 0..25 {
            let body = noise(u64::from(series * 1_000 + number), 20_000);
            assert_eq!(test.bytes(&format!("1.2.1.{series}.{number}")).await, body);
        }
    }
    let report = test.archive.verify(None).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.instances, 200);
}

#[tokio::test]
async fn every_commit_tells_what_became_durable_and_a_sent_event_is_not_told_again() {
    let test = TestArchive::new().await;
    let one = instance(1, 1, 1, noise(1, 100));
    let correlation = one.correlation;
    test.archive.store(&test.scope, one.clone()).await.unwrap();
    test.archive.store(&test.scope, one).await.unwrap();
    test.archive
        .store(&test.scope, instance(1, 1, 2, noise(2, 100)))
        .await
        .unwrap();
    let events = test.archive.unsent(10).await.unwrap();
    assert_eq!(events.len(), 2, "a duplicate tells nothing");
    let stored: InstancesStored = events[0].1.payload().unwrap();
    assert_eq!((stored.added, stored.intake_id), (1, correlation));
    assert_eq!(
        (stored.series_uid.as_str(), stored.patient.id.as_str()),
        ("1.2.1.1", "P1")
    );
    assert_eq!(stored.origin, "dimse:SCANNER");
    assert!(events[0].1.sequence < events[1].1.sequence);
    test.archive.mark_sent(&[events[0].0]).await.unwrap();
    let left = test.archive.unsent(10).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].1.id, events[1].1.id);
}

#[tokio::test]
async fn a_second_process_is_refused_and_a_closed_archive_says_so() {
    let test = TestArchive::new().await;
    let second = hilum_archive::Archive::open(crate::support::config(test.dir.path())).await;
    assert_eq!(second.unwrap_err(), ArchiveError::InUse);
    test.archive.close().await;
    let late = test
        .archive
        .store(&test.scope, instance(1, 1, 1, noise(1, 10)))
        .await;
    assert_eq!(late, Err(ArchiveError::Closed));
}
