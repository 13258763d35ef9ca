//! Who works for the destinations that tenants made: a worker of its own for each that
//! has something to send, from when it has until it has not, is paused or removed.
//! Thousands that wait for nothing cost one question a second.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use hilum_contracts::ids::TenantId;
use hilum_contracts::imaging::Imaging;
use hilum_contracts::patients::Patients;
use hilum_platform::jobs;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::IntegrationService;
use crate::limits::{AT_WORK, ROSTER_POLL};
use crate::sending::{Of, Worker};

/// Starts and stops workers.
pub(crate) struct Roster {
    pub(crate) service: IntegrationService,
    pub(crate) imaging: Arc<dyn Imaging>,
    pub(crate) patients: Arc<dyn Patients>,
    pub(crate) tasks: TaskTracker,
}

type Working = HashMap<(TenantId, String), CancellationToken>;

impl Roster {
    /// Keeps it until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut working = Working::new();
        while !stop.is_cancelled() {
            let now = self.service.clock.now_millis();
            match self.service.store.at_work(now, AT_WORK).await {
                Ok(due) => self.bring_up_to_date(&mut working, due, &stop),
                // Who works goes on.
                Err(error) => tracing::error!(%error, "which destinations have work is not known"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.service.roster.notified() => {}
                () = tokio::time::sleep(ROSTER_POLL) => {}
            }
        }
    }

    fn bring_up_to_date(
        &self,
        working: &mut Working,
        due: Vec<(TenantId, String)>,
        stop: &CancellationToken,
    ) {
        let due: HashSet<_> = due.into_iter().collect();
        working.retain(|who, at_work| {
            let stays = due.contains(who);
            if !stays {
                // It ends after the instance that it is sending.
                at_work.cancel();
            }
            stays
        });
        for who in due {
            working.entry(who).or_insert_with_key(|(tenant, id)| {
                let until = stop.child_token();
                let of = Of::Made {
                    tenant: tenant.clone(),
                    id: id.clone(),
                };
                let (imaging, patients) = (Arc::clone(&self.imaging), Arc::clone(&self.patients));
                let worker = Worker::new(self.service.clone(), imaging, patients, of);
                self.tasks.spawn(jobs::run(worker, until.clone()));
                until
            });
        }
    }
}
