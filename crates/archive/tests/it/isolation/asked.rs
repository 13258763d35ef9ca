//! Every question of the archive, asked by tenant `b` with what is `a`'s.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;

use futures::TryStreamExt;
use hilum_archive::{
    Archive, ArchiveError, Cause, Corrected, Decision, Erased, ErasedPatient, HoldOn,
    InstanceFilter, MetadataScope, MoveOf, NewCorrection, NewDeletion, PatientIdentity, Quota,
    ResultKey, RetentionRule, SeriesFilter, Since, StudyAttributes, StudyFilter,
};
use hilum_contracts::audit::Subject;
use hilum_contracts::export::Exports as _;
use hilum_contracts::ids::CorrelationId;
use hilum_platform::audit::{AuditSource as _, Filter};
use hilum_platform::events::OutboxSource as _;

use super::{KEY, SECRET, World, holds, named};
use crate::everything::{ALL, everything};
use crate::moving::{moves, to};
use crate::support::{TestArchive, files, instance, noise, scope};

/// The questions that were asked, by name.
#[derive(Default)]
struct Asked(BTreeSet<&'static str>);

impl Asked {
    /// An answer that must name nothing of `a`'s.
    fn shows_nothing(&mut self, name: &'static str, answer: &impl Debug) {
        self.0.insert(name);
        let text = format!("{answer:?}");
        assert!(
            !text.to_lowercase().contains(&SECRET.to_lowercase()),
            "{name}: {text}"
        );
    }

    /// A question that must not be answered at all.
    fn refuses<T: Debug>(&mut self, name: &'static str, answer: Result<T, ArchiveError>) {
        self.0.insert(name);
        assert!(answer.is_err(), "{name}: {answer:?}");
    }
}

/// Every public question that takes a scope, from the code itself.
fn questions() -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeSet::new();
    for file in files(&source) {
        let text = std::fs::read_to_string(&file).unwrap();
        for start in ["    pub async fn ", "    pub fn "] {
            for part in text.split(start).skip(1) {
                let (name, rest) = part.split_once('(').unwrap();
                let arguments = rest.split_once(" {\n").unwrap().0;
                if arguments.contains("TenantScope") {
                    found.insert(name.to_owned());
                }
            }
        }
    }
    assert!(found.len() > 40, "{found:?}");
    found
}

/// What `a` would notice: every answer and byte, and what waits to be told.
async fn state(test: &TestArchive) -> Vec<String> {
    let a = scope("a");
    let mut all = everything(&test.archive, &a).await;
    for study in ["1.2.1", "1.2.2", "1.2.3", "1.2.4", "1.2.5"] {
        all.push(format!("{:?}", test.archive.keeping(&a, study).await));
        all.push(format!("{:?}", test.archive.corrections(&a, study).await));
    }
    let items = test.archive.quarantined(&a, ALL).await.unwrap();
    for item in items {
        let read = test.archive.read_quarantined(&a, item.id, 0..item.length);
        all.push(format!(
            "{item:?} {:?}",
            read.await.unwrap().collect().await
        ));
    }
    all.push(format!("{:?}", test.archive.deletions(&a, 100).await));
    all.push(format!("{:?}", test.archive.certificates(&a, 100).await));
    let events = test.archive.unsent(1_000).await.unwrap();
    let own = events
        .iter()
        .filter(|(_, event)| event.tenant.as_str() == "a");
    all.push(format!("{:?}", own.collect::<Vec<_>>()));
    let trail = test
        .archive
        .search(&a, &Filter::default(), None, 1_000)
        .await;
    all.push(format!("{:?}", trail.unwrap()));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_learns_and_changes_nothing_with_real_identifiers() {
    let World { test, a, b } = World::new().await;
    let patient = ErasedPatient {
        id: "P2".into(),
        issuer: Some("HOSPITAL".into()),
    };
    let archive = &test.archive;
    // Of which `b` has nothing of its own, so that every answer would be `a`'s.
    let a_only = named(instance(7, 1, 1, noise(7_777, 2_500)), "a");
    archive.store(&scope("a"), a_only).await.unwrap();
    let row = archive
        .lookup(&scope("a"), "1.2.7.1.1")
        .await
        .unwrap()
        .unwrap();
    let uncompared = archive
        .begin_comparison(&scope("a"))
        .await
        .unwrap()
        .unwrap();
    let erased = Erased::default();
    let (record, _) = archive
        .record_erasure(&scope("a"), &patient, &erased)
        .await
        .unwrap();
    // Also warms every cache with what is `a`'s.
    let before = state(&test).await;
    let mut asked = Asked::default();

    reads(&test, &mut asked).await;
    asked.refuses(
        "read_range",
        archive
            .read_range(&scope("b"), &row.location, 0..16)
            .await
            .map(drop),
    );
    asked.refuses(
        "source",
        archive.source(&scope("b"), &row.location).await.map(drop),
    );
    asked.refuses("quarantined_item", {
        let item = archive
            .quarantined_item(&scope("b"), a.quarantined)
            .await
            .unwrap();
        item.ok_or(ArchiveError::NotFound)
    });
    asked.refuses(
        "read_quarantined",
        archive
            .read_quarantined(&scope("b"), a.quarantined, 0..16)
            .await
            .map(drop),
    );
    asked.shows_nothing(
        "audited_in",
        &archive.audited_in(&scope("b"), &record).await.unwrap(),
    );

    asked.shows_nothing(
        "make_lookup",
        &archive.make_lookup(&scope("b")).await.unwrap(),
    );

    changes(&test, &mut asked).await;
    let b_scope = scope("b");
    asked.refuses(
        "lift_hold",
        archive.lift_hold(&b_scope, a.hold, "b".into()).await,
    );
    asked.refuses(
        "delete_quarantined",
        archive.delete_quarantined(&b_scope, a.quarantined).await,
    );
    asked.refuses(
        "decide_conflict",
        archive
            .decide_conflict(&b_scope, uncompared.id, Decision::ServeContender)
            .await,
    );
    let ended = archive.end_comparison(&b_scope, &uncompared, true).await;
    asked.shows_nothing("end_comparison", &ended);
    let again = archive.erase_again(&b_scope, &record, |_| Vec::new()).await;
    assert_eq!(again.unwrap(), Vec::<String>::new());
    asked.0.insert("erase_again");

    ends(archive, &mut asked).await;

    let known: BTreeSet<String> = asked.0.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(known, questions(), "a new question: ask it here");
    let after = state(&test).await;
    assert_eq!(before, after, "nothing of a's changed");
    assert!(b.bodies.iter().all(|body| !holds(body, &a.bodies)));
    test.archive.sweep().await.unwrap();
    let report = test.archive.verify(None).await.unwrap();
    assert!(report.faults.is_empty(), "{report:?}");
}

/// What `b` owns, and its end.
async fn ends(archive: &Archive, asked: &mut Asked) {
    let b = scope("b");
    let mut after = None;
    loop {
        let page = archive.export(&b, after.as_deref()).await.unwrap();
        asked.shows_nothing("export", &page);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    asked.0.remove("export");
    assert_eq!(archive.standing_holds(&b).await.unwrap(), 1);
    asked.0.insert("standing_holds");
    asked.shows_nothing("close_tenant", &archive.close_tenant(&b).await.unwrap());
    asked.shows_nothing("record_ending", &archive.record_ending(&b).await.unwrap());
    archive.destroy_tenant(&b).await.unwrap();
    asked.0.insert("destroy_tenant");
}

/// The questions that change nothing.
async fn reads(test: &TestArchive, asked: &mut Asked) {
    let (archive, b) = (&test.archive, scope("b"));
    let uid = || "1.2.7.1.1".to_owned();
    let of = |number: u32| MetadataScope::Instance {
        study: format!("1.2.{number}"),
        series: format!("1.2.{number}.1"),
        instance: format!("1.2.{number}.1.1"),
    };
    let none = archive.lookup(&b, &uid()).await.unwrap();
    assert!(none.is_none(), "{none:?}");
    asked.shows_nothing("lookup", &archive.lookup(&b, "1.2.1.1.1").await.unwrap());
    let many = archive
        .lookup_many(&b, &[uid(), "1.2.1.1.1".into()])
        .await
        .unwrap();
    asked.shows_nothing("lookup_many", &many);
    let page = ALL;
    asked.shows_nothing(
        "studies",
        &archive
            .studies(&b, &StudyFilter::default(), page)
            .await
            .unwrap(),
    );
    assert!(archive.study(&b, "1.2.7").await.unwrap().is_none());
    asked.shows_nothing("study", &archive.study(&b, "1.2.1").await.unwrap());
    asked.shows_nothing(
        "series",
        &archive
            .series(&b, &SeriesFilter::default(), page)
            .await
            .unwrap(),
    );
    let filter = InstanceFilter {
        uids: vec![uid()],
        ..InstanceFilter::default()
    };
    assert!(
        archive
            .instances(&b, &filter, page)
            .await
            .unwrap()
            .is_empty()
    );
    let all = archive
        .instances(&b, &InstanceFilter::default(), page)
        .await
        .unwrap();
    asked.shows_nothing("instances", &all);
    let worklist = archive
        .worklist(&b, &StudyFilter::default(), None, 100)
        .await;
    asked.shows_nothing("worklist", &worklist.unwrap());
    asked.shows_nothing("conflicts", &archive.conflicts(&b, page).await.unwrap());
    asked.shows_nothing(
        "begin_comparison",
        &archive.begin_comparison(&b).await.unwrap(),
    );
    let published = archive.published(&b, &ResultKey(KEY.into())).await.unwrap();
    asked.shows_nothing("published", &published);
    assert!(archive.overlay(&b, "1.2.7", None).await.unwrap().is_none());
    asked.shows_nothing(
        "overlay",
        &archive.overlay(&b, "1.2.1", None).await.unwrap(),
    );
    asked.shows_nothing(
        "corrections",
        &archive.corrections(&b, "1.2.7").await.unwrap(),
    );
    asked.shows_nothing("deletions", &archive.deletions(&b, 100).await.unwrap());
    asked.shows_nothing("rejected", &archive.rejected(&b, "1.2.7").await.unwrap());
    asked.refuses("keeping", archive.keeping(&b, "1.2.7").await);
    asked.shows_nothing("holds", &archive.holds(&b, 100).await.unwrap());
    assert!(archive.revision(&b, &of(7)).await.unwrap().is_none());
    asked.shows_nothing("revision", &archive.revision(&b, &of(1)).await.unwrap());
    let stream = archive.metadata(&b, of(7), std::sync::Arc::new(AsStored));
    let batches: Vec<_> = stream.try_collect().await.unwrap();
    assert!(batches.iter().all(|batch| batch.pieces.is_empty()));
    asked.0.insert("metadata");
    for number in [1, 7] {
        let stream = archive.instance_metadata(&b, of(number));
        let found: Vec<_> = stream.try_collect().await.unwrap();
        assert_eq!(found.is_empty(), number == 7);
        asked.shows_nothing("instance_metadata", &found);
        let address = (
            format!("1.2.{number}"),
            format!("1.2.{number}.1"),
            format!("1.2.{number}.1.1"),
        );
        let part = archive
            .instance_part(&b, address, |_| Some(0..16))
            .await
            .unwrap();
        assert_eq!(part.is_none(), number == 7);
        asked.shows_nothing("instance_part", &part.map(|part| part.found));
    }
    asked.shows_nothing("storage", &archive.storage(Some(&b)).await.unwrap());
    asked.shows_nothing("files", &archive.files(&b).await.unwrap());
    let overlays = archive
        .overlays_of(&b, "1.2.7", &MoveOf::Study)
        .await
        .unwrap();
    assert!(overlays.is_empty());
    asked.0.insert("overlays_of");
    // `a` moved this study, and so did `b`; where `a`'s went is not told.
    let followed = archive.followed(&b, "1.2.7", "1.2.7.1").await.unwrap();
    asked.shows_nothing("followed", &followed);
    asked.shows_nothing("quarantined", &archive.quarantined(&b, page).await.unwrap());
    asked.shows_nothing(
        "unfinished_erasures",
        &archive.unfinished_erasures(&b).await.unwrap(),
    );
    asked.shows_nothing(
        "certificates",
        &archive.certificates(&b, 100).await.unwrap(),
    );
}

/// The questions that change something: of `b`'s, or nothing.
async fn changes(test: &TestArchive, asked: &mut Asked) {
    let (archive, b) = (&test.archive, scope("b"));
    let correction = NewCorrection {
        study: "1.2.7".into(),
        revision: 1,
        corrected: Corrected::Study {
            patient: PatientIdentity::default(),
            attributes: StudyAttributes::default(),
        },
        overlay: "[]".into(),
        detail: "[]".into(),
        reason: "mine".into(),
        by: "b".into(),
    };
    asked.refuses("correct", archive.correct(&b, correction).await);
    asked.refuses(
        "relocate",
        moves(test, "1.2.7", MoveOf::Study, to("1.2.8", "P8")).await,
    );
    let deletion = NewDeletion {
        of: MetadataScope::Study("1.2.7".into()),
        cause: Cause::Person,
        reason: "mine".into(),
        by: "b".into(),
    };
    asked.refuses("delete", archive.delete(&b, deletion).await);
    let whom = ErasedPatient {
        id: "P7".into(),
        issuer: Some("HOSPITAL".into()),
    };
    asked.refuses(
        "erase",
        archive.erase(&b, whom.clone(), &[], "b").await.map(drop),
    );
    let certified = archive.certify(&b, whom.clone(), "{}".into()).await;
    asked.shows_nothing("certify", &certified);
    let (record, _) = archive
        .record_erasure(&b, &whom, &Erased::default())
        .await
        .unwrap();
    asked.shows_nothing("record_erasure", &record);
    let forgotten = archive
        .forget_events(&b, &["1.2.7".into(), "1.2.1".into()])
        .await;
    asked.shows_nothing("forget_events", &forgotten);
    let subjects = [Subject::study("1.2.7"), Subject::study("1.2.1")];
    asked.shows_nothing(
        "forget_audited",
        &archive.forget_audited(&b, &subjects).await.unwrap(),
    );
    asked.shows_nothing(
        "end_store",
        &archive.end_store(&b, CorrelationId::new()).await,
    );
    asked.shows_nothing(
        "retire_rejected",
        &archive.retire_rejected(&b).await.unwrap(),
    );
    let on = HoldOn::Study {
        study: "1.2.7".into(),
    };
    let held = archive.place_hold(&b, on, "mine".into(), "b".into()).await;
    asked.shows_nothing("place_hold", &held);

    // The same UIDs, bytes and keys are `b`'s own.
    let same = named(instance(7, 1, 1, noise(7_778, 2_500)), "b");
    asked.shows_nothing("store", &archive.store(&b, same).await.unwrap());
    let item = crate::support::unreadable(&noise(7_003, 2_500));
    asked.shows_nothing("quarantine", &archive.quarantine(&b, item).await.unwrap());
    let set = vec![named(instance(9, 1, 1, noise(9_999, 2_500)), "b")];
    let key = ResultKey("set-2".into());
    asked.shows_nothing(
        "publish",
        &archive.publish(&b, key, set, vec![]).await.unwrap(),
    );
    // Nothing may stay, and nothing fits any more: of `b`'s.
    archive.set_quota(
        b.tenant(),
        Quota {
            bytes: Some(1),
            instances: Some(1),
        },
    );
    let rule = RetentionRule {
        modalities: vec![],
        since: Since::StudyDate,
        keep_days: None,
        expire_days: Some(0),
    };
    asked.shows_nothing(
        "set_retention",
        &archive.set_retention(&b, vec![rule]).await,
    );
    let expired = archive.delete_expired(&b, 100).await.unwrap();
    asked.shows_nothing("delete_expired", &expired);
}

/// Gives metadata out as it is stored.
struct AsStored;

impl hilum_archive::MetadataForm for AsStored {
    fn name(&self, _: &str, _: &str) -> [u8; 16] {
        [0; 16]
    }

    fn make(&self, piece: &hilum_archive::MetadataPiece) -> hilum_archive::Result<bytes::Bytes> {
        Ok(piece.text.clone())
    }
}
