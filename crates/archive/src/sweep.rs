//! The sweep: what was written and never acknowledged goes. `reserved → dead`
//! is committed before a file is removed; files that no row names are
//! reported, never deleted.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::RwLockWriteGuard;

use crate::db::{Connection, Whose};
use crate::engine::Engine;
use crate::error::Result;
use crate::index::row_digest::{self, Of};
use crate::index::schema::state;
use crate::index::{objects, parts};
use crate::limits;
use crate::model::SweepReport;
use crate::steps;

/// Objects removed per transaction.
const BATCH: u32 = 256;

impl Engine {
    /// One sweep. Waits for verify and backup, which read every object.
    pub(crate) async fn sweep(self: &Arc<Self>) -> Result<SweepReport> {
        let gate = self.gate.write().await;
        self.sweep_behind(&gate).await
    }

    /// The same, but for at most `patience` of waiting: then it is due, and the
    /// backup that is waited for does it at its end. Whether it was done.
    pub(crate) async fn sweep_or_leave(self: &Arc<Self>, patience: Duration) -> Result<bool> {
        if let Ok(gate) = tokio::time::timeout(patience, self.gate.write()).await {
            self.sweep_behind(&gate).await?;
            return Ok(true);
        }
        self.sweep_due.store(true, Ordering::SeqCst);
        Ok(false)
    }

    /// A sweep that was left to this moment.
    pub(crate) async fn sweep_if_due(self: &Arc<Self>) {
        if self.sweep_due.load(Ordering::SeqCst)
            && let Err(error) = self.sweep().await
        {
            // The next one does it.
            tracing::warn!(%error, "the sweep that an erasure left to a backup's end failed");
        }
    }

    async fn sweep_behind(
        self: &Arc<Self>,
        _gate: &RwLockWriteGuard<'_, ()>,
    ) -> Result<SweepReport> {
        self.sweep_due.store(false, Ordering::SeqCst);
        let died = self
            .writer
            .run(|db, context| {
                let now = context.clock.now_millis();
                objects::bury_reserved(db, context.opening, now)
            })
            .await?;
        steps::at("sweep.buried");
        self.quotas.recount();
        let mut report = SweepReport {
            died,
            ..SweepReport::default()
        };
        let lease = self.objects.lease();
        loop {
            let before = match i64::try_from(lease.as_millis()) {
                // Whatever the clock says.
                Ok(0) => i64::MAX,
                Ok(lease) => self.clock.now_millis().saturating_sub(lease),
                Err(_) => i64::MIN,
            };
            let dead = self
                .readers
                .read(move |db| objects::dead(db, before, BATCH))
                .await?;
            if dead.is_empty() {
                break;
            }
            let engine = Arc::clone(self);
            let rows = tokio::task::spawn_blocking(move || -> Result<Vec<i64>> {
                for (_, tenant, name) in &dead {
                    engine.objects.remove(tenant, name)?;
                    steps::at("sweep.removed");
                }
                let names = dead.iter().map(|(_, tenant, name)| (tenant.as_str(), name));
                engine.objects.settle(names)?;
                steps::at("sweep.folders-synced");
                Ok(dead.into_iter().map(|(row, ..)| row).collect())
            })
            .await
            .map_err(|_| crate::ArchiveError::Closed)??;
            report.deleted += rows.len() as u64;
            self.writer
                .run(move |db, context| {
                    let tx = db.begin(Whose::Every)?;
                    let now = context.clock.now_millis();
                    for row in rows {
                        objects::forget(&tx, row, now)?;
                    }
                    tx.commit()?;
                    steps::at("sweep.settled");
                    Ok(())
                })
                .await?;
        }
        self.shrink().await?;
        let engine = Arc::clone(self);
        report.unknown = tokio::task::spawn_blocking(move || {
            engine.remove_folders_of_ended()?;
            let mut unknown = 0;
            if engine.objects.is_listed_often() {
                engine.walk_unknown(&mut |_| unknown += 1)?;
            }
            Ok::<_, crate::ArchiveError>(unknown)
        })
        .await
        .map_err(|_| crate::ArchiveError::Closed)??;
        if report.unknown > 0 {
            tracing::warn!(
                files = report.unknown,
                "files that no row names lie in the archive; they are left alone"
            );
        }
        Ok(report)
    }

    /// Deletes rows of objects that earlier versions kept, and gives free pages
    /// back; each turn of the writer is short.
    async fn shrink(&self) -> Result<()> {
        loop {
            let gone = self.readers.read(objects::gone).await?;
            if gone.is_empty() {
                break;
            }
            self.writer
                .run(move |db, _| {
                    let tx = db.begin(Whose::Every)?;
                    for row in gone {
                        tx.prepare_cached("DELETE FROM object WHERE id = ?1 AND state = ?2")?
                            .execute([row, state::GONE])?;
                    }
                    Ok(tx.commit()?)
                })
                .await?;
        }
        if !self.digested.load(Ordering::SeqCst) {
            for of in [Of::Study, Of::Series] {
                // Of an index from before rows had digests.
                while self
                    .writer
                    .run(move |db, _| row_digest::complete(db, of))
                    .await?
                {}
            }
            // Who writes a row since then writes its digest.
            self.digested.store(true, Ordering::SeqCst);
        }
        while self
            .writer
            .run(|db, _| parts::complete(db, limits::NAMES_COMPLETED))
            .await?
        {}
        while self
            .writer
            .run(|db, _| parts::merge(db, limits::NAME_PAGES_MERGED))
            .await?
        {}
        while self.writer.run(|db, _| db.release_pages()).await? {}
        // Intake does not ask for what all this has read.
        self.writer
            .run_aside(|db, _| Ok(db.release_memory()?))
            .await
    }

    /// Calls `found` with whatever lies below `objects/` and no row names, by its
    /// path. Blocks.
    pub(crate) fn walk_unknown(&self, found: &mut dyn FnMut(String)) -> Result<()> {
        self.objects.list(&mut |listed| {
            if let Some((tenant, name)) = &listed.object {
                let of_another = || {
                    let found = |db: &Connection| objects::find_tenant(db, tenant.as_str());
                    Ok::<_, crate::ArchiveError>(self.readers.read_here(found)?.is_none())
                };
                if self.objects.is_shared() && of_another()? {
                    return Ok(());
                }
                let known = self
                    .readers
                    .read_here(|db| objects::state_by_name(db, name))?;
                // A dead one may have been removed since it was listed.
                if known.is_some_and(|known| known != state::GONE)
                    || !self.objects.exists(tenant, name)?
                {
                    return Ok(());
                }
            }
            found(listed.path);
            Ok(())
        })
    }
}
