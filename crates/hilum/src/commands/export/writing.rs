//! Writes the instances of a plan as files, several at a time, study by study.
//! A file has its name only when it is whole and durable, and is noted only
//! after that.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use aws_lc_rs::digest;
use futures::{StreamExt as _, stream};
use hilum_media::FileId;
use hilum_platform::durable::sync_folder;
use tokio::io::AsyncWriteExt as _;

use super::plan::{self, Instance, Planned};
use super::state::{Done, Failure, Place, Progress, State, Written};
use crate::commands::door::{Door, component};

/// Instances that are listed at once.
const LISTED: usize = 1_000;
/// Files that are noted at once: what a broken export writes again.
const NOTED: usize = 256;
/// The stored transfer syntax, whatever it is.
const AS_STORED: &str = "application/dicom; transfer-syntax=*";

pub(super) struct Writing<'a> {
    pub(super) door: &'a Door,
    pub(super) to: &'a Path,
    pub(super) state: &'a mut State,
    pub(super) progress: &'a mut Progress,
    pub(super) parallel: usize,
    pub(super) bar: &'a indicatif::ProgressBar,
    pending: Vec<Done>,
    folders: BTreeSet<PathBuf>,
}

/// A file that is to be written.
struct Job {
    address: String,
    path: PathBuf,
    written: Written,
}

/// What became of an instance.
enum Outcome {
    Written(Written),
    /// It was deleted meanwhile.
    Gone,
    Failed {
        of: Written,
        reason: String,
    },
}

impl<'a> Writing<'a> {
    pub(super) fn new(
        door: &'a Door,
        to: &'a Path,
        (state, progress): (&'a mut State, &'a mut Progress),
        parallel: usize,
        bar: &'a indicatif::ProgressBar,
    ) -> Self {
        Self {
            door,
            to,
            state,
            progress,
            parallel,
            bar,
            pending: Vec::new(),
            folders: BTreeSet::new(),
        }
    }

    /// Writes everything that is not there yet.
    pub(super) async fn run(&mut self) -> anyhow::Result<()> {
        let ended = self.studies().await;
        // What was written stays noted, also when it ends early.
        self.checkpoint().and(ended)
    }

    async fn studies(&mut self) -> anyhow::Result<()> {
        while let Some(study) = self.state.plan.get(self.progress.studies).cloned() {
            let index = self.progress.studies;
            if self.progress.open != Some(index) {
                self.open(index, &study);
            }
            self.clear_strays()?;
            self.study(index, &study).await?;
            self.done(Done::Ended(index))?;
        }
        Ok(())
    }

    /// Finds the place of a study: one File-set holds whole studies where it can.
    fn open(&mut self, index: usize, study: &Planned) {
        let expected = u32::try_from(study.instances).unwrap_or(u32::MAX);
        let together = self.progress.in_set.saturating_add(expected);
        let mut at = self.progress.at;
        let full = self.progress.in_set > 0 && together > hilum_media::FILES_MAX;
        if at.set == 0 || full {
            at = Place {
                set: at.set + 1,
                patient: 1,
                study: 1,
            };
        } else if self.progress.patient == Some(study.patient) {
            at.study += 1;
        } else {
            (at.patient, at.study) = (at.patient + 1, 1);
        }
        self.remember(Done::Study { index, at });
    }

    async fn study(&mut self, index: usize, study: &Planned) -> anyhow::Result<()> {
        let mut offset = 0;
        loop {
            let page = plan::instances(self.door, &study.uid, offset, LISTED).await?;
            let last = page.len() < LISTED;
            offset += page.len();
            let mut jobs = Vec::with_capacity(page.len());
            for instance in page {
                if self.progress.known.contains_key(&instance.uid) {
                    continue;
                }
                let taken = self
                    .progress
                    .in_set
                    .saturating_add(u32::try_from(jobs.len())?);
                if taken >= hilum_media::FILES_MAX {
                    self.write(&study.uid, std::mem::take(&mut jobs)).await?;
                    let at = Place {
                        set: self.progress.at.set + 1,
                        patient: 1,
                        study: 1,
                    };
                    self.remember(Done::Study { index, at });
                }
                jobs.push(self.job(&study.uid, instance)?);
            }
            self.write(&study.uid, jobs).await?;
            if last {
                return Ok(());
            }
        }
    }

    /// Gives an instance its file.
    fn job(&mut self, study: &str, instance: Instance) -> anyhow::Result<Job> {
        let at = self.progress.at;
        let next = u32::try_from(self.progress.series.len())?.saturating_add(1);
        let entry = self.progress.series.entry(instance.series.clone());
        let (series, instances) = entry.or_insert((next, 0));
        *instances += 1;
        let written = Written {
            at,
            series: *series,
            instance: *instances,
            series_uid: instance.series,
            uid: instance.uid,
            bytes: 0,
            sha256: String::new(),
        };
        let of = format!(
            "studies/{}/series/{}/instances/{}",
            component(study),
            component(&written.series_uid),
            component(&written.uid)
        );
        Ok(Job {
            address: if self.state.asked.as_received {
                format!("/api/v1/{of}/received")
            } else {
                format!("/dicomweb/{of}")
            },
            path: self.to.join(written.path(self.state.asked.several)?),
            written,
        })
    }

    async fn write(&mut self, study: &str, jobs: Vec<Job>) -> anyhow::Result<()> {
        let door = self.door;
        let mut outcomes = stream::iter(jobs)
            .map(|job| write_one(door, job))
            .buffered(self.parallel);
        while let Some(outcome) = outcomes.next().await {
            let done = match outcome? {
                Outcome::Written(written) => Done::File(written),
                Outcome::Gone => continue,
                Outcome::Failed { of, reason } => Done::Failed(Failure {
                    study_uid: study.to_owned(),
                    series_uid: of.series_uid,
                    sop_instance_uid: of.uid,
                    reason,
                }),
            };
            self.done(done)?;
            self.bar.inc(1);
            self.bar
                .set_message(crate::terminal::bytes(self.progress.bytes));
        }
        Ok(())
    }

    fn done(&mut self, done: Done) -> anyhow::Result<()> {
        self.remember(done);
        if self.pending.len() >= NOTED {
            self.checkpoint()?;
        }
        Ok(())
    }

    fn remember(&mut self, done: Done) {
        self.progress.take(&done, &self.state.plan);
        if let Done::File(written) = &done
            && let Ok(path) = written.path(self.state.asked.several)
        {
            let mut folder = self.to.join(path);
            // Every folder on the way may be new.
            while folder.pop() && folder.starts_with(self.to) {
                if !self.folders.insert(folder.clone()) {
                    break;
                }
            }
        }
        self.pending.push(done);
    }

    /// Makes names durable, then notes the files.
    fn checkpoint(&mut self) -> anyhow::Result<()> {
        let failed = || super::cannot_write(self.to);
        for folder in std::mem::take(&mut self.folders) {
            sync_folder(&folder).with_context(failed)?;
        }
        let pending = std::mem::take(&mut self.pending);
        self.state.note(&pending).with_context(failed)
    }

    /// Removes files of this export that it wrote and did not note before it
    /// broke off.
    fn clear_strays(&self) -> anyhow::Result<()> {
        let at = self.progress.at;
        let prefix = at.folder(self.state.asked.several);
        let folder = self.to.join(prefix);
        let several = self.state.asked.several;
        let noted = self.progress.known.values();
        let noted: BTreeSet<PathBuf> = noted
            .filter_map(|written| Some(self.to.join(written.path(several).ok()?)))
            .collect();
        let Ok(series) = std::fs::read_dir(&folder) else {
            return Ok(());
        };
        for series in series {
            for file in std::fs::read_dir(series?.path())? {
                let path = file?.path();
                if !noted.contains(&path) {
                    std::fs::remove_file(&path)?;
                }
            }
        }
        Ok(())
    }
}

impl Place {
    /// The folder of its study.
    fn folder(self, several: bool) -> String {
        let set = self.set(several);
        format!("{set}DICOM/PA{:06}/ST{:06}", self.patient, self.study)
    }

    /// What precedes the names of its File-set: nothing where there is one.
    pub(super) fn set(self, several: bool) -> String {
        if several || self.set > 1 {
            format!("SET{:05}/", self.set)
        } else {
            String::new()
        }
    }
}

impl Written {
    /// Its File ID.
    pub(super) fn file(&self) -> anyhow::Result<FileId> {
        FileId::new(self.at.patient, self.at.study, self.series, self.instance)
            .context("a study has more series or images than a medium has names for")
    }

    /// Below the folder of the export.
    pub(super) fn path(&self, several: bool) -> anyhow::Result<String> {
        Ok(format!("{}{}", self.at.set(several), self.file()?))
    }
}

/// Writes one file. An error ends the export: the next file would fail too.
async fn write_one(door: &Door, job: Job) -> anyhow::Result<Outcome> {
    let stopped = "the export stopped; start it again to go on";
    let mut answer = door.fetch(&job.address, AS_STORED).await.context(stopped)?;
    if answer.status == http::StatusCode::NOT_FOUND {
        return Ok(Outcome::Gone);
    }
    if !answer.status.is_success() {
        let reason = answer.detail().await;
        return Ok(Outcome::Failed {
            of: job.written,
            reason,
        });
    }
    let draft = job.path.with_extension("NEW");
    let failed = || super::cannot_write(&job.path);
    if let Some(folder) = job.path.parent() {
        tokio::fs::create_dir_all(folder)
            .await
            .with_context(failed)?;
    }
    let mut file = tokio::fs::File::create(&draft).await.with_context(failed)?;
    let mut digest = digest::Context::new(&digest::SHA256);
    let mut written = job.written;
    let mut broken = None;
    while let Some(piece) = answer.piece().await {
        let piece = match piece {
            Ok(piece) => piece,
            Err(error) => {
                broken = Some(error);
                break;
            }
        };
        digest.update(&piece);
        written.bytes += u64::try_from(piece.len())?;
        if let Err(error) = file.write_all(&piece).await {
            let _half = tokio::fs::remove_file(&draft).await;
            return Err(error).with_context(failed);
        }
    }
    if let Some(error) = broken {
        drop(file);
        tokio::fs::remove_file(&draft).await.with_context(failed)?;
        let reason = format!("it broke off: {error}");
        return Ok(Outcome::Failed {
            of: written,
            reason,
        });
    }
    let synced = async {
        file.flush().await?;
        file.sync_data().await?;
        tokio::fs::rename(&draft, &job.path).await
    };
    if let Err(error) = synced.await {
        let _half = tokio::fs::remove_file(&draft).await;
        return Err(error).with_context(failed);
    }
    door.done(answer);
    written.sha256 = crate::commands::hex(digest.finish().as_ref());
    Ok(Outcome::Written(written))
}
