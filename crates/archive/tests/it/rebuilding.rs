//! The index is lost, packs and all, and is made again from objects and keys.

use std::path::Path;
use std::time::Duration;

use hilum_archive::{
    Archive, ArchiveError, Cause, Corrected, Decision, HoldOn, MetadataScope, NewCorrection,
    NewDeletion, ObjectFault, Page, PublishOutcome, RebuildReport, Resend, ResultKey, StoreOutcome,
};

use crate::everything::everything;
use crate::support::{
    TestArchive, config, files, instance, is_on_postgres, noise, sha256, unreadable,
};

async fn pack(test: &TestArchive) {
    let report = test.archive.pack(Duration::ZERO).await.unwrap();
    assert_eq!(report.skipped, 0, "{report:?}");
}

async fn store(test: &TestArchive, study: u32, series: u32, numbers: std::ops::Range<u32>) {
    let all = numbers.map(|number| {
        let seed = u64::from(study * 10_000 + series * 1_000 + number);
        test.archive.store(
            &test.scope,
            instance(study, series, number, noise(seed, 3_000)),
        )
    });
    for outcome in futures::future::join_all(all).await {
        assert_eq!(outcome, Ok(StoreOutcome::Stored));
    }
}

/// Every answer, but for the numbers of conflicts and how often a row changed.
pub(crate) async fn answers(test: &TestArchive) -> Vec<String> {
    let lines = everything(&test.archive, &test.scope).await;
    let mut told: Vec<String> = lines
        .into_iter()
        .filter(|line| !line.starts_with("Some("))
        .map(|line| {
            let line = match line.split_once(' ') {
                Some((number, rest)) if number.parse::<u64>().is_ok() => rest.to_owned(),
                _ => line,
            };
            let mut parts = line.split("revision: ");
            let first = parts.next().unwrap_or_default().to_owned();
            parts.fold(first, |told, part| {
                told + part.trim_start_matches(|digit: char| digit.is_ascii_digit())
            })
        })
        .collect();
    let page = Page::first(100);
    for item in test.archive.quarantined(&test.scope, page).await.unwrap() {
        told.push(format!("{:?}", (item.sha256, item.reason, item.times)));
    }
    for hold in test.archive.holds(&test.scope, 100).await.unwrap() {
        told.push(format!("{:?}", (hold.on, hold.reason)));
    }
    for row in test.archive.deletions(&test.scope, 100).await.unwrap() {
        told.push(format!("{:?}", (row.level, row.cause, row.reason)));
    }
    told
}

async fn delete(test: &TestArchive, of: MetadataScope) {
    let deletion = NewDeletion {
        of,
        cause: Cause::Person,
        reason: "blurred".into(),
        by: "somebody".into(),
    };
    test.archive.delete(&test.scope, deletion).await.unwrap();
}

fn one(study: u32, series: u32, number: u32) -> MetadataScope {
    MetadataScope::Instance {
        study: format!("1.2.{study}"),
        series: format!("1.2.{study}.{series}"),
        instance: format!("1.2.{study}.{series}.{number}"),
    }
}

fn lose_the_index(dir: &Path) {
    for end in ["", "-wal", "-shm"] {
        let _none = std::fs::remove_file(dir.join(format!("archive.sqlite{end}")));
    }
}

pub(crate) async fn rebuilt(test: TestArchive) -> (TestArchive, RebuildReport) {
    test.archive.close().await;
    let TestArchive {
        archive,
        scope,
        dir,
    } = test;
    drop(archive);
    lose_the_index(dir.path());
    let report = Archive::rebuild_index(config(dir.path()), None)
        .await
        .unwrap();
    let archive = Archive::open(config(dir.path())).await.unwrap();
    let test = TestArchive {
        archive,
        scope,
        dir,
    };
    (test, report)
}

pub(crate) async fn assert_sound(test: &TestArchive) {
    let report = test.archive.verify(None).await.unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
}

#[tokio::test]
async fn what_is_settled_answers_as_before_to_the_last_revision() {
    if is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    store(&test, 1, 1, 0..40).await;
    store(&test, 1, 2, 0..3).await;
    store(&test, 2, 1, 0..2).await;
    pack(&test).await;
    store(&test, 1, 1, 40..45).await;
    let mut variant = instance(2, 1, 0, noise(50, 300));
    variant.comparison = instance(2, 1, 0, noise(21_000, 3_000)).comparison;
    let outcome = test.archive.store(&test.scope, variant).await;
    assert_eq!(outcome, Ok(StoreOutcome::Variant));
    // Too large for a pack: that refers to it.
    let large = instance(1, 2, 9, noise(9, 9 << 20));
    test.archive.store(&test.scope, large).await.unwrap();
    pack(&test).await;
    test.archive.sweep().await.unwrap();
    let before = everything(&test.archive, &test.scope).await;

    let (test, report) = rebuilt(test).await;
    assert_eq!(report.fault_count, 0, "{report:?}");
    assert_eq!(everything(&test.archive, &test.scope).await, before);
    test.archive.sweep().await.unwrap();
    assert_sound(&test).await;
    assert_eq!(test.objects().len(), 4);
    let again = instance(1, 1, 7, noise(11_007, 3_000));
    let again = test.archive.store(&test.scope, again).await;
    assert_eq!(again, Ok(StoreOutcome::Duplicate));
    // It goes on as ever.
    store(&test, 1, 1, 50..52).await;
    let late = everything(&test.archive, &test.scope).await;
    pack(&test).await;
    assert_eq!(everything(&test.archive, &test.scope).await, late);
    let test = test.reopen().await;
    test.archive.sweep().await.unwrap();
    assert_eq!(everything(&test.archive, &test.scope).await, late);
    assert_sound(&test).await;
}

#[tokio::test]
async fn files_that_wait_for_the_sweep_change_nothing() {
    if is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    store(&test, 1, 1, 0..20).await;
    pack(&test).await;
    store(&test, 1, 1, 20..25).await;
    pack(&test).await;
    // Bundles and the first pack are still there.
    assert!(test.objects().len() > 2);
    let before = everything(&test.archive, &test.scope).await;
    let (test, report) = rebuilt(test).await;
    assert_eq!(report.fault_count, 0, "{report:?}");
    assert_eq!(everything(&test.archive, &test.scope).await, before);
    test.archive.sweep().await.unwrap();
    assert_eq!(test.objects().len(), 1);
    assert_eq!(everything(&test.archive, &test.scope).await, before);
    assert_sound(&test).await;
}

#[tokio::test]
async fn what_was_decided_deleted_corrected_held_and_refused_comes_back() {
    if is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    test.archive.set_resend(test.scope.tenant(), Resend::Refuse);
    for study in 1..=4 {
        store(&test, study, 1, 0..6).await;
        store(&test, study, 2, 0..2).await;
    }
    // Decided and packed; in a series beside, undecided.
    let other = instance(1, 1, 3, noise(77, 500));
    test.archive.store(&test.scope, other).await.unwrap();
    let page = Page::first(9);
    let conflicts = test.archive.conflicts(&test.scope, page).await.unwrap();
    test.archive
        .decide_conflict(&test.scope, conflicts[0].id, Decision::ServeContender)
        .await
        .unwrap();
    pack(&test).await;
    let other = instance(2, 2, 1, noise(78, 500));
    test.archive.store(&test.scope, other).await.unwrap();
    // Deleted of a pack and packed anew; deleted of one and not.
    delete(&test, one(1, 1, 0)).await;
    pack(&test).await;
    delete(&test, one(3, 1, 2)).await;
    delete(&test, MetadataScope::Study("1.2.4".into())).await;
    let row = test.archive.study(&test.scope, "1.2.1").await.unwrap();
    let row = row.unwrap();
    let correction = NewCorrection {
        study: "1.2.1".into(),
        revision: row.revision,
        corrected: Corrected::Study {
            patient: instance(9, 1, 1, Vec::new()).patient,
            attributes: row.attributes,
        },
        overlay: "[]".into(),
        detail: "[]".into(),
        reason: "another patient".into(),
        by: "somebody".into(),
    };
    test.archive.correct(&test.scope, correction).await.unwrap();
    let on = HoldOn::Study {
        study: "1.2.2".into(),
    };
    test.archive
        .place_hold(&test.scope, on, "a claim".into(), "somebody".into())
        .await
        .unwrap();
    let item = unreadable(b"broken");
    test.archive.quarantine(&test.scope, item).await.unwrap();
    let before = answers(&test).await;

    test.archive.sweep().await.unwrap();
    let (test, report) = rebuilt(test).await;
    assert_eq!(report.fault_count, 0, "{report:?}");
    assert_eq!(answers(&test).await, before);
    assert_sound(&test).await;
    for gone in [(1, 1, 0), (3, 1, 2), (4, 1, 1)] {
        let (study, series, number) = gone;
        let again = instance(study, series, number, noise(1, 100));
        let again = test.archive.store(&test.scope, again).await;
        assert_eq!(again, Err(ArchiveError::Deleted), "{gone:?}");
    }
    let held = NewDeletion {
        of: MetadataScope::Study("1.2.2".into()),
        cause: Cause::Person,
        reason: String::new(),
        by: "somebody".into(),
    };
    let held = test.archive.delete(&test.scope, held).await;
    assert_eq!(held.unwrap_err(), ArchiveError::Held);
    pack(&test).await;
    test.archive.sweep().await.unwrap();
    assert_eq!(answers(&test).await, before);
    assert_sound(&test).await;
}

#[tokio::test]
async fn what_was_sent_again_after_its_deletion_stays() {
    if is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    store(&test, 1, 1, 0..3).await;
    pack(&test).await;
    delete(&test, one(1, 1, 1)).await;
    test.archive.set_resend(test.scope.tenant(), Resend::Accept);
    let again = instance(1, 1, 1, noise(5, 900));
    let again = test.archive.store(&test.scope, again).await;
    assert_eq!(again, Ok(StoreOutcome::Stored));
    pack(&test).await;
    test.archive.sweep().await.unwrap();
    let before = everything(&test.archive, &test.scope).await;
    let (test, _) = rebuilt(test).await;
    assert_eq!(everything(&test.archive, &test.scope).await, before);
    // Refusing is the default, and it was taken: this is known.
    let known = instance(1, 1, 1, noise(5, 900));
    let known = test.archive.store(&test.scope, known).await;
    assert_eq!(known, Ok(StoreOutcome::Duplicate));
    assert_sound(&test).await;
}

#[tokio::test]
async fn a_result_set_whose_series_are_packed_is_published_once() {
    if is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    let set = |of: u32| {
        vec![
            instance(1, 7, of, noise(71, 900)),
            instance(1, 8, of, noise(81, 900)),
        ]
    };
    let publish = |test: &TestArchive, set| {
        let (archive, scope) = (test.archive.clone(), test.scope.clone());
        async move {
            let key = ResultKey("run 7".into());
            archive.publish(&scope, key, set, Vec::new()).await.unwrap()
        }
    };
    assert_eq!(publish(&test, set(1)).await, PublishOutcome::Published);
    pack(&test).await;
    test.archive.sweep().await.unwrap();
    let (test, report) = rebuilt(test).await;
    assert_eq!(report.fault_count, 0);
    let instances = vec!["1.2.1.7.1".to_owned(), "1.2.1.8.1".to_owned()];
    let published = publish(&test, set(2)).await;
    assert_eq!(published, PublishOutcome::AlreadyPublished { instances });
    delete(&test, one(1, 7, 1)).await;
    let (test, _) = rebuilt(test).await;
    assert_eq!(publish(&test, set(3)).await, PublishOutcome::Published);
    assert_sound(&test).await;
}

#[tokio::test]
async fn a_damaged_pack_is_reported_and_what_reads_of_it_is_there() {
    if is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    store(&test, 1, 1, 0..10).await;
    pack(&test).await;
    test.archive.sweep().await.unwrap();
    let object = test.objects().remove(0);
    let mut bytes = std::fs::read(&object).unwrap();
    // Within the first body.
    bytes[400] ^= 1;
    std::fs::write(&object, bytes).unwrap();
    let (test, report) = rebuilt(test).await;
    assert!(matches!(&report.faults[..], [ObjectFault::Corrupt { .. }]));
    let mut read = 0;
    for number in 0..10 {
        let uid = format!("1.2.1.1.{number}");
        let row = test.archive.lookup(&test.scope, &uid).await.unwrap();
        let row = row.expect("known, damaged or not");
        let whole = 0..row.location.length();
        let reader = test.archive.read_range(&test.scope, &row.location, whole);
        match reader.await {
            Ok(reader) => match reader.collect().await {
                Ok(body) => {
                    assert_eq!(sha256(&body), row.sha256);
                    read += 1;
                }
                Err(error) => assert_eq!(error, ArchiveError::Corrupt),
            },
            Err(error) => assert_eq!(error, ArchiveError::Corrupt),
        }
    }
    assert_eq!(read, 9);
    assert!(!test.archive.verify(None).await.unwrap().is_sound());
}

#[tokio::test]
async fn a_pack_that_was_never_acknowledged_takes_nothing_from_its_bundles() {
    if is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    store(&test, 1, 1, 0..10).await;
    let bundles = files(&test.dir.path().join("objects"));
    let kept: Vec<_> = bundles
        .iter()
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    let before = answers(&test).await;
    pack(&test).await;
    test.archive.sweep().await.unwrap();
    // As a crash of the power leaves it: the bundles, and a pack with a hole.
    for object in test.objects() {
        let mut bytes = std::fs::read(&object).unwrap();
        bytes[400..900].fill(0);
        std::fs::write(&object, bytes).unwrap();
    }
    for (path, bytes) in kept {
        std::fs::write(path, bytes).unwrap();
    }
    let (test, _) = rebuilt(test).await;
    test.archive.sweep().await.unwrap();
    assert_eq!(answers(&test).await, before);
    assert_eq!(test.bytes("1.2.1.1.4").await, noise(11_004, 3_000));
}
