//! Ends of senders that the database was not told of yet. Until it was, whoever
//! sent counts as going on: a series without the end of its sender would look as
//! if that had broken off, and wait for a person. What stands here ends with the
//! process, as if it had ended in the middle of them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hilum_contracts::ids::{CorrelationId, TenantId};
use hilum_platform::db::DbError;
use hilum_platform::db::moving::is_moving;
use hilum_platform::scope::TenantScope;
use tokio::time::timeout;

use crate::ImagingService;
use crate::domain::readiness::Ending;
use crate::intake::GoingOn;
use crate::limits::{END_RECORDED_WITHIN, UNRECORDED_ENDS};
use crate::store::readiness::SenderEnded;

/// A sender that ended.
pub(crate) struct Ended {
    pub(crate) scope: TenantScope,
    pub(crate) intake: CorrelationId,
    pub(crate) ending: Ending,
    /// Study and series of everything that it sent.
    pub(crate) touched: Vec<(String, String)>,
    pub(crate) quiet_ms: i64,
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    /// Until this is dropped, it counts as going on.
    pub(crate) _going_on: Arc<GoingOn>,
}

/// Those that the database was not told of yet, in their order.
#[derive(Clone, Default)]
pub(crate) struct Unrecorded(Arc<Mutex<VecDeque<Ended>>>);

impl Unrecorded {
    fn all(&self) -> MutexGuard<'_, VecDeque<Ended>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing of these studies is recorded any more; of any, when they are none.
    pub(crate) fn forget(&self, tenant: &TenantId, study_uids: Option<&[String]>) {
        self.all().retain_mut(|ended| {
            if ended.scope.tenant() == tenant {
                ended
                    .touched
                    .retain(|(study, _)| study_uids.is_some_and(|gone| !gone.contains(study)));
            }
            !ended.touched.is_empty()
        });
    }
}

impl ImagingService {
    /// A sender ended: its series may become ready.
    pub(crate) async fn sender_ended(&self, ended: Ended) {
        // Whoever sent waits for this.
        let recording = timeout(END_RECORDED_WITHIN, self.record_end(&ended)).await;
        let error = match recording {
            Ok(recorded) => recorded.err().map(|error| error.to_string()),
            Err(_) => Some("the database did not answer in time".to_owned()),
        };
        if let Some(error) = error {
            let mut unrecorded = self.unrecorded.all();
            if unrecorded.len() < UNRECORDED_ENDS {
                tracing::warn!(correlation_id = %ended.intake, %error, "the end of a sender is recorded later");
                unrecorded.push_back(ended);
            } else {
                // Its series become incomplete: sent again or accepted, they go on.
                tracing::error!(correlation_id = %ended.intake, %error, "the end of a sender was not recorded");
            }
        }
        self.readiness_bell.notify_one();
    }

    /// Records what could not be until now.
    pub(crate) async fn record_ends(&self) -> Result<(), DbError> {
        let mut left = self.unrecorded.all().len();
        while left > 0 {
            left -= 1;
            let next = self.unrecorded.all().pop_front();
            let Some(ended) = next else { return Ok(()) };
            match self.record_end(&ended).await {
                Err(error) if is_moving(&error) && !self.tenants.is_here(ended.scope.tenant()) => {
                    // Its new shard counts it as broken off: sent again or accepted, it goes on.
                    tracing::warn!(correlation_id = %ended.intake, "the end of a sender is not recorded: its tenant has moved");
                }
                // Others need not wait for it.
                Err(error) if is_moving(&error) => self.unrecorded.all().push_back(ended),
                Err(error) => {
                    self.unrecorded.all().push_front(ended);
                    return Err(error);
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    async fn record_end(&self, ended: &Ended) -> Result<(), DbError> {
        let touched = ended.touched.iter();
        let all: Vec<_> = touched
            .map(|(study_uid, series_uid)| SenderEnded {
                study_uid,
                series_uid,
                intake: ended.intake,
                ending: ended.ending,
                quiet_ms: ended.quiet_ms,
            })
            .collect();
        self.store.sender_ended(&ended.scope, &all, ended.at).await
    }
}
