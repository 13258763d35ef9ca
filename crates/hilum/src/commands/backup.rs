//! `hilum backup TO`

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use hilum_archive::{Archive, BackupReport, Progress};
use hilum_audit::Offline;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_platform::clock;
use hilum_platform::config::Config;
use hilum_platform::db::{self, Home};

use super::running::Connection;
use super::verify::object_bar;
use super::{Doors, Installation};
use crate::http::backup::ended;
use crate::terminal;

/// The databases of the services; the archive copies its own.
pub(crate) const SERVICE_DATABASES: [&str; 6] = [
    "imaging.sqlite",
    "patients.sqlite",
    "inference.sqlite",
    "integration.sqlite",
    "identity.sqlite",
    AUDIT,
];

/// Its seals hold what every trail held before them.
const AUDIT: &str = "audit.sqlite";

#[derive(Args)]
pub(crate) struct Backup {
    /// An empty folder for the backup, on another disk.
    to: PathBuf,
    #[command(flatten)]
    installation: Installation,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Backup {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.installation.load(&Doors::default())?;
        super::archive_is_there(&config)?;
        files_only(&config)?;
        let to = std::path::absolute(&self.to)?;
        let report = match Connection::of(&config.data, None).await? {
            // One process has the archive open: it makes the copy.
            Some(mut running) => {
                let spinner = terminal::spinner("backing up");
                let body = serde_json::json!({ "to": to });
                let report = running
                    .ask(http::Method::POST, "/api/v1/backups", Some(&body))
                    .await?;
                spinner.finish_and_clear();
                report
            }
            None => {
                let archive = super::verify::open(&config).await?;
                let (bar, progress) = object_bar("backing up");
                let entry = Entry::new(Act::Backup);
                let report = recorded(&config, entry, async {
                    copy(&archive, &config, &to, Some(progress)).await
                })
                .await;
                archive.close().await;
                let report = report?;
                bar.finish_and_clear();
                report
            }
        };
        if self.json {
            terminal::line(serde_json::to_string(&report)?);
        } else {
            terminal::line(format_args!(
                "Copied {} ({}) to {}.",
                terminal::counted(report.objects, "object", "objects"),
                terminal::bytes(report.bytes),
                to.display()
            ));
            terminal::line(
                "The wrapped keys are in its folder keys/: keep them apart from the data. The \
                 master key is not copied; keep it elsewhere.",
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Where the services' databases are.
pub(crate) fn home(config: &Config) -> anyhow::Result<Home> {
    Ok(Home::of(&config.data, config.database.as_ref())?)
}

/// Refuses an installation whose databases are no files.
pub(crate) fn files_only(config: &Config) -> anyhow::Result<()> {
    anyhow::ensure!(
        config.database.is_none(),
        "the databases are on PostgreSQL, which this does not copy: stop Hilum, dump them \
         (pg_dump) and copy the data folder (docs/operations/postgresql.md)"
    );
    Ok(())
}

/// Does something to an installation that nobody serves, recorded before it is
/// tried and with how it ended.
pub(crate) async fn recorded<T>(
    config: &Config,
    entry: Entry,
    act: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let trail = Offline::open(home(config)?, clock::system()).await?;
    let begun = entry.clone().with(Detail::Change, "begun");
    trail.tell_all(begun).await?;
    let done = act.await;
    let told = trail.tell_all(ended(entry, &done)).await;
    trail.close().await;
    told.context("what was done could not be recorded")?;
    done
}

/// Copies everything. The archive first: an event that a service has seen by
/// then names nothing that the archive's copy lacks, and what is told later is
/// told again after a restore.
pub(crate) async fn copy(
    archive: &Archive,
    config: &Config,
    to: &Path,
    progress: Option<Progress>,
) -> anyhow::Result<BackupReport> {
    files_only(config)?;
    let data = &config.data;
    // Before any trail: a seal of entries that the copy lacks would show them as
    // cut off. Beside it meanwhile, because the archive wants an empty folder.
    let early = data.join("audit.sqlite.copy");
    if data.join(AUDIT).is_file() {
        let _of_a_crash = std::fs::remove_file(&early);
        db::snapshot(&data.join(AUDIT), &early).await?;
    }
    let report = archive.backup(to, progress).await?;
    if early.is_file() {
        std::fs::copy(&early, to.join(AUDIT))?;
        std::fs::File::open(to.join(AUDIT))?.sync_all()?;
        std::fs::remove_file(&early)?;
    }
    for name in SERVICE_DATABASES.into_iter().filter(|name| *name != AUDIT) {
        let from = data.join(name);
        if from.is_file() {
            db::snapshot(&from, &to.join(name)).await?;
        }
    }
    Ok(report)
}
