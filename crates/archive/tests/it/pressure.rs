//! A disk slower than its senders: they wait, and memory does not grow.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use hilum_archive::{Archive, Disk, Limits, LocalDisk, ObjectFile, StoreOutcome};

use crate::support::{config, instance, noise, scope};

/// Takes 30 ms to sync.
struct Slow;

struct SlowFile(Box<dyn ObjectFile>);

impl Disk for Slow {
    fn create(&self, path: &Path) -> io::Result<Box<dyn ObjectFile>> {
        Ok(Box::new(SlowFile(LocalDisk.create_direct(path)?)))
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        LocalDisk.create_dir(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        LocalDisk.sync_dir(path)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        LocalDisk.remove(path)
    }
}

impl ObjectFile for SlowFile {
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        self.0.append(parts)
    }
    fn sync(&mut self) -> io::Result<()> {
        std::thread::sleep(Duration::from_millis(30));
        self.0.sync()
    }
    fn release(&mut self) {
        self.0.release();
    }
}

const SENDERS: u32 = 8;
const INSTANCES: u32 = 24;
const BYTES: usize = 1 << 20;
const IN_FLIGHT: usize = 8 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_senders_wait_for_a_slow_disk_within_the_bound() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.limits = Limits {
        in_flight_bytes: IN_FLIGHT,
        bundle_bytes: 2 << 20,
        ..Limits::default()
    };
    let archive = Archive::open_on(config, Arc::new(Slow)).await.unwrap();
    // Everybody waits for a permit with one instance of its own at most.
    let (most, ended) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let watching = {
        let (archive, most, ended) = (archive.clone(), Arc::clone(&most), Arc::clone(&ended));
        tokio::spawn(async move {
            while !ended.load(SeqCst) {
                most.fetch_max(archive.in_flight_bytes(), SeqCst);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    };
    let before = resident();
    let mut senders = Vec::new();
    for sender in 0..SENDERS {
        let archive = archive.clone();
        senders.push(tokio::spawn(async move {
            for number in 0..INSTANCES {
                let body = noise(u64::from(sender * 1_000 + number), BYTES);
                let instance = instance(sender + 1, 1, number, body);
                let outcome = archive.store(&scope("default"), instance).await.unwrap();
                assert_eq!(outcome, StoreOutcome::Stored);
            }
        }));
    }
    let mut grown = 0;
    for sender in senders {
        while !sender.is_finished() {
            grown = grown.max(resident().saturating_sub(before));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sender.await.unwrap();
    }
    ended.store(true, SeqCst);
    watching.await.unwrap();
    let most = most.load(SeqCst);
    assert!((BYTES..=IN_FLIGHT).contains(&most), "{most} in flight");
    // 192 MiB went through: the plain bytes in flight, their sealed copies and
    // an instance for each sender.
    assert!(grown < 96 << 20, "resident memory grew by {grown}");
    let report = archive.storage(None).await.unwrap();
    assert_eq!(report.instances, u64::from(SENDERS * INSTANCES));
    archive.close().await;
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes.unwrap().parse::<usize>().unwrap() << 10
}
