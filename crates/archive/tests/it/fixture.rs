//! An archive written by the first version of the formats stays readable.
//! `tests/fixtures/v1` is a backup; it is never written again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hilum_archive::{Archive, ArchiveConfig, MasterKey, Page};

use crate::support::{config, instance, is_on_postgres, noise, objects, scope};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

fn with_key(dir: &Path) -> ArchiveConfig {
    ArchiveConfig {
        master_key: MasterKey::Given([42; 32].into()),
        ..config(dir)
    }
}

#[tokio::test]
#[ignore = "writes the fixture; only for a new version, beside the old ones"]
async fn write() {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::open(with_key(dir.path())).await.unwrap();
    let scope = scope("default");
    let (a, b) = (
        instance(1, 1, 1, noise(1, 70_000)),
        instance(1, 1, 2, noise(2, 10)),
    );
    let (a, b) = tokio::join!(archive.store(&scope, a), archive.store(&scope, b));
    assert!(a.is_ok() && b.is_ok());
    archive.backup(&fixture(), None).await.unwrap();
}

#[tokio::test]
async fn what_version_1_wrote_is_read() {
    if is_on_postgres() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    Archive::restore(&fixture(), dir.path(), &[], objects(dir.path()), None)
        .await
        .unwrap();
    let archive = Archive::open(with_key(dir.path())).await.unwrap();
    let report = archive.verify(None).await.unwrap();
    assert_eq!(
        (report.instances, report.faults.len()),
        (2, 0),
        "{report:?}"
    );
    let filter = hilum_archive::InstanceFilter::default();
    let rows = archive
        .instances(&scope("default"), &filter, Page::first(10))
        .await
        .unwrap();
    for (row, (seed, len)) in rows.iter().zip([(1, 70_000), (2, 10)]) {
        let reader = archive
            .read_range(&scope("default"), &row.location, 0..len)
            .await
            .unwrap();
        assert_eq!(reader.collect().await.unwrap(), noise(seed, len as usize));
    }
    assert_eq!(rows.len(), 2);
}

fn packed(version: u8) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/v{version}-packed"))
}

#[tokio::test]
#[ignore = "writes the fixture; only for a new version, beside the old ones"]
async fn write_packed() {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::open(with_key(dir.path())).await.unwrap();
    let scope = scope("default");
    for (number, len) in [(1, 70_000), (2, 10)] {
        let new = instance(1, 1, number, noise(u64::from(number), len));
        archive.store(&scope, new).await.unwrap();
    }
    archive.pack(Duration::ZERO).await.unwrap();
    archive.sweep().await.unwrap();
    archive.backup(&packed(2), None).await.unwrap();
}

#[tokio::test]
async fn packs_of_every_version_are_read() {
    if is_on_postgres() {
        return;
    }
    for version in [1, 2] {
        check_packed(version).await;
    }
}

async fn check_packed(version: u8) {
    let dir = tempfile::tempdir().unwrap();
    Archive::restore(&packed(version), dir.path(), &[], objects(dir.path()), None)
        .await
        .unwrap();
    let archive = Archive::open(with_key(dir.path())).await.unwrap();
    let report = archive.verify(None).await.unwrap();
    assert_eq!(
        (report.objects, report.instances, report.faults.len()),
        (1, 2, 0),
        "{report:?}"
    );
    for (number, len) in [(1, 70_000), (2, 10)] {
        let uid = format!("1.2.1.1.{number}");
        let row = archive.lookup(&scope("default"), &uid).await.unwrap();
        let row = row.expect("is there");
        let reader = archive
            .read_range(&scope("default"), &row.location, 0..len)
            .await
            .unwrap();
        assert_eq!(reader.collect().await.unwrap(), noise(number, len as usize));
    }
}
