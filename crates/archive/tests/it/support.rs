//! A running archive in a temporary folder, and instances to put into it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use hilum_archive::{
    Archive, ArchiveConfig, Body, Disk, Folded, InstanceAttributes, Limits, LocalDisk, MasterKey,
    NewInstance, NewQuarantined, Origin, PatientIdentity, PersonName, SeriesAttributes,
    StudyAttributes,
};
use hilum_contracts::ids::{CorrelationId, TenantId};
use hilum_platform::auth;
use hilum_platform::clock::from_millis;
use hilum_platform::scope::TenantScope;

pub(crate) fn scope(tenant: &str) -> TenantScope {
    auth::service(&TenantId::new(tenant).unwrap(), "test")
}

pub(crate) struct TestArchive {
    pub archive: Archive,
    pub scope: TenantScope,
    pub dir: tempfile::TempDir,
}

pub(crate) fn config(dir: &Path) -> ArchiveConfig {
    ArchiveConfig {
        dir: dir.to_owned(),
        master_key: MasterKey::File,
        clock: hilum_platform::clock::system(),
        limits: Limits::default(),
    }
}

impl TestArchive {
    pub(crate) async fn new() -> Self {
        Self::on(Arc::new(LocalDisk)).await
    }

    pub(crate) async fn on(disk: Arc<dyn Disk>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let archive = Archive::open_on(config(dir.path()), disk).await.unwrap();
        Self {
            archive,
            scope: scope("default"),
            dir,
        }
    }

    pub(crate) async fn reopen(self) -> Self {
        self.archive.close().await;
        let Self {
            archive,
            scope,
            dir,
        } = self;
        drop(archive);
        let archive = Archive::open(config(dir.path())).await.unwrap();
        Self {
            archive,
            scope,
            dir,
        }
    }

    pub(crate) async fn bytes(&self, uid: &str) -> Vec<u8> {
        let row = self
            .archive
            .lookup(&self.scope, uid)
            .await
            .unwrap()
            .expect("is there");
        let length = row.location.length();
        let reader = self
            .archive
            .read_range(&self.scope, &row.location, 0..length)
            .await
            .unwrap();
        reader.collect().await.unwrap().to_vec()
    }

    /// Every object file.
    pub(crate) fn objects(&self) -> Vec<PathBuf> {
        files(&self.dir.path().join("objects"))
    }
}

/// What a tenant holds as told, against a count of it all.
pub(crate) async fn assert_tally(test: &TestArchive) {
    let report = test.archive.storage(Some(&test.scope)).await.unwrap();
    let told = [
        report.objects,
        report.object_bytes,
        report.bundles,
        report.packs,
        report.studies,
        report.series,
        report.instances,
    ];
    let index = rusqlite::Connection::open(test.dir.path().join("archive.sqlite")).unwrap();
    let counted = [
        "SELECT count(*) FROM object WHERE state = 1",
        "SELECT coalesce(sum(bytes), 0) FROM object WHERE state = 1",
        "SELECT count(*) FROM object WHERE state = 1 AND kind = 1",
        "SELECT count(*) FROM object WHERE state = 1 AND kind = 4",
        "SELECT count(*) FROM study WHERE instances > 0",
        "SELECT coalesce(sum(series), 0) FROM study",
        "SELECT coalesce(sum(instances), 0) FROM study",
    ]
    .map(|sql| {
        index
            .query_row(sql, [], |row| row.get::<_, u64>(0))
            .unwrap()
    });
    assert_eq!(told, counted);
}

pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path)
            } else {
                found.push(path)
            }
        }
    }
    found
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().try_into().unwrap()
}

/// Bytes that differ by `seed` and don't compress.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

/// An instance of series `1.2.<study>.<series>`, number `number`.
pub(crate) fn instance(study: u32, series: u32, number: u32, body: Vec<u8>) -> NewInstance {
    let name = |value: &str| PersonName {
        value: value.to_owned(),
        alphabetic: Some(value.to_lowercase()),
        ..PersonName::default()
    };
    NewInstance {
        sop_class: "1.2.840.10008.5.1.4.1.1.2".into(),
        sop_instance: format!("1.2.{study}.{series}.{number}"),
        series: format!("1.2.{study}.{series}"),
        study: format!("1.2.{study}"),
        transfer_syntax: "1.2.840.10008.1.2.1".into(),
        sha256: sha256(&body),
        comparison: Some(sha256(&[&body[..], b"pixels"].concat())),
        metadata: Bytes::from(format!(
            "{{\"00080018\":{{\"vr\":\"UI\",\"Value\":[\"1.2.{study}.{series}.{number}\"]}}}}"
        )),
        layout: Bytes::from_static(b"layout"),
        body: Body::Memory(body.into()),
        patient: PatientIdentity {
            issuer: Some("HOSPITAL".into()),
            id: Some(format!("P{study}")),
            name: Some(name(&format!("Doe^Jane{study}"))),
            birth_date: Some("19700101".into()),
            sex: Some("F".into()),
        },
        study_attributes: StudyAttributes {
            date: Some(format!("2026{:02}{:02}", study % 12 + 1, study % 28 + 1)),
            time: Some("101500".into()),
            accession: Some(format!("A{study}")),
            description: Some(Folded {
                value: "Brain [MR]".into(),
                key: "brain [mr]".into(),
            }),
            ..StudyAttributes::default()
        },
        series_attributes: SeriesAttributes {
            modality: Some(if series.is_multiple_of(2) { "MR" } else { "CT" }.into()),
            number: Some(series.into()),
            ..SeriesAttributes::default()
        },
        instance_attributes: InstanceAttributes {
            number: Some(number.into()),
            rows: Some(512),
            columns: Some(512),
            bits_allocated: Some(16),
            frames: None,
        },
        flags: vec!["trailing-bytes".into()],
        origin: Origin::Dimse {
            calling_ae: "SCANNER".into(),
        },
        correlation: CorrelationId::new(),
        received_at: from_millis(1_790_000_000_000 + i64::from(study) * 1_000 + i64::from(number)),
        rejects: None,
    }
}

/// Bytes that broke off, for the quarantine.
pub(crate) fn unreadable(body: &[u8]) -> NewQuarantined {
    NewQuarantined {
        sha256: sha256(body),
        body: Body::Memory(body.to_vec().into()),
        reason: "truncated".into(),
        detail: String::new(),
        transfer_syntax: None,
        origin: Origin::Stow,
        correlation: CorrelationId::new(),
        received_at: from_millis(1),
    }
}
