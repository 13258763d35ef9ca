//! Sends deliveries to one DICOM destination, one after the other, in the
//! order in which they were planned. What the destination has acknowledged is
//! recorded at once and never sent again.

use std::sync::Arc;

use futures::StreamExt as _;
use hilum_contracts::imaging::{Imaging, InstanceRef};
use hilum_contracts::patients::{PatientState, Patients};
use hilum_dimse::{Client, ClientConfig, ClientError, ClientTls, Status, StoreOperation};
use hilum_platform::auth;
use hilum_platform::config::Destination;
use hilum_platform::jobs::{self, Job, backoff};
use hilum_platform::notices::Topic;
use hilum_platform::scope::TenantScope;
use hilum_platform::tls;
use rustls::pki_types::ServerName;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::IntegrationService;
use crate::limits::{
    DELIVERY_ATTEMPTS, HEARTBEAT, LEASE, PENDING_PATIENT_PAUSE, POLL, RETRY_FIRST, RETRY_MAX,
};
use crate::store::job_kind;
use crate::store::progress::{Attempt, Unsent};

/// The worker of one destination.
pub(crate) struct Worker {
    pub(crate) service: IntegrationService,
    pub(crate) imaging: Arc<dyn Imaging>,
    pub(crate) patients: Arc<dyn Patients>,
    pub(crate) destination: Destination,
}

/// Why an attempt did not deliver everything.
enum Failure {
    /// May pass: the destination is down, busy or full.
    Passing(String),
    /// Will come again: the destination refuses what it was sent.
    Lasting(String),
    /// This process stops.
    Stopped,
}

impl Worker {
    /// Works until told to stop; what it holds then is handed back.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let kind = job_kind(&self.destination.tenant, &self.destination.name);
        let owner = Uuid::new_v4().to_string();
        while !stop.is_cancelled() {
            let now = self.service.clock.now_millis();
            let leased = jobs::lease(self.service.store.db(), &kind, &owner, now, LEASE).await;
            match leased {
                Ok(Some(job)) => self.attempt(&job, &owner, &stop).await,
                Ok(None) => {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = self.service.bell.notified() => {}
                        () = tokio::time::sleep(POLL) => {}
                    }
                }
                Err(error) => {
                    tracing::error!(destination = %self.destination.name, %error, "deliveries wait: the database does not answer");
                    tokio::time::sleep(POLL).await;
                }
            }
        }
    }

    async fn attempt(&self, job: &Job, owner: &str, stop: &CancellationToken) {
        let scope = auth::service(&job.tenant, "integration");
        let outcome = tokio::select! {
            outcome = self.deliver(&scope, job, stop) => outcome,
            () = self.keep_lease(job, owner) => {
                tracing::warn!(correlation_id = %job.correlation_id, delivery = %job.subject, "lease lost");
                return;
            }
        };
        let now = self.service.clock.now_millis();
        tracing::info!(
            correlation_id = %job.correlation_id, delivery = %job.subject, attempt = job.attempts,
            destination = %self.destination.name, outcome = outcome.name(), "delivery attempt"
        );
        metrics::counter!("hilum_delivery_attempts_total", "outcome" => outcome.name())
            .increment(1);
        let ended = self
            .service
            .store
            .end_attempt(&scope, &self.service.trail, (job, owner), &outcome, now)
            .await;
        if let Err(error) = ended {
            // The lease runs out and the delivery is tried again; what was
            // acknowledged is recorded.
            tracing::error!(correlation_id = %job.correlation_id, %error, "the end of an attempt was not recorded");
        }
        self.service
            .notices
            .tell(scope.tenant(), Topic::Deliveries, None);
    }

    /// Prolongs the lease for as long as it is ours.
    async fn keep_lease(&self, job: &Job, owner: &str) {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            let now = self.service.clock.now_millis();
            let kept = jobs::heartbeat(self.service.store.db(), job, owner, now, LEASE).await;
            if matches!(kept, Ok(false)) {
                return;
            }
        }
    }

    async fn deliver(&self, scope: &TenantScope, job: &Job, stop: &CancellationToken) -> Attempt {
        // The job's kind names the destination, and no tenant sends to another's.
        if job.tenant != self.destination.tenant {
            tracing::error!(delivery = %job.subject, "a delivery to another tenant's destination");
            return Attempt::NotOurs;
        }
        let failure = match self.try_deliver(scope, job, stop).await {
            Ok(attempt) => return attempt,
            Err(failure) => failure,
        };
        match failure {
            Failure::Stopped => Attempt::HandedBack,
            Failure::Lasting(reason) => Attempt::GivenUp { reason },
            Failure::Passing(reason) if job.attempts >= DELIVERY_ATTEMPTS => Attempt::GivenUp {
                reason: format!("Given up after {} tries. {reason}", job.attempts),
            },
            Failure::Passing(reason) => Attempt::Again {
                at: self.later(backoff(job.attempts, RETRY_FIRST, RETRY_MAX)),
                reason,
            },
        }
    }

    async fn try_deliver(
        &self,
        scope: &TenantScope,
        job: &Job,
        stop: &CancellationToken,
    ) -> Result<Attempt, Failure> {
        let database = |error| {
            tracing::error!(%error, "database");
            Failure::Passing("The database did not answer.".to_owned())
        };
        let store = &self.service.store;
        let begun = store.begin_attempt(scope, &job.subject).await;
        let Some(study_uid) = begun.map_err(database)? else {
            return Ok(Attempt::Nothing);
        };
        if let Some(not_now) = self.patient_allows(scope, &study_uid).await? {
            return Ok(not_now);
        }
        let unsent = store.unsent(scope, &job.subject).await.map_err(database)?;
        if unsent.is_empty() {
            return Ok(Attempt::Delivered);
        }
        let mut association = self.associate(&unsent, job).await?;
        for item in &unsent {
            if stop.is_cancelled() {
                // Everything acknowledged so far is recorded.
                let _closing = association.release().await;
                return Err(Failure::Stopped);
            }
            self.send(scope, &mut association, &item.instance).await?;
            let now = self.service.clock.now_millis();
            store
                .acknowledged(scope, &job.subject, item.ordinal, now)
                .await
                .map_err(database)?;
        }
        // The instances are there, however the association ends.
        let _closing = association.release().await;
        Ok(Attempt::Delivered)
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
            .map_err(|error| Failure::Passing(error.message))?;
        Ok(match state {
            PatientState::Confirmed | PatientState::NoPatientId => None,
            PatientState::Pending => Some(Attempt::NotYet {
                at: self
                    .later(i64::try_from(PENDING_PATIENT_PAUSE.as_millis()).unwrap_or(i64::MAX)),
                reason: "The patient is not confirmed yet.".to_owned(),
            }),
            PatientState::Conflict => Some(Attempt::Held {
                reason: "Images of this patient contradict each other. Decide the conflict, and \
                         the delivery goes on."
                    .to_owned(),
            }),
        })
    }

    async fn associate(&self, unsent: &[Unsent], job: &Job) -> Result<Client, Failure> {
        let mut config = ClientConfig::new(
            &self.destination.ae_title,
            &self.destination.calling_ae_title,
        );
        config.id = job.correlation_id.0;
        let mut contexts: Vec<(&str, &str)> = unsent
            .iter()
            .map(|item| {
                (
                    item.instance.sop_class_uid.as_str(),
                    item.instance.transfer_syntax_uid.as_str(),
                )
            })
            .collect();
        contexts.sort_unstable();
        contexts.dedup();
        for (sop_class, transfer_syntax) in contexts {
            config = config.propose(sop_class, &[transfer_syntax]);
        }
        config.tls = self.tls()?;
        Client::connect(&self.destination.address, config)
            .await
            .map_err(|error| self.failure(&error))
    }

    /// How TLS is spoken to the destination, by its files as they are now.
    fn tls(&self) -> Result<Option<ClientTls>, Failure> {
        let Some(authorities) = &self.destination.tls_ca else {
            return Ok(None);
        };
        let address = &self.destination.address;
        let host = address
            .rsplit_once(':')
            .map_or(&**address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            let name = &self.destination.name;
            Failure::Lasting(format!(
                "{name} has no address that a certificate can be of."
            ))
        })?;
        let config = tls::client(authorities, self.service.tls.as_ref());
        let config = config.map_err(|error| Failure::Lasting(error.to_string()))?;
        Ok(Some(ClientTls { config, name }))
    }

    async fn send(
        &self,
        scope: &TenantScope,
        association: &mut Client,
        instance: &InstanceRef,
    ) -> Result<(), Failure> {
        let data = self
            .imaging
            .data_set(scope, &instance.sop_instance_uid)
            .await
            .map_err(|error| Failure::Passing(error.message))?;
        let operation = StoreOperation {
            sop_class_uid: instance.sop_class_uid.clone(),
            sop_instance_uid: instance.sop_instance_uid.clone(),
            transfer_syntax_uid: instance.transfer_syntax_uid.clone(),
        };
        let data = data.map(|piece| piece.map_err(std::io::Error::other));
        let response = association
            .c_store(&operation, data)
            .await
            .map_err(|error| self.failure(&error))?;
        self.judge(response.status)
    }

    fn judge(&self, status: Status) -> Result<(), Failure> {
        let name = &self.destination.name;
        if status.is_accepted() {
            Ok(())
        } else if status.is_retryable() {
            Err(Failure::Passing(format!(
                "{name} could not take it now (status {status})."
            )))
        } else {
            Err(Failure::Lasting(format!(
                "{name} refused it (status {status}). Change its settings, then retry."
            )))
        }
    }

    fn failure(&self, error: &ClientError) -> Failure {
        let name = &self.destination.name;
        let reason = format!("{name}: {error}.");
        // A rejection ends when somebody admits us over there, without a word to us.
        if error.is_retryable() || matches!(error, ClientError::Rejected(_)) {
            Failure::Passing(reason)
        } else {
            Failure::Lasting(reason)
        }
    }

    fn later(&self, millis: i64) -> i64 {
        self.service.clock.now_millis().saturating_add(millis)
    }
}

impl Attempt {
    fn name(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Again { .. } => "again",
            Self::NotYet { .. } => "not-yet",
            Self::Held { .. } => "held",
            Self::GivenUp { .. } => "given-up",
            Self::HandedBack => "handed-back",
            Self::Nothing => "nothing",
            Self::NotOurs => "not-ours",
        }
    }
}
