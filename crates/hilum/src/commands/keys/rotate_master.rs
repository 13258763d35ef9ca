//! `hilum keys rotate-master`

use std::process::ExitCode;

use clap::Args;
use hilum_archive::{Archive, ArchiveError, MasterKey};
use hilum_contracts::audit::{Act, Entry};
use hilum_platform::clock;
use hilum_platform::config::Config;

use crate::commands::backup::recorded;
use crate::commands::running::Connection;
use crate::commands::{Doors, Installation, archive_is_there, key_from, master_key};
use crate::http::Rotated;
use crate::objects::archive_of;
use crate::terminal;

#[derive(Args)]
pub(super) struct RotateMaster {
    /// From HILUM_MASTER_KEY to a key file.
    #[arg(long)]
    to_file: bool,
    #[command(flatten)]
    installation: Installation,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl RotateMaster {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.installation.load(&Doors::default())?;
        archive_is_there(&config)?;
        let (old, new) = (master_key()?, key_from("HILUM_NEW_MASTER_KEY")?);
        let new = match (&old, new) {
            (_, Some(given)) => given,
            (MasterKey::File, None) => MasterKey::File,
            (MasterKey::Given(_), None) if self.to_file => MasterKey::File,
            (MasterKey::Given(_), None) => anyhow::bail!(
                "the master key is HILUM_MASTER_KEY: put the new one into HILUM_NEW_MASTER_KEY, or \
                 move it into a file with --to-file"
            ),
        };
        let rotated = match Connection::of(&config.data, None).await? {
            Some(mut running) => {
                anyhow::ensure!(
                    matches!((&old, &new), (MasterKey::File, MasterKey::File)),
                    "a Hilum is serving: stop it, rotate, and start it with the new key"
                );
                let path = "/api/v1/keys/rotate-master";
                running.ask(http::Method::POST, path, None::<&()>).await?
            }
            None => {
                let entry = Entry::new(Act::RotateMasterKey);
                recorded(&config, entry, rotate(&config, old, &new)).await?
            }
        };
        if self.json {
            terminal::line(serde_json::to_string(&rotated)?);
        } else {
            terminal::line(format_args!(
                "The master key is new; {} wrapped with it.",
                terminal::counted(rotated.tenants, "tenant key was", "tenant keys were")
            ));
            terminal::line(match new {
                MasterKey::File => {
                    "Keep a copy of keys/master.key elsewhere. Backups made before open with the \
                     old one: keep keys/master.key.old-… with them, and away from here."
                }
                MasterKey::Given(_) => {
                    "From now on HILUM_MASTER_KEY is what HILUM_NEW_MASTER_KEY was. Backups made \
                     before open with the old one: keep it with them."
                }
            });
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Rotates in this process. A rotation that broke off after its commit is done
/// already: then the new key opens the archive.
async fn rotate(config: &Config, old: MasterKey, new: &MasterKey) -> anyhow::Result<Rotated> {
    let opened = Archive::open(archive_of(config, old, clock::system())?).await;
    let archive = match opened {
        Err(ArchiveError::WrongKey) => {
            Archive::open(archive_of(config, new.clone(), clock::system())?).await?
        }
        other => other?,
    };
    let tenants = archive.rotate_master_key(new.clone()).await;
    archive.close().await;
    Ok(Rotated { tenants: tenants? })
}
