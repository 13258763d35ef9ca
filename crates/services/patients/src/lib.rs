//! Patients owns who is whom: one record per (tenant, issuer, Patient ID),
//! made from the identity that images carry. It never changes an image, and
//! intake never waits for it.
//!
//! Invariants:
//! - Two identities meet under one record only within a tenant and an issuer.
//! - A contradiction in birth date or sex opens a conflict; only a person ends it.
//! - A study of a patient with an open conflict is not delivered automatically.

mod api;
mod consumer;
mod domain;
mod erasure;
mod export;
mod store;

use std::sync::Arc;

use async_trait::async_trait;
use axum::middleware::from_fn_with_state;
use hilum_contracts::error::ServiceError;
use hilum_contracts::patients::{PatientState, Patients};
use hilum_platform::audit::{Door, Keyring, Trail, recorded};
use hilum_platform::clock::SharedClock;
use hilum_platform::db::{DbError, Home, Migration};
use hilum_platform::events::{DbOutbox, Inbox, OutboxSource};
use hilum_platform::http::database_error;
use hilum_platform::notices::Notices;
use hilum_platform::scope::TenantScope;
use utoipa_axum::router::OpenApiRouter;

pub use crate::consumer::INTEREST;
use crate::store::Store;

/// The steps of its tables.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    sql: include_str!("../migrations/0001_patients.sql"),
    postgres: include_str!("../migrations/postgres/0001_patients.sql"),
}];

/// The service.
#[derive(Clone)]
pub struct PatientsService {
    pub(crate) trail: Trail,
    store: Store,
    outbox: DbOutbox,
    clock: SharedClock,
    notices: Notices,
}

impl PatientsService {
    /// Opens the service's database in `home`.
    ///
    /// # Errors
    /// When the database can't be opened or migrated.
    pub async fn open(
        home: impl Into<Home>,
        clock: SharedClock,
        notices: Notices,
        keyring: Keyring,
    ) -> Result<Self, DbError> {
        let db = home.into().open("patients", MIGRATIONS).await?;
        Ok(Self {
            trail: Trail::new(db.clone(), keyring, Arc::clone(&clock), "patients"),
            outbox: DbOutbox::new(db.clone()),
            store: Store::new(db),
            clock,
            notices,
        })
    }

    /// Closes its database: its write-ahead log is folded back.
    pub async fn close(&self) {
        self.trail.close().await;
        self.store.db().close().await;
    }

    /// What the REST endpoints are, wherever they are answered.
    #[must_use]
    pub fn endpoints() -> utoipa::openapi::OpenApi {
        api::router().into_openapi()
    }

    /// The service's REST endpoints, below `/api/v1`.
    pub fn router(&self) -> OpenApiRouter {
        let door = Door::new(self.trail.clone(), api::told::rest);
        api::router()
            .with_state(self.clone())
            .layer(from_fn_with_state(door, recorded))
    }

    /// The inbox through which it follows Imaging.
    #[must_use]
    pub fn inbox(&self) -> Inbox {
        let consumer = consumer::IdentitiesFromImages {
            clock: Arc::clone(&self.clock),
            notices: self.notices.clone(),
        };
        Inbox::new(
            self.store.db().clone(),
            Arc::clone(&self.clock),
            self.notices.clone(),
            Arc::new(consumer),
        )
        .recorded_in(self.trail.clone())
    }

    /// Its audit trail.
    #[must_use]
    pub fn trail(&self) -> Trail {
        self.trail.clone()
    }

    /// What it tells others.
    #[must_use]
    pub fn outbox(&self) -> Arc<dyn OutboxSource> {
        Arc::new(self.outbox.clone())
    }
}

#[async_trait]
impl Patients for PatientsService {
    async fn state_of_study(
        &self,
        scope: &TenantScope,
        study_uid: &str,
    ) -> Result<PatientState, ServiceError> {
        let states = self
            .store
            .states_of_studies(scope, &[study_uid.to_owned()])
            .await
            .map_err(|error| database_error(&error))?;
        Ok(states
            .first()
            .map_or(PatientState::Pending, |study| study.state))
    }
}
