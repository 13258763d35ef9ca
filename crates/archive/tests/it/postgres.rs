//! What is PostgreSQL's own: one process at a time, also when it dies or is only slow,
//! connections that are lost, and row-level security. Asked in a run of the tests with
//! `HILUM_TEST_DATABASE=postgres`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hilum_archive::{Archive, ArchiveConfig, ArchiveError, LocalDisk, MasterKey};
use hilum_testkit::S3;

use crate::support::{
    TestArchive, asked, config, in_bucket, instance, is_in_bucket, is_on_postgres, noise, scope,
};

/// An archive with its objects in a bucket, which another machine can take over.
async fn in_a_bucket(bucket: &S3) -> TestArchive {
    let dir = tempfile::tempdir().unwrap();
    let mut there = config(dir.path());
    there.objects = in_bucket(bucket.endpoint(), dir.path());
    TestArchive {
        archive: Archive::open(there).await.unwrap(),
        scope: scope("default"),
        dir,
    }
}

/// The same index, keys and bucket, with another folder: as on another machine.
fn elsewhere_in(bucket: &S3, test: &TestArchive, dir: &tempfile::TempDir) -> ArchiveConfig {
    ArchiveConfig {
        objects: in_bucket(bucket.endpoint(), test.dir.path()),
        ..elsewhere(test, dir)
    }
}

/// The same index and keys, with another folder.
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
    let bucket = S3::up();
    let test = in_a_bucket(&bucket).await;
    let other = tempfile::tempdir().unwrap();
    let refused = Archive::open(elsewhere_in(&bucket, &test, &other)).await;
    assert_eq!(refused.err(), Some(ArchiveError::InUse));
    let new = instance(1, 1, 1, noise(1, 500));
    test.archive.store(&test.scope, new).await.unwrap();
    let there = elsewhere_in(&bucket, &test, &other);
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
    let bucket = S3::up();
    let test = in_a_bucket(&bucket).await;
    let new = instance(1, 1, 1, noise(1, 500));
    test.archive.store(&test.scope, new).await.unwrap();
    // Its thread says no more that it lives, as if it were frozen.
    asked(
        test.dir.path(),
        "archive",
        "UPDATE owner SET until = clock_timestamp() - interval '1 second'",
    );
    let other = tempfile::tempdir().unwrap();
    let there = elsewhere_in(&bucket, &test, &other);
    let archive = Archive::open(there).await.unwrap();
    let late = instance(1, 1, 2, noise(2, 500));
    let refused = test.archive.store(&test.scope, late).await;
    assert_eq!(refused, Err(ArchiveError::InUse));
    // Nor the keys, by which alone it could do harm; and it learns that it is out.
    let rotated = test.archive.rotate_master_key(MasterKey::File).await;
    assert_eq!(rotated.err(), Some(ArchiveError::InUse));
    let told = tokio::time::timeout(Duration::from_secs(60), test.archive.is_taken_away());
    told.await.unwrap();
    assert_eq!(test.archive.answers().await, Err(ArchiveError::InUse));
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
async fn an_archive_whose_objects_are_files_is_not_taken_from_another_folder() {
    if !is_on_postgres() || is_in_bucket() {
        return;
    }
    let test = TestArchive::new().await;
    let other = tempfile::tempdir().unwrap();
    let there = elsewhere(&test, &other);
    test.archive.close().await;
    let (dir, kept) = (test.dir.path().to_owned(), test.dir);
    drop(test.archive);
    let refused = Archive::open(there).await.err();
    assert!(
        matches!(refused, Some(ArchiveError::Invalid(_))),
        "{refused:?}"
    );
    Archive::open(config(&dir)).await.unwrap();
    drop(kept);
}

#[tokio::test]
async fn a_commit_whose_connection_dies_leaves_everything_usable() {
    if !is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    // Every commit waits for a standby that there is not, and is kept when its
    // connection is ended, which is all that the archive hears of it.
    let standbys = |names: &str| {
        let text = format!(
            "ALTER SYSTEM SET synchronous_standby_names = '{names}'; SELECT pg_reload_conf()"
        );
        asked(test.dir.path(), "archive", &text);
    };
    standbys("nobody");
    let (dir, over) = (test.dir.path().to_owned(), Arc::<AtomicBool>::default());
    let theirs = Arc::clone(&over);
    let killer = std::thread::spawn(move || {
        while !theirs.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(130));
            asked(
                &dir,
                "archive",
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                    WHERE usename = 'hilum' AND wait_event = 'SyncRep'",
            );
        }
    });
    let mut kept = Vec::new();
    let mut failed = 0;
    for number in 0..6 {
        // Each a study of its own, so that each needs a key.
        let new = instance(number, 1, 1, noise(number.into(), 500));
        let uid = new.sop_instance.clone();
        match test.archive.store(&test.scope, new).await {
            Ok(_) => kept.push(uid),
            Err(_) => failed += 1,
        }
    }
    assert!(failed > 0, "no commit was hit");
    standbys("");
    over.store(true, Ordering::SeqCst);
    killer.join().unwrap();
    for number in 0..6 {
        let again = instance(number, 1, 1, noise(number.into(), 500));
        kept.push(again.sop_instance.clone());
        test.archive.store(&test.scope, again).await.unwrap();
    }
    for uid in kept {
        assert!(!test.bytes(&uid).await.is_empty());
    }
    assert!(test.archive.verify(None).await.unwrap().is_sound());
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
        match test.archive.store(&test.scope, new).await {
            Ok(_) => kept.push(uid),
            // A sender is told to come back with it.
            Err(error) => assert!(matches!(error, ArchiveError::IndexAway(_)), "{error:?}"),
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
