//! Random work against an archive and against a plain model of it in memory:
//! whatever was stored, packed, swept, decided or reopened in whatever order,
//! both answer the same.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::TryStreamExt;
use hilum_archive::{
    Cause, Decision, InstanceFilter, MetadataScope, NewDeletion, NewInstance, Page, Resend,
    StoreOutcome,
};

use crate::support::{TestArchive, assert_tally, instance, noise};

/// A small generator: a failure is repeated by its seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % end
    }
}

type Hash = [u8; 32];

/// What an archive is to those who ask.
#[derive(Default)]
struct Model {
    /// Under each UID: everything that is kept, with its series.
    kept: BTreeMap<String, Vec<(Hash, String)>>,
    served: BTreeMap<String, Hash>,
    comparisons: BTreeMap<Hash, Hash>,
    bodies: BTreeMap<Hash, Vec<u8>>,
    metadata: BTreeMap<Hash, Vec<u8>>,
    undecided: Vec<(String, Hash)>,
}

impl Model {
    /// Deletes a UID from one series; another content may be served then.
    fn delete(&mut self, uid: &str, series: &str) {
        let Some(kept) = self.kept.get_mut(uid) else {
            return;
        };
        let gone: Vec<Hash> = kept
            .iter()
            .filter(|(_, of)| of == series)
            .map(|(hash, _)| *hash)
            .collect();
        kept.retain(|(_, of)| of != series);
        self.undecided
            .retain(|(of, hash)| of != uid || !gone.contains(hash));
        if gone.contains(&self.served[uid]) {
            self.served.remove(uid);
            if let Some((first, _)) = kept.first().cloned() {
                self.served.insert(uid.to_owned(), first);
                self.undecided.retain(|one| *one != (uid.to_owned(), first));
            }
        }
    }

    fn store(&mut self, new: &NewInstance, body: Vec<u8>) -> StoreOutcome {
        let uid = new.sop_instance.clone();
        let known = self.kept.entry(uid.clone()).or_default();
        if known.iter().any(|(hash, _)| *hash == new.sha256) {
            return StoreOutcome::Duplicate;
        }
        known.push((new.sha256, new.series.clone()));
        self.bodies.insert(new.sha256, body);
        self.metadata.insert(new.sha256, new.metadata.to_vec());
        let comparison = new.comparison.unwrap();
        self.comparisons.insert(new.sha256, comparison);
        let Some(served) = self.served.get(&uid) else {
            self.served.insert(uid, new.sha256);
            return StoreOutcome::Stored;
        };
        if self.comparisons[served] == comparison {
            return StoreOutcome::Variant;
        }
        self.undecided.push((uid, new.sha256));
        StoreOutcome::Conflict
    }
}

async fn check(test: &TestArchive, model: &Model, seed: u64) {
    assert_tally(test).await;
    let filter = InstanceFilter::default();
    let mut found = BTreeMap::new();
    let mut offset = 0;
    loop {
        let page = Page { limit: 7, offset };
        let rows = test.archive.instances(&test.scope, &filter, page).await;
        let rows = rows.unwrap();
        offset += rows.len() as u64;
        let full = rows.len() == 7;
        for row in rows {
            assert!(found.insert(row.sop_instance, row.sha256).is_none());
        }
        if !full {
            break;
        }
    }
    assert_eq!(found, model.served, "seed {seed}");
    let conflicts = test
        .archive
        .conflicts(&test.scope, Page::first(5_000))
        .await;
    let mut conflicts: Vec<_> = conflicts
        .unwrap()
        .into_iter()
        .map(|conflict| (conflict.contender.sop_instance, conflict.contender.sha256))
        .collect();
    conflicts.sort();
    let mut undecided = model.undecided.clone();
    undecided.sort();
    assert_eq!(conflicts, undecided, "seed {seed}");
    for study in 1..=2 {
        let of = MetadataScope::Study(format!("1.2.{study}"));
        let stream = test.archive.instance_metadata(&test.scope, of);
        let all: Vec<_> = stream.try_collect().await.unwrap();
        for one in &all {
            assert_eq!(model.served[&one.row.sop_instance], one.row.sha256);
            assert_eq!(model.metadata[&one.row.sha256], one.metadata);
        }
        let study = test
            .archive
            .study(&test.scope, &format!("1.2.{study}"))
            .await;
        let counted = study.unwrap().map_or(0, |study| study.instances);
        assert_eq!(counted, all.len() as u64, "seed {seed}");
    }
}

async fn run(seed: u64, steps: u32) {
    let mut test = TestArchive::new().await;
    let mut model = Model::default();
    // Each leaves a note, which is verified too.
    let mut deletions = 0;
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    for _ in 0..steps {
        let accept = Resend::Accept;
        test.archive.set_resend(test.scope.tenant(), accept);
        match dice.below(100) {
            0..3 => {
                let at = dice.below(model.served.len().max(1) as u64) as usize;
                let Some(uid) = model.served.keys().nth(at).cloned() else {
                    continue;
                };
                let row = test.archive.lookup(&test.scope, &uid).await;
                let row = row.unwrap().unwrap();
                model.delete(&uid, &row.series);
                let deletion = NewDeletion {
                    of: MetadataScope::Instance {
                        study: row.study,
                        series: row.series,
                        instance: uid,
                    },
                    cause: Cause::Person,
                    reason: String::new(),
                    by: "somebody".into(),
                };
                test.archive.delete(&test.scope, deletion).await.unwrap();
                deletions += 1;
            }
            3..60 => {
                let (study, series) = (1 + dice.below(2) as u32, dice.below(3) as u32);
                let number = dice.below(12) as u32;
                let variant = dice.below(4);
                let body = noise(
                    u64::from(study * 10_000 + series * 1_000 + number) * 10 + variant,
                    200 + 300 * variant as usize,
                );
                let mut new = instance(study, series, number, body.clone());
                if dice.below(10) == 0 {
                    // The same UID in another series.
                    new.sop_instance = format!("1.2.1.0.{number}");
                }
                // 0 and 1 show the same.
                let shows = [u8::try_from(variant / 2 * 2).unwrap(); 32];
                new.comparison = Some(shows);
                new.metadata = format!("{{\"v\":\"{variant} {number}\"}}").into();
                let expected = model.store(&new, body);
                let outcome = test.archive.store(&test.scope, new).await;
                assert_eq!(outcome, Ok(expected), "seed {seed}");
            }
            60..75 => {
                let report = test.archive.pack(Duration::ZERO).await.unwrap();
                assert_eq!(report.skipped, 0, "seed {seed}");
            }
            75..80 => {
                let swept = test.archive.sweep().await.unwrap();
                assert_eq!(swept.unknown, 0, "seed {seed}");
            }
            80..88 => {
                let page = Page::first(1);
                let conflicts = test.archive.conflicts(&test.scope, page).await;
                let Some(conflict) = conflicts.unwrap().into_iter().next() else {
                    continue;
                };
                let (uid, hash) = (
                    conflict.contender.sop_instance.clone(),
                    conflict.contender.sha256,
                );
                assert_eq!(conflict.served.sha256, model.served[&uid]);
                let decision = if dice.below(2) == 0 {
                    Decision::KeepServed
                } else {
                    model.served.insert(uid.clone(), hash);
                    Decision::ServeContender
                };
                model.undecided.retain(|one| *one != (uid.clone(), hash));
                test.archive
                    .decide_conflict(&test.scope, conflict.id, decision)
                    .await
                    .unwrap();
            }
            88..97 => {
                let at = dice.below(model.served.len().max(1) as u64) as usize;
                let Some((uid, hash)) = model.served.iter().nth(at) else {
                    continue;
                };
                assert_eq!(test.bytes(uid).await, model.bodies[hash], "seed {seed}");
            }
            97..99 => check(&test, &model, seed).await,
            _ => test = test.reopen().await,
        }
    }
    check(&test, &model, seed).await;
    let kept: usize = model.kept.values().map(Vec::len).sum();
    let report = test.archive.verify(None).await.unwrap();
    assert!(report.faults.is_empty(), "seed {seed}: {:?}", report.faults);
    assert_eq!(report.instances, kept as u64 + deletions, "seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_answers_as_a_plain_model_of_it_does() {
    let seeds: u64 = std::env::var("HILUM_TEST_SEEDS").ok().map_or(4, |seeds| {
        seeds.parse().expect("HILUM_TEST_SEEDS is a number")
    });
    for seed in 1..=seeds {
        run(seed, 600).await;
    }
}
