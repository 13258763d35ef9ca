//! Erasure: every file of the archive is searched for what named the patient,
//! and for the wrapped key.

mod restoring;

use std::time::Duration;

use hilum_archive::{ArchiveError, Corrected, ErasedPatient, HoldOn, NewCorrection, Page};

use crate::support::{
    TestArchive, asked, files, instance, is_on_postgres, noise, tables_with, unhex, unreadable,
};

fn patient(id: &str) -> ErasedPatient {
    ErasedPatient {
        id: id.into(),
        issuer: Some("HOSPITAL".into()),
    }
}

fn holders(test: &TestArchive, trace: &[u8]) -> Vec<String> {
    files(test.dir.path())
        .into_iter()
        .filter(|path| {
            let bytes = std::fs::read(path).unwrap_or_default();
            bytes.windows(trace.len()).any(|part| part == trace)
        })
        .map(|path| path.display().to_string())
        .chain(tables_with(test.dir.path(), &[trace]))
        .collect()
}

/// Every wrapped study key, by its id in hexadecimal.
fn wrapped(test: &TestArchive) -> Vec<(String, Vec<u8>)> {
    let sql = match is_on_postgres() {
        true => "SELECT encode(id, 'hex') || ' ' || encode(wrapped, 'hex') FROM study_key",
        false => "SELECT lower(hex(id)) || ' ' || lower(hex(wrapped)) FROM study_key",
    };
    let rows = asked(test.dir.path(), "keys", sql);
    let rows = rows.iter().map(|row| row.split_once(' ').unwrap());
    rows.map(|(id, wrapped)| (id.to_owned(), unhex(wrapped)))
        .collect()
}

#[tokio::test]
async fn no_file_holds_what_named_an_erased_patient_or_the_key() {
    let test = TestArchive::new().await;
    // Enough studies that pages split and are freed.
    for study in 0..60 {
        for number in 0..2 {
            let body = noise(u64::from(study * 10 + number), 600);
            let mut new = instance(study, 1, number, body);
            if study % 3 == 0 {
                new.patient.id = Some("ERASE-7731".into());
                let name = new.patient.name.as_mut().unwrap();
                name.value = format!("Zyxwvutian^Quentin{study}");
                name.alphabetic = Some(format!("zyxwvutian^quentin{study}"));
                new.study_attributes.accession = Some(format!("ACCZYX{study}"));
            }
            test.archive.store(&test.scope, new).await.unwrap();
        }
    }
    let study = test.archive.study(&test.scope, "1.2.3").await.unwrap();
    let study = study.unwrap();
    let correction = NewCorrection {
        study: "1.2.3".into(),
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
    test.archive.correct(&test.scope, correction).await.unwrap();
    let refused = b"\x10\x00\x20\x00LO\x0a\x00ERASE-7731 and then it broke off";
    for body in [&refused[..], b"of somebody else"] {
        let item = unreadable(body);
        test.archive.quarantine(&test.scope, item).await.unwrap();
    }
    // Lifted, they stand against nothing, and still name it.
    for on in [
        HoldOn::Study {
            study: "1.2.3".into(),
        },
        HoldOn::Patient {
            issuer: None,
            id: "ERASE-7731".into(),
        },
    ] {
        let reason = "Zyxwvutian's claim".to_owned();
        let hold = test
            .archive
            .place_hold(&test.scope, on, reason, "operator".into())
            .await
            .unwrap();
        test.archive
            .lift_hold(&test.scope, hold, "operator".into())
            .await
            .unwrap();
    }
    // Half of it is settled.
    let settled = test.archive.pack(Duration::ZERO).await.unwrap();
    assert_eq!((settled.series, settled.skipped), (60, 0));
    for study in [3, 4] {
        let mut new = instance(study, 1, 9, noise(u64::from(study) + 900, 600));
        if study == 3 {
            new.patient.id = Some("ERASE-7731".into());
        }
        test.archive.store(&test.scope, new).await.unwrap();
    }
    let keys = wrapped(&test);
    for trace in ["ERASE-7731", "Zyxwvutian", "zyxwvutian", "ACCZYX30"] {
        assert!(!holders(&test, trace.as_bytes()).is_empty(), "{trace}");
    }

    let elements = [b"\x10\x00\x20\x00LO\x0a\x00ERASE-7731".to_vec()];
    let erased = test
        .archive
        .erase(&test.scope, patient("ERASE-7731"), &elements, "operator")
        .await
        .unwrap();
    let certificate = test.archive.certify(
        &test.scope,
        patient("ERASE-7731"),
        "a certificate".to_owned(),
    );
    certificate.await.unwrap();
    assert_eq!((erased.studies.len(), erased.instances), (20, 41));
    assert_eq!((erased.keys.len(), erased.quarantined), (20, 1));
    assert_eq!(erased.holds, 2);
    for trace in [
        "ERASE-7731",
        "Zyxwvutian",
        "zyxwvutian",
        "ACCZYX",
        "\"1.2.30\"",
    ] {
        let left = holders(&test, trace.as_bytes());
        assert!(left.is_empty(), "{trace} is in {left:?}");
    }
    let (destroyed, rest): (Vec<_>, Vec<_>) =
        keys.iter().partition(|(id, _)| erased.keys.contains(id));
    assert_eq!(destroyed.len(), 20);
    assert!(
        destroyed
            .iter()
            .all(|(_, key)| holders(&test, key).is_empty())
    );
    // Of the others, only those of the quarantined item and the holds went.
    let gone = rest
        .iter()
        .filter(|(_, key)| holders(&test, key).is_empty());
    assert_eq!(gone.count(), 3);
    let left = test.archive.quarantined(&test.scope, Page::first(9)).await;
    assert_eq!(left.unwrap().len(), 1);
    // Everybody else is whole.
    assert_eq!(test.bytes("1.2.1.1.0").await, noise(10, 600));
    let report = test.archive.verify(None).await.unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    let again = test
        .archive
        .erase(&test.scope, patient("ERASE-7731"), &elements, "operator")
        .await;
    assert_eq!(again.unwrap_err(), ArchiveError::NotFound);
}

#[tokio::test]
async fn an_erasure_that_was_not_certified_is_known_and_goes_on_with_what_is_gone() {
    let test = TestArchive::new().await;
    let mut new = instance(30, 1, 0, noise(1, 600));
    new.patient.id = Some("ERASE-7731".into());
    test.archive.store(&test.scope, new).await.unwrap();
    let erase = || {
        let patient = patient("ERASE-7731");
        test.archive.erase(&test.scope, patient, &[], "operator")
    };
    assert_eq!(erase().await.unwrap().studies, ["1.2.30"]);
    // Whoever keeps rows about it was not told: a crash.
    let unfinished = test.archive.unfinished_erasures(&test.scope).await.unwrap();
    assert_eq!(unfinished, [(patient("ERASE-7731"), "operator".to_owned())]);
    let again = erase().await.unwrap();
    assert_eq!(
        (again.studies.as_slice(), again.instances),
        (&["1.2.30".to_owned()][..], 0)
    );
    let certificate = test.archive.certify(
        &test.scope,
        patient("ERASE-7731"),
        "a certificate".to_owned(),
    );
    certificate.await.unwrap();
    assert!(
        test.archive
            .unfinished_erasures(&test.scope)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(holders(&test, b"ERASE-7731").is_empty());
    assert_eq!(erase().await.unwrap_err(), ArchiveError::NotFound);
}

#[tokio::test]
async fn an_erasure_goes_on_when_quarantined_items_are_deleted_beside_it() {
    const ITEMS: u64 = 60;
    let test = TestArchive::new().await;
    let mut new = instance(30, 1, 0, noise(1, 600));
    new.patient.id = Some("ERASE-7731".into());
    test.archive.store(&test.scope, new).await.unwrap();
    for number in 0..ITEMS {
        let bytes = noise(number, 2_000);
        let item = unreadable(&bytes);
        test.archive.quarantine(&test.scope, item).await.unwrap();
    }
    let all = Page::first(100);
    let items = test.archive.quarantined(&test.scope, all).await.unwrap();
    // The erasure reads the newest first; the two meet.
    let delete = async {
        for item in items.iter().rev() {
            let deleted = test.archive.delete_quarantined(&test.scope, item.id).await;
            deleted.unwrap();
        }
    };
    let elements = [b"ERASE-7731".to_vec()];
    let patient = patient("ERASE-7731");
    let erase = test
        .archive
        .erase(&test.scope, patient, &elements, "operator");
    let (erased, ()) = tokio::join!(erase, delete);
    assert_eq!(erased.unwrap().instances, 1);
}
