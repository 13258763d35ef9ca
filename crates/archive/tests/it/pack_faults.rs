//! Packs whose bytes are damaged, that are copied, and that are not kept in memory.

use std::time::Duration;

use hilum_archive::{Archive, ArchiveError, InstanceFilter, Limits, ObjectFault};

use crate::everything::{ALL, everything};
use crate::packs::{pack, stored};
use crate::support::{TestArchive, config, is_on_postgres, objects, sha256};

#[tokio::test]
async fn a_flipped_bit_of_a_pack_is_found_and_never_served() {
    if is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    stored(&test, 1, 0..4).await;
    pack(&test.archive).await;
    test.archive.sweep().await.unwrap();
    let before = everything(&test.archive, &test.scope).await;
    let object = test.objects().remove(0);
    let whole = std::fs::read(&object).unwrap();
    let test = test.reopen().await;
    // Bodies come first, the block last; then 52 bytes of trailer.
    for back in [200, 53, 70, 20, 5_000, 100_000] {
        let mut damaged = whole.clone();
        let at = damaged.len() - back;
        damaged[at] ^= 4;
        std::fs::write(&object, &damaged).unwrap();
        let archive = Archive::open(config(&copy_of(&test))).await.unwrap();
        let report = archive.verify(None).await.unwrap();
        assert!(!report.is_sound(), "{back} bytes before the end");
        let rows = archive
            .instances(&test.scope, &InstanceFilter::default(), ALL)
            .await;
        match rows {
            Err(error) => assert_eq!(error, ArchiveError::Corrupt),
            Ok(rows) => {
                for row in rows {
                    let whole = 0..row.location.length();
                    let read = archive.read_range(&test.scope, &row.location, whole).await;
                    let bytes = match read {
                        Ok(reader) => reader.collect().await,
                        Err(error) => Err(error),
                    };
                    match bytes {
                        Ok(bytes) => assert_eq!(sha256(&bytes), row.sha256),
                        Err(error) => assert_eq!(error, ArchiveError::Corrupt),
                    }
                }
            }
        }
        archive.close().await;
        std::fs::write(&object, &whole).unwrap();
    }
    assert_eq!(everything(&test.archive, &test.scope).await, before);
    std::fs::remove_file(&object).unwrap();
    let report = test.archive.verify(None).await.unwrap();
    assert!(
        matches!(
            report.faults[..],
            [ObjectFault::Missing { instances: 4, .. }]
        ),
        "{:?}",
        report.faults
    );
}

/// A copy of the archive's folder, apart from the one that is open.
fn copy_of(test: &TestArchive) -> std::path::PathBuf {
    let to = test.dir.path().join("copy");
    let _ = std::fs::remove_dir_all(&to);
    let from = test.dir.path().to_owned();
    for file in crate::support::files(&from) {
        let short = file.strip_prefix(&from).unwrap();
        std::fs::create_dir_all(to.join(short).parent().unwrap()).unwrap();
        std::fs::copy(&file, to.join(short)).unwrap();
    }
    to
}

#[tokio::test]
async fn a_damaged_instance_is_not_packed_and_stays_as_it_is() {
    let test = TestArchive::new().await;
    stored(&test, 1, 0..1).await;
    stored(&test, 2, 1..2).await;
    let row = test.archive.lookup(&test.scope, "1.2.1.1.1000").await;
    let row = row.unwrap().unwrap();
    let object = test.objects().remove(0);
    let mut bytes = std::fs::read(&object).unwrap();
    let at = bytes.len() - 60_000;
    bytes[at] ^= 1;
    std::fs::write(&object, bytes).unwrap();
    let report = test.archive.pack(Duration::ZERO).await.unwrap();
    assert_eq!((report.series, report.skipped), (1, 1));
    let swept = test.archive.sweep().await.unwrap();
    assert_eq!(swept.unknown, 0);
    let report = test.archive.verify(None).await.unwrap();
    assert_eq!(report.fault_count, 2, "{:?}", report.faults);
    assert_eq!(row.location.length(), 70_000);
}

#[tokio::test]
async fn a_backup_holds_packs_and_their_lookup_and_restores_them() {
    if is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    stored(&test, 1, 0..5).await;
    pack(&test.archive).await;
    stored(&test, 1, 5..6).await;
    stored(&test, 2, 6..8).await;
    let before = everything(&test.archive, &test.scope).await;
    let (to, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    test.archive.backup(to.path(), None).await.unwrap();
    Archive::restore(to.path(), dir.path(), &[], objects(dir.path()), None)
        .await
        .unwrap();
    std::fs::create_dir_all(dir.path().join("keys")).unwrap();
    let key = "keys/master.key";
    std::fs::copy(test.dir.path().join(key), dir.path().join(key)).unwrap();
    let restored = Archive::open(config(dir.path())).await.unwrap();
    assert_eq!(everything(&restored, &test.scope).await, before);
    let report = restored.verify(None).await.unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    assert_eq!(report.instances, 8);
}

#[tokio::test]
async fn blocks_are_read_also_when_none_is_kept_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.limits = Limits {
        cached_block_bytes: 0,
        ..Limits::default()
    };
    let test = TestArchive {
        archive: Archive::open(config).await.unwrap(),
        scope: crate::support::scope("default"),
        dir,
    };
    stored(&test, 1, 0..5).await;
    let before = everything(&test.archive, &test.scope).await;
    pack(&test.archive).await;
    assert_eq!(everything(&test.archive, &test.scope).await, before);
}
