//! An archive written by the first version of the formats stays readable.
//! `tests/fixtures/v1` is a backup; it is never written again.

use std::path::{Path, PathBuf};

use hilum_archive::{Archive, ArchiveConfig, MasterKey, Page};

use crate::support::{config, instance, noise, scope};

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
    let dir = tempfile::tempdir().unwrap();
    Archive::restore(&fixture(), dir.path(), None)
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
