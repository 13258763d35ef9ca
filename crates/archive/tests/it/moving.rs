//! Moves: rows, keys and what comes later.

use std::time::Duration;

use futures::TryStreamExt;
use hilum_archive::{
    ArchiveError, Cause, HoldOn, MetadataScope, MoveOf, MoveTo, NewDeletion, NewMove,
    PatientIdentity, StoreOutcome, StudyAttributes,
};

use crate::support::{TestArchive, config, instance, is_on_postgres, noise, on_the_same_bucket};

async fn stores(test: &TestArchive, study: u32, series: u32, number: u32) -> StoreOutcome {
    let seed = u64::from(study * 100 + series * 10 + number);
    let new = instance(study, series, number, noise(seed, 2_500));
    test.archive.store(&test.scope, new).await.unwrap()
}

pub(crate) fn to(study: &str, patient: &str) -> MoveTo {
    MoveTo {
        study: study.into(),
        series: None,
        patient: PatientIdentity {
            id: Some(patient.into()),
            ..PatientIdentity::default()
        },
        study_attributes: StudyAttributes::default(),
        series_attributes: None,
        study_overlay: None,
        series_overlay: None,
    }
}

pub(crate) async fn moves(
    test: &TestArchive,
    from: &str,
    of: MoveOf,
    to: MoveTo,
) -> hilum_archive::Result<u64> {
    let found = test.archive.overlays_of(&test.scope, from, &of).await?;
    let asked = NewMove {
        study: from.into(),
        of,
        overlays: found
            .into_iter()
            .map(|before| {
                let placed = before.as_ref().and_then(|overlay| overlay.placed.clone());
                let text = format!("{} to {}", placed.unwrap_or_default(), to.study);
                (before, text.trim().to_owned())
            })
            .collect(),
        to,
        detail: "[]".into(),
        reason: "wrong study".into(),
        by: "local operator".into(),
    };
    Ok(test.archive.relocate(&test.scope, asked).await?.instances)
}

/// SOP Instance UIDs of a study with what lies over them.
async fn of_study(test: &TestArchive, study: &str) -> Vec<(String, String)> {
    let of = MetadataScope::Study(study.into());
    let found: Vec<_> = test
        .archive
        .instance_metadata(&test.scope, of)
        .try_collect()
        .await
        .unwrap();
    found
        .into_iter()
        .map(|found| {
            assert_eq!(found.row.study, study);
            let overlay = found.row.overlay.and_then(|overlay| overlay.placed);
            let overlay = overlay.as_deref().unwrap_or_default().to_owned();
            (found.row.sop_instance, overlay)
        })
        .collect()
}

fn told(uids: &[&str], overlay: &str) -> Vec<(String, String)> {
    let one = |uid: &&str| ((*uid).to_owned(), overlay.to_owned());
    uids.iter().map(one).collect()
}

async fn deletes_study(test: &TestArchive, study: &str) {
    let deletion = NewDeletion {
        of: MetadataScope::Study(study.into()),
        cause: Cause::Person,
        reason: "sent twice".into(),
        by: "local operator".into(),
    };
    test.archive.delete(&test.scope, deletion).await.unwrap();
}

#[tokio::test]
async fn a_series_moves_with_its_bytes_and_later_arrivals_follow_and_it_moves_back() {
    for packed in [false, true] {
        let test = TestArchive::new().await;
        for number in 1..=3 {
            stores(&test, 1, 1, number).await;
        }
        stores(&test, 1, 2, 1).await;
        stores(&test, 2, 1, 1).await;
        if packed {
            test.archive.pack(Duration::ZERO).await.unwrap();
        }
        let series = MoveOf::Series("1.2.1.1".into());
        let moved = moves(&test, "1.2.1", series.clone(), to("1.2.2", "P2")).await;
        assert_eq!(moved.unwrap(), 3, "packed: {packed}");
        assert_eq!(of_study(&test, "1.2.1").await, told(&["1.2.1.2.1"], ""));
        // What comes again is known; what is new belongs where the rest is.
        assert_eq!(stores(&test, 1, 1, 2).await, StoreOutcome::Duplicate);
        assert_eq!(stores(&test, 1, 1, 4).await, StoreOutcome::Stored);
        let uids = ["1.2.1.1.1", "1.2.1.1.2", "1.2.1.1.3", "1.2.1.1.4"];
        let mut expected = told(&["1.2.2.1.1"], "");
        expected.extend(told(&uids, "to 1.2.2"));
        let mut there = of_study(&test, "1.2.2").await;
        there.sort_by_key(|(uid, _)| !uid.starts_with("1.2.2"));
        assert_eq!(there, expected, "packed: {packed}");
        for number in 1..=4 {
            let uid = format!("1.2.1.1.{number}");
            assert_eq!(test.bytes(&uid).await, noise(110 + number, 2_500));
        }
        test.archive.pack(Duration::ZERO).await.unwrap();
        test.archive.sweep().await.unwrap();
        let test = test.reopen().await;
        assert!(test.archive.verify(None).await.unwrap().is_sound());
        let study = test.archive.study(&test.scope, "1.2.2").await.unwrap();
        let study = study.unwrap();
        assert_eq!((study.series, study.instances), (2, 5));

        let back = moves(&test, "1.2.2", series, to("1.2.1", "P1")).await;
        assert_eq!(back.unwrap(), 4);
        assert_eq!(stores(&test, 1, 1, 5).await, StoreOutcome::Stored);
        let here = of_study(&test, "1.2.1").await;
        assert_eq!(here.len(), 6);
        assert!(here.contains(&("1.2.1.1.1".into(), "to 1.2.2 to 1.2.1".into())));
        assert_eq!(of_study(&test, "1.2.2").await, told(&["1.2.2.1.1"], ""));
        assert!(test.archive.verify(None).await.unwrap().is_sound());
    }
}

#[tokio::test]
async fn a_study_merges_into_another_with_what_comes_later_and_goes_with_it() {
    let test = TestArchive::new().await;
    for series in 1..=2 {
        stores(&test, 1, series, 1).await;
    }
    stores(&test, 2, 1, 1).await;
    let moved = moves(&test, "1.2.1", MoveOf::Study, to("1.2.2", "P2")).await;
    assert_eq!(moved.unwrap(), 2);
    assert!(
        test.archive
            .study(&test.scope, "1.2.1")
            .await
            .unwrap()
            .is_none()
    );
    // Also of a series that was not there.
    assert_eq!(stores(&test, 1, 3, 1).await, StoreOutcome::Stored);
    assert_eq!(of_study(&test, "1.2.2").await.len(), 4);
    let history = test
        .archive
        .corrections(&test.scope, "1.2.2")
        .await
        .unwrap();
    assert_eq!(history.len(), 1);

    deletes_study(&test, "1.2.2").await;
    test.archive.sweep().await.unwrap();
    for (study, series) in [(1, 1), (1, 9), (2, 1)] {
        let new = instance(study, series, 7, noise(7, 100));
        let outcome = test.archive.store(&test.scope, new).await;
        assert_eq!(outcome.unwrap_err(), ArchiveError::Deleted);
    }
    assert!(test.archive.verify(None).await.unwrap().is_sound());
    // Nothing but the notes of what was deleted is left.
    assert_eq!(test.objects().len(), 1);
}

#[tokio::test]
async fn instances_move_to_a_new_series_and_leave_the_rest_where_it_is() {
    let test = TestArchive::new().await;
    for number in 1..=3 {
        stores(&test, 1, 1, number).await;
    }
    test.archive.pack(Duration::ZERO).await.unwrap();
    let of = MoveOf::Instances {
        series: "1.2.1.1".into(),
        instances: vec!["1.2.1.1.2".into()],
    };
    let new = MoveTo {
        series: Some("1.2.1.77".into()),
        ..to("1.2.1", "P1")
    };
    assert_eq!(moves(&test, "1.2.1", of, new).await.unwrap(), 1);
    let row = test.archive.lookup(&test.scope, "1.2.1.1.2").await.unwrap();
    assert_eq!(row.unwrap().series, "1.2.1.77");
    let study = test.archive.study(&test.scope, "1.2.1").await.unwrap();
    assert_eq!(study.unwrap().series, 2);
    assert_eq!(stores(&test, 1, 1, 4).await, StoreOutcome::Stored);
    let row = test.archive.lookup(&test.scope, "1.2.1.1.4").await.unwrap();
    assert_eq!(row.unwrap().series, "1.2.1.1");
    assert!(test.archive.verify(None).await.unwrap().is_sound());
}

#[tokio::test]
async fn a_move_is_refused_under_a_hold_to_a_deleted_study_and_of_nothing() {
    let test = TestArchive::new().await;
    stores(&test, 1, 1, 1).await;
    stores(&test, 2, 1, 1).await;
    stores(&test, 3, 1, 1).await;
    deletes_study(&test, "1.2.3").await;
    let refused = |error: hilum_archive::Result<u64>| error.unwrap_err();
    let gone = moves(&test, "1.2.1", MoveOf::Study, to("1.2.3", "P")).await;
    assert_eq!(refused(gone), ArchiveError::Deleted);
    let none = moves(&test, "1.2.1", MoveOf::Series("9".into()), to("1.2.2", "P")).await;
    assert_eq!(refused(none), ArchiveError::NotFound);
    let none = moves(&test, "1.2.9", MoveOf::Study, to("1.2.2", "P")).await;
    assert_eq!(refused(none), ArchiveError::NotFound);
    let on = HoldOn::Study {
        study: "1.2.1".into(),
    };
    let hold = test.archive.place_hold(
        &test.scope,
        on,
        "litigation".into(),
        "local operator".into(),
    );
    hold.await.unwrap();
    let held = moves(&test, "1.2.1", MoveOf::Study, to("1.2.2", "P")).await;
    assert_eq!(refused(held), ArchiveError::Held);
    assert_eq!(of_study(&test, "1.2.1").await.len(), 1);
    test.archive.sweep().await.unwrap();
    assert!(test.archive.verify(None).await.unwrap().is_sound());
}

#[tokio::test]
async fn an_index_made_again_knows_what_moved_and_follows_it() {
    if is_on_postgres() {
        return;
    }
    let test = TestArchive::new().await;
    for number in 1..=2 {
        stores(&test, 1, 1, number).await;
        stores(&test, 3, 1, number).await;
    }
    stores(&test, 1, 2, 1).await;
    stores(&test, 2, 1, 1).await;
    let series = MoveOf::Series("1.2.1.1".into());
    moves(&test, "1.2.1", series, to("1.2.2", "P2"))
        .await
        .unwrap();
    moves(&test, "1.2.3", MoveOf::Study, to("1.2.4", "P4"))
        .await
        .unwrap();
    stores(&test, 1, 1, 3).await;
    deletes_study(&test, "1.2.4").await;
    let before = (
        of_study(&test, "1.2.1").await,
        of_study(&test, "1.2.2").await,
    );
    test.archive.close().await;
    let TestArchive {
        archive,
        scope,
        dir,
    } = test;
    drop(archive);
    hilum_archive::Archive::rebuild_index(config(dir.path()), None)
        .await
        .unwrap();
    let archive = hilum_archive::Archive::open(config(dir.path()))
        .await
        .unwrap();
    let test = TestArchive {
        archive,
        scope,
        dir,
    };
    let after = (
        of_study(&test, "1.2.1").await,
        of_study(&test, "1.2.2").await,
    );
    assert_eq!(before, after);
    assert!(
        test.archive
            .study(&test.scope, "1.2.3")
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        test.archive
            .study(&test.scope, "1.2.4")
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(stores(&test, 1, 1, 4).await, StoreOutcome::Stored);
    assert_eq!(of_study(&test, "1.2.2").await.len(), before.1.len() + 1);
    let history = test
        .archive
        .corrections(&test.scope, "1.2.2")
        .await
        .unwrap();
    assert_eq!(history.len(), 1);
}

const MOVED_IN: &str = "ARCHIVE_TEST_MOVED_IN";

/// Runs in a process of its own, which a step kills.
#[tokio::test]
async fn the_move_that_is_killed() {
    let Some(dir) = std::env::var_os(MOVED_IN) else {
        return;
    };
    let archive = hilum_archive::Archive::open(config(dir.as_ref()))
        .await
        .unwrap();
    let test = TestArchive {
        archive,
        scope: crate::support::scope("default"),
        dir: tempfile::tempdir().unwrap(),
    };
    let series = MoveOf::Series("1.2.1.1".into());
    moves(&test, "1.2.1", series, to("1.2.2", "P2"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_kill_at_any_step_of_a_move_leaves_it_made_or_not_made() {
    let steps = hilum_archive::steps::ALL.iter();
    for step in steps.filter(|step| step.starts_with("move.") || **step == "note.written") {
        let test = TestArchive::new().await;
        for number in 1..=3 {
            stores(&test, 1, 1, number).await;
        }
        stores(&test, 1, 2, 1).await;
        test.archive.pack(Duration::ZERO).await.unwrap();
        test.archive.close().await;
        let TestArchive {
            archive,
            scope,
            dir,
        } = test;
        drop(archive);
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let ended = on_the_same_bucket(&mut child)
            .args(["--exact", "moving::the_move_that_is_killed"])
            .env(MOVED_IN, dir.path())
            .env("ARCHIVE_STEP", format!("{step}=kill@1"))
            .output()
            .unwrap();
        assert_eq!(ended.status.code(), None, "{step} was not passed");
        for rebuilt in [false, true] {
            if rebuilt {
                let made = hilum_archive::Archive::rebuild_index(config(dir.path()), None).await;
                // Of packs it can't be made yet.
                if made.is_err() {
                    continue;
                }
            }
            let archive = hilum_archive::Archive::open(config(dir.path()))
                .await
                .unwrap();
            let (source, target) = ("1.2.1", "1.2.2");
            let test = TestArchive {
                archive,
                scope: scope.clone(),
                dir: tempfile::tempdir().unwrap(),
            };
            let there = of_study(&test, target).await.len();
            assert!(there == 0 || there == 3, "{step}: {there}");
            assert_eq!(of_study(&test, source).await.len(), 4 - there, "{step}");
            for number in 1..=3 {
                let bytes = test.bytes(&format!("1.2.1.1.{number}")).await;
                assert_eq!(bytes, noise(110 + number, 2_500), "{step}");
            }
            test.archive.sweep().await.unwrap();
            let report = test.archive.verify(None).await.unwrap();
            assert!(report.is_sound(), "{step}: {report:?}");
            test.archive.close().await;
            drop(test.archive);
        }
    }
}

#[tokio::test]
async fn what_was_refused_is_not_carried_out_by_an_index_made_again() {
    let test = TestArchive::new().await;
    stores(&test, 1, 1, 1).await;
    stores(&test, 2, 1, 1).await;
    let objects = test.objects().len();
    // The series is not in that study: refused after its note was written.
    let deletion = NewDeletion {
        of: MetadataScope::Series {
            study: "1.2.1".into(),
            series: "1.2.2.1".into(),
        },
        cause: Cause::Person,
        reason: "sent twice".into(),
        by: "local operator".into(),
    };
    let refused = test.archive.delete(&test.scope, deletion).await;
    assert_eq!(refused.unwrap_err(), ArchiveError::NotFound);
    assert_eq!(test.objects().len(), objects, "its note is gone at once");
}
