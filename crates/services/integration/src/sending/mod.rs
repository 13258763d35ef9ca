//! Sends deliveries to one destination, one after the other, those of a study in
//! the order in which they were planned. What the destination has acknowledged is
//! recorded at once and never sent again.

mod dicom;
mod mail;
mod of;
mod peer;
mod probe;
mod stow;
mod webhook;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::imaging::{DataSetStream, Imaging, InstanceRef};
use hilum_contracts::patients::{PatientState, Patients};
use hilum_platform::auth;
use hilum_platform::db::DbError;
use hilum_platform::jobs::{self, Job, Leases, backoff};
use hilum_platform::limits::{JOB_AWAY, JOB_POLL};
use hilum_platform::notices::Topic;
use hilum_platform::scope::TenantScope;
use tokio_util::sync::CancellationToken;

pub(crate) use self::of::Of;
pub(crate) use self::probe::probe;

use self::peer::Peer;
use crate::IntegrationService;
use crate::domain::target::{Route, Target};
use crate::limits::{
    DELIVERY_ATTEMPTS, EARLIER_PAUSE, PENDING_PATIENT_PAUSE, RETRY_FIRST, RETRY_MAX, ROSTER_POLL,
};
use crate::store::destinations::PAUSED;
use crate::store::job_kind;
use crate::store::progress::{Attempt, Begun, Unsent};

/// The worker of one destination.
pub(crate) struct Worker {
    service: IntegrationService,
    imaging: Arc<dyn Imaging>,
    patients: Arc<dyn Patients>,
    of: Of,
    /// The kind of its jobs.
    kind: String,
}

/// Why an attempt did not deliver everything.
enum Failure {
    /// May pass: the destination is down, busy or full.
    Passing(String),
    /// Will come again: the destination refuses what it was sent.
    Lasting(String),
    /// Our own: who has the images, knows the patient or keeps the deliveries does
    /// not answer. The destination has no part in it.
    Away(String),
    /// This process stops.
    Stopped,
}

/// What is sent in one attempt.
struct Sending<'a> {
    worker: &'a Worker,
    scope: &'a TenantScope,
    job: &'a Job,
    begun: &'a Begun,
    unsent: &'a [Unsent],
    stop: &'a CancellationToken,
    peer: Peer<'a>,
}

impl Sending<'_> {
    async fn send(&self) -> Result<(), Failure> {
        match &self.peer.target.route {
            Route::Dicom {
                ae_title,
                address,
                calling_ae_title,
                tls,
            } => {
                let node = dicom::Node {
                    peer: &self.peer,
                    ae_title,
                    address,
                    calling_ae_title,
                    tls: *tls,
                };
                node.take(self).await
            }
            Route::Stow { url, credential } => {
                let credential = credential.as_ref();
                let peer = &self.peer;
                stow::Server {
                    peer,
                    url,
                    credential,
                }
                .take(self)
                .await
            }
            Route::Webhook { url, secrets } => {
                let peer = &self.peer;
                webhook::Hook { peer, url, secrets }.take(self).await
            }
            Route::Mail { to } => mail::take(self, to).await,
        }
    }

    fn now(&self) -> i64 {
        self.worker.service.clock.now_millis()
    }

    async fn data_set(&self, instance: &InstanceRef) -> Result<DataSetStream, Failure> {
        let imaging = &self.worker.imaging;
        let data = imaging.data_set(self.scope, &instance.sop_instance_uid);
        data.await.map_err(ours)
    }

    /// Records that the destination was told of everything.
    async fn told(&self) -> Result<(), Failure> {
        for item in self.unsent {
            self.acknowledged(item).await?;
        }
        Ok(())
    }

    /// Records that the destination has an instance.
    async fn acknowledged(&self, item: &Unsent) -> Result<(), Failure> {
        let store = &self.worker.service.store;
        store
            .acknowledged(self.scope, &self.job.subject, item.ordinal, self.now())
            .await
            .map_err(database)
    }
}

#[async_trait]
impl jobs::Worker for Worker {
    fn leases(&self) -> Leases<'_> {
        Leases {
            db: self.service.store.db(),
            clock: &*self.service.clock,
            kind: &self.kind,
            bell: &self.service.bell,
        }
    }

    async fn attempt(&self, job: &Job, owner: &str, stop: &CancellationToken) {
        let scope = auth::service(&job.tenant, "integration");
        let outcome = tokio::select! {
            outcome = self.deliver(&scope, job, stop) => outcome,
            () = jobs::keep_lease(self.leases(), job, owner) => return,
        };
        let now = self.service.clock.now_millis();
        tracing::info!(
            correlation_id = %job.correlation_id, delivery = %job.subject, attempt = job.attempts,
            destination = %self.of.id(), outcome = outcome.name(), "delivery attempt"
        );
        metrics::counter!("hilum_delivery_attempts_total", "outcome" => outcome.name())
            .increment(1);
        let ended = self
            .service
            .store
            .end_attempt(&scope, &self.service.trail, (job, owner), &outcome, now)
            .await;
        if let Err(error) = ended {
            // It is taken up again as soon as the database answers; what was
            // acknowledged is recorded.
            tracing::error!(correlation_id = %job.correlation_id, %error, "the end of an attempt was not recorded");
        }
        self.service
            .notices
            .tell(scope.tenant(), Topic::Deliveries, None);
    }
}

impl Worker {
    pub(crate) fn new(
        service: IntegrationService,
        imaging: Arc<dyn Imaging>,
        patients: Arc<dyn Patients>,
        of: Of,
    ) -> Self {
        Self {
            kind: job_kind(of.tenant(), of.id()),
            service,
            imaging,
            patients,
            of,
        }
    }

    async fn deliver(&self, scope: &TenantScope, job: &Job, stop: &CancellationToken) -> Attempt {
        // The job's kind names the destination, and no tenant sends to another's.
        if job.tenant != *self.of.tenant() {
            tracing::error!(delivery = %job.subject, "a delivery to another tenant's destination");
            return Attempt::NotOurs;
        }
        let (outcome, changed_at) = match self.target(scope).await {
            Ok((target, changed_at)) => {
                let outcome = self.try_deliver(scope, job, &target, stop).await;
                (outcome, changed_at)
            }
            Err(Failed::Ended(attempt)) => return attempt,
            Err(Failed::As(failure)) => (Err(failure), None),
        };
        let failure = match outcome {
            Ok(attempt) => return attempt,
            Err(failure) => failure,
        };
        match failure {
            Failure::Stopped => Attempt::HandedBack,
            Failure::Lasting(reason) => Attempt::GivenUp { reason },
            Failure::Away(reason) => {
                // One after the other asks in vain: that need not be often.
                stop.run_until_cancelled(tokio::time::sleep(JOB_POLL)).await;
                let at = self.later(millis(JOB_AWAY));
                Attempt::NotYet { at, reason }
            }
            Failure::Passing(reason) if job.attempts >= DELIVERY_ATTEMPTS => Attempt::GivenUp {
                reason: format!("Given up after {} tries. {reason}", job.attempts),
            },
            Failure::Passing(reason) => {
                // What was changed meanwhile is tried as it is now.
                let pause = match self.is_as_it_was(scope, changed_at).await {
                    true => backoff(job.attempts, RETRY_FIRST, RETRY_MAX),
                    false => 0,
                };
                Attempt::Again {
                    at: self.later(pause),
                    reason,
                }
            }
        }
    }

    async fn is_as_it_was(&self, scope: &TenantScope, changed_at: Option<i64>) -> bool {
        let Some(changed_at) = changed_at else {
            return true;
        };
        let now = self.service.store.destination(scope, self.of.id()).await;
        now.is_ok_and(|made| made.is_some_and(|made| made.changed_at == changed_at))
    }

    /// Where results go now, and since when; or what becomes of the attempt.
    async fn target(&self, scope: &TenantScope) -> Result<(Target, Option<i64>), Failed> {
        let id = match &self.of {
            Of::Configured(destination) => return Ok((Target::configured(destination), None)),
            Of::Made { id, .. } => id,
        };
        let made = self.service.store.destination(scope, id).await;
        let Some(made) = made.map_err(database)? else {
            // It was removed, and what waited for it was given up.
            return Err(Failed::Ended(Attempt::Nothing));
        };
        if made.paused {
            return Err(Failed::Ended(Attempt::NotYet {
                at: self.later(millis(ROSTER_POLL)),
                reason: PAUSED.to_owned(),
            }));
        }
        let changed_at = made.changed_at;
        let target = self.service.target(scope, made).await;
        Ok((target.map_err(ours)?, Some(changed_at)))
    }

    async fn try_deliver(
        &self,
        scope: &TenantScope,
        job: &Job,
        target: &Target,
        stop: &CancellationToken,
    ) -> Result<Attempt, Failure> {
        let store = &self.service.store;
        let begun = store.begin_attempt(scope, &job.subject).await;
        let Some(begun) = begun.map_err(database)? else {
            return Ok(Attempt::Nothing);
        };
        let before = store.waits_for(scope, &job.subject).await;
        if let Some(next) = before.map_err(database)? {
            return Ok(Attempt::NotYet {
                at: next.max(self.later(millis(EARLIER_PAUSE))),
                reason: "An earlier result of this study goes first.".to_owned(),
            });
        }
        if let Some(not_now) = self.patient_allows(scope, &begun.study_uid).await? {
            return Ok(not_now);
        }
        let unsent = store.unsent(scope, &job.subject).await.map_err(database)?;
        if unsent.is_empty() {
            return Ok(Attempt::Delivered);
        }
        let unsent = self.still_here(scope, unsent).await?;
        if unsent.is_empty() {
            return Ok(Attempt::Withdrawn);
        }
        let sending = Sending {
            worker: self,
            scope,
            job,
            begun: &begun,
            unsent: &unsent,
            stop,
            peer: Peer::new(&self.service, target),
        };
        sending.send().await?;
        Ok(Attempt::Delivered)
    }

    /// Without what was deleted since: a receiver is not told of it either.
    async fn still_here(
        &self,
        scope: &TenantScope,
        mut unsent: Vec<Unsent>,
    ) -> Result<Vec<Unsent>, Failure> {
        let uids = unsent
            .iter()
            .map(|one| one.instance.sop_instance_uid.clone());
        let known = self
            .imaging
            .instances(scope, &uids.collect::<Vec<_>>())
            .await;
        let known = known.map_err(ours)?;
        let known: HashSet<_> = known.iter().map(|one| &*one.sop_instance_uid).collect();
        unsent.retain(|one| known.contains(&*one.instance.sop_instance_uid));
        Ok(unsent)
    }

    /// What keeps results of this patient back, if anything does.
    async fn patient_allows(
        &self,
        scope: &TenantScope,
        study_uid: &str,
    ) -> Result<Option<Attempt>, Failure> {
        let state = self
            .patients
            .state_of_study(scope, study_uid)
            .await
            .map_err(ours)?;
        Ok(match state {
            PatientState::Confirmed | PatientState::NoPatientId => None,
            PatientState::Pending => Some(Attempt::NotYet {
                at: self.later(millis(PENDING_PATIENT_PAUSE)),
                reason: "The patient is not confirmed yet.".to_owned(),
            }),
            PatientState::Conflict => Some(Attempt::Held {
                reason: "Images of this patient contradict each other. Decide the conflict, and \
                         the delivery goes on."
                    .to_owned(),
            }),
        })
    }

    fn later(&self, millis: i64) -> i64 {
        self.service.clock.now_millis().saturating_add(millis)
    }
}

/// Why an attempt was not begun.
enum Failed {
    As(Failure),
    Ended(Attempt),
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self::As(failure)
    }
}

fn database(error: DbError) -> Failure {
    tracing::error!(%error, "database");
    Failure::Away("The database did not answer.".to_owned())
}

/// A neighbour's refusal.
fn ours(error: ServiceError) -> Failure {
    match error.code {
        ErrorCode::Unavailable => Failure::Away(error.message),
        _ => Failure::Passing(error.message),
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

impl Attempt {
    fn name(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Again { .. } => "again",
            Self::NotYet { .. } => "not-yet",
            Self::Held { .. } => "held",
            Self::GivenUp { .. } => "given-up",
            Self::Withdrawn => "withdrawn",
            Self::HandedBack => "handed-back",
            Self::Nothing => "nothing",
            Self::NotOurs => "not-ours",
        }
    }
}
