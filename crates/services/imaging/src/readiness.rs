//! Watches input sets until they are ready, and follows what the archive
//! stored. The rules stand in `domain::readiness`.

use hilum_platform::db::Connection;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt as _;
use hilum_archive::{InstanceFilter, Page, SeriesFilter, StudyFilter};
use hilum_contracts::Event;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::event::Payload as _;
use hilum_contracts::ids::InputSetId;
use hilum_contracts::imaging::{
    InstancesDeleted, InstancesMoved, InstancesRejected, InstancesStored, ReadyReason,
};
use hilum_platform::auth;
use hilum_platform::clock::to_millis;
use hilum_platform::events::{ConsumeError, Consumer, Interest};
use hilum_platform::http::database_error;
use hilum_platform::notices::Topic;
use hilum_platform::scope::TenantScope;
use tokio_util::sync::CancellationToken;

use crate::ImagingService;
use crate::digest::{Sha256, hex};
use crate::domain::readiness::{Verdict, judge};
use crate::limits::{INPUT_SET_INSTANCES, JUDGED_AT_ONCE, READINESS_POLL};
use crate::store::arrivals::{deleted, stored};
use crate::store::changed::{Changed, moved};
use crate::store::readiness::{Completion, Unready};

/// Follows what became durable.
pub(crate) struct InputSetsFromInstances {
    pub(crate) service: ImagingService,
}

/// What is followed here.
pub const INTEREST: Interest = Interest {
    consumer: "imaging.input-sets",
    kinds: &[
        InstancesStored::KIND,
        InstancesDeleted::KIND,
        InstancesRejected::KIND,
        InstancesMoved::KIND,
    ],
};

#[async_trait]
impl Consumer for InputSetsFromInstances {
    fn name(&self) -> &'static str {
        INTEREST.consumer
    }

    fn kinds(&self) -> &'static [&'static str] {
        INTEREST.kinds
    }

    async fn consume(&self, event: &Event, tx: &mut Connection) -> Result<(), ConsumeError> {
        let scope = auth::service(&event.tenant, "imaging");
        if event.kind == InstancesDeleted::KIND {
            let gone: InstancesDeleted = event.payload()?;
            deleted(tx, &scope, &gone).await?;
            return Ok(());
        }
        if event.kind == InstancesRejected::KIND {
            let told: InstancesRejected = event.payload()?;
            let changed = Changed {
                study_uid: &told.study_uid,
                series_uid: &told.series_uid,
                instances: &told.sop_instance_uids,
                gone: told.rejected,
                left: told.left,
                at: to_millis(event.time),
            };
            changed.follow(tx, &scope, event.correlation_id).await?;
            return Ok(());
        }
        if event.kind == InstancesMoved::KIND {
            let told: InstancesMoved = event.payload()?;
            let at = to_millis(event.time);
            moved(tx, &scope, &told, (event.correlation_id, at)).await?;
            return Ok(());
        }
        let instances: InstancesStored = event.payload()?;
        let quiet_ms = self.service.quiet_ms(&scope, &instances.origin);
        stored(tx, &scope, &instances, quiet_ms).await?;
        Ok(())
    }

    fn joined(&self, earlier: &Event, later: &Event) -> Option<Event> {
        InstancesStored::joined(earlier, later)
    }

    fn consumed(&self, event: &Event) {
        let study = event.data.get("study_uid").and_then(|uid| uid.as_str());
        self.service
            .notices
            .tell(&event.tenant, Topic::Studies, study);
        if event.kind == InstancesRejected::KIND {
            self.service.retention_bell.notify_one();
        }
        self.service.readiness_bell.notify_one();
    }
}

impl ImagingService {
    /// The quiet time in milliseconds for what came from `origin`.
    pub(crate) fn quiet_ms(&self, scope: &TenantScope, origin: &str) -> i64 {
        let known = self.tenants.known();
        let device = origin
            .strip_prefix("dimse:")
            .and_then(|ae_title| known.device(scope.tenant(), ae_title));
        let seconds = device
            .and_then(|device| device.quiet_seconds)
            .unwrap_or(self.config.quiet_seconds);
        i64::try_from(Duration::from_secs_f64(seconds).as_millis()).unwrap_or(i64::MAX)
    }

    /// Judges input sets until told to stop.
    pub(crate) async fn watch_readiness(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let wait = match self.judge_all().await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::error!(%error, "input sets can't be judged");
                    READINESS_POLL
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.readiness_bell.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Judges every input set that is not ready; how long nothing will change.
    async fn judge_all(&self) -> Result<Duration, ServiceError> {
        self.record_ends().await.map_err(|e| database_error(&e))?;
        let unready = self.store.unready().await.map_err(|e| database_error(&e))?;
        // Several at once: on a server each costs a dozen ways there and back.
        let judged = futures::stream::iter(unready).map(|set| async move {
            match self.judge_one(&set).await {
                Ok(wait) => wait,
                // One that can't be judged holds up no other.
                Err(error) => {
                    tracing::error!(
                        correlation_id = %set.correlation_id, input_set = %set.id, %error,
                        "an input set can't be judged"
                    );
                    READINESS_POLL
                }
            }
        });
        let waits = judged.buffer_unordered(JUDGED_AT_ONCE);
        let shortest = waits.fold(READINESS_POLL, |wait, one| async move { wait.min(one) });
        Ok(shortest.await)
    }

    /// Judges an input set; how long nothing will change.
    async fn judge_one(&self, set: &Unready) -> Result<Duration, ServiceError> {
        let scope = auth::service(&set.tenant, "imaging");
        let senders = self
            .store
            .senders(&scope, set, &self.live)
            .await
            .map_err(|e| database_error(&e))?;
        let now = self.clock.now_millis();
        match judge(&senders, set.last_instance_at, now) {
            Verdict::QuietUntil(at) => {
                let millis = u64::try_from(at.saturating_sub(now)).unwrap_or(0);
                return Ok(Duration::from_millis(millis.saturating_add(1)));
            }
            Verdict::Incomplete if set.state == "receiving" => {
                self.store
                    .mark_incomplete(&scope, set.id)
                    .await
                    .map_err(|e| database_error(&e))?;
                self.notices
                    .tell(scope.tenant(), Topic::Studies, Some(&set.study_uid));
            }
            Verdict::Ready { reason, quiet_ms } => {
                if !self.complete(&scope, set, reason, quiet_ms).await? {
                    // Events of what was stored are on their way.
                    return Ok(Duration::from_millis(50));
                }
            }
            Verdict::Receiving | Verdict::Incomplete => {}
        }
        Ok(READINESS_POLL)
    }

    /// Makes an input set ready with what the archive holds of it. `false`:
    /// the archive holds instances whose event has not come yet.
    async fn complete(
        &self,
        scope: &TenantScope,
        set: &Unready,
        reason: ReadyReason,
        quiet_ms: i64,
    ) -> Result<bool, ServiceError> {
        let (instances, digest) = self.snapshot(scope, set).await?;
        let known = self
            .store
            .counted(scope, set.id)
            .await
            .map_err(|e| database_error(&e))?;
        if i64::try_from(instances.len()).unwrap_or(i64::MAX) > known {
            return Ok(false);
        }
        let completion = Completion {
            reason,
            quiet_ms,
            instances,
            digest,
        };
        let ready = self
            .store
            .make_ready(
                scope,
                &self.trail,
                set,
                &completion,
                self.clock.now_millis(),
            )
            .await
            .map_err(|e| database_error(&e))?;
        if ready {
            tracing::info!(
                correlation_id = %set.correlation_id, input_set = %set.id, revision = set.revision,
                instances = completion.instances.len(), ?reason, "input set ready"
            );
            metrics::counter!("hilum_input_sets_ready_total").increment(1);
            self.outbox.ring();
            self.notices
                .tell(scope.tenant(), Topic::Studies, Some(&set.study_uid));
        }
        Ok(ready)
    }

    /// The SOP Instance UIDs of a series as the archive serves them, and a
    /// digest of them with their data-set hashes.
    async fn snapshot(
        &self,
        scope: &TenantScope,
        set: &Unready,
    ) -> Result<(Vec<String>, String), ServiceError> {
        let filter = InstanceFilter {
            series: SeriesFilter {
                study: StudyFilter {
                    uids: vec![set.study_uid.clone()],
                    ..StudyFilter::default()
                },
                uids: vec![set.series_uid.clone()],
                ..SeriesFilter::default()
            },
            ..InstanceFilter::default()
        };
        let mut rows = Vec::new();
        loop {
            let page = Page {
                limit: hilum_archive::limits::PAGE_ROWS,
                offset: u64::try_from(rows.len()).unwrap_or(u64::MAX),
            };
            let more = self.archive.instances(scope, &filter, page).await?;
            let full = more.len() >= hilum_archive::limits::PAGE_ROWS as usize;
            rows.extend(more);
            if rows.len() > INPUT_SET_INSTANCES {
                let text = format!(
                    "a series of more than {INPUT_SET_INSTANCES} instances is no input set"
                );
                return Err(ServiceError::new(ErrorCode::Exhausted, text));
            }
            if !full {
                break;
            }
        }
        rows.sort_by(|a, b| a.sop_instance.cmp(&b.sop_instance));
        let mut hash = Sha256::default();
        for row in &rows {
            hash.update(row.sop_instance.as_bytes());
            hash.update(&[0]);
            hash.update(&row.sha256);
        }
        let uids = rows.into_iter().map(|row| row.sop_instance).collect();
        Ok((uids, hex(&hash.finish())))
    }

    /// A person says that an input set is complete as it is.
    pub(crate) async fn accept(
        &self,
        scope: &TenantScope,
        id: InputSetId,
    ) -> Result<(), ServiceError> {
        let set = self
            .store
            .unready_one(scope, id)
            .await
            .map_err(|e| database_error(&e))?
            .ok_or_else(|| {
                ServiceError::not_found("There is no such input set, or it is ready already.")
            })?;
        if self
            .complete(scope, &set, ReadyReason::AcceptedByPerson, 0)
            .await?
        {
            Ok(())
        } else {
            let text = "Images are arriving for this input set right now; try again.";
            Err(ServiceError::new(ErrorCode::Conflict, text))
        }
    }
}

/// Rung when an input set may have become ready.
pub(crate) type Bell = Arc<tokio::sync::Notify>;
