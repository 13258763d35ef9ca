//! Random work of every kind, then an index made again from objects and keys:
//! it answers as the one that was lost.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::TryStreamExt;
use hilum_archive::{
    ArchiveError, Cause, Corrected, MetadataScope, MoveOf, NewCorrection, NewDeletion, NewInstance,
    Rejection, RejectionReason, Resend, ResultKey,
};

use crate::moving::{moves, to};
use crate::pack_model::Dice;
use crate::rebuilding::{answers, assert_sound, rebuilt};
use crate::support::{TestArchive, instance, is_on_postgres, noise};

const STUDIES: u64 = 4;
const SERIES: u64 = 3;
const NUMBERS: u64 = 6;
/// Holds rejection notes; no images.
const NOTES: u32 = 9;
/// Holds results.
const RESULTS: u32 = 8;

struct Work {
    test: TestArchive,
    dice: Dice,
    /// How often each kind of work was done, and not refused.
    done: [u32; 8],
}

impl Work {
    fn study(&mut self) -> u32 {
        1 + self.dice.below(STUDIES) as u32
    }

    fn series(&mut self) -> u32 {
        1 + self.dice.below(SERIES) as u32
    }

    fn uid(&mut self) -> String {
        let (study, series) = (self.study(), self.series());
        format!("1.2.{study}.{series}.{}", self.dice.below(NUMBERS))
    }

    async fn step(&mut self, number: u32) {
        let what = self.dice.below(16);
        let kind = match what {
            0..=6 => 0,
            other => (other - 6) as usize,
        };
        let done = match kind {
            0 => self.store().await,
            1 => self.correct().await,
            2 => self.relocate().await,
            3 => self.reject(number).await,
            4 => self.delete().await,
            5 => self.publish(number).await,
            6 => self.test.archive.pack(Duration::ZERO).await.map(|_| ()),
            _ => self.test.archive.sweep().await.map(|_| ()),
        };
        match done {
            Ok(()) => {
                if let Some(count) = self.done.get_mut(kind) {
                    *count += 1;
                }
            }
            Err(ArchiveError::NotFound | ArchiveError::Deleted | ArchiveError::Outdated) => {}
            // A move onto itself.
            Err(ArchiveError::Invalid(_)) => {}
            Err(error) => panic!("{kind}: {error}"),
        }
    }

    async fn store(&mut self) -> Result<(), ArchiveError> {
        let (study, series) = (self.study(), self.series());
        let number = self.dice.below(NUMBERS) as u32;
        let new = instance(study, series, number, noise(self.dice.below(1 << 40), 900));
        // Sent again, it has other pixels now and then, and other bytes always.
        let again = self.dice.below(3) > 0;
        let comparison = noise(u64::from(study * 100 + series * 10 + number), 32);
        let new = NewInstance {
            comparison: match again {
                true => comparison.try_into().ok(),
                false => new.comparison,
            },
            ..new
        };
        self.test.archive.store(&self.test.scope, new).await?;
        Ok(())
    }

    async fn correct(&mut self) -> Result<(), ArchiveError> {
        let study = format!("1.2.{}", self.study());
        let row = self.test.archive.study(&self.test.scope, &study).await?;
        let row = row.ok_or(ArchiveError::NotFound)?;
        let version = self.dice.below(1_000);
        let mut patient = row.patient;
        patient.id = Some(format!("P{}", version % 3));
        let correction = NewCorrection {
            study,
            revision: row.revision,
            corrected: Corrected::Study {
                patient,
                attributes: row.attributes,
            },
            overlay: format!("study {version}"),
            detail: "[]".into(),
            reason: "another patient".into(),
            by: "somebody".into(),
        };
        let corrected = self.test.archive.correct(&self.test.scope, correction);
        corrected.await.map(|_| ())
    }

    async fn relocate(&mut self) -> Result<(), ArchiveError> {
        let (study, target) = (self.study(), self.study());
        let series = format!("1.2.{study}.{}", self.series());
        let of = match self.dice.below(3) {
            0 => MoveOf::Study,
            1 => MoveOf::Series(series),
            _ => MoveOf::Instances {
                instances: vec![format!("{series}.{}", self.dice.below(NUMBERS))],
                series,
            },
        };
        let to = to(&format!("1.2.{target}"), &format!("P{target}"));
        let moved = moves(&self.test, &format!("1.2.{study}"), of, to).await;
        moved.map(|_| ())
    }

    async fn reject(&mut self, number: u32) -> Result<(), ArchiveError> {
        let study = self.study();
        let reason = match self.dice.below(2) {
            0 => RejectionReason::Quality,
            _ => RejectionReason::PatientSafety,
        };
        let instances = vec![self.uid(), self.uid()];
        let note = NewInstance {
            rejects: Some(Rejection { reason, instances }),
            ..instance(study, NOTES, number, noise(u64::from(number) + 900, 300))
        };
        self.test.archive.store(&self.test.scope, note).await?;
        Ok(())
    }

    async fn delete(&mut self) -> Result<(), ArchiveError> {
        let uid = match self.dice.below(4) {
            0 => format!(
                "1.2.{}.{NOTES}.{}",
                self.study(),
                self.dice.below(u64::from(STEPS))
            ),
            _ => self.uid(),
        };
        let row = self.test.archive.lookup(&self.test.scope, &uid).await?;
        let row = row.ok_or(ArchiveError::NotFound)?;
        let (study, series) = (row.study, row.series);
        let of = match self.dice.below(8) {
            0 => MetadataScope::Study(study),
            1 => MetadataScope::Series { study, series },
            _ => MetadataScope::Instance {
                study,
                series,
                instance: uid,
            },
        };
        let deletion = NewDeletion {
            of,
            cause: Cause::Person,
            reason: "blurred".into(),
            by: "somebody".into(),
        };
        let deleted = self.test.archive.delete(&self.test.scope, deletion);
        deleted.await.map(|_| ())
    }

    async fn publish(&mut self, number: u32) -> Result<(), ArchiveError> {
        let study = self.study();
        let set = vec![
            instance(study, RESULTS, number, noise(u64::from(number) + 500, 400)),
            instance(
                study,
                RESULTS - 1,
                number,
                noise(u64::from(number) + 700, 400),
            ),
        ];
        let key = ResultKey(format!("run {number}"));
        let published = self
            .test
            .archive
            .publish(&self.test.scope, key, set, Vec::new());
        published.await.map(|_| ())
    }
}

/// Every answer, and what lies over every instance; in no order, for rows that
/// are equal to a question may come in another one.
async fn told(test: &TestArchive) -> BTreeSet<String> {
    // Of studies and series: an index made again says when the first and the
    // last came that are there; the lost one, that were ever there.
    let untimed = |line: String| {
        let mut parts = line.split("_received: ");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |told, part| {
            told + part.split_once(", ").unwrap_or_default().1
        })
    };
    let answers = answers(test).await.into_iter().map(untimed);
    let mut told: BTreeSet<String> = answers.collect();
    for study in 1..=STUDIES {
        let of = MetadataScope::Study(format!("1.2.{study}"));
        let found: Vec<_> = test
            .archive
            .instance_metadata(&test.scope, of)
            .try_collect()
            .await
            .unwrap_or_default();
        let overlaid = found
            .iter()
            .map(|one| format!("{} {:?}", one.row.sop_instance, one.row.overlay));
        told.extend(overlaid);
    }
    told
}

const STEPS: u32 = 60;

#[tokio::test]
async fn an_index_made_again_after_any_work_answers_as_the_lost_one() {
    if is_on_postgres() {
        return;
    }
    let mut done = [0; 8];
    for seed in seeds() {
        let test = TestArchive::new().await;
        test.archive.set_resend(test.scope.tenant(), Resend::Refuse);
        let mut work = Work {
            test,
            dice: Dice(seed),
            done,
        };
        for number in 0..STEPS {
            work.step(number).await;
        }
        let before = told(&work.test).await;
        let (test, report) = rebuilt(work.test).await;
        assert_eq!(report.fault_count, 0, "seed {seed}: {report:?}");
        let after = told(&test).await;
        let lost: Vec<_> = before.difference(&after).collect();
        let new: Vec<_> = after.difference(&before).collect();
        assert!(
            lost.is_empty() && new.is_empty(),
            "seed {seed}: lost {lost:#?}, new {new:#?}"
        );
        assert_sound(&test).await;
        done = work.done;
    }
    assert!(done.iter().all(|count| *count > 0), "{done:?}");
}

/// Some, of which one once failed; with `REBUILD_SEEDS=from..to`, those.
fn seeds() -> std::ops::Range<u64> {
    let asked = std::env::var("REBUILD_SEEDS").unwrap_or_default();
    match asked
        .split_once("..")
        .map(|(from, to)| (from.parse(), to.parse()))
    {
        Some((Ok(from), Ok(to))) => from..to,
        _ => 24..28,
    }
}
