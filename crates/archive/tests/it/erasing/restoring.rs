//! Backups and erasures: what a backup from before an erasure brings back, it
//! destroys again before it is served, whatever way it is told.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hilum_archive::{
    Archive, ArchiveError, BackupState, Cause, ErasedPatient, ErasureRecord, HoldOn, Page,
    Progress, RestoreReport,
};
use tempfile::TempDir;

use crate::support::{
    TestArchive, config, files, instance, is_on_postgres, noise, objects, scope, unreadable,
};

fn patient() -> ErasedPatient {
    ErasedPatient {
        id: "ERASE-7731".into(),
        issuer: Some("HOSPITAL".into()),
    }
}

/// As it could stand in any file.
const TRACES: [&str; 3] = ["ERASE-7731", "Zyxwvutian", "zyxwvutian"];

async fn stores_of_the_patient(test: &TestArchive, study: u32, number: u32) {
    let body = noise(u64::from(study * 100 + number), 900);
    let mut new = instance(study, 1, number, body);
    new.patient.id = Some("ERASE-7731".into());
    let name = new.patient.name.as_mut().unwrap();
    name.value = "Zyxwvutian^Quentin".into();
    name.alphabetic = Some("zyxwvutian^quentin".into());
    test.archive.store(&test.scope, new).await.unwrap();
}

/// Two studies of the patient, one settled, and one of somebody else.
async fn archive_with_the_patient() -> TestArchive {
    let test = TestArchive::new().await;
    stores_of_the_patient(&test, 1, 0).await;
    let other = instance(2, 1, 0, noise(2, 900));
    test.archive.store(&test.scope, other).await.unwrap();
    test.archive.pack(Duration::ZERO).await.unwrap();
    stores_of_the_patient(&test, 3, 0).await;
    test
}

async fn erases(test: &TestArchive) -> (ErasureRecord, Vec<BackupState>) {
    let archive = &test.archive;
    let erased = archive.erase(&test.scope, patient(), &[], "operator").await;
    let (record, told) = archive
        .record_erasure(&test.scope, &patient(), &erased.unwrap())
        .await
        .unwrap();
    let certified = archive.certify(&test.scope, patient(), "{}".into()).await;
    certified.unwrap();
    let states = told.into_iter().map(|copy| copy.state).collect();
    (record, states)
}

async fn backed_up(test: &TestArchive) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("backup");
    test.archive.backup(&to, None).await.unwrap();
    folder
}

async fn restored(
    test: &TestArchive,
    backup: &TempDir,
    erasures: &[PathBuf],
) -> (TestArchive, RestoreReport) {
    let dir = tempfile::tempdir().unwrap();
    let master = test.dir.path().join("keys/master.key");
    std::fs::create_dir(dir.path().join("keys")).unwrap();
    std::fs::copy(master, dir.path().join("keys/master.key")).unwrap();
    let from = backup.path().join("backup");
    let report = Archive::restore(&from, dir.path(), erasures, objects(dir.path()), None).await;
    let archive = Archive::open(config(dir.path())).await.unwrap();
    let scope = scope("default");
    let test = TestArchive {
        archive,
        scope,
        dir,
    };
    (test, report.unwrap())
}

/// Carries out what is due; the studies that services are asked to forget.
async fn carries_out(test: &TestArchive) -> Vec<String> {
    let mut studies = Vec::new();
    for record in test.archive.due_erasures().await.unwrap() {
        let elements = |id: &str| vec![id.as_bytes().to_vec()];
        let again = test
            .archive
            .erase_again(&test.scope, &record, elements)
            .await;
        studies.extend(again.unwrap());
        test.archive.erased_again(&record).await.unwrap();
    }
    studies.sort();
    studies
}

fn holders(folder: &Path) -> Vec<String> {
    let holds = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        let mut traces = TRACES.iter().map(|trace| trace.as_bytes());
        traces.any(|trace| bytes.windows(trace.len()).any(|part| part == trace))
    };
    let found = files(folder).into_iter().filter(holds);
    found.map(|path| path.display().to_string()).collect()
}

fn key_ids(test: &TestArchive) -> Vec<String> {
    let db = rusqlite::Connection::open(test.dir.path().join("keys.sqlite")).unwrap();
    let mut query = db.prepare("SELECT lower(hex(id)) FROM study_key").unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Nothing of the patient is there, and everybody else is.
async fn assert_erased(test: &TestArchive, keys: &[String]) {
    assert_eq!(holders(test.dir.path()), Vec::<String>::new());
    let left = key_ids(test);
    assert!(keys.iter().all(|key| !left.contains(key)), "{keys:?}");
    for study in ["1.2.1", "1.2.3"] {
        let found = test.archive.study(&test.scope, study).await.unwrap();
        assert!(found.is_none(), "{study}");
    }
    assert_eq!(test.bytes("1.2.2.1.0").await, noise(2, 900));
    let report = test.archive.verify(None).await.unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    assert_eq!(test.archive.due_erasures().await.unwrap(), []);
}

fn keys_of(record: &ErasureRecord) -> Vec<String> {
    let value = serde_json::to_value(record).unwrap();
    serde_json::from_value(value["keys"].clone()).unwrap()
}

#[tokio::test]
async fn a_backup_that_was_there_at_the_erasure_erases_the_patient_again() {
    if is_on_postgres() {
        return;
    }
    let test = archive_with_the_patient().await;
    let backup = backed_up(&test).await;
    let (record, told) = erases(&test).await;
    assert_eq!(told, [BackupState::Told]);
    let keys = keys_of(&record);
    assert_eq!(keys.len(), 2);
    let (restored, report) = restored(&test, &backup, &[]).await;
    assert_eq!(report.erasures_due, 1);
    assert!(report.backup_at < report.newest_erasure);
    assert!(!holders(restored.dir.path()).is_empty(), "it is searched");
    assert_eq!(carries_out(&restored).await, ["1.2.1", "1.2.3"]);
    assert_erased(&restored, &keys).await;
    // Nor does a backup of the restored archive, or the next opening.
    let next = backed_up(&restored).await;
    let (again, report) = self::restored(&restored, &next, &[]).await;
    assert_eq!(
        (report.erasures_due, carries_out(&again).await.len()),
        (0, 0)
    );
    assert_erased(&again, &keys).await;
    let again = again.reopen().await;
    assert_erased(&again, &keys).await;
    // A resend is refused, as it was by the archive that is lost.
    let resent = instance(3, 1, 0, noise(1, 100));
    let refused = again.archive.store(&again.scope, resent).await;
    assert_eq!(refused.unwrap_err(), ArchiveError::Deleted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_does_not_wait_for_the_end_of_a_backup_which_removes_what_it_left() {
    if is_on_postgres() {
        return;
    }
    let test = archive_with_the_patient().await;
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("backup");
    let (began, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
    let (end, may_end) = std::sync::mpsc::channel::<()>();
    let may_end = std::sync::Mutex::new(may_end);
    // After its first object it stands still.
    let progress: Progress = Arc::new(move |_, _| {
        let _heard = began.send(());
        let _ended = may_end.lock().unwrap().recv();
    });
    let archive = test.archive.clone();
    let backup = tokio::spawn(async move { archive.backup(&to, Some(progress)).await });
    has_begun.recv().await.unwrap();
    let there = test.objects();
    let erased = tokio::time::timeout(Duration::from_secs(60), erases(&test)).await;
    let (record, told) = erased.expect("it waits for the backup");
    assert_eq!(told, [BackupState::Told]);
    assert_erased(&test, &keys_of(&record)).await;
    let is_there = |path: &PathBuf| path.exists();
    assert!(there.iter().all(is_there), "the backup can read them");
    drop(end);
    backup.await.unwrap().unwrap();
    let live = test.archive.verify(None).await.unwrap().objects;
    assert_eq!(test.objects().len() as u64, live);
    let (restored, report) = restored(&test, &folder, &[]).await;
    assert_eq!(report.erasures_due, 1);
    assert_eq!(carries_out(&restored).await, ["1.2.1", "1.2.3"]);
    assert_erased(&restored, &keys_of(&record)).await;
}

#[tokio::test]
async fn a_backup_that_was_away_is_told_by_the_certificate_or_the_ledger() {
    if is_on_postgres() {
        return;
    }
    let test = archive_with_the_patient().await;
    let backup = backed_up(&test).await;
    let (here, away) = (backup.path().join("backup"), backup.path().join("away"));
    // Not mounted: the place is there and nothing is in it.
    let mounted = tempfile::tempdir().unwrap();
    std::fs::rename(&here, mounted.path().join("backup")).unwrap();
    let (record, told) = erases(&test).await;
    assert_eq!(told, [BackupState::Unreachable]);
    std::fs::rename(mounted.path().join("backup"), &here).unwrap();

    // Nothing tells it: it holds the patient, and knows no erasure.
    let (unaware, report) = restored(&test, &backup, &[]).await;
    assert_eq!((report.erasures_due, report.newest_erasure), (0, None));
    assert!(
        unaware
            .archive
            .study(&unaware.scope, "1.2.1")
            .await
            .unwrap()
            .is_some()
    );

    let certificate = backup.path().join("erasure.json");
    let text = serde_json::json!({ "version": 2, "record": record }).to_string();
    std::fs::write(&certificate, text).unwrap();
    let ledger = test.dir.path().join("erasures.jsonl");
    for told in [&certificate, &ledger, &backup.path().to_owned()] {
        let (restored, report) = restored(&test, &backup, std::slice::from_ref(told)).await;
        assert_eq!(report.erasures_due, 1, "{told:?}");
        carries_out(&restored).await;
        assert_erased(&restored, &keys_of(&record)).await;
    }
    // The next backup tells every one that is there again; removed ones are forgotten.
    let second = backed_up(&test).await;
    assert!(here.join("erasures-since.jsonl").is_file());
    std::fs::rename(&here, &away).unwrap();
    let third = backed_up(&test).await;
    let known = std::fs::read_to_string(third.path().join("backup/backups.json")).unwrap();
    assert_eq!(known.matches("folder").count(), 3);
    let known = std::fs::read_to_string(test.dir.path().join("backups.json")).unwrap();
    assert_eq!(known.matches("folder").count(), 2);
    drop(second);
}

#[tokio::test]
async fn what_came_of_the_patient_after_the_erasure_stays() {
    if is_on_postgres() {
        return;
    }
    let test = archive_with_the_patient().await;
    erases(&test).await;
    stores_of_the_patient(&test, 4, 0).await;
    let backup = backed_up(&test).await;
    let (record, _) = erases(&test).await;
    drop(record);
    let known = test.dir.path().join("erasures.jsonl");
    let text = std::fs::read_to_string(&known).unwrap();
    let first = backup.path().join("first.jsonl");
    std::fs::write(&first, text.lines().next().unwrap()).unwrap();
    std::fs::remove_file(backup.path().join("backup/erasures-since.jsonl")).unwrap();
    // The first erasure is older than the backup.
    let (restored, report) = restored(&test, &backup, &[first]).await;
    assert_eq!(
        (report.erasures_due, carries_out(&restored).await.len()),
        (0, 0)
    );
    assert_eq!(restored.bytes("1.2.4.1.0").await, noise(400, 900));
}

#[tokio::test]
async fn holds_that_were_lifted_since_and_quarantined_items_do_not_keep_it() {
    if is_on_postgres() {
        return;
    }
    let test = archive_with_the_patient().await;
    let body = b"ERASE-7731 and then it broke off";
    let refused = unreadable(body);
    test.archive.quarantine(&test.scope, refused).await.unwrap();
    let study = "1.2.1".to_owned();
    let (issuer, id) = (None, "ERASE-7731".to_owned());
    let mut holds = Vec::new();
    for on in [HoldOn::Study { study }, HoldOn::Patient { issuer, id }] {
        let reason = "Zyxwvutian's claim".to_owned();
        let hold = test
            .archive
            .place_hold(&test.scope, on, reason, "operator".into());
        holds.push(hold.await.unwrap());
    }
    let backup = backed_up(&test).await;
    for hold in holds {
        let lifted = test.archive.lift_hold(&test.scope, hold, "operator".into());
        lifted.await.unwrap();
    }
    let (record, _) = erases(&test).await;
    let (restored, _) = restored(&test, &backup, &[]).await;
    // Broken off after the rows went: the services are asked about the same.
    let due = restored.archive.due_erasures().await.unwrap();
    let elements = |id: &str| vec![id.as_bytes().to_vec()];
    let first = restored
        .archive
        .erase_again(&restored.scope, &due[0], elements)
        .await;
    assert_eq!(first.unwrap().len(), 2);
    let restored = restored.reopen().await;
    assert_eq!(
        restored
            .archive
            .unfinished_erasures(&restored.scope)
            .await
            .unwrap(),
        []
    );
    assert_eq!(carries_out(&restored).await, ["1.2.1", "1.2.3"]);
    assert_erased(&restored, &keys_of(&record)).await;
    let items = restored
        .archive
        .quarantined(&restored.scope, Page::first(9))
        .await;
    assert_eq!(items.unwrap().len(), 0);
    let causes = restored
        .archive
        .deletions(&restored.scope, 9)
        .await
        .unwrap();
    assert!(causes.iter().all(|row| row.cause == Cause::ErasedAgain));
}

#[tokio::test]
async fn a_record_that_was_changed_erases_nobody() {
    if is_on_postgres() {
        return;
    }
    let test = archive_with_the_patient().await;
    let backup = backed_up(&test).await;
    let (record, _) = erases(&test).await;
    let since = backup.path().join("backup/erasures-since.jsonl");
    let text = std::fs::read_to_string(&since).unwrap();
    let at = record.at.to_string();
    std::fs::write(&since, text.replace(&at, "17")).unwrap();
    let (restored, _) = restored(&test, &backup, &[]).await;
    let due = restored.archive.due_erasures().await.unwrap();
    let refused = restored
        .archive
        .erase_again(&restored.scope, &due[0], |_| Vec::new())
        .await;
    assert!(matches!(refused, Err(ArchiveError::Invalid(_))));
    std::fs::write(&since, "{").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let from = backup.path().join("backup");
    let refused = Archive::restore(&from, dir.path(), &[], objects(dir.path()), None).await;
    assert!(matches!(refused, Err(ArchiveError::Invalid(_))));
    assert!(!dir.path().join("archive.sqlite").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_during_an_erasure_holds_no_rows_without_their_keys() {
    if is_on_postgres() {
        return;
    }
    for round in 0..6 {
        let test = archive_with_the_patient().await;
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("backup");
        let backup = async {
            tokio::time::sleep(Duration::from_millis(round * 4)).await;
            test.archive.backup(&to, None).await.unwrap();
        };
        let ((record, _), ()) = tokio::join!(erases(&test), backup);
        let (restored, _) = restored(&test, &folder, &[]).await;
        carries_out(&restored).await;
        for (patient, by) in restored
            .archive
            .unfinished_erasures(&restored.scope)
            .await
            .unwrap()
        {
            let archive = &restored.archive;
            let ended = archive
                .erase(&restored.scope, patient.clone(), &[], &by)
                .await;
            ended.unwrap();
            let certified = archive.certify(&restored.scope, patient, "{}".into()).await;
            certified.unwrap();
        }
        assert_erased(&restored, &keys_of(&record)).await;
    }
}
