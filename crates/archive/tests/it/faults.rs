//! One call to the disk fails: nothing of it is acknowledged, the file is
//! abandoned and never tried again, and the archive goes on.

mod flipped;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hilum_archive::{
    Archive, ArchiveConfig, ArchiveError, Body, Disk, LocalDisk, ObjectFile, StoreOutcome,
};
use hilum_platform::clock::{Clock, from_millis};

use crate::support::{TestArchive, config, instance, noise, scope};

#[derive(Default)]
struct Failing {
    append: AtomicBool,
    sync: AtomicBool,
    sync_dir: AtomicBool,
    syncs: Arc<Mutex<HashMap<PathBuf, u32>>>,
}

struct FailingFile {
    inner: Box<dyn ObjectFile>,
    path: PathBuf,
    fail_append: bool,
    fail_sync: bool,
    syncs: Arc<Mutex<HashMap<PathBuf, u32>>>,
}

impl Disk for Failing {
    fn create(&self, path: &Path) -> io::Result<Box<dyn ObjectFile>> {
        Ok(Box::new(FailingFile {
            inner: LocalDisk.create_direct(path)?,
            path: path.to_owned(),
            fail_append: self.append.swap(false, SeqCst),
            fail_sync: self.sync.swap(false, SeqCst),
            syncs: Arc::clone(&self.syncs),
        }))
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        LocalDisk.create_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        if self.sync_dir.swap(false, SeqCst) {
            return Err(io::Error::other("EIO"));
        }
        LocalDisk.sync_dir(path)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        LocalDisk.remove(path)
    }
}

impl ObjectFile for FailingFile {
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        if self.fail_append {
            // Torn: half of the first part, then no space.
            let half = parts[0].len() / 2;
            self.inner.append(&[&parts[0][..half]])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.inner.append(parts)
    }
    fn sync(&mut self) -> io::Result<()> {
        *self
            .syncs
            .lock()
            .unwrap()
            .entry(self.path.clone())
            .or_default() += 1;
        if self.fail_sync {
            return Err(io::Error::other("EIO"));
        }
        self.inner.sync()
    }
    fn release(&mut self) {
        self.inner.release();
    }
}

async fn fails_once(arm: impl Fn(&Failing), expected: ArchiveError) {
    let disk = Arc::new(Failing::default());
    let test = TestArchive::on(Arc::clone(&disk) as Arc<dyn Disk>).await;
    test.archive
        .store(&test.scope, instance(1, 1, 0, noise(0, 5_000)))
        .await
        .unwrap();
    for large in [false, true] {
        let number = if large { 2 } else { 1 };
        let body = noise(number.into(), if large { 9 << 20 } else { 30_000 });
        let new = instance(1, 1, number, body.clone());
        arm(&disk);
        let error = test
            .archive
            .store(&test.scope, new.clone())
            .await
            .unwrap_err();
        assert_eq!(error, expected);
        assert!(
            test.archive
                .lookup(&test.scope, &new.sop_instance)
                .await
                .unwrap()
                .is_none()
        );
        let again = test.archive.store(&test.scope, new.clone()).await;
        assert_eq!(again, Ok(StoreOutcome::Stored));
        assert_eq!(test.bytes(&new.sop_instance).await, body);
    }
    assert!(
        disk.syncs.lock().unwrap().values().all(|count| *count == 1),
        "a file was synced twice"
    );
    assert_eq!(test.objects().len(), 5);
    assert_eq!(test.archive.sweep().await.unwrap().deleted, 2);
    assert_eq!(test.objects().len(), 3);
    let report = test.archive.verify(None).await.unwrap();
    assert_eq!((report.instances, report.faults.len()), (3, 0));
}

#[tokio::test]
async fn a_full_disk_in_mid_bundle_is_said_and_survived() {
    fails_once(
        |disk| disk.append.store(true, SeqCst),
        ArchiveError::OutOfSpace,
    )
    .await;
}

#[tokio::test]
async fn a_file_whose_fsync_failed_is_abandoned() {
    fails_once(
        |disk| disk.sync.store(true, SeqCst),
        ArchiveError::Disk(io::ErrorKind::Other),
    )
    .await;
}

#[tokio::test]
async fn a_file_whose_directory_was_not_synced_is_abandoned() {
    let expected = ArchiveError::Disk(io::ErrorKind::Other);
    fails_once(|disk| disk.sync_dir.store(true, SeqCst), expected).await;
}

#[tokio::test]
async fn a_spool_file_that_is_shorter_than_it_says_fails_and_leaves_nothing() {
    let test = TestArchive::new().await;
    let path = test.dir.path().join("short");
    std::fs::write(&path, b"short").unwrap();
    let mut new = instance(1, 1, 1, noise(1, 10));
    new.body = Body::Spool {
        path,
        length: 1_000_000,
    };
    assert!(test.archive.store(&test.scope, new).await.is_err());
    assert!(
        test.archive
            .lookup(&test.scope, "1.2.1.1.1")
            .await
            .unwrap()
            .is_none()
    );
    test.archive.sweep().await.unwrap();
    assert!(test.objects().is_empty());
}

/// Holds the writer between object and index, until told to go on.
#[derive(Default)]
struct Frozen {
    freeze: AtomicBool,
    frozen: AtomicBool,
}

impl Disk for Frozen {
    fn create(&self, path: &Path) -> io::Result<Box<dyn ObjectFile>> {
        LocalDisk.create_direct(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        LocalDisk.create_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        LocalDisk.sync_dir(path)?;
        while self.freeze.load(SeqCst) {
            self.frozen.store(true, SeqCst);
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        LocalDisk.remove(path)
    }
}

/// Jumps as it is told.
#[derive(Debug)]
struct Jumping(AtomicI64);

impl Clock for Jumping {
    fn now(&self) -> time::OffsetDateTime {
        from_millis(self.0.load(SeqCst))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_writer_frozen_between_object_and_index_past_every_time_out_loses_nothing_to_the_sweep() {
    const YEAR_MS: i64 = 365 * 24 * 3_600 * 1_000;
    let (disk, clock) = (
        Arc::new(Frozen::default()),
        Arc::new(Jumping(AtomicI64::new(50 * YEAR_MS))),
    );
    let dir = tempfile::tempdir().unwrap();
    let config = ArchiveConfig {
        clock: Arc::clone(&clock) as _,
        ..config(dir.path())
    };
    let archive = Archive::open_on(config, Arc::clone(&disk) as Arc<dyn Disk>)
        .await
        .unwrap();
    let scope = scope("default");
    archive
        .store(&scope, instance(1, 1, 0, noise(0, 5_000)))
        .await
        .unwrap();
    // Forward by ten years while it is frozen, then back before it began.
    for (number, jump) in [(1, 10 * YEAR_MS), (2, -20 * YEAR_MS)] {
        let large = number == 1;
        let body = noise(number.into(), if large { 9 << 20 } else { 30_000 });
        let new = instance(1, 1, number, body);
        let uid = new.sop_instance.clone();
        disk.frozen.store(false, SeqCst);
        disk.freeze.store(true, SeqCst);
        let storing = tokio::spawn({
            let (archive, scope) = (archive.clone(), scope.clone());
            async move { archive.store(&scope, new).await }
        });
        while !disk.frozen.load(SeqCst) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        clock.0.fetch_add(jump, SeqCst);
        // A streamed object is frozen beside the writer, which sweeps on; a
        // bundle is frozen in it, and the sweep waits behind.
        let sweeping = tokio::spawn({
            let archive = archive.clone();
            async move { archive.sweep().await }
        });
        if large {
            sweeping.await.unwrap().unwrap();
            disk.freeze.store(false, SeqCst);
        } else {
            disk.freeze.store(false, SeqCst);
            sweeping.await.unwrap().unwrap();
        }
        assert_eq!(storing.await.unwrap(), Ok(StoreOutcome::Stored));
        assert!(archive.lookup(&scope, &uid).await.unwrap().is_some());
    }
    let report = archive.verify(None).await.unwrap();
    assert_eq!((report.instances, report.faults.len()), (3, 0));
}
