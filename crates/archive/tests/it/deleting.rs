//! Deletion: what goes, what stays, what is refused afterwards.

use std::sync::Arc;

use hilum_archive::{
    ArchiveError, Cause, Corrected, MetadataScope, NewCorrection, NewDeletion, Page, Resend,
    StoreOutcome, StudyFilter,
};

use crate::support::{TestArchive, instance, noise};

fn deletion(of: MetadataScope) -> NewDeletion {
    NewDeletion {
        of,
        cause: Cause::Person,
        reason: "sent twice".into(),
        by: "local operator".into(),
    }
}

fn study(number: u32) -> MetadataScope {
    MetadataScope::Study(format!("1.2.{number}"))
}

async fn filled() -> TestArchive {
    let test = TestArchive::new().await;
    for (of, series, number) in [(1, 1, 1), (1, 1, 2), (1, 2, 1), (2, 1, 1)] {
        let body = noise(u64::from(of * 100 + series * 10 + number), 3_000);
        let new = instance(of, series, number, body);
        assert_eq!(
            test.archive.store(&test.scope, new).await.unwrap(),
            StoreOutcome::Stored
        );
    }
    test
}

async fn studies(test: &TestArchive) -> Vec<(String, u64, u64)> {
    let filter = StudyFilter::default();
    let found = test.archive.studies(&test.scope, &filter, Page::first(10));
    let mut found: Vec<_> = found
        .await
        .unwrap()
        .into_iter()
        .map(|study| (study.uid, study.series, study.instances))
        .collect();
    found.sort();
    found
}

#[tokio::test]
async fn a_deleted_study_answers_nothing_and_its_bytes_go_with_the_sweep() {
    let test = filled().await;
    let row = test.archive.lookup(&test.scope, "1.2.1.1.1").await.unwrap();
    let location = row.unwrap().location;
    let deleted = test.archive.delete(&test.scope, deletion(study(1))).await;
    assert_eq!(deleted.unwrap().instances, 3);
    assert_eq!(studies(&test).await, [("1.2.2".to_owned(), 1, 1)]);
    let gone = test.archive.lookup(&test.scope, "1.2.1.1.1").await.unwrap();
    assert!(gone.is_none());
    // An address kept from before opens nothing: the key is destroyed.
    let read = test.archive.read_range(&test.scope, &location, 0..10).await;
    assert_eq!(read.unwrap_err(), ArchiveError::NotFound);
    test.archive.sweep().await.unwrap();
    // One bundle for the other study, and the note.
    assert_eq!(test.objects().len(), 2);
    assert!(test.archive.verify(None).await.unwrap().is_sound());
    let other = noise(211, 3_000);
    assert_eq!(test.bytes("1.2.2.1.1").await, other);
}

#[tokio::test]
async fn a_series_and_an_instance_go_by_themselves() {
    let test = filled().await;
    let one = MetadataScope::Instance {
        study: "1.2.1".into(),
        series: "1.2.1.1".into(),
        instance: "1.2.1.1.2".into(),
    };
    assert_eq!(
        test.archive
            .delete(&test.scope, deletion(one.clone()))
            .await
            .unwrap()
            .instances,
        1
    );
    assert_eq!(studies(&test).await[0], ("1.2.1".to_owned(), 2, 2));
    let again = test.archive.delete(&test.scope, deletion(one)).await;
    assert_eq!(again.unwrap_err(), ArchiveError::NotFound);
    let series = MetadataScope::Series {
        study: "1.2.1".into(),
        series: "1.2.1.1".into(),
    };
    test.archive
        .delete(&test.scope, deletion(series))
        .await
        .unwrap();
    assert_eq!(studies(&test).await[0], ("1.2.1".to_owned(), 1, 1));
    assert_eq!(test.bytes("1.2.1.2.1").await, noise(121, 3_000));
    let row = test.archive.study(&test.scope, "1.2.1").await.unwrap();
    assert_eq!(row.unwrap().modalities, ["MR"]);
}

#[tokio::test]
async fn what_was_deleted_is_refused_until_resends_are_accepted() {
    let test = filled().await;
    test.archive
        .delete(&test.scope, deletion(study(1)))
        .await
        .unwrap();
    let test = test.reopen().await;
    // Another instance of the deleted study is refused as well.
    for number in [1, 9] {
        let new = instance(1, 1, number, noise(number.into(), 500));
        let outcome = test.archive.store(&test.scope, new).await;
        assert_eq!(outcome.unwrap_err(), ArchiveError::Deleted);
    }
    let tenant = test.scope.tenant();
    test.archive.set_resend(tenant, Resend::Accept);
    let new = instance(1, 1, 1, noise(1, 500));
    let outcome = test.archive.store(&test.scope, new).await;
    assert_eq!(outcome.unwrap(), StoreOutcome::Stored);
    test.archive.set_resend(tenant, Resend::Refuse);
    let new = instance(1, 1, 2, noise(2, 500));
    let outcome = test.archive.store(&test.scope, new).await;
    assert_eq!(outcome.unwrap(), StoreOutcome::Stored, "it was lifted");
    assert!(test.archive.verify(None).await.unwrap().is_sound());
}

#[tokio::test]
async fn where_another_content_of_the_uid_is_kept_it_is_served_then() {
    let test = TestArchive::new().await;
    for (of, seed) in [(1, 1), (2, 2)] {
        let mut new = instance(of, 1, 1, noise(seed, 700));
        new.sop_instance = "1.2.9".into();
        test.archive.store(&test.scope, new).await.unwrap();
    }
    assert_eq!(test.bytes("1.2.9").await, noise(1, 700));
    test.archive
        .delete(&test.scope, deletion(study(1)))
        .await
        .unwrap();
    assert_eq!(test.bytes("1.2.9").await, noise(2, 700));
    assert_eq!(studies(&test).await, [("1.2.2".to_owned(), 1, 1)]);
}

#[tokio::test]
async fn deletions_are_remembered_without_naming_what_went() {
    let test = filled().await;
    test.archive
        .delete(&test.scope, deletion(study(1)))
        .await
        .unwrap();
    let rows = test.archive.deletions(&test.scope, 10).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].level, rows[0].instances), ("study", 3));
    assert_eq!(
        (rows[0].reason.as_str(), rows[0].by.as_str()),
        ("sent twice", "local operator")
    );
}

#[tokio::test]
async fn another_tenant_keeps_its_study_of_the_same_uid() {
    let test = filled().await;
    let other = crate::support::scope("south");
    let new = instance(1, 1, 1, noise(77, 400));
    test.archive.store(&other, new).await.unwrap();
    test.archive
        .delete(&test.scope, deletion(study(1)))
        .await
        .unwrap();
    let row = test.archive.lookup(&other, "1.2.1.1.1").await.unwrap();
    assert!(row.is_some());
    let nothing = test.archive.delete(&test.scope, deletion(study(1))).await;
    assert_eq!(nothing.unwrap_err(), ArchiveError::NotFound);
}

/// Senders and a deleter at once: whatever is acknowledged and not deleted
/// afterwards reads, and nothing is left that does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_acknowledged_after_a_deletion_is_lost_to_its_key() {
    let test = TestArchive::new().await;
    test.archive.set_resend(test.scope.tenant(), Resend::Accept);
    let test = Arc::new(test);
    let senders: Vec<_> = (0..4_u32)
        .map(|sender| {
            let test = Arc::clone(&test);
            tokio::spawn(async move {
                for number in 0..40 {
                    let body = noise(u64::from(sender * 1_000 + number), 900);
                    let new = instance(1, sender, number, body);
                    // An error is no acknowledgement; the sender goes on.
                    let _ = test.archive.store(&test.scope, new).await;
                }
            })
        })
        .collect();
    for _ in 0..20 {
        match test.archive.delete(&test.scope, deletion(study(1))).await {
            Ok(_) | Err(ArchiveError::NotFound) => {}
            Err(error) => panic!("{error}"),
        }
    }
    for sender in senders {
        sender.await.unwrap();
    }
    let report = test.archive.verify(None).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    let mut stored = 0;
    for sender in 0..4_u32 {
        for number in 0..40 {
            let uid = format!("1.2.1.{sender}.{number}");
            if test
                .archive
                .lookup(&test.scope, &uid)
                .await
                .unwrap()
                .is_some()
            {
                test.bytes(&uid).await;
                stored += 1;
            }
        }
    }
    let rows = studies(&test).await;
    assert_eq!(rows.first().map_or(0, |row| row.2), stored);
}

#[tokio::test]
async fn the_corrections_of_a_study_go_with_its_last_instance() {
    let test = filled().await;
    let row = test.archive.study(&test.scope, "1.2.2").await.unwrap();
    let row = row.unwrap();
    let was = row.patient.clone();
    let mut patient = was.clone();
    patient.id = Some("SOMEBODY-ELSE".into());
    let correction = NewCorrection {
        study: row.uid,
        revision: row.revision,
        corrected: Corrected::Study {
            patient,
            attributes: row.attributes,
        },
        overlay: "[]".into(),
        detail: "[]".into(),
        reason: "another patient".into(),
        by: "local operator".into(),
    };
    test.archive.correct(&test.scope, correction).await.unwrap();
    let last = MetadataScope::Instance {
        study: "1.2.2".into(),
        series: "1.2.2.1".into(),
        instance: "1.2.2.1.1".into(),
    };
    let deleted = test.archive.delete(&test.scope, deletion(last)).await;
    assert_eq!(deleted.unwrap().objects, 2, "the image's and the note's");
    let told = test.archive.corrections(&test.scope, "1.2.2").await;
    assert!(told.unwrap().is_empty());
    let again = instance(2, 1, 2, noise(5, 300));
    test.archive.store(&test.scope, again).await.unwrap();
    let row = test.archive.study(&test.scope, "1.2.2").await.unwrap();
    assert_eq!(row.unwrap().patient, was);
}
