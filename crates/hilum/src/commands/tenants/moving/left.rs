//! Moves that their command left: it was killed, or its machine was. Their tenants may
//! take no changes until somebody ends what was begun, and only the command may: so it is
//! run again, beside Identity, and gives the move up or finishes it.

use std::collections::HashSet;
use std::process::Stdio;
use std::time::Duration;

use hilum_contracts::ids::TenantId;
use hilum_contracts::service::ServiceName;
use hilum_platform::config::{Config, MAIN};
use hilum_platform::db::moving::Turn;
use hilum_platform::tenants::Directory;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::database;
use crate::commands::Installation;

/// How often it is looked whether who moves a tenant is there. Who is missed twice is gone.
const LOOKED_EVERY: Duration = Duration::from_secs(2);

/// The same after a database did not answer, or a move could not be ended.
const LOOKED_AGAIN: Duration = Duration::from_secs(20);

/// What ends them.
pub(crate) struct Left {
    pub(crate) config: Config,
    pub(crate) installation: Installation,
    pub(crate) tenants: Directory,
}

impl Left {
    /// Ends moves that were left until told to stop, where Identity runs beside shards.
    pub(crate) async fn watch(self, stop: CancellationToken) {
        if self.config.shards.is_empty() || !self.config.runs(ServiceName::Identity) {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.look() => {}
        }
    }

    async fn look(&self) {
        let mut missed = HashSet::new();
        loop {
            tokio::time::sleep(LOOKED_EVERY).await;
            let moving: Vec<TenantId> = self.tenants.known().moving().cloned().collect();
            let mut missed_now = HashSet::new();
            for tenant in moving {
                match self.is_left(&tenant).await {
                    Ok(false) => {}
                    Ok(true) if missed.contains(&tenant) => self.end(&tenant).await,
                    Ok(true) => drop(missed_now.insert(tenant)),
                    Err(error) => {
                        let error = format!("{error:#}");
                        tracing::warn!(%tenant, error, "nobody here sees whether the command that moves it is there");
                        tokio::time::sleep(LOOKED_AGAIN).await;
                    }
                }
            }
            missed = missed_now;
        }
    }

    async fn is_left(&self, tenant: &TenantId) -> anyhow::Result<bool> {
        Ok(Turn::is_free(database(&self.config, MAIN)?, tenant).await?)
    }

    /// Ends it, and says so.
    async fn end(&self, tenant: &TenantId) {
        match self.run(tenant).await {
            Ok(()) => tracing::warn!(%tenant, "a move that its command had left was ended"),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(%tenant, error, "a move that its command had left could not be ended");
                tokio::time::sleep(LOOKED_AGAIN).await;
            }
        }
    }

    /// Runs the command to its end: when this is dropped, it is left once more.
    async fn run(&self, tenant: &TenantId) -> anyhow::Result<()> {
        let done = Command::new(std::env::current_exe()?)
            .args(["tenants", "move", tenant.as_str(), "--abandon"])
            .args(self.installation.arguments())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await?;
        let said = String::from_utf8_lossy(&done.stderr);
        anyhow::ensure!(done.status.success(), "{}", said.trim());
        Ok(())
    }
}
