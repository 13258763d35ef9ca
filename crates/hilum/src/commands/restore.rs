//! `hilum restore FROM`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use hilum_archive::{Archive, RestoreReport};
use hilum_audit::Offline;
use hilum_contracts::audit::{Act, Entry};
use hilum_platform::{clock, durable};
use time::format_description::well_known::Rfc3339;

use super::verify::object_bar;
use super::{Doors, Installation};
use crate::commands::backup::{SERVICE_DATABASES, files_only};
use crate::objects::objects_of;
use crate::terminal;

#[derive(Args)]
pub(crate) struct Restore {
    /// The backup's folder.
    from: PathBuf,
    /// What tells of erasures since the backup: certificates, the
    /// erasures.jsonl of a data folder or a newer backup, or a folder of such
    /// files. May be given several times.
    #[arg(long, value_name = "PATH")]
    erasures: Vec<PathBuf>,
    #[command(flatten)]
    installation: Installation,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Restore {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.installation.load(&Doors::default())?;
        files_only(&config)?;
        let occupied = config.data.join("archive.sqlite").exists();
        anyhow::ensure!(
            !occupied,
            "{} holds an installation already: restore into an empty folder (--data DIR)",
            config.data.display()
        );
        std::fs::create_dir_all(&config.data)?;
        let (bar, progress) = object_bar("restoring");
        let objects = objects_of(&config)?;
        let (from, data) = (&self.from, &config.data);
        let report = Archive::restore(from, data, &self.erasures, objects, Some(progress)).await?;
        for name in SERVICE_DATABASES {
            let (from, to) = (self.from.join(name), config.data.join(name));
            if from.is_file() {
                std::fs::copy(&from, &to)?;
                std::fs::File::open(&to)?.sync_all()?;
            }
        }
        durable::sync_folder(&config.data)?;
        // Without the master key, which is not here yet: the entry is about nobody.
        let trail = Offline::open(config.data.as_path(), clock::system()).await?;
        let told = trail.tell_all(Entry::new(Act::Restore)).await;
        trail.close().await;
        told?;
        bar.finish_and_clear();
        if self.json {
            terminal::line(serde_json::to_string(&report)?);
        } else {
            terminal::line(format_args!(
                "Restored {} ({}) into {}.",
                terminal::counted(report.objects, "object", "objects"),
                terminal::bytes(report.bytes),
                config.data.display()
            ));
            terminal::line(of_erasures(&report));
            terminal::line(
                "The master key is not part of a backup: put it at keys/master.key in that \
                 folder, or set HILUM_MASTER_KEY. Then run `hilum verify` and `hilum audit verify`.",
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Whether patients who were erased since may be in it.
fn of_erasures(report: &RestoreReport) -> String {
    let day = |millis: Option<i64>| {
        let at = millis.map(hilum_platform::clock::from_millis);
        at.and_then(|at| at.format(&Rfc3339).ok())
    };
    let since = day(report.backup_at).unwrap_or_else(|| "it was made".to_owned());
    match (report.erasures_due, day(report.newest_erasure)) {
        (0, _) => format!(
            "No erasure after {since} is known. Patients who were erased since are in it again, if \
             there were any: then remove this folder and restore once more, with --erasures and \
             their certificates or a newer erasures.jsonl."
        ),
        (due, newest) => format!(
            "{} from after the backup, the newest of {}, will be carried out at the start, before \
             anything is served. If there were later ones, restore once more with --erasures.",
            terminal::counted(due, "erasure", "erasures"),
            newest.unwrap_or_default(),
        ),
    }
}
