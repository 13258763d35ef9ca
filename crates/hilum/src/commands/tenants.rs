//! `hilum tenants`: which organisations there are, and what the operator does
//! with them.

mod create;
mod end;
mod export;
mod list;
mod moving;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use hilum_contracts::ids::TenantId;

use super::door::Door;

pub(crate) use moving::Left;

#[derive(Args)]
pub(crate) struct Tenants {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Which tenants there are, and which were ended.
    List(list::List),
    /// Make a tenant, also while serving.
    Create(create::Create),
    /// Write everything that a tenant owns to a folder: images with a DICOMDIR,
    /// records as JSON lines, the audit trail.
    Export(export::Export),
    /// Move a tenant to another shard, while it works: it takes no changes for some seconds.
    Move(moving::Move),
    /// End a tenant for good: nobody of it gets in any more, and everything of
    /// it is destroyed, with a certificate.
    End(end::End),
}

impl Tenants {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::List(command) => command.run().await,
            Command::Create(command) => command.run().await,
            Command::Export(command) => command.run().await,
            Command::Move(command) => command.run().await,
            Command::End(command) => command.run().await,
        }
    }
}

/// The names of the tenants there are.
pub(crate) async fn names(door: &Door) -> anyhow::Result<Vec<TenantId>> {
    let items = list::items(door, "/api/v1/tenants").await?;
    let names = items.iter().map(|item| list::text(item, "name"));
    names.map(|name| Ok(TenantId::new(name)?)).collect()
}
