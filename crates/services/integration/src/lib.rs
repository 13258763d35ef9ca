//! Integration owns what leaves Hilum for other systems: results, sent to DICOM
//! nodes by C-STORE and to DICOMweb servers by STOW-RS, and told to webhooks and to
//! people by mail.
//!
//! Invariants:
//! - A published result set has one delivery for each destination of its tenant
//!   that takes its model's, and those of a study go in the order in which they
//!   were published.
//! - A delivery is *delivered* only when the destination acknowledged every
//!   instance, and ends otherwise only visibly: held, or given up with a reason.
//! - Each destination has a worker of its own; a slow one holds up no other.
//! - A tenant makes destinations while it serves. What was planned goes on after a
//!   change, waits while one is paused, and is given up when one is removed. Their
//!   secrets are sealed, and shown by nothing.
//! - An address that a tenant names is asked only if it is public, or the operator
//!   allows its network; that is looked at when it is connected to.
//! - Results of a patient with an open conflict are held until a person decides.

mod api;
mod changes;
mod consumer;
mod domain;
mod erasure;
mod export;
mod jobs_listed;
pub mod limits;
mod roster;
mod secrets;
mod sending;
mod store;

use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use hilum_contracts::imaging::Imaging;
use hilum_contracts::patients::Patients;
use hilum_platform::audit::{Door, Keyring, Trail, recorded};
use hilum_platform::clock::SharedClock;
use hilum_platform::config::{Config, Destination, Tls};
use hilum_platform::db::{DbError, Home, Migration};
use hilum_platform::events::Inbox;
use hilum_platform::jobs;
use hilum_platform::mail::Mailer;
use hilum_platform::notices::Notices;
use hilum_platform::reach::Reach;
use hilum_platform::scope::TenantScope;
use hilum_platform::sealed::Sealer;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa_axum::router::OpenApiRouter;

pub use crate::consumer::INTEREST;
use crate::roster::Roster;
use crate::sending::{Of, Worker};
use crate::store::Store;

/// The steps of its tables.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        sql: include_str!("../migrations/0001_deliveries.sql"),
        postgres: include_str!("../migrations/postgres/0001_deliveries.sql"),
    },
    Migration {
        version: 2,
        sql: include_str!("../migrations/0002_destinations.sql"),
        postgres: include_str!("../migrations/postgres/0002_destinations.sql"),
    },
];

/// The service.
#[derive(Clone)]
pub struct IntegrationService {
    trail: Trail,
    store: Store,
    clock: SharedClock,
    notices: Notices,
    /// Those of the configuration.
    destinations: Arc<Vec<Destination>>,
    tls: Option<Tls>,
    /// The way to the mail server, and where links in mails begin.
    mail: Option<(Mailer, String)>,
    sealer: Sealer,
    /// Where destinations that tenants make may be.
    reach: Reach,
    tests: Arc<Semaphore>,
    /// Rings where somebody may have work.
    bell: Arc<Notify>,
    /// Rings where another destination may have work.
    roster: Arc<Notify>,
}

impl IntegrationService {
    /// Opens the service's database in `home`, with the destinations of `config` and
    /// what that says of others. People are told by `mail`: its server, and where links
    /// begin.
    ///
    /// # Errors
    /// When the database can't be opened or migrated.
    pub async fn open(
        home: impl Into<Home>,
        clock: SharedClock,
        notices: Notices,
        keyring: Keyring,
        config: &Config,
        mail: Option<(Mailer, String)>,
    ) -> Result<Self, DbError> {
        let db = home.into().open("integration", MIGRATIONS).await?;
        jobs::reclaim(&db).await?;
        Ok(Self {
            sealer: Sealer::new(keyring.clone(), secrets::SEALED_FOR),
            trail: Trail::new(db.clone(), keyring, Arc::clone(&clock), "integration"),
            store: Store::new(db),
            clock,
            notices,
            destinations: Arc::new(config.destinations.clone()),
            tls: config.tls.clone(),
            mail,
            reach: Reach::within(false, &config.deliveries.networks),
            tests: Arc::new(Semaphore::new(limits::TESTS)),
            bell: Arc::new(Notify::new()),
            roster: Arc::new(Notify::new()),
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

    /// The inbox through which it follows Imaging and Patients.
    #[must_use]
    pub fn inbox(&self) -> Inbox {
        Inbox::new(
            self.store.db().clone(),
            Arc::clone(&self.clock),
            self.notices.clone(),
            Arc::new(consumer::DeliveriesFromResults {
                service: self.clone(),
            }),
        )
        .recorded_in(self.trail.clone())
    }

    /// Its audit trail.
    #[must_use]
    pub fn trail(&self) -> Trail {
        self.trail.clone()
    }

    /// A destination of the configuration.
    fn configured(&self, scope: &TenantScope, name: &str) -> Option<&Destination> {
        let mut all = self.destinations.iter();
        all.find(|one| one.tenant == *scope.tenant() && one.name == name)
    }

    /// Says that there may be work.
    fn ring(&self) {
        self.bell.notify_waiters();
        // One that is not listened for just now is heard later.
        self.roster.notify_one();
    }

    /// Starts one worker for each destination of the configuration, and whoever starts
    /// those of the others; each ends after the instance it is sending when `stop` is
    /// called.
    pub fn start_workers(
        &self,
        tasks: &TaskTracker,
        stop: &CancellationToken,
        imaging: &Arc<dyn Imaging>,
        patients: &Arc<dyn Patients>,
    ) {
        for destination in self.destinations.iter() {
            let worker = Worker::new(
                self.clone(),
                Arc::clone(imaging),
                Arc::clone(patients),
                Of::Configured(Box::new(destination.clone())),
            );
            tasks.spawn(jobs::run(worker, stop.clone()));
        }
        let roster = Roster {
            service: self.clone(),
            imaging: Arc::clone(imaging),
            patients: Arc::clone(patients),
            tasks: tasks.clone(),
        };
        tasks.spawn(roster.run(stop.clone()));
        tasks.spawn(self.trail.clone().run(stop.clone()));
    }
}
