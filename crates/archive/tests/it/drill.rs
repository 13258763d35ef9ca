//! The restore drill: a backup is made while senders, the packing worker and
//! the sweep are at work, restored elsewhere, and everything that was
//! acknowledged before it began is there, hashes, and answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use hilum_archive::{
    Archive, ArchiveError, Cause, HoldOn, MetadataScope, NewDeletion, Page, StoreOutcome,
};
use hilum_platform::scope::TenantScope;

use crate::support::{
    TestArchive, config, instance, is_on_postgres, noise, objects, scope, sha256, unreadable,
};

fn body(study: u32, number: u32) -> Vec<u8> {
    noise(u64::from(study * 100_000 + number), 4_000)
}

/// Sends until told to stop; what was acknowledged, by UID.
async fn send(
    archive: Archive,
    scope: TenantScope,
    study: u32,
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU32>,
) -> BTreeMap<String, [u8; 32]> {
    let mut acknowledged = BTreeMap::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let new = instance(study, number / 40, number, body(study, number));
        let (uid, hash) = (new.sop_instance.clone(), new.sha256);
        assert_eq!(archive.store(&scope, new).await, Ok(StoreOutcome::Stored));
        acknowledged.insert(uid, hash);
        count.fetch_add(1, Ordering::Relaxed);
    }
    acknowledged
}

async fn until(count: &AtomicU32, at_least: u32) {
    while count.load(Ordering::Relaxed) < at_least {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn assert_there(archive: &Archive, scope: &TenantScope, uid: &str, hash: &[u8; 32]) {
    let row = archive.lookup(scope, uid).await.unwrap();
    let row = row.unwrap_or_else(|| panic!("{uid} was acknowledged"));
    let whole = 0..row.location.length();
    let reader = archive.read_range(scope, &row.location, whole).await;
    let read = reader.unwrap().collect().await.unwrap();
    assert_eq!(sha256(&read), *hash, "{uid}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_under_load_restores_everything_that_was_acknowledged_before() {
    if is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    let (archive, stop, count) = (&test.archive, Arc::default(), Arc::default());
    // Settled, deleted, held and refused before anything is sent.
    let mut known = BTreeMap::new();
    for number in 0..30 {
        let new = instance(50, 1, number, body(50, number));
        known.insert(new.sop_instance.clone(), new.sha256);
        archive.store(&test.scope, new).await.unwrap();
    }
    archive.pack(Duration::ZERO).await.unwrap();
    known.remove("1.2.50.1.3");
    let deletion = NewDeletion {
        of: MetadataScope::Instance {
            study: "1.2.50".into(),
            series: "1.2.50.1".into(),
            instance: "1.2.50.1.3".into(),
        },
        cause: Cause::Person,
        reason: "blurred".into(),
        by: "somebody".into(),
    };
    archive.delete(&test.scope, deletion).await.unwrap();
    let on = HoldOn::Study {
        study: "1.2.50".into(),
    };
    let hold = archive.place_hold(&test.scope, on, "a claim".into(), "somebody".into());
    hold.await.unwrap();
    let refused = unreadable(b"broken");
    archive.quarantine(&test.scope, refused).await.unwrap();

    let other = scope("b");
    let mut senders = Vec::new();
    for (study, scope) in [(1, &test.scope), (2, &test.scope), (3, &other)] {
        let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
        let sending = send(archive.clone(), scope.clone(), study, stop, count);
        senders.push(tokio::spawn(sending));
    }
    let upkeep = tokio::spawn({
        let (archive, stop) = (archive.clone(), Arc::clone(&stop));
        async move {
            while !stop.load(Ordering::Relaxed) {
                archive.pack(Duration::ZERO).await.unwrap();
                archive.sweep().await.unwrap();
            }
        }
    });
    until(&count, 150).await;
    let mut before = Vec::new();
    for (study, scope) in [(1, &test.scope), (2, &test.scope), (3, &other)] {
        // Numbers rise, and a sender sends one after the other.
        for number in 0.. {
            let uid = format!("1.2.{study}.{}.{number}", number / 40);
            if archive.lookup(scope, &uid).await.unwrap().is_none() {
                break;
            }
            before.push((scope.clone(), uid, sha256(&body(study, number))));
        }
    }
    assert!(before.len() >= 140, "{}", before.len());
    let backup = tempfile::tempdir().unwrap();
    archive.backup(backup.path(), None).await.unwrap();
    let now = count.load(Ordering::Relaxed);
    until(&count, now + 20).await;
    stop.store(true, Ordering::Relaxed);
    let mut sent = 0;
    for sender in senders {
        sent += sender.await.unwrap().len();
    }
    upkeep.await.unwrap();
    assert!(sent > before.len(), "it went on meanwhile");
    // The machine is lost; the master key was kept apart.
    test.archive.close().await;
    let master = std::fs::read(test.dir.path().join("keys/master.key")).unwrap();
    assert!(!backup.path().join("keys/master.key").exists());
    let mine = test.scope.clone();
    drop(test);

    let elsewhere = tempfile::tempdir().unwrap();
    let dir = elsewhere.path().join("data");
    Archive::restore(backup.path(), &dir, &[], objects(&dir), None)
        .await
        .unwrap();
    std::fs::create_dir_all(dir.join("keys")).unwrap();
    std::fs::write(dir.join("keys/master.key"), master).unwrap();
    for again in 0..2 {
        let archive = Archive::open(config(&dir)).await.unwrap();
        archive.sweep().await.unwrap();
        let report = archive.verify(None).await.unwrap();
        assert!(report.faults.is_empty(), "{again}: {:?}", report.faults);
        for (scope, uid, hash) in &before {
            assert_there(&archive, scope, uid, hash).await;
        }
        for (uid, hash) in &known {
            assert_there(&archive, &mine, uid, hash).await;
        }
        let resent = instance(50, 1, 3, body(50, 3));
        let resent = archive.store(&mine, resent).await;
        assert_eq!(resent, Err(ArchiveError::Deleted));
        assert_eq!(archive.holds(&mine, 9).await.unwrap().len(), 1);
        let refused = archive.quarantined(&mine, Page::first(9)).await.unwrap();
        let length = refused[0].length;
        let reader = archive.read_quarantined(&mine, refused[0].id, 0..length);
        let read = reader.await.unwrap().collect().await.unwrap();
        assert_eq!(&read[..], b"broken");
        // It goes on there, and settles; and its index can be made again.
        archive.pack(Duration::ZERO).await.unwrap();
        archive.close().await;
        drop(archive);
        let report = Archive::rebuild_index(config(&dir), None).await.unwrap();
        assert_eq!(report.fault_count, 0, "{again}: {report:?}");
    }
}
