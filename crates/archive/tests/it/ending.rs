//! The end of a tenant: its key first, then every trace of it in every file;
//! another tenant with the same identifiers is whole, also after kills.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use hilum_archive::{
    Archive, ArchiveError, BackupState, Corrected, HoldOn, NewCorrection, TenantHoldings,
};
use hilum_contracts::audit::Act;
use hilum_contracts::ids::CorrelationId;
use hilum_platform::audit::{AuditSource, Chain, KeyError, PURPOSE, TenantKeys};
use hilum_platform::scope::TenantScope;

use crate::support::{
    TestArchive, asked, config, files, instance, is_on_postgres, noise, objects,
    on_the_same_bucket, scope, tables_with, unhex, unreadable,
};

/// As it could stand in any file.
const TRACES: [&str; 5] = [
    "NORTH-7731",
    "Zyxwvutian",
    "zyxwvutian",
    "ACCZYX",
    "1.2.301",
];

fn north() -> TenantScope {
    scope("north")
}

fn holders(dir: &Path, trace: &[u8]) -> Vec<PathBuf> {
    let tables = tables_with(dir, &[trace]).into_iter().map(PathBuf::from);
    files_with(dir, trace).into_iter().chain(tables).collect()
}

fn files_with(dir: &Path, trace: &[u8]) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(trace.len()).any(|part| part == trace)
    };
    files(dir).into_iter().filter(holds).collect()
}

/// Bytes of the tenant's objects and its wrapped keys, as they stand on disk.
fn secrets(dir: &Path) -> Vec<Vec<u8>> {
    let hex = match is_on_postgres() {
        true => "encode(wrapped, 'hex')",
        false => "lower(hex(wrapped))",
    };
    let sql = format!(
        "SELECT {hex} FROM study_key WHERE tenant = 'north'
         UNION ALL SELECT {hex} FROM tenant_key WHERE tenant = 'north'"
    );
    let mut found: Vec<Vec<u8>> = asked(dir, "keys", &sql)
        .iter()
        .map(|wrapped| unhex(wrapped))
        .collect();
    for path in files(&dir.join("objects/north")) {
        let bytes = std::fs::read(path).unwrap();
        found.push(bytes[bytes.len() / 2..][..40].to_vec());
    }
    found
}

/// The same UIDs in both tenants; in the north also what only it holds.
async fn two_tenants() -> TestArchive {
    let test = TestArchive::new().await;
    for study in 0..40 {
        for number in 0..2 {
            let body = noise(u64::from(study * 10 + number), 600);
            let new = instance(study, 1, number, body);
            test.archive.store(&test.scope, new).await.unwrap();
            let body = noise(u64::from(study * 10 + number + 5), 600);
            let mut new = instance(study + 300, 1, number, body);
            new.patient.id = Some(format!("NORTH-7731-{study}"));
            let name = new.patient.name.as_mut().unwrap();
            name.value = format!("Zyxwvutian^Quentin{study}");
            name.alphabetic = Some(format!("zyxwvutian^quentin{study}"));
            new.study_attributes.accession = Some(format!("ACCZYX{study}"));
            test.archive.store(&north(), new).await.unwrap();
        }
    }
    test.archive.pack(Duration::ZERO).await.unwrap();
    for scope in [&test.scope, &north()] {
        let new = instance(7, 1, 9, noise(709, 600));
        test.archive.store(scope, new).await.unwrap();
        let item = unreadable(b"NORTH-7731 and then it broke off");
        if *scope.tenant() == *north().tenant() {
            test.archive.quarantine(scope, item).await.unwrap();
        }
    }
    let study = test.archive.study(&north(), "1.2.303").await.unwrap();
    let study = study.unwrap();
    let correction = NewCorrection {
        study: "1.2.303".into(),
        revision: study.revision,
        corrected: Corrected::Study {
            patient: study.patient,
            attributes: study.attributes,
        },
        overlay: "[\"Zyxwvutian was wrong\"]".into(),
        detail: "[]".into(),
        reason: "Zyxwvutian".into(),
        by: "local operator".into(),
    };
    test.archive.correct(&north(), correction).await.unwrap();
    let on = HoldOn::Study {
        study: "1.2.301".into(),
    };
    let reason = "Zyxwvutian's claim".to_owned();
    let held = test
        .archive
        .place_hold(&north(), on, reason, "operator".into())
        .await;
    held.unwrap();
    test
}

async fn ends(archive: &Archive) -> TenantHoldings {
    let holdings = archive.close_tenant(&north()).await.unwrap();
    archive.record_ending(&north()).await.unwrap();
    archive.destroy_tenant(&north()).await.unwrap();
    holdings
}

/// Nothing of the north is there, nothing comes, and everybody else is whole.
async fn assert_ended(test: &TestArchive, secrets: &[Vec<u8>]) {
    let dir = test.dir.path();
    for trace in TRACES {
        let left = holders(dir, trace.as_bytes());
        assert!(left.is_empty(), "{trace} is in {left:?}");
    }
    for secret in secrets {
        assert_eq!(files_with(dir, secret), Vec::<PathBuf>::new());
    }
    for some in secrets.chunks(32) {
        assert_eq!(tables_with(dir, some), Vec::<String>::new());
    }
    assert!(!dir.join("objects/north").exists());
    assert!(!dir.join("lookup/north").exists());
    let new = instance(1, 1, 1, noise(1, 600));
    let refused = test.archive.store(&north(), new).await.unwrap_err();
    assert_eq!(refused, ArchiveError::NotFound);
    let derived = test.archive.derive(north().tenant(), PURPOSE).await;
    assert!(matches!(derived, Err(KeyError::Destroyed)));
    let found = test.archive.study(&north(), "1.2.7").await.unwrap();
    assert!(found.is_none());
    assert!(
        !dir.join("objects/north").exists(),
        "nothing makes it again"
    );

    assert_eq!(test.bytes("1.2.1.1.0").await, noise(10, 600));
    assert_eq!(test.bytes("1.2.7.1.9").await, noise(709, 600));
    let report = test.archive.verify(None).await.unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    let storage = test.archive.storage(Some(&test.scope)).await.unwrap();
    assert_eq!((storage.studies, storage.instances), (40, 81));
    // The trail is whole, and its last entry is the end.
    let head = test.archive.head(&north()).await.unwrap();
    let rows = test.archive.entries(&north(), 0, 10_000).await.unwrap();
    let mut chain = Chain::new(north().tenant(), test.archive.writer(), head);
    for row in &rows {
        chain.next(row);
    }
    let (entries, faults) = chain.end();
    assert!(entries > 40 && faults.is_empty(), "{entries}: {faults:?}");
    assert_eq!(rows.last().unwrap().act, Act::EndTenant.name());
}

#[tokio::test]
async fn no_file_holds_anything_of_an_ended_tenant() {
    let test = two_tenants().await;
    let secrets = secrets(test.dir.path());
    assert!(secrets.len() > 42, "{}", secrets.len());
    for trace in TRACES {
        assert!(!holders(test.dir.path(), trace.as_bytes()).is_empty());
    }
    assert_eq!(test.archive.standing_holds(&north()).await.unwrap(), 1);
    let holdings = ends(&test.archive).await;
    let counts = (holdings.studies, holdings.instances, holdings.quarantined);
    assert_eq!(counts, (41, 81, 1));
    assert_eq!(holdings.holds, 1);
    assert!(holdings.keys >= 41 && holdings.keys_sha256.len() == 64);
    assert_ended(&test, &secrets).await;
    let test = test.reopen().await;
    test.archive.sweep().await.unwrap();
    assert_ended(&test, &secrets).await;
    // Asked once more, it does no harm.
    assert_eq!(ends(&test.archive).await.instances, 0);
    assert_ended(&test, &secrets).await;
}

#[tokio::test]
async fn what_is_on_its_way_when_a_tenant_is_closed_is_refused_and_what_is_there_is_read() {
    let test = two_tenants().await;
    let stores = (0..200_u32).map(|number| {
        let mut new = instance(900, 1, number, noise(u64::from(number), 6_000));
        new.correlation = CorrelationId::new();
        let (archive, scope) = (test.archive.clone(), north());
        tokio::spawn(async move { archive.store(&scope, new).await })
    });
    let stores: Vec<_> = stores.collect();
    let holdings = test.archive.close_tenant(&north()).await.unwrap();
    let mut stored = 0;
    for store in stores {
        stored += u64::from(store.await.unwrap().is_ok());
    }
    assert_eq!(holdings.instances, 81 + stored);
    let after = test.archive.storage(Some(&north())).await.unwrap();
    assert_eq!(after.instances, 81 + stored, "none came later");
    let row = test.archive.lookup(&north(), "1.2.7.1.9").await.unwrap();
    assert!(row.is_some());
    let refused = test
        .archive
        .store(&north(), instance(1, 1, 1, noise(1, 600)))
        .await;
    assert_eq!(refused.unwrap_err(), ArchiveError::NotFound);
    let test = test.reopen().await;
    let refused = test
        .archive
        .store(&north(), instance(1, 1, 1, noise(1, 600)))
        .await;
    assert_eq!(refused.unwrap_err(), ArchiveError::NotFound);
}

#[tokio::test]
async fn an_index_that_is_made_again_does_not_bring_an_ended_tenant_back() {
    if is_on_postgres() {
        return;
    }
    let test = two_tenants().await;
    let secrets = secrets(test.dir.path());
    ends(&test.archive).await;
    test.archive.close().await;
    let TestArchive {
        archive,
        dir,
        scope,
    } = test;
    drop(archive);
    let report = Archive::rebuild_index(config(dir.path()), None).await;
    assert_eq!(report.unwrap().fault_count, 0);
    std::fs::remove_file(dir.path().join("archive.sqlite.before")).unwrap();
    let archive = Archive::open(config(dir.path())).await.unwrap();
    let test = TestArchive {
        archive,
        scope,
        dir,
    };
    assert_ended(&test, &secrets).await;
}

#[tokio::test]
async fn a_backup_from_before_ends_the_tenant_again_when_it_is_restored() {
    if is_on_postgres() {
        return;
    }
    let test = two_tenants().await;
    let secrets = secrets(test.dir.path());
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup");
    test.archive.backup(&backup, None).await.unwrap();
    test.archive.close_tenant(&north()).await.unwrap();
    let (record, told) = test.archive.record_ending(&north()).await.unwrap();
    assert!(record.ends_tenant());
    assert_eq!(told[0].state, BackupState::Told);
    test.archive.destroy_tenant(&north()).await.unwrap();
    let (again, _) = test.archive.record_ending(&north()).await.unwrap();
    assert_eq!(again, record);

    let dir = tempfile::tempdir().unwrap();
    let report = Archive::restore(&backup, dir.path(), &[], objects(dir.path()), None).await;
    assert_eq!(report.unwrap().erasures_due, 1);
    std::fs::create_dir_all(dir.path().join("keys")).unwrap();
    let key = "keys/master.key";
    std::fs::copy(test.dir.path().join(key), dir.path().join(key)).unwrap();
    let archive = Archive::open(config(dir.path())).await.unwrap();
    let restored = TestArchive {
        archive,
        scope: scope("default"),
        dir,
    };
    // But for the keys only what is live is in a backup.
    let held = |secret: &&Vec<u8>| !holders(restored.dir.path(), secret).is_empty();
    assert!(secrets.iter().filter(held).count() > 42);
    let due = restored.archive.due_erasures().await.unwrap();
    assert_eq!(due, std::slice::from_ref(&record));
    assert!(restored.archive.is_ending_known(&record).await.unwrap());
    // One that somebody made without the tenant's key does nothing.
    let mut forged = serde_json::to_value(&record).unwrap();
    forged["at"] = 1.into();
    let forged = serde_json::from_value(forged).unwrap();
    assert!(restored.archive.is_ending_known(&forged).await.is_err());
    ends(&restored.archive).await;
    restored.archive.erased_again(&record).await.unwrap();
    assert_ended(&restored, &secrets).await;
    assert_eq!(restored.archive.due_erasures().await.unwrap(), []);
}

const DIR: &str = "HILUM_TEST_ENDING_DIR";

/// Not a test of its own: the process that is killed.
#[test]
#[ignore = "started by the test of this module"]
fn child() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let archive = Archive::open(config(Path::new(&dir))).await.unwrap();
        ends(&archive).await;
    });
}

#[tokio::test]
async fn an_end_that_was_killed_at_any_step_goes_on_where_it_was() {
    for step in [
        "end.closed",
        "ledger.synced",
        "end.recorded",
        "end.keys-destroyed",
        "end.rows",
        "sweep.buried",
        "sweep.removed",
        "end.done",
    ] {
        let test = two_tenants().await;
        let secrets = secrets(test.dir.path());
        test.archive.close().await;
        let TestArchive {
            archive,
            dir,
            scope,
        } = test;
        drop(archive);
        let killed = on_the_same_bucket(&mut Command::new(std::env::current_exe().unwrap()))
            .args(["--exact", "ending::child", "--ignored", "--nocapture"])
            .env(DIR, dir.path())
            .env("ARCHIVE_STEP", format!("{step}=kill@1"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(!killed.success(), "{step} was passed");
        let archive = Archive::open(config(dir.path())).await.unwrap();
        let test = TestArchive {
            archive,
            scope,
            dir,
        };
        ends(&test.archive).await;
        assert_ended(&test, &secrets).await;
    }
}
