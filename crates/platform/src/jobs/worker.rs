//! The loop of every worker of jobs.

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Job, heartbeat, lease, owner};
use crate::clock::Clock;
use crate::db::Db;
use crate::limits::{JOB_LEASE, JOB_POLL, JOB_PROLONGED};
use crate::traces::Work;

/// What a worker takes its jobs from.
#[derive(Clone, Copy)]
pub struct Leases<'a> {
    /// The database of its service.
    pub db: &'a Db,
    /// Time.
    pub clock: &'a dyn Clock,
    /// The jobs that it takes.
    pub kind: &'a str,
    /// Rings when there may be one.
    pub bell: &'a Notify,
}

/// Whoever works on one job after the other.
#[async_trait]
pub trait Worker: Send + Sync {
    /// What it takes its jobs from.
    fn leases(&self) -> Leases<'_>;

    /// Works on a job and ends the hold on it with [`super::finish`]. When `stop` is
    /// called, it hands back what can't be ended soon.
    async fn attempt(&self, job: &Job, owner: &str, stop: &CancellationToken);
}

/// Has a worker work until `stop` is called.
pub async fn run(worker: impl Worker, stop: CancellationToken) {
    let owner = owner(worker.leases().db);
    while !stop.is_cancelled() {
        let Leases {
            db,
            clock,
            kind,
            bell,
        } = worker.leases();
        match lease(db, kind, &owner, clock.now_millis(), JOB_LEASE).await {
            Ok(Some(job)) => {
                let work = Work::part(
                    "job",
                    job.correlation_id,
                    job.traceparent.as_deref(),
                    &job.tenant,
                )
                .with("hilum.kind", kind)
                .with("hilum.job", job.id)
                .with("hilum.subject", &job.subject)
                .with("hilum.attempt", job.attempts);
                work.around(worker.attempt(&job, &owner, &stop)).await;
            }
            Ok(None) => {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = bell.notified() => {}
                    () = tokio::time::sleep(JOB_POLL) => {}
                }
            }
            Err(error) => {
                tracing::error!(kind, %error, "jobs wait: the database does not answer");
                tokio::time::sleep(JOB_POLL).await;
            }
        }
    }
}

/// Prolongs the lease of a job for as long as it is the owner's; returns when it
/// is not any more.
pub async fn keep_lease(leases: Leases<'_>, job: &Job, owner: &str) {
    loop {
        tokio::time::sleep(JOB_PROLONGED).await;
        let now = leases.clock.now_millis();
        let kept = heartbeat(leases.db, job, owner, now, JOB_LEASE).await;
        if matches!(kept, Ok(false)) {
            tracing::warn!(correlation_id = %job.correlation_id, subject = %job.subject, "lease lost");
            return;
        }
    }
}
