//! `hilum import DIR`

mod dicomdir;
mod journal;
mod walk;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use axum::body::Body;
use clap::Args;
use futures::{StreamExt as _, stream};
use hilum_contracts::ids::{CorrelationId, TenantId};
use hilum_contracts::scope::TenantScope;
use hilum_dataset::{FileSource, Refusal, ScanError, part10};
use hilum_imaging::{ImagingService, Imported};
use serde::Serialize;
use tokio_util::io::ReaderStream;

use self::journal::Journal;
use super::own::Own;
use super::running::{Connection, Connections};
use super::{Doors, Installation};
use crate::terminal;

/// Files that a report lists one by one; the counts go on.
const LISTED: usize = 10_000;
/// Bytes of a file read at a time.
const PIECE: usize = 256 << 10;

#[derive(Args)]
pub(crate) struct Import {
    /// The folder to read, with everything below it.
    from: PathBuf,
    /// Whose images they are [default: the first tenant].
    #[arg(long, value_name = "NAME", value_parser = super::tenant_name)]
    tenant: Option<TenantId>,
    /// Files on their way at once.
    #[arg(long, value_name = "N", default_value_t = 16,
        value_parser = clap::value_parser!(u16).range(1..=256))]
    parallel: u16,
    /// Read files again that an earlier import of this folder has taken.
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    installation: Installation,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What an import did.
#[derive(Default, Serialize)]
struct Report {
    import: String,
    /// Files found, whatever they are.
    files: u64,
    /// Bytes of the files that were sent on.
    bytes: u64,
    stored: u64,
    /// There already with the same bytes.
    duplicates: u64,
    variants: u64,
    conflicts: u64,
    /// Taken by an earlier import of this folder and not read again.
    known: u64,
    /// Not DICOM, a DICOMDIR, or a link.
    ignored: u64,
    failed: u64,
    /// The failures, at most 10,000.
    failures: Vec<Failure>,
}

#[derive(Serialize)]
struct Failure {
    path: String,
    reason: String,
}

impl Import {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.installation.load(&Doors::default())?;
        let from = std::fs::canonicalize(&self.from)
            .with_context(|| format!("can't read {}", self.from.display()))?;
        anyhow::ensure!(from.is_dir(), "{} is no folder", from.display());
        let tenant = super::tenant(&config, self.tenant.as_ref())?;
        let id = CorrelationId::new();
        let door = match Connection::of(&config.data, Some(tenant.as_str())).await? {
            Some(first) => Door::Running(Connections::new(first)),
            None => {
                super::tell_of_new_archive(&config);
                Door::Own(Box::new(Own::open(&config, &tenant).await?))
            }
        };
        let journal = Journal::open(&config.data, &from, &tenant, self.again)?;
        let work = Work {
            id,
            door,
            journal: Mutex::new(journal),
            report: Mutex::new(Report {
                import: id.to_string(),
                ..Report::default()
            }),
            bar: terminal::bar(0, "importing"),
        };
        let ended = work.run(from, usize::from(self.parallel)).await;
        let Work {
            door, report, bar, ..
        } = work;
        bar.finish_and_clear();
        if let Door::Own(own) = door {
            own.close().await;
        }
        let report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
        if self.json {
            terminal::line(serde_json::to_string(&report)?);
        } else {
            report.show();
        }
        ended?;
        Ok(if report.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// Who stores: the Hilum that serves, or this process.
enum Door {
    Running(Connections),
    Own(Box<Own>),
}

impl Door {
    async fn take(&self, id: CorrelationId, path: &Path) -> anyhow::Result<Imported> {
        let file = tokio::fs::File::open(path).await?;
        let pieces = ReaderStream::with_capacity(file, PIECE);
        match self {
            Self::Own(own) => Ok(own.import(id, pieces).await?),
            Self::Running(connections) => {
                let mut connection = connections.take().await?;
                let at = format!("/api/v1/imports/{id}/instances");
                let body = Body::from_stream(pieces);
                let imported = connection
                    .send(http::Method::POST, &at, "application/dicom", body)
                    .await?;
                connections.give_back(connection);
                Ok(imported)
            }
        }
    }
}

impl Own {
    async fn import(
        &self,
        id: CorrelationId,
        pieces: ReaderStream<tokio::fs::File>,
    ) -> std::io::Result<Imported> {
        let (imaging, scope): (&ImagingService, &TenantScope) = (&self.imaging, &self.scope);
        imaging.import(scope, id, pieces).await
    }
}

struct Work {
    id: CorrelationId,
    door: Door,
    journal: Mutex<Journal>,
    report: Mutex<Report>,
    bar: indicatif::ProgressBar,
}

impl Work {
    /// Takes in everything below `from`. Ends early when the next file would
    /// fail for the same reason as the last one.
    async fn run(&self, from: PathBuf, parallel: usize) -> anyhow::Result<()> {
        let (found, walking) = walk::start(from.clone());
        let found = Box::pin(stream::unfold(found, |mut found| async move {
            found.recv().await.map(|one| (one, found))
        }));
        let from = Arc::new(from);
        let mut taken = found
            .map(|entry| {
                let from = Arc::clone(&from);
                async move { self.entry(&from, entry).await }
            })
            .buffer_unordered(parallel);
        while let Some(done) = taken.next().await {
            self.bar.inc(1);
            done?;
        }
        drop(taken);
        walking.await?;
        Ok(())
    }

    async fn entry(&self, from: &Path, entry: walk::Entry) -> anyhow::Result<()> {
        self.bar.inc_length(1);
        let path = match entry {
            walk::Entry::File(path) => path,
            walk::Entry::Link => {
                self.count(|report| {
                    report.files += 1;
                    report.ignored += 1;
                });
                return Ok(());
            }
            walk::Entry::Failed { path, reason } => {
                self.fail(from, &path, reason);
                return Ok(());
            }
        };
        self.count(|report| report.files += 1);
        let mark = match journal::Mark::of(from, &path) {
            Ok(mark) => mark,
            Err(error) => {
                self.fail(from, &path, error.to_string());
                return Ok(());
            }
        };
        if self.journal().knows(&mark) {
            self.count(|report| report.known += 1);
            return Ok(());
        }
        match sniff(&path).await {
            Ok(true) => {}
            Ok(false) => {
                self.count(|report| report.ignored += 1);
                return Ok(());
            }
            Err(error) => {
                self.fail(from, &path, error.to_string());
                return Ok(());
            }
        }
        let imported = match self.door.take(self.id, &path).await {
            Ok(imported) => imported,
            Err(error) => {
                let reason = format!("{error:#}");
                self.fail(from, &path, reason.clone());
                // A file that can't be read is one failure; a server that is
                // gone is the end.
                return match error.downcast_ref::<std::io::Error>() {
                    Some(_) => Ok(()),
                    None => Err(error.context("the import stopped; start it again to go on")),
                };
            }
        };
        match imported {
            Imported::Refused { reason } => self.fail(from, &path, reason),
            Imported::Failed { reason, lasting } => {
                self.fail(from, &path, reason.clone());
                anyhow::ensure!(
                    !lasting,
                    "the import stopped: {reason}; start it again to go on"
                );
            }
            there => {
                self.count(|report| {
                    report.bytes += mark.bytes();
                    match there {
                        Imported::Stored => report.stored += 1,
                        Imported::Duplicate => report.duplicates += 1,
                        Imported::Variant => report.variants += 1,
                        _ => report.conflicts += 1,
                    }
                });
                self.journal().note(&mark)?;
            }
        }
        Ok(())
    }

    fn journal(&self) -> std::sync::MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, change: impl FnOnce(&mut Report)) {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn fail(&self, from: &Path, path: &Path, reason: String) {
        let path = path.strip_prefix(from).unwrap_or(path);
        let path = path.display().to_string();
        self.count(|report| {
            report.failed += 1;
            if report.failures.len() < LISTED {
                report.failures.push(Failure { path, reason });
            }
        });
    }
}

impl Report {
    fn show(&self) {
        terminal::line(format_args!(
            "{} files: {} stored, {} there already, {} other encodings, {} contradict what is \
             there, {} taken by an earlier import, {} ignored, {} failed.",
            self.files,
            self.stored,
            self.duplicates,
            self.variants,
            self.conflicts,
            self.known,
            self.ignored,
            self.failed
        ));
        for failure in &self.failures {
            terminal::line(format_args!("FAILED  {}: {}", failure.path, failure.reason));
        }
        if self.stored > 0 {
            terminal::line(
                "No model was started on what was imported: accept a series on its study's page \
                 to have models look at it.",
            );
        }
    }
}

/// Whether a file looks like an instance: reads only its head. A DICOMDIR is
/// none; the walk has read it.
async fn sniff(path: &Path) -> std::io::Result<bool> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || {
        let source = FileSource::new(std::fs::File::open(path)?)?;
        match part10::split(&source) {
            Ok(found) => Ok(found.media_storage_sop_class_uid != dicomdir::MEDIA_STORAGE_DIRECTORY),
            Err(ScanError::Refused(Refusal::NotDicom)) => Ok(false),
            // The server says what is wrong with it.
            Err(ScanError::Refused(_)) => Ok(true),
            Err(ScanError::Source(error)) => Err(error),
        }
    })
    .await
    .map_err(std::io::Error::other)?
}
