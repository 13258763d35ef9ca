//! What is PostgreSQL's own: one process at a time, also when it dies or is only slow,
//! connections that are lost, and row-level security. Asked in a run of the tests with
//! `HILUM_TEST_DATABASE=postgres`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hilum_archive::{Archive, ArchiveConfig, ArchiveError, LocalDisk};

use crate::support::{TestArchive, asked, config, instance, is_on_postgres, noise, scope};

/// The same index and keys, with another folder: as on another machine.
fn elsewhere(test: &TestArchive, dir: &tempfile::TempDir) -> ArchiveConfig {
    let mut there = config(test.dir.path());
    let key = test.dir.path().join("keys/master.key");
    std::fs::create_dir_all(dir.path().join("keys")).unwrap();
    std::fs::copy(key, dir.path().join("keys/master.key")).unwrap();
    there.dir = dir.path().to_owned();
    there
}

#[tokio::test]
async fn a_second_process_is_refused_and_let_in_when_the_first_was_closed() {
    if !is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    let other = tempfile::tempdir().unwrap();
    let refused = Archive::open(elsewhere(&test, &other)).await;
    assert_eq!(refused.err(), Some(ArchiveError::InUse));
    let new = instance(1, 1, 1, noise(1, 500));
    test.archive.store(&test.scope, new).await.unwrap();
    let there = elsewhere(&test, &other);
    test.archive.close().await;
    drop(test.archive);
    let began = Instant::now();
    let archive = Archive::open(there).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
    let found = archive.lookup(&test.scope, "1.2.1.1.1").await.unwrap();
    assert!(found.is_some());
}

#[tokio::test]
async fn an_archive_whose_process_died_is_taken_and_the_dead_one_changes_nothing() {
    if !is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    let new = instance(1, 1, 1, noise(1, 500));
    test.archive.store(&test.scope, new).await.unwrap();
    // Its thread says no more that it lives, as if it were frozen.
    asked(
        test.dir.path(),
        "archive",
        "UPDATE owner SET until = clock_timestamp() - interval '1 second'",
    );
    let other = tempfile::tempdir().unwrap();
    let archive = Archive::open(elsewhere(&test, &other)).await.unwrap();
    let late = instance(1, 1, 2, noise(2, 500));
    let refused = test.archive.store(&test.scope, late).await;
    assert_eq!(refused, Err(ArchiveError::InUse));
    let new = instance(1, 1, 3, noise(3, 500));
    archive.store(&test.scope, new).await.unwrap();
    for (uid, is_there) in [
        ("1.2.1.1.1", true),
        ("1.2.1.1.2", false),
        ("1.2.1.1.3", true),
    ] {
        let found = archive.lookup(&test.scope, uid).await.unwrap();
        assert_eq!(found.is_some(), is_there, "{uid}");
    }
}

#[tokio::test]
async fn lost_connections_are_made_again_and_nothing_acknowledged_is_missing() {
    if !is_on_postgres() {
        return;
    }
    let test = Arc::new(TestArchive::on(Arc::new(LocalDisk)).await);
    let mut kept = Vec::new();
    for number in 0..40 {
        if number % 8 == 3 {
            asked(
                test.dir.path(),
                "archive",
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                    WHERE usename = 'hilum' AND pid <> pg_backend_pid()",
            );
        }
        let new = instance(1, 1, number, noise(number.into(), 500));
        let uid = new.sop_instance.clone();
        if test.archive.store(&test.scope, new).await.is_ok() {
            kept.push(uid);
        }
    }
    assert!(kept.len() > 30, "{}", kept.len());
    for uid in kept {
        assert!(!test.bytes(&uid).await.is_empty());
    }
    assert!(test.archive.verify(None).await.unwrap().is_sound());
}

#[tokio::test]
async fn a_transaction_sees_and_changes_the_rows_of_its_tenant_only() {
    if !is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    for tenant in ["default", "north"] {
        for study in 1..4 {
            let new = instance(study, 1, 1, noise(study.into(), 500));
            test.archive.store(&scope(tenant), new).await.unwrap();
        }
    }
    let as_tenant = |row: &str, across: &str, sql: &str| {
        let begin = format!(
            "BEGIN; SET LOCAL ROLE hilum; SET LOCAL hilum.tenant = '{row}'; \
             SET LOCAL hilum.across = '{across}'"
        );
        asked(
            test.dir.path(),
            "archive",
            &format!("{begin}; {sql}; COMMIT"),
        )
    };
    let tables = [
        "study",
        "series",
        "instance",
        "object",
        "tally",
        "name_part",
        "audit_entry",
        "audit_head",
        "audit_subject",
        "audit_about",
    ];
    for table in tables {
        let count = format!("SELECT count(*) FROM {table}");
        let all: u32 = as_tenant("", "on", &count)[0].parse().unwrap();
        let of = |row: &str| -> u32 { as_tenant(row, "off", &count)[0].parse().unwrap() };
        let (one, other, none) = (of("1"), of("2"), of(""));
        assert!(one > 0 && other > 0, "{table}");
        assert_eq!((one + other, none), (all, 0), "{table}");
    }
    let changed = "WITH changed AS (UPDATE study SET revision = revision + 1 RETURNING 1)
        SELECT count(*) FROM changed";
    assert_eq!(as_tenant("1", "off", changed), ["3"]);
    assert_eq!(as_tenant("", "off", changed), ["0"]);
}
