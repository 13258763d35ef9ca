//! Sweep, verify, backup and restore.

use hilum_contracts::ids::CorrelationId;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hilum_archive::{Archive, ArchiveError, ObjectFault, Progress, StoreOutcome};

use crate::support::{TestArchive, config, instance, is_on_postgres, noise, objects, tables_with};

#[tokio::test]
async fn a_file_that_no_row_names_is_reported_and_left_alone() {
    let test = TestArchive::new().await;
    test.archive
        .store(&test.scope, instance(1, 1, 1, noise(1, 100)))
        .await
        .unwrap();
    let stranger = test.objects()[0].with_file_name("00112233445566778899aabbccddeeff");
    std::fs::write(&stranger, b"?").unwrap();
    assert_eq!(test.archive.sweep().await.unwrap().unknown, 1);
    assert!(stranger.exists());
    let report = test.archive.verify(None).await.unwrap();
    assert!(
        matches!(&report.faults[..], [ObjectFault::Unknown { path }] if path.ends_with("eeff"))
    );
    assert!(report.is_sound());
}

#[tokio::test]
async fn a_lost_object_is_found_missing_by_verify_and_by_its_reader() {
    let test = TestArchive::new().await;
    test.archive
        .store(&test.scope, instance(1, 1, 1, noise(1, 100)))
        .await
        .unwrap();
    std::fs::remove_file(&test.objects()[0]).unwrap();
    let report = test.archive.verify(None).await.unwrap();
    assert!(!report.is_sound());
    assert!(matches!(
        report.faults[..],
        [ObjectFault::Missing { instances: 1, .. }]
    ));
    let row = test
        .archive
        .lookup(&test.scope, "1.2.1.1.1")
        .await
        .unwrap()
        .unwrap();
    let read = test
        .archive
        .read_range(&test.scope, &row.location, 0..100)
        .await;
    assert_eq!(read.unwrap_err(), ArchiveError::Missing);
}

#[tokio::test]
async fn names_reserved_by_an_earlier_run_die_in_the_first_sweep_of_the_next() {
    let test = TestArchive::new().await;
    test.archive
        .store(&test.scope, instance(1, 1, 1, noise(1, 100)))
        .await
        .unwrap();
    assert_eq!(
        test.archive.sweep().await.unwrap().died,
        0,
        "this run may still use its names"
    );
    let test = test.reopen().await;
    let report = test.archive.sweep().await.unwrap();
    assert!(
        report.died > 0 && report.died == report.deleted,
        "{report:?}"
    );
    assert_eq!(test.bytes("1.2.1.1.1").await, noise(1, 100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_made_while_serving_restores_to_a_sound_archive() {
    if is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    for number in 0..20 {
        let body = noise(u64::from(number), 50_000);
        test.archive
            .store(&test.scope, instance(1, 1, number, body))
            .await
            .unwrap();
    }
    let (archive, scope) = (test.archive.clone(), test.scope.clone());
    let load = tokio::spawn(async move {
        for number in 0..30 {
            let body = noise(500 + u64::from(number), 50_000);
            archive
                .store(&scope, instance(2, 1, number, body))
                .await
                .unwrap();
        }
    });
    let backup = tempfile::tempdir().unwrap();
    let copied = test.archive.backup(backup.path(), None).await.unwrap();
    assert!(copied.objects >= 20);
    load.await.unwrap();
    assert!(!backup.path().join("keys/master.key").exists());

    let restored = tempfile::tempdir().unwrap();
    Archive::restore(
        backup.path(),
        restored.path(),
        &[],
        objects(restored.path()),
        None,
    )
    .await
    .unwrap();
    let keys = restored.path().join("keys");
    std::fs::create_dir_all(&keys).unwrap();
    std::fs::copy(
        test.dir.path().join("keys/master.key"),
        keys.join("master.key"),
    )
    .unwrap();
    let archive = Archive::open(config(restored.path())).await.unwrap();
    archive.sweep().await.unwrap();
    let report = archive.verify(None).await.unwrap();
    assert!(
        report.faults.is_empty() && report.instances >= 20,
        "{report:?}"
    );
    let again = archive
        .store(&test.scope, instance(1, 1, 3, noise(3, 50_000)))
        .await;
    assert_eq!(again, Ok(StoreOutcome::Duplicate));
    let new = archive
        .store(&test.scope, instance(3, 1, 1, noise(99, 50_000)))
        .await;
    assert_eq!(new, Ok(StoreOutcome::Stored));

    let over = Archive::restore(
        backup.path(),
        restored.path(),
        &[],
        objects(restored.path()),
        None,
    )
    .await;
    assert!(matches!(over, Err(ArchiveError::Invalid(_))));
    let full = test.archive.backup(backup.path(), None).await;
    assert!(matches!(full, Err(ArchiveError::Invalid(_))));
}

#[tokio::test]
async fn the_index_gives_back_what_settled_series_no_longer_need() {
    if is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    let text = |number: u32| {
        let words: Vec<String> = noise(u64::from(number), 3_000)
            .iter()
            .map(u8::to_string)
            .collect();
        format!("{{\"00080018\":{{\"Value\":[\"{}\"]}}}}", words.join(" "))
    };
    let index = test.dir.path().join("archive.sqlite");
    for series in 0..30 {
        let association = CorrelationId::new();
        let all = (series * 100..series * 100 + 100).map(|number| {
            let mut new = instance(1, series, number, noise(u64::from(number), 40));
            new.metadata = text(number).into();
            new.correlation = association;
            test.archive.store(&test.scope, new)
        });
        for outcome in futures::future::join_all(all).await {
            assert_eq!(outcome, Ok(StoreOutcome::Stored));
        }
    }
    let test = test.reopen().await;
    let before = index.metadata().unwrap().len();
    test.archive.pack(std::time::Duration::ZERO).await.unwrap();
    test.archive.sweep().await.unwrap();
    let test = test.reopen().await;
    let after = index.metadata().unwrap().len();
    println!("archive.sqlite: {before} bytes before, {after} after packing 3,000 instances");
    // What intake takes again at once stays: 4 MiB.
    assert!(before > 12 << 20, "{before}");
    assert!(after < 7 << 20, "{after}");
    let db = rusqlite::Connection::open(index).unwrap();
    let rows: u32 = db
        .query_row("SELECT count(*) FROM object", [], |row| row.get(0))
        .unwrap();
    let files = u32::try_from(test.objects().len()).unwrap();
    // One for each file, names that wait for theirs, and the last one.
    assert!(rows <= files + 130, "{rows} rows for {files} files");
    drop(db);
    assert!(test.archive.verify(None).await.unwrap().is_sound());
}

#[tokio::test]
async fn no_name_uid_or_pixel_stands_in_the_objects_or_the_keys() {
    let test = TestArchive::new().await;
    let body = b"PIXELS-PIXELS-PIXELS".repeat(100);
    test.archive
        .store(&test.scope, instance(1, 1, 1, body))
        .await
        .unwrap();
    test.archive.close().await;
    let mut files = test.objects();
    if !is_on_postgres() {
        files.push(test.dir.path().join("keys.sqlite"));
    }
    for secret in ["Jane", "1.2.1"] {
        let tables = tables_with(test.dir.path(), &[secret]);
        assert!(tables.iter().all(|table| !table.starts_with("keys.")));
    }
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        // Three bytes would stand in what is sealed by chance now and then.
        for secret in ["PIXELS", "Jane", "1.2.1"] {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} in {}", file.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn packing_and_the_sweep_go_on_while_everything_is_verified() {
    let test = TestArchive::new().await;
    for study in 0..12 {
        for number in 0..3 {
            let body = noise(u64::from(study * 10 + number), 4_000);
            let new = instance(study, 1, number, body);
            test.archive.store(&test.scope, new).await.unwrap();
        }
    }
    // After its first object verification waits until everything is packed and
    // what that left is swept.
    let (packed, waits) = std::sync::mpsc::channel::<()>();
    let waits = Mutex::new(Some(waits));
    let progress: Progress = Arc::new(move |_, _| {
        if let Some(waits) = waits.lock().unwrap().take() {
            waits.recv_timeout(Duration::from_secs(60)).unwrap();
        }
    });
    let verifying = tokio::spawn({
        let archive = test.archive.clone();
        async move { archive.verify(Some(progress)).await.unwrap() }
    });
    let report = test.archive.pack(Duration::ZERO).await.unwrap();
    assert_eq!(report.series, 12);
    assert!(test.archive.sweep().await.unwrap().deleted > 0);
    packed.send(()).unwrap();
    let report = verifying.await.unwrap();
    assert_eq!(report.faults, []);
    assert!(report.instances >= 36, "{}", report.instances);
}

#[tokio::test]
async fn rows_without_a_digest_are_looked_for_until_an_opening_has_found_none() {
    if is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    let new = instance(1, 1, 1, noise(1, 100));
    test.archive.store(&test.scope, new).await.unwrap();
    let path = test.dir.path().join("archive.sqlite");
    // As an older version wrote them.
    let forget = || {
        let index = rusqlite::Connection::open(&path).unwrap();
        let forgotten = index.execute("UPDATE study SET digest = NULL", []);
        forgotten.unwrap()
    };
    let missing = || {
        let index = rusqlite::Connection::open(&path).unwrap();
        let missing = "SELECT count(*) FROM study WHERE digest IS NULL";
        index
            .query_row(missing, [], |row| row.get::<_, u64>(0))
            .unwrap()
    };
    assert_eq!((forget(), missing()), (1, 1));
    test.archive.sweep().await.unwrap();
    assert_eq!(missing(), 0);
    forget();
    test.archive.sweep().await.unwrap();
    assert_eq!(missing(), 1, "it was looked for once more");
    let test = test.reopen().await;
    test.archive.sweep().await.unwrap();
    assert_eq!(missing(), 0);
}
