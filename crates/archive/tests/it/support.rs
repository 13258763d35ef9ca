//! A running archive in a temporary folder, and instances to put into it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use hilum_archive::{
    Archive, ArchiveConfig, Body, BucketConfig, BucketKey, Disk, Folded, InstanceAttributes,
    Limits, LocalDisk, MasterKey, NewInstance, NewQuarantined, ObjectsAt, Origin, PatientIdentity,
    PersonName, SeriesAttributes, StudyAttributes,
};
use hilum_contracts::ids::{CorrelationId, TenantId};
use hilum_platform::auth;
use hilum_platform::clock::from_millis;
use hilum_platform::config::Database;
use hilum_platform::db::{Home, Server};
use hilum_platform::scope::TenantScope;
use hilum_testkit::{Place, S3, S3_KEY};

pub(crate) fn scope(tenant: &str) -> TenantScope {
    auth::service(&TenantId::new(tenant).unwrap(), "test")
}

pub(crate) struct TestArchive {
    pub archive: Archive,
    pub scope: TenantScope,
    pub dir: tempfile::TempDir,
}

/// Where the objects of the archive in `dir` are: `HILUM_TEST_OBJECTS=bucket` puts
/// them into a bucket, below a prefix of the folder's name.
pub(crate) fn objects(dir: &Path) -> ObjectsAt {
    match bucket_of_run() {
        Some(endpoint) => in_bucket(endpoint, dir),
        None => ObjectsAt::Folder,
    }
}

static SERVER: LazyLock<S3> = LazyLock::new(S3::up);
/// Says to a child process where the bucket of this one is.
const SERVED_AT: &str = "HILUM_TEST_BUCKET";

fn bucket_of_run() -> Option<String> {
    let is_wanted = std::env::var("HILUM_TEST_OBJECTS").is_ok_and(|at| at == "bucket");
    let endpoint = || std::env::var(SERVED_AT).unwrap_or_else(|_| SERVER.endpoint());
    is_wanted.then(endpoint)
}

/// Has a child process use the bucket of this one.
pub(crate) fn on_the_same_bucket(child: &mut Command) -> &mut Command {
    match bucket_of_run() {
        Some(endpoint) => child.env(SERVED_AT, endpoint),
        None => child,
    }
}

fn prefix(dir: &Path) -> &str {
    let name = dir.file_name().unwrap().to_str().unwrap();
    name.trim_start_matches('.')
}

/// A bucket at `endpoint`, below a prefix of the folder's name.
pub(crate) fn in_bucket(endpoint: String, dir: &Path) -> ObjectsAt {
    ObjectsAt::Bucket(Box::new(BucketConfig {
        name: "hilum".to_owned(),
        prefix: prefix(dir).to_owned(),
        endpoint: Some(endpoint),
        region: "us-east-1".to_owned(),
        key: Some(BucketKey {
            id: S3_KEY.to_owned(),
            secret: S3_KEY.to_owned().into(),
        }),
        ca: None,
        is_shared: false,
    }))
}

pub(crate) fn config(dir: &Path) -> ArchiveConfig {
    ArchiveConfig {
        dir: dir.to_owned(),
        master_key: MasterKey::File,
        clock: hilum_platform::clock::system(),
        limits: Limits {
            // What is dead goes with the next sweep, as a file does.
            bucket_lease: Duration::ZERO,
            ..Limits::default()
        },
        objects: objects(dir),
        server: server(dir),
    }
}

/// Where the archive of a folder has its index, in a run of the tests that is about
/// PostgreSQL: schemas of its own, on one server for all of a process. A process that
/// this one starts finds it by a file in the folder.
fn server(dir: &Path) -> Option<Server> {
    let told = dir.join("postgres");
    let place = match std::fs::read_to_string(&told) {
        Ok(told) => PathBuf::from(told),
        Err(_) => {
            let place = place()?.path();
            std::fs::create_dir_all(dir).unwrap();
            std::fs::write(&told, place.to_str().unwrap()).unwrap();
            place.to_owned()
        }
    };
    let database = Database {
        url_file: match place.join("pooled.url") {
            pooled if pooled.exists() => pooled,
            _ => place.join("app.url"),
        },
        owner_url_file: Some(place.join("owner.url")),
        replica_url_file: None,
        schema_prefix: schemas(dir),
        connections: 4,
        shard_number: 0,
    };
    let home = Home::of(dir, Some(&database)).unwrap();
    home.server().cloned()
}

fn place() -> Option<&'static Place> {
    static PLACE: OnceLock<&'static Place> = OnceLock::new();
    is_on_postgres().then(|| *PLACE.get_or_init(|| Place::new().until_the_end()))
}

/// How the schemas of an archive begin.
fn schemas(dir: &Path) -> String {
    let name = sha256(dir.as_os_str().as_encoded_bytes());
    let name = name.iter().take(6).map(|byte| format!("{byte:02x}"));
    "t".to_owned() + &name.collect::<String>() + "_"
}

/// What is about files of SQLite (a look into them, copies of them, an index that is
/// made again beside the old one) is not asked of PostgreSQL.
pub(crate) fn is_in_bucket() -> bool {
    bucket_of_run().is_some()
}

pub(crate) fn is_on_postgres() -> bool {
    std::env::var("HILUM_TEST_DATABASE").is_ok_and(|engine| engine != "sqlite")
}

/// Does statements, past row-level security, in the schema of an archive or its keys;
/// the first column of what the last one gives, as text.
pub(crate) fn asked(dir: &Path, database: &str, sql: &str) -> Vec<String> {
    if let Some(place) = place() {
        let schema = format!("SET search_path = {}{database}", schemas(dir));
        let text = place.sql(&format!("{schema};{sql}"), "hilum");
        return text.lines().map(str::to_owned).collect();
    }
    let path = dir.join(format!("{database}.sqlite"));
    let index = rusqlite::Connection::open(path).unwrap();
    let mut query = index.prepare(sql).unwrap();
    let rows = query.query_map([], |row| {
        Ok(match row.get_ref(0)? {
            rusqlite::types::ValueRef::Integer(value) => value.to_string(),
            other => other.as_str()?.to_owned(),
        })
    });
    rows.unwrap().map(Result::unwrap).collect()
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
        if bucket_of_run().is_none() {
            return files(&self.dir.path().join("objects"));
        }
        let kept = SERVER.objects().join(prefix(self.dir.path()));
        match kept.exists() {
            true => objects_of_bucket(&kept),
            false => Vec::new(),
        }
    }
}

/// The objects that a bucket's server keeps in a folder, beside what it knows of them.
pub(crate) fn objects_of_bucket(folder: &Path) -> Vec<PathBuf> {
    let mut all = files(folder);
    all.retain(|path| path.to_str().unwrap().ends_with("_object"));
    all
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
        let found = asked(test.dir.path(), "archive", sql);
        found.first().unwrap().parse::<u64>().unwrap()
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

/// Tables on PostgreSQL in a row of which any of these bytes stand.
pub(crate) fn tables_with<T: AsRef<[u8]>>(dir: &Path, traces: &[T]) -> Vec<String> {
    if !is_on_postgres() || traces.is_empty() {
        return Vec::new();
    }
    let spelt = traces.iter().flat_map(|trace| {
        let trace = trace.as_ref();
        let hex = trace.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = str::from_utf8(trace).map(|text| text.replace('.', "[.]"));
        [Some(hex), text.ok()].into_iter().flatten()
    });
    let any = spelt.collect::<Vec<String>>().join("|");
    let mut found = Vec::new();
    for database in ["archive", "keys"] {
        let tables = "SELECT table_name FROM information_schema.tables
            WHERE table_schema = current_schema AND table_type = 'BASE TABLE'";
        let holds = asked(dir, database, tables).into_iter().map(|table| {
            format!(
                "SELECT '{database}.{table}' WHERE EXISTS (SELECT 1 FROM \"{table}\" AS held
                    WHERE held::text ~ (SELECT any_of FROM sought))"
            )
        });
        let holds = holds.collect::<Vec<_>>().join(" UNION ALL ");
        let sought = format!("WITH sought (any_of) AS (SELECT '{any}') {holds}");
        found.extend(asked(dir, database, &sought));
    }
    found
}

/// Bytes in hexadecimal.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
