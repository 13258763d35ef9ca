//! Verification: every live object is read, every segment decrypted and
//! hashed, and what is found is held against the index; the index and the keys
//! are held against themselves. Reads only, and holds nobody up: packing and
//! the sweep go on, and what looks wrong is looked at again while they wait.

mod check;
mod databases;
mod described;
mod walk;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures::{StreamExt, stream};

pub(crate) use self::walk::{Walked, segments, walk};
use crate::engine::Engine;
use crate::error::{ArchiveError, Result};
use crate::index::objects;
use crate::limits;
use crate::model::{ObjectFault, Progress, VerifyReport};

/// Objects listed at a time.
const BATCH: u32 = 256;

/// What a run of verification has come to.
#[derive(Default)]
struct Run {
    report: VerifyReport,
    /// Objects that were read.
    seen: HashSet<i64>,
    /// Tenants whose look-up does not lead to everything.
    astray: BTreeSet<String>,
}

impl Engine {
    pub(crate) async fn verify(
        self: &Arc<Self>,
        progress: Option<Progress>,
    ) -> Result<VerifyReport> {
        let mut run = Run::default();
        loop {
            let fresh = self.pass(&mut run, progress.as_ref()).await?;
            if fresh <= u64::from(BATCH) {
                break;
            }
        }
        {
            // What was packed since the last pass began: little, and no instance
            // moves from what is still to be read to what was.
            let _moving = self.moving.lock().await;
            self.pass(&mut run, progress.as_ref()).await?;
        }
        let Run {
            mut report,
            mut astray,
            ..
        } = run;
        astray.extend(
            self.readers
                .read({
                    let packs = Arc::clone(&self.packs);
                    move |db| objects::tenant_names(db, &packs.lookup.verify(db)?)
                })
                .await?,
        );
        for tenant in astray {
            note(&mut report, ObjectFault::Lookup { tenant });
        }
        let engine = Arc::clone(self);
        let (faults, unknown) = tokio::task::spawn_blocking(move || {
            let faults = engine.check_databases()?;
            let mut paths = Vec::new();
            let mut count = 0_u64;
            engine.walk_unknown(&mut |path| {
                count += 1;
                if paths.len() < limits::FAULTS_REPORTED {
                    paths.push(path);
                }
            })?;
            Ok::<_, ArchiveError>((faults, (paths, count)))
        })
        .await
        .map_err(|_| ArchiveError::Closed)??;
        for fault in faults {
            note(&mut report, fault);
        }
        let listed = unknown.0.len() as u64;
        for path in unknown.0 {
            note(&mut report, ObjectFault::Unknown { path });
        }
        report.fault_count += unknown.1 - listed;
        Ok(report)
    }

    /// Reads every live object that was not read yet; how many.
    async fn pass(self: &Arc<Self>, run: &mut Run, progress: Option<&Progress>) -> Result<u64> {
        let total = self.readers.read(objects::count_live).await?;
        let parallel = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut after = 0;
        let mut fresh = 0;
        loop {
            let mut batch = self
                .readers
                .read(move |db| objects::live_after(db, after, BATCH))
                .await?;
            let Some(last) = batch.last() else { break };
            after = last.row;
            batch.retain(|object| run.seen.insert(object.row));
            fresh += batch.len() as u64;
            let mut checks = stream::iter(batch)
                .map(|object| {
                    let engine = Arc::clone(self);
                    async move {
                        let of = object.clone();
                        let first = Arc::clone(&engine);
                        let checked = crate::archive::blocking(move || first.check(&of)).await?;
                        if checked.faults.is_empty() {
                            return Ok(checked);
                        }
                        // Something may have gone while it was read. Nothing is
                        // swept while it is looked at again.
                        let _gate = engine.gate.read().await;
                        let again = Arc::clone(&engine);
                        crate::archive::blocking(move || again.check_again(&object)).await
                    }
                })
                .buffer_unordered(parallel);
            while let Some(check) = checks.next().await {
                let part = check?;
                run.report.objects += 1;
                run.report.instances += part.instances;
                run.report.bytes += part.bytes;
                for fault in part.faults {
                    match fault {
                        // One of the tenant's packs finds it, or many.
                        ObjectFault::Lookup { tenant } => drop(run.astray.insert(tenant)),
                        other => note(&mut run.report, other),
                    }
                }
                if let Some(progress) = progress {
                    let done = run.report.objects;
                    progress(done, total.max(done));
                }
            }
        }
        Ok(fresh)
    }
}

fn note(report: &mut VerifyReport, fault: ObjectFault) {
    report.fault_count += 1;
    if report.faults.len() < limits::FAULTS_REPORTED {
        report.faults.push(fault);
    }
}
