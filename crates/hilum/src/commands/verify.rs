//! `hilum verify`

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use hilum_archive::{Archive, ArchiveConfig, Limits, ObjectFault, Progress, RebuildReport};
use hilum_platform::clock;

use super::backup::home;
use super::{Doors, Installation, master_key};
use crate::terminal;

#[derive(Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    installation: Installation,
    /// First make a new index from objects and keys alone; the one that is
    /// there, if any, is kept as archive.sqlite.before.
    #[arg(long)]
    rebuild_index: bool,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.installation.load(&Doors::default())?;
        let rebuilt = if self.rebuild_index {
            Some(rebuild(&config).await?)
        } else {
            None
        };
        super::archive_is_there(&config)?;
        let archive = open(&config).await?;
        let (bar, progress) = object_bar("verifying");
        let report = archive.verify(Some(progress)).await?;
        bar.finish_and_clear();
        if self.json {
            let mut answer = serde_json::to_value(&report)?;
            if let (Some(fields), Some(rebuilt)) = (answer.as_object_mut(), &rebuilt) {
                fields.insert("rebuilt".to_owned(), serde_json::to_value(rebuilt)?);
            }
            terminal::line(answer);
        } else {
            if let Some(rebuilt) = &rebuilt {
                terminal::line(format_args!(
                    "A new index of {} was made from {}.",
                    terminal::counted(rebuilt.instances, "instance", "instances"),
                    terminal::counted(rebuilt.objects, "object", "objects"),
                ));
                for fault in &rebuilt.faults {
                    terminal::line(describe(fault));
                }
            }
            terminal::line(format_args!(
                "{} in {} ({}) read, decrypted and hashed.",
                terminal::counted(report.instances, "instance", "instances"),
                terminal::counted(report.objects, "object", "objects"),
                terminal::bytes(report.bytes),
            ));
            for fault in &report.faults {
                terminal::line(describe(fault));
            }
        }
        archive.close().await;
        if report.is_sound() && rebuilt.is_none_or(|rebuilt| rebuilt.fault_count == 0) {
            if !self.json {
                terminal::line("Every acknowledged instance is there and hashes.");
            }
            Ok(ExitCode::SUCCESS)
        } else {
            if !self.json {
                terminal::line(format_args!(
                    "{} faults. Restore what is missing from a backup (`hilum restore --help`).",
                    report.fault_count
                ));
            }
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Makes a new index for an installation that nobody serves.
async fn rebuild(config: &hilum_platform::config::Config) -> anyhow::Result<RebuildReport> {
    anyhow::ensure!(
        config.data.join("objects").is_dir(),
        "there are no objects in {}: name the data folder with --data",
        config.data.display()
    );
    let (bar, progress) = object_bar("rebuilding");
    let report = Archive::rebuild_index(archive_config(config)?, Some(progress)).await?;
    bar.finish_and_clear();
    Ok(report)
}

fn archive_config(config: &hilum_platform::config::Config) -> anyhow::Result<ArchiveConfig> {
    Ok(ArchiveConfig {
        dir: config.data.clone(),
        master_key: master_key()?,
        clock: clock::system(),
        limits: Limits::default(),
        server: home(config)?.server().cloned(),
    })
}

/// Opens the archive of an installation that is not serving.
pub(crate) async fn open(config: &hilum_platform::config::Config) -> anyhow::Result<Archive> {
    Ok(Archive::open(archive_config(config)?).await?)
}

/// A bar that counts objects, and what the archive tells it.
pub(crate) fn object_bar(what: &'static str) -> (indicatif::ProgressBar, Progress) {
    let bar = terminal::bar(0, what).with_message("objects");
    let shown = bar.clone();
    let progress: Progress = Arc::new(move |done, all| {
        shown.set_length(all);
        shown.set_position(done);
    });
    (bar, progress)
}

fn describe(fault: &ObjectFault) -> String {
    match fault {
        ObjectFault::Missing {
            tenant,
            object,
            instances,
        } => format!("MISSING   {tenant} object {object}: {instances} instances are lost"),
        ObjectFault::Corrupt {
            tenant,
            object,
            segment: Some(segment),
        } => format!("CORRUPT   {tenant} object {object}: segment {segment} was changed"),
        ObjectFault::Corrupt { tenant, object, .. } => {
            format!("CORRUPT   {tenant} object {object}: its header was changed")
        }
        ObjectFault::Disagrees {
            tenant,
            object,
            segment,
        } => format!(
            "DISAGREES {tenant} object {object}: segment {segment} is not what the index says"
        ),
        ObjectFault::Lookup { tenant } => {
            format!(
                "LOOKUP    {tenant}: delete lookup/{tenant} and start: it is made anew from the packs"
            )
        }
        ObjectFault::Row { tenant, level, row } => format!(
            "ROW       {tenant} {level} {row} is not as it was written: stop Hilum and run \
             `hilum verify --rebuild-index`"
        ),
        ObjectFault::Database { file, detail } if file == "keys.sqlite" => format!(
            "DATABASE  {file} is damaged ({detail}): restore it from a backup's folder keys/ before anything \
             else is done"
        ),
        ObjectFault::Database { file, detail } => format!(
            "DATABASE  {file} is damaged ({detail}): stop Hilum and run `hilum verify --rebuild-index`"
        ),
        ObjectFault::Unknown { path } => {
            format!("UNKNOWN   {path}: no row names it; it was left alone")
        }
    }
}
