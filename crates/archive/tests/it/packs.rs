//! Settled series become packs, and nobody who asks can tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hilum_archive::{
    Archive, ArchiveError, Cause, Decision, InstanceFilter, MetadataScope, NewDeletion, Page,
    SeriesFilter, Standing, StoreOutcome,
};

use crate::everything::{ALL, everything, read, told};
use crate::support::{TestArchive, instance, noise};

pub(crate) async fn pack(archive: &Archive) -> u64 {
    let report = archive.pack(Duration::ZERO).await.unwrap();
    assert_eq!(report.skipped, 0, "{report:?}");
    report.series
}

pub(crate) async fn stored(test: &TestArchive, series: u32, numbers: std::ops::Range<u32>) {
    for number in numbers {
        // Against the order of instance numbers, and beyond a chunk.
        let new = instance(1, series, 1_000 - number, noise(u64::from(number), 70_000));
        let outcome = test.archive.store(&test.scope, new).await.unwrap();
        assert_eq!(outcome, StoreOutcome::Stored);
    }
}

pub(crate) async fn assert_sound(test: &TestArchive, instances: u64) {
    let swept = test.archive.sweep().await.unwrap();
    assert_eq!(swept.unknown, 0);
    let report = test.archive.verify(None).await.unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    assert_eq!(report.instances, instances);
}

#[tokio::test]
async fn what_was_stored_reads_back_the_same_after_packing_and_the_bundles_go() {
    let test = TestArchive::new().await;
    stored(&test, 1, 0..70).await;
    stored(&test, 2, 70..73).await;
    let before = everything(&test.archive, &test.scope).await;
    assert_eq!(pack(&test.archive).await, 2);
    assert_eq!(everything(&test.archive, &test.scope).await, before);
    assert_sound(&test, 73).await;
    assert_eq!(test.objects().len(), 2, "one object for each series");
    assert_eq!(everything(&test.archive, &test.scope).await, before);
    assert_eq!(pack(&test.archive).await, 0, "there is nothing to do");

    let test = test.reopen().await;
    assert_eq!(everything(&test.archive, &test.scope).await, before);
    let again = instance(1, 1, 1_000, noise(0, 70_000));
    assert_eq!(
        test.archive.store(&test.scope, again).await,
        Ok(StoreOutcome::Duplicate)
    );
}

#[tokio::test]
async fn pages_filters_and_unknown_uids_are_answered_alike_from_rows_and_packs() {
    let test = TestArchive::new().await;
    stored(&test, 1, 0..10).await;
    stored(&test, 2, 10..15).await;
    let uid = |number: u32| format!("1.2.1.1.{number}");
    let filters = [
        InstanceFilter::default(),
        InstanceFilter {
            number: Some(995),
            ..InstanceFilter::default()
        },
        InstanceFilter {
            rows: Some(512),
            columns: Some(512),
            ..InstanceFilter::default()
        },
        InstanceFilter {
            rows: Some(1),
            ..InstanceFilter::default()
        },
        InstanceFilter {
            frames: Some(3),
            ..InstanceFilter::default()
        },
        InstanceFilter {
            sop_classes: vec!["1.2.840.10008.5.1.4.1.1.2".into(), "1".into()],
            ..InstanceFilter::default()
        },
        InstanceFilter {
            uids: vec![uid(999), "1.2.3".into(), uid(1_000), uid(999)],
            ..InstanceFilter::default()
        },
        InstanceFilter {
            series: SeriesFilter {
                uids: vec!["1.2.1.2".into()],
                ..SeriesFilter::default()
            },
            uids: vec![uid(999)],
            ..InstanceFilter::default()
        },
    ];
    let pages = [(3, 0), (3, 3), (100, 9), (2, 14), (5, 15), (0, 0)];
    let ask = || async {
        let mut answers = Vec::new();
        for filter in &filters {
            for (limit, offset) in pages {
                let page = Page { limit, offset };
                let rows = test.archive.instances(&test.scope, filter, page).await;
                answers.push(rows.unwrap().iter().map(told).collect::<Vec<_>>());
            }
        }
        answers
    };
    let before = ask().await;
    assert_eq!(before[0].len(), 3);
    pack(&test.archive).await;
    assert_eq!(ask().await, before);
    let nobody = test.archive.lookup(&test.scope, "1.2.3").await.unwrap();
    assert!(nobody.is_none());
}

#[tokio::test]
async fn a_late_instance_is_found_beside_the_pack_and_then_in_the_next_one() {
    let test = TestArchive::new().await;
    stored(&test, 1, 0..5).await;
    pack(&test.archive).await;
    stored(&test, 1, 5..8).await;
    let before = everything(&test.archive, &test.scope).await;
    assert_eq!(pack(&test.archive).await, 1);
    assert_eq!(everything(&test.archive, &test.scope).await, before);
    assert_sound(&test, 8).await;
    assert_eq!(test.objects().len(), 1);
}

#[tokio::test]
async fn a_series_is_left_alone_until_it_has_been_quiet() {
    let test = TestArchive::new().await;
    stored(&test, 1, 0..2).await;
    let quiet = Duration::from_secs(3_600);
    let report = test.archive.pack(quiet).await.unwrap();
    assert_eq!(report.series, 0);
}

#[tokio::test]
async fn a_conflict_with_a_packed_instance_waits_and_is_decided() {
    for decision in [Decision::KeepServed, Decision::ServeContender] {
        let test = TestArchive::new().await;
        stored(&test, 1, 0..3).await;
        pack(&test.archive).await;
        let contender = instance(1, 1, 999, noise(77, 500));
        let hash = contender.sha256;
        let outcome = test.archive.store(&test.scope, contender).await;
        assert_eq!(outcome, Ok(StoreOutcome::Conflict));
        // In another series of another study, under the same UID.
        let mut stray = instance(2, 1, 1, noise(78, 600));
        stray.sop_instance = "1.2.1.1.998".into();
        let outcome = test.archive.store(&test.scope, stray).await;
        assert_eq!(outcome, Ok(StoreOutcome::Conflict));
        let before = everything(&test.archive, &test.scope).await;
        assert_eq!(pack(&test.archive).await, 0, "both wait for a person");
        assert_eq!(everything(&test.archive, &test.scope).await, before);

        let conflicts = test.archive.conflicts(&test.scope, ALL).await.unwrap();
        assert_eq!(conflicts.len(), 2);
        for conflict in conflicts {
            assert_eq!(conflict.served.standing, Standing::Served);
            test.archive
                .decide_conflict(&test.scope, conflict.id, decision)
                .await
                .unwrap();
        }
        let decided = everything(&test.archive, &test.scope).await;
        let serves = test.archive.lookup(&test.scope, "1.2.1.1.999").await;
        let serves = serves.unwrap().unwrap();
        assert_eq!(
            serves.sha256 == hash,
            decision == Decision::ServeContender,
            "{decision:?}"
        );
        assert_eq!(pack(&test.archive).await, 2);
        assert_eq!(everything(&test.archive, &test.scope).await, decided);
        let test = test.reopen().await;
        assert_eq!(everything(&test.archive, &test.scope).await, decided);
        assert_sound(&test, 5).await;
        // What is not served any more is known all the same.
        for old in [noise(1, 70_000), noise(77, 500)] {
            let again = test
                .archive
                .store(&test.scope, instance(1, 1, 999, old))
                .await;
            assert_eq!(again, Ok(StoreOutcome::Duplicate));
        }
    }
}

#[tokio::test]
async fn another_encoding_of_a_packed_instance_is_a_variant() {
    let test = TestArchive::new().await;
    stored(&test, 1, 0..2).await;
    pack(&test.archive).await;
    let mut variant = instance(1, 1, 1_000, noise(50, 300));
    variant.comparison = instance(1, 1, 1_000, noise(0, 70_000)).comparison;
    let outcome = test.archive.store(&test.scope, variant).await;
    assert_eq!(outcome, Ok(StoreOutcome::Variant));
    let before = everything(&test.archive, &test.scope).await;
    pack(&test.archive).await;
    assert_eq!(everything(&test.archive, &test.scope).await, before);
    assert_sound(&test, 3).await;
}

#[tokio::test]
async fn a_conflict_with_a_packed_instance_is_compared() {
    let test = TestArchive::new().await;
    stored(&test, 1, 0..2).await;
    pack(&test.archive).await;
    let mut contender = instance(1, 1, 1_000, noise(50, 300));
    contender.comparison = None;
    let outcome = test.archive.store(&test.scope, contender).await;
    assert_eq!(outcome, Ok(StoreOutcome::Conflict));
    let begun = test.archive.begin_comparison(&test.scope).await;
    let begun = begun.unwrap().expect("one to compare");
    assert_eq!(&begun.served.layout[..], b"layout");
    test.archive
        .end_comparison(&test.scope, &begun, true)
        .await
        .unwrap();
    let left = test.archive.conflicts(&test.scope, ALL).await.unwrap();
    assert!(left.is_empty());
    assert_eq!(pack(&test.archive).await, 1);
    assert_sound(&test, 3).await;
}

#[tokio::test]
async fn what_is_packed_is_deleted_like_anything_else() {
    let test = TestArchive::new().await;
    stored(&test, 1, 0..4).await;
    stored(&test, 2, 4..6).await;
    pack(&test.archive).await;
    let mut variant = instance(1, 1, 1_000, noise(50, 300));
    variant.comparison = instance(1, 1, 1_000, noise(0, 70_000)).comparison;
    test.archive.store(&test.scope, variant).await.unwrap();
    let delete = |of| {
        let deletion = NewDeletion {
            of,
            cause: Cause::Person,
            reason: String::new(),
            by: "somebody".into(),
        };
        test.archive.delete(&test.scope, deletion)
    };
    let one = MetadataScope::Instance {
        study: "1.2.1".into(),
        series: "1.2.1.1".into(),
        instance: "1.2.1.1.999".into(),
    };
    assert_eq!(delete(one).await.unwrap().instances, 1);
    let gone = test.archive.lookup(&test.scope, "1.2.1.1.999").await;
    assert!(gone.unwrap().is_none());
    let again = instance(1, 1, 999, noise(1, 70_000));
    let again = test.archive.store(&test.scope, again).await;
    assert_eq!(again, Err(ArchiveError::Deleted));
    let before = everything(&test.archive, &test.scope).await;
    // The other series, which nothing happened to, is as it was.
    assert_eq!(pack(&test.archive).await, 1);
    assert_eq!(everything(&test.archive, &test.scope).await, before);
    // Verification counts the notes of deletions too.
    assert_sound(&test, 6 + 1).await;
    let series = MetadataScope::Series {
        study: "1.2.1".into(),
        series: "1.2.1.2".into(),
    };
    assert_eq!(delete(series).await.unwrap().instances, 2);
    assert_sound(&test, 4 + 2).await;
    let study = MetadataScope::Study("1.2.1".into());
    assert_eq!(delete(study).await.unwrap().instances, 4);
    assert_sound(&test, 3).await;
    // Only the notes of the three deletions are left.
    assert_eq!(test.objects().len(), 3);
    assert_eq!(pack(&test.archive).await, 0);
}

#[tokio::test]
async fn a_very_large_instance_stays_where_it_is() {
    let test = TestArchive::new().await;
    stored(&test, 1, 0..3).await;
    let large = instance(1, 1, 500, noise(9, 9 << 20));
    test.archive.store(&test.scope, large).await.unwrap();
    let before = everything(&test.archive, &test.scope).await;
    pack(&test.archive).await;
    assert_sound(&test, 4).await;
    assert_eq!(test.objects().len(), 2);
    // Also when the pack is made anew, and the old one is gone.
    stored(&test, 1, 3..4).await;
    pack(&test.archive).await;
    assert_sound(&test, 5).await;
    assert_eq!(test.objects().len(), 2);
    let now = everything(&test.archive, &test.scope).await;
    assert!(before.iter().any(|line| now.contains(line)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_notice_nothing_while_series_are_packed_and_swept() {
    let test = TestArchive::new().await;
    for series in 1..=6 {
        stored(&test, series, 0..20).await;
    }
    let before = Arc::new(everything(&test.archive, &test.scope).await);
    let stop = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for _ in 0..3 {
        let (archive, scope) = (test.archive.clone(), test.scope.clone());
        let (before, stop) = (Arc::clone(&before), Arc::clone(&stop));
        readers.push(tokio::spawn(async move {
            let mut rounds = 0;
            while !stop.load(Ordering::Relaxed) || rounds == 0 {
                assert_eq!(everything(&archive, &scope).await, *before);
                rounds += 1;
            }
        }));
    }
    assert_eq!(pack(&test.archive).await, 6);
    test.archive.sweep().await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    assert_sound(&test, 120).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_series_that_grows_while_it_is_packed_loses_nothing() {
    let test = TestArchive::new().await;
    stored(&test, 1, 0..20).await;
    let packing = {
        let archive = test.archive.clone();
        tokio::spawn(async move {
            for _ in 0..10 {
                pack(&archive).await;
                archive.sweep().await.unwrap();
            }
        })
    };
    stored(&test, 1, 20..80).await;
    packing.await.unwrap();
    pack(&test.archive).await;
    assert_sound(&test, 80).await;
    let rows = test
        .archive
        .instances(&test.scope, &InstanceFilter::default(), ALL)
        .await;
    assert_eq!(rows.unwrap().len(), 80);
    everything(&test.archive, &test.scope).await;
}

#[tokio::test]
async fn a_location_asked_for_before_packing_still_reads_after_the_sweep() {
    let test = TestArchive::new().await;
    stored(&test, 1, 0..3).await;
    let row = test.archive.lookup(&test.scope, "1.2.1.1.999").await;
    let row = row.unwrap().unwrap();
    pack(&test.archive).await;
    test.archive.sweep().await.unwrap();
    let bytes = read(&test.archive, &test.scope, &row).await;
    assert_eq!(bytes, noise(1, 70_000));
}
