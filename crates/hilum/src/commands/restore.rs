//! `hilum restore FROM`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use hilum_archive::Archive;

use super::verify::object_bar;
use super::{Doors, Installation};
use crate::commands::backup::SERVICE_DATABASES;
use crate::terminal;

#[derive(Args)]
pub(crate) struct Restore {
    /// The backup's folder.
    from: PathBuf,
    #[command(flatten)]
    installation: Installation,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Restore {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.installation.load(&Doors::default())?;
        let occupied = config.data.join("archive.sqlite").exists();
        anyhow::ensure!(
            !occupied,
            "{} holds an installation already: restore into an empty folder (--data DIR)",
            config.data.display()
        );
        std::fs::create_dir_all(&config.data)?;
        let (bar, progress) = object_bar("restoring");
        let report = Archive::restore(&self.from, &config.data, Some(progress)).await?;
        for name in SERVICE_DATABASES {
            let (from, to) = (self.from.join(name), config.data.join(name));
            if from.is_file() {
                std::fs::copy(&from, &to)?;
                std::fs::File::open(&to)?.sync_all()?;
            }
        }
        std::fs::File::open(&config.data)?.sync_all()?;
        bar.finish_and_clear();
        if self.json {
            terminal::line(serde_json::to_string(&report)?);
        } else {
            terminal::line(format_args!(
                "Restored {} objects ({} bytes) into {}.",
                report.objects,
                report.bytes,
                config.data.display()
            ));
            terminal::line(
                "The master key is not part of a backup: put it at keys/master.key in that \
                 folder, or set HILUM_MASTER_KEY. Then run `hilum verify`.",
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}
