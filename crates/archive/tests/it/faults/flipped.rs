//! One bit that flips, anywhere: whatever is answered then is what was written
//! or an error, nothing panics, and what would be answered wrong is found by
//! verification.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::TryStreamExt;
use hilum_archive::{
    Archive, ArchiveConfig, ArchiveError, Corrected, ErasedPatient, HoldOn, InstanceFilter, Limits,
    MetadataScope, NewCorrection, NewQuarantined, ObjectFault, QuarantineOutcome, SeriesFilter,
    StudyFilter, VerifyReport,
};
use hilum_platform::scope::TenantScope;
use tempfile::TempDir;

use crate::everything::{ALL, told};
use crate::support::{
    TestArchive, config, files, instance, is_on_postgres, noise, scope, sha256, unreadable,
};

/// Flips per kind of file, most of which hit the empty part of some page of a small
/// index; HILUM_FLIPS asks for more.
const FLIPS: u64 = 48;

fn flips() -> u64 {
    let asked = std::env::var("HILUM_FLIPS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(FLIPS)
}

/// A little of everything: settled, recent, large, corrected, held, refused, and
/// a look-up of which all is in a run; closed.
async fn small_archive() -> TempDir {
    let test = TestArchive::new().await;
    for study in 1..4 {
        for number in 0..4 {
            let body = noise(u64::from(study * 10 + number), 1_500);
            let new = instance(study, 1, number, body);
            test.archive.store(&test.scope, new).await.unwrap();
        }
    }
    let study = test.archive.study(&test.scope, "1.2.1").await.unwrap();
    let study = study.unwrap();
    let correction = NewCorrection {
        study: "1.2.1".into(),
        revision: study.revision,
        corrected: Corrected::Study {
            patient: study.patient,
            attributes: study.attributes,
        },
        overlay: "[\"corrected\"]".into(),
        detail: "[]".into(),
        reason: "wrong".into(),
        by: "operator".into(),
    };
    test.archive.correct(&test.scope, correction).await.unwrap();
    let on = HoldOn::Study {
        study: "1.2.2".into(),
    };
    let hold = test
        .archive
        .place_hold(&test.scope, on, "a claim".into(), "operator".into());
    hold.await.unwrap();
    let erased = instance(9, 1, 1, noise(9, 1_500));
    test.archive.store(&test.scope, erased).await.unwrap();
    test.archive.pack(Duration::ZERO).await.unwrap();
    let patient = ErasedPatient {
        id: "P9".into(),
        issuer: Some("HOSPITAL".into()),
    };
    // Which leaves no entry of the look-up outside its run.
    let erased = test
        .archive
        .erase(&test.scope, patient.clone(), &[], "operator");
    erased.await.unwrap();
    let certified = test.archive.certify(&test.scope, patient, "{}".into());
    certified.await.unwrap();
    for number in 0..2 {
        let item = unreadable(&noise(100 + number, 1_500));
        test.archive.quarantine(&test.scope, item).await.unwrap();
    }
    for number in 10..13 {
        let length = if number == 12 { 9 << 20 } else { 2_000 };
        let new = instance(4, 1, number, noise(u64::from(number), length));
        test.archive.store(&test.scope, new).await.unwrap();
    }
    test.archive.sweep().await.unwrap();
    test.archive.close().await;
    test.dir
}

/// What is answered, each as text; errors in the place of what does not answer.
async fn answers(archive: &Archive, scope: &TenantScope) -> Vec<String> {
    let mut all = Vec::new();
    match archive.studies(scope, &StudyFilter::default(), ALL).await {
        Ok(studies) => all.extend(studies.iter().map(|study| {
            let counts = (&study.modalities, study.series, study.instances);
            format!(
                "{:?}",
                (&study.uid, &study.patient, &study.attributes, counts)
            )
        })),
        Err(error) => all.push(format!("ERROR {error}")),
    }
    match archive.series(scope, &SeriesFilter::default(), ALL).await {
        Ok(series) => all.extend(series.iter().map(|(series, _)| {
            let whose = (&series.study, &series.uid);
            format!("{:?}", (whose, &series.attributes, series.instances))
        })),
        Err(error) => all.push(format!("ERROR {error}")),
    }
    match archive
        .instances(scope, &InstanceFilter::default(), ALL)
        .await
    {
        Err(error) => all.push(format!("ERROR {error}")),
        Ok(rows) => {
            for row in rows {
                all.push(told(&row));
                let whole = 0..row.location.length();
                let bytes = match archive.read_range(scope, &row.location, whole).await {
                    Ok(reader) => reader.collect().await,
                    Err(error) => Err(error),
                };
                all.push(match bytes {
                    Ok(bytes) => format!("{} {:?}", row.sop_instance, sha256(&bytes)),
                    Err(error) => format!("ERROR {error}"),
                });
            }
        }
    }
    match archive.quarantined(scope, ALL).await {
        Err(error) => all.push(format!("ERROR {error}")),
        Ok(items) => {
            for item in items {
                all.push(format!("{item:?}"));
                let read = archive.read_quarantined(scope, item.id, 0..item.length);
                let bytes = match read.await {
                    Ok(reader) => reader.collect().await,
                    Err(error) => Err(error),
                };
                all.push(match bytes {
                    Ok(bytes) => format!("item {} {:?}", item.id, sha256(&bytes)),
                    Err(error) => format!("ERROR {error}"),
                });
            }
        }
    }
    for study in 1..5 {
        let of = MetadataScope::Study(format!("1.2.{study}"));
        let found: Result<Vec<_>, _> = archive.instance_metadata(scope, of).try_collect().await;
        all.push(match found {
            Ok(found) => found
                .iter()
                .map(|one| format!("{} {:?} {:?}", told(&one.row), one.metadata, one.layout))
                .collect(),
            Err(error) => format!("ERROR {error}"),
        });
        for number in [0, 3, 10, 12] {
            let uid = format!("1.2.{study}.1.{number}");
            all.push(match archive.lookup(scope, &uid).await {
                Ok(row) => format!("{:?}", row.as_ref().map(told)),
                Err(error) => format!("ERROR {error}"),
            });
        }
    }
    all
}

fn copy(from: &Path, to: &Path) {
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        // Objects are never written to: what is not flipped is shared.
        if path.components().any(|part| part.as_os_str() == "objects") {
            std::fs::hard_link(&path, &target).unwrap();
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

fn flip(path: &Path, random: &mut u64) -> String {
    let mut bytes = std::fs::read(path).unwrap();
    let mut next = || {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        *random
    };
    let (at, bit) = (next() as usize % bytes.len(), next() % 8);
    bytes[at] ^= 1 << bit;
    // Not into what other copies share.
    std::fs::remove_file(path).unwrap();
    std::fs::write(path, bytes).unwrap();
    format!("bit {bit} of byte {at} of {}", path.display())
}

/// Flips bits in the files that `which` names, one at a time.
async fn every_flip_is_found(which: fn(&str) -> bool) {
    let original = small_archive().await;
    let scope = scope("default");
    let archive = Archive::open(config(original.path())).await.unwrap();
    let whole = answers(&archive, &scope).await;
    assert!(whole.iter().all(|answer| !answer.starts_with("ERROR")));
    let report = archive.verify(None).await.unwrap();
    assert_eq!(report.faults, []);
    archive.close().await;
    drop(archive);
    let (mut random, mut found, mut harmless) = (0x9e37_79b9_7f4a_7c15_u64, 0, 0);
    for round in 0..flips() {
        let dir = tempfile::tempdir().unwrap();
        copy(original.path(), dir.path());
        let mut chosen: Vec<PathBuf> = files(dir.path());
        chosen.retain(|path| which(&path.strip_prefix(dir.path()).unwrap().to_string_lossy()));
        chosen.sort();
        assert!(!chosen.is_empty());
        let path = &chosen[round as usize % chosen.len()];
        let what = flip(path, &mut random);
        let Ok(archive) = Archive::open(config(dir.path())).await else {
            found += 1;
            continue;
        };
        let now = answers(&archive, &scope).await;
        let said = archive.verify(None).await;
        let sound = said.as_ref().is_ok_and(VerifyReport::is_sound);
        archive.close().await;
        for answer in &now {
            let right = whole.contains(answer) || answer.starts_with("ERROR");
            assert!(right || !sound, "{what}: {answer}\n{said:?}");
            if let Some((uid, hash)) = answer.split_once(" [") {
                let named = uid.strip_prefix("item ").unwrap_or(uid);
                let is_bytes = uid.starts_with("1.2.") || named != uid;
                let is_bytes = is_bytes && !named.contains(' ');
                assert!(!is_bytes || right, "{what}: wrong bytes of {uid}: {hash}");
            }
        }
        let is_same = now == whole;
        assert!(is_same || !sound, "{what}: something is missing, {said:?}");
        if sound {
            harmless += 1;
        } else {
            found += 1;
        }
    }
    assert!(found > 0, "{harmless} flips were all harmless");
}

#[tokio::test]
async fn a_bit_that_flips_in_an_object_is_found_and_never_served() {
    if is_on_postgres() {
        return;
    }
    every_flip_is_found(|path| path.starts_with("objects/")).await;
}

#[tokio::test]
async fn a_bit_that_flips_in_the_look_up_is_found_or_mended_and_never_answers() {
    if is_on_postgres() {
        return;
    }
    every_flip_is_found(|path| path.starts_with("lookup/")).await;
}

/// Under an open archive, so that nothing mends it.
#[tokio::test]
async fn a_bit_that_flips_anywhere_in_a_run_of_the_look_up_is_reported() {
    if is_on_postgres() {
        return;
    }
    let original = small_archive().await;
    let scope = scope("default");
    let run = files(&original.path().join("lookup")).remove(0);
    let whole = std::fs::read(&run).unwrap();
    let archive = Archive::open(config(original.path())).await.unwrap();
    let sound = answers(&archive, &scope).await;
    for at in (0..whole.len()).step_by(251) {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        std::fs::write(&run, &changed).unwrap();
        for answer in answers(&archive, &scope).await {
            let right = sound.contains(&answer) || answer.starts_with("ERROR");
            assert!(right, "byte {at}: {answer}");
        }
        let report = archive.verify(None).await.unwrap();
        let tenant = "default".to_owned();
        assert_eq!(report.faults, [ObjectFault::Lookup { tenant }], "byte {at}");
    }
    std::fs::write(&run, &whole).unwrap();
    assert_eq!(archive.verify(None).await.unwrap().faults, []);
    assert_eq!(answers(&archive, &scope).await, sound);
    archive.close().await;
}

#[tokio::test]
async fn a_bit_that_flips_anywhere_in_a_quarantined_object_is_reported_and_never_served() {
    if is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    let body = noise(1, 3_000);
    let kept = test.archive.quarantine(&test.scope, unreadable(&body));
    let QuarantineOutcome::Kept(id) = kept.await.unwrap() else {
        panic!("not kept")
    };
    let object = test.objects().remove(0);
    let whole = std::fs::read(&object).unwrap();
    // Every read is one of the disk.
    let limits = Limits {
        cached_body_bytes: 0,
        ..Limits::default()
    };
    let TestArchive {
        archive,
        scope,
        dir,
    } = test;
    archive.close().await;
    drop(archive);
    let archive = Archive::open(ArchiveConfig {
        limits,
        ..config(dir.path())
    });
    let archive = archive.await.unwrap();
    for at in (0..whole.len()).step_by(13) {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        std::fs::write(&object, &changed).unwrap();
        let bytes = match archive.read_quarantined(&scope, id, 0..3_000).await {
            Ok(reader) => reader.collect().await,
            Err(error) => Err(error),
        };
        match bytes {
            Ok(bytes) => assert_eq!(bytes, body, "byte {at}"),
            Err(error) => assert_eq!(error, ArchiveError::Corrupt, "byte {at}"),
        }
        let report = archive.verify(None).await.unwrap();
        assert!(!report.is_sound(), "byte {at} was not noticed");
    }
    std::fs::write(&object, &whole).unwrap();
    assert_eq!(archive.verify(None).await.unwrap().faults, []);
    archive.close().await;
}

#[tokio::test]
async fn a_bit_that_flips_in_the_row_of_a_quarantined_item_is_reported() {
    if is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    let item = NewQuarantined {
        detail: "ends within an element".into(),
        transfer_syntax: Some("1.2.840.10008.1.2.1".into()),
        ..unreadable(&noise(1, 3_000))
    };
    test.archive.quarantine(&test.scope, item).await.unwrap();
    let index = rusqlite::Connection::open(test.dir.path().join("archive.sqlite")).unwrap();
    index.pragma_update(None, "foreign_keys", "OFF").unwrap();
    for (column, changed) in [
        ("tenant", "tenant + 1"),
        ("sha256", "zeroblob(32)"),
        ("length", "length - 1"),
        ("reason", "'truncatee'"),
        ("detail", "detail || '.'"),
        ("transfer_syntax", "NULL"),
        ("origin", "replace(origin, 's', 'r')"),
        ("correlation", "substr(correlation, 2)"),
        ("received_at", "received_at + 1024"),
        ("object", "object + 1"),
        ("offset", "offset + 16"),
    ] {
        index
            .execute_batch(&format!(
                "CREATE TEMP TABLE kept AS SELECT {column} AS before FROM quarantine;
                 UPDATE quarantine SET {column} = {changed};"
            ))
            .unwrap();
        let report = test.archive.verify(None).await.unwrap();
        assert!(!report.is_sound(), "{column} was not noticed");
        index
            .execute_batch(&format!(
                "UPDATE quarantine SET {column} = (SELECT before FROM kept); DROP TABLE kept;"
            ))
            .unwrap();
        assert_eq!(test.archive.verify(None).await.unwrap().faults, []);
    }
}

#[tokio::test]
async fn a_bit_that_flips_in_the_index_is_found_where_it_would_be_answered() {
    if is_on_postgres() {
        return;
    }
    every_flip_is_found(|path| path == "archive.sqlite").await;
}

#[tokio::test]
async fn a_bit_that_flips_in_the_keys_is_found() {
    if is_on_postgres() {
        return;
    }
    every_flip_is_found(|path| path == "keys.sqlite").await;
}
