//! Objects in a bucket: away, slow, read while they die, copied into a backup and
//! back. The other modules run on a bucket with `HILUM_TEST_OBJECTS=bucket`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;

use futures::TryStreamExt;
use hilum_archive::{
    Archive, ArchiveConfig, ArchiveError, Limits, ObjectFault, ObjectsAt, StoreOutcome,
};
use hilum_platform::clock::{Clock, from_millis};
use hilum_testkit::S3;

use crate::support::{
    config, in_bucket, instance, is_on_postgres, noise, objects_of_bucket, scope,
};

struct Bench {
    server: S3,
    dir: tempfile::TempDir,
    clock: Arc<Set>,
}

/// Tells the time that it was told.
#[derive(Debug)]
struct Set(AtomicI64);

impl Clock for Set {
    fn now(&self) -> time::OffsetDateTime {
        from_millis(self.0.load(SeqCst))
    }
}

const HOUR_MS: i64 = 3_600_000;

impl Bench {
    fn new() -> Self {
        Self {
            server: S3::up(),
            dir: tempfile::tempdir().unwrap(),
            clock: Arc::new(Set(AtomicI64::new(500_000 * HOUR_MS))),
        }
    }

    fn config(&self) -> ArchiveConfig {
        ArchiveConfig {
            clock: Arc::clone(&self.clock) as _,
            limits: Limits::default(),
            objects: in_bucket(self.server.endpoint(), self.dir.path()),
            ..config(self.dir.path())
        }
    }

    async fn open(&self) -> Archive {
        Archive::open(self.config()).await.unwrap()
    }

    /// Files of the bucket's objects.
    fn keys(&self) -> Vec<String> {
        let all = objects_of_bucket(&self.server.objects()).into_iter();
        all.map(|path| path.display().to_string()).collect()
    }
}

async fn bytes(archive: &Archive, uid: &str) -> Result<Vec<u8>, ArchiveError> {
    let row = archive.lookup(&scope("default"), uid).await?;
    let location = row.expect("is there").location;
    let all = 0..location.length();
    let reader = archive
        .read_range(&scope("default"), &location, all)
        .await?;
    Ok(reader.collect().await?.to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_that_the_bucket_did_not_take() {
    let mut bench = Bench::new();
    let archive = bench.open().await;
    let scope = scope("default");
    let new = |number: u32, length: usize| instance(1, 1, number, noise(number.into(), length));
    archive.store(&scope, new(1, 50_000)).await.unwrap();
    bench.server.is_killed();
    for (number, length) in [(2, 50_000), (3, 40 << 20)] {
        let refused = archive.store(&scope, new(number, length)).await;
        assert_eq!(refused, Err(ArchiveError::Bucket));
        let uid = format!("1.2.1.1.{number}");
        assert!(archive.lookup(&scope, &uid).await.unwrap().is_none());
    }
    assert_eq!(archive.answers().await, Err(ArchiveError::Bucket));
    bench.server.comes_up();
    assert_eq!(archive.answers().await, Ok(()));
    for (number, length) in [(2, 50_000), (3, 40 << 20)] {
        let stored = archive.store(&scope, new(number, length)).await;
        assert_eq!(stored, Ok(StoreOutcome::Stored));
    }
    archive.close().await;
    drop(archive);
    let archive = bench.open().await;
    for (number, length) in [(1_u32, 50_000), (2, 50_000), (3, 40 << 20)] {
        let uid = format!("1.2.1.1.{number}");
        assert_eq!(
            bytes(&archive, &uid).await,
            Ok(noise(number.into(), length))
        );
    }
    let report = archive.verify(None).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.instances, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_stands_still_holds_up_who_waits_for_it_and_nobody_else() {
    let bench = Bench::new();
    let archive = bench.open().await;
    let scope = scope("default");
    archive
        .store(&scope, instance(1, 1, 1, noise(1, 50_000)))
        .await
        .unwrap();
    bench.server.freezes();
    let waiting = tokio::spawn({
        let (archive, scope) = (archive.clone(), scope.clone());
        async move {
            archive
                .store(&scope, instance(1, 1, 2, noise(2, 50_000)))
                .await
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    // The writer goes on: what is asked of the index is answered.
    let rules = archive.set_retention(&scope, Vec::new());
    tokio::time::timeout(Duration::from_secs(5), rules)
        .await
        .expect("the index does not wait for the bucket")
        .unwrap();
    assert!(!waiting.is_finished());
    bench.server.goes_on();
    assert_eq!(waiting.await.unwrap(), Ok(StoreOutcome::Stored));
    assert_eq!(bytes(&archive, "1.2.1.1.2").await, Ok(noise(2, 50_000)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_dies_can_be_read_to_its_end_by_who_began_before() {
    let bench = Bench::new();
    let archive = bench.open().await;
    let scope = scope("default");
    let body = noise(7, 24 << 20);
    archive
        .store(&scope, instance(1, 1, 1, body.clone()))
        .await
        .unwrap();
    archive
        .store(&scope, instance(1, 1, 2, noise(8, 50_000)))
        .await
        .unwrap();
    let row = archive.lookup(&scope, "1.2.1.1.1").await.unwrap().unwrap();
    let mut reader = archive
        .read_range(&scope, &row.location, 0..row.location.length())
        .await
        .unwrap();
    let mut read = reader.try_next().await.unwrap().unwrap().to_vec();
    // The series becomes a pack, and what it was before dies.
    archive.pack(Duration::ZERO).await.unwrap();
    let swept = archive.sweep().await.unwrap();
    assert_eq!(swept.deleted, 0, "the lease of readers has not passed");
    while let Some(piece) = reader.try_next().await.unwrap() {
        read.extend_from_slice(&piece);
    }
    assert!(read == body);
    let before = bench.keys().len();
    bench.clock.0.fetch_add(2 * HOUR_MS, SeqCst);
    assert!(archive.sweep().await.unwrap().deleted > 0);
    assert!(bench.keys().len() < before);
    assert_eq!(bytes(&archive, "1.2.1.1.2").await, Ok(noise(8, 50_000)));
    assert!(archive.verify(None).await.unwrap().is_sound());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_object_and_a_strange_one_are_found_by_verify() {
    let bench = Bench::new();
    let archive = bench.open().await;
    let scope = scope("default");
    archive
        .store(&scope, instance(1, 1, 1, noise(1, 50_000)))
        .await
        .unwrap();
    let lost = bench.keys().remove(0);
    archive
        .store(&scope, instance(2, 1, 1, noise(2, 50_000)))
        .await
        .unwrap();
    archive.close().await;
    drop(archive);
    for end in ["_object", "_metadata.json", "_object.md5"] {
        let _gone = std::fs::remove_file(lost.replace("_object", end));
    }
    let archive = bench.open().await;
    let report = archive.verify(None).await.unwrap();
    assert!(!report.is_sound());
    assert!(
        matches!(
            report.faults[..],
            [ObjectFault::Missing { instances: 1, .. }]
        ),
        "{report:?}"
    );
    assert_eq!(
        bytes(&archive, "1.2.1.1.1").await,
        Err(ArchiveError::Missing)
    );
    assert_eq!(bytes(&archive, "1.2.2.1.1").await, Ok(noise(2, 50_000)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_is_made_again_from_the_bucket_and_the_keys() {
    if is_on_postgres() {
        return;
    }
    let bench = Bench::new();
    let archive = bench.open().await;
    let scope = scope("default");
    for number in 1..=5 {
        let new = instance(1, 1, number, noise(number.into(), 50_000));
        archive.store(&scope, new).await.unwrap();
    }
    archive.pack(Duration::ZERO).await.unwrap();
    archive
        .store(&scope, instance(2, 1, 1, noise(9, 9 << 20)))
        .await
        .unwrap();
    archive.close().await;
    drop(archive);
    for end in ["", "-wal", "-shm"] {
        let _gone = std::fs::remove_file(bench.dir.path().join(format!("archive.sqlite{end}")));
    }
    let report = Archive::rebuild_index(bench.config(), None).await.unwrap();
    assert_eq!(report.fault_count, 0, "{report:?}");
    let archive = bench.open().await;
    for number in 1..=5_u32 {
        let uid = format!("1.2.1.1.{number}");
        assert_eq!(
            bytes(&archive, &uid).await,
            Ok(noise(number.into(), 50_000))
        );
    }
    assert_eq!(bytes(&archive, "1.2.2.1.1").await, Ok(noise(9, 9 << 20)));
    assert!(archive.verify(None).await.unwrap().is_sound());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_goes_from_a_bucket_to_files_and_from_files_to_a_bucket() {
    if is_on_postgres() {
        return;
    }
    let bench = Bench::new();
    let archive = bench.open().await;
    let scope = scope("default");
    for study in 1..=3 {
        let new = instance(study, 1, 1, noise(study.into(), 300_000));
        archive.store(&scope, new).await.unwrap();
    }
    let backup = tempfile::tempdir().unwrap();
    let copied = archive.backup(backup.path(), None).await.unwrap();
    assert_eq!(copied.objects, 3);
    archive.close().await;
    let other = tempfile::tempdir().unwrap();
    for (place, objects) in [
        (tempfile::tempdir().unwrap(), ObjectsAt::Folder),
        (other, in_bucket(bench.server.endpoint(), backup.path())),
    ] {
        Archive::restore(backup.path(), place.path(), &[], objects.clone(), None)
            .await
            .unwrap();
        std::fs::create_dir_all(place.path().join("keys")).unwrap();
        std::fs::copy(
            bench.dir.path().join("keys/master.key"),
            place.path().join("keys/master.key"),
        )
        .unwrap();
        let restored = Archive::open(ArchiveConfig {
            objects,
            ..config(place.path())
        })
        .await
        .unwrap();
        assert_eq!(bytes(&restored, "1.2.3.1.1").await, Ok(noise(3, 300_000)));
        let report = restored.verify(None).await.unwrap();
        assert!(report.faults.is_empty(), "{report:?}");
        restored.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_senders_of_many_tenants_do_not_wait_for_each_other_s_bundles() {
    let bench = Bench::new();
    let archive = bench.open().await;
    let mut senders = Vec::new();
    for sender in 0..12_u32 {
        let archive = archive.clone();
        senders.push(tokio::spawn(async move {
            let scope = scope(["a", "b", "c"][sender as usize % 3]);
            for number in 1..=10 {
                let seed = u64::from(sender) << 8 | u64::from(number);
                let new = instance(sender + 1, 1, number, noise(seed, 40_000));
                assert_eq!(archive.store(&scope, new).await, Ok(StoreOutcome::Stored));
            }
        }));
    }
    for sender in senders {
        sender.await.unwrap();
    }
    let report = archive.verify(None).await.unwrap();
    assert!(report.faults.is_empty(), "{report:?}");
    assert_eq!(report.instances, 120);
    archive.close().await;
}
