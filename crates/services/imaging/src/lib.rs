//! Imaging takes instances by C-STORE and STOW-RS, keeps them in the archive,
//! answers DICOMweb, and says when a series is complete enough to work on.
//!
//! Invariants:
//! - Nothing is acknowledged before the archive has committed it.
//! - Intake waits for no other service.
//! - An input set that is ready names its exact instances and why it was
//!   considered complete; a late image starts a new revision.
//! - Our own outputs, also when they come back, never start work.

mod api;
mod comparison;
mod contract;
mod digest;
mod domain;
mod ended;
mod erasure;
mod export;
mod intake;
mod keeping;
mod layout;
pub mod limits;
mod merging;
mod overlay;
mod readiness;
mod spool;
mod store;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use hilum_archive::Archive;
use hilum_contracts::access::Action;
use hilum_contracts::identity::Identity;
use hilum_platform::audit::{Door, Keyring, Trail, recorded};
use hilum_platform::clock::SharedClock;
use hilum_platform::config::Config;
use hilum_platform::db::{DbError, Home, Migration};
use hilum_platform::events::{DbOutbox, Inbox, OutboxSource};
use hilum_platform::notices::Notices;
use hilum_platform::tenants::Directory;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa_axum::router::OpenApiRouter;

pub use crate::intake::Imported;
pub use crate::intake::dimse::DicomDoor;
pub use crate::readiness::INTEREST;
use crate::spool::Spools;
use crate::store::Store;

pub use crate::erasure::patient_id_elements;

/// The steps of its tables.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        sql: include_str!("../migrations/0001_input_sets.sql"),
        postgres: include_str!("../migrations/postgres/0001_input_sets.sql"),
    },
    Migration {
        version: 2,
        sql: include_str!("../migrations/0002_imported.sql"),
        postgres: include_str!("../migrations/postgres/0002_imported.sql"),
    },
    Migration {
        version: 3,
        sql: include_str!("../migrations/0003_instance_lists.sql"),
        postgres: include_str!("../migrations/postgres/0003_instance_lists.sql"),
    },
    Migration {
        version: 4,
        sql: include_str!("../migrations/0004_changed.sql"),
        postgres: include_str!("../migrations/postgres/0004_changed.sql"),
    },
    Migration {
        version: 5,
        sql: include_str!("../migrations/0005_exports.sql"),
        postgres: include_str!("../migrations/postgres/0005_exports.sql"),
    },
    Migration {
        version: 6,
        sql: include_str!("../migrations/0006_patient_merges.sql"),
        postgres: include_str!("../migrations/postgres/0006_patient_merges.sql"),
    },
];

/// The service.
#[derive(Clone)]
pub struct ImagingService {
    archive: Archive,
    store: Store,
    outbox: DbOutbox,
    spools: Spools,
    trail: Trail,
    clock: SharedClock,
    notices: Notices,
    config: Arc<Config>,
    tenants: Directory,
    readiness_bell: readiness::Bell,
    comparison_bell: Arc<Notify>,
    retention_bell: Arc<Notify>,
    merge_bell: Arc<Notify>,
    live: intake::Live,
    unrecorded: ended::Unrecorded,
}

/// The service can't start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its database.
    #[error("imaging's database: {0}")]
    Db(#[from] DbError),
    /// The archive did not take its rules.
    #[error("the archive: {0}")]
    Archive(#[from] hilum_archive::ArchiveError),
    /// Its spool folder.
    #[error("the spool folder: {0}")]
    Spool(#[from] std::io::Error),
}

impl ImagingService {
    /// Opens the service on an archive that is open.
    ///
    /// # Errors
    /// When its database or spool folder can't be used.
    pub async fn open(
        archive: Archive,
        config: Arc<Config>,
        tenants: Directory,
        clock: SharedClock,
        notices: Notices,
    ) -> Result<Self, OpenError> {
        let db = Home::of(&config.data, config.database.as_ref())?
            .open("imaging", MIGRATIONS)
            .await?;
        let store = Store::new(db.clone());
        store.compact_lists().await?;
        let keyring = Keyring::new(Arc::new(archive.clone()));
        let service = Self {
            trail: Trail::new(db.clone(), keyring, Arc::clone(&clock), "imaging"),
            archive,
            store,
            outbox: DbOutbox::new(db),
            spools: Spools::open(config.data.join("spool"))?,
            clock,
            notices,
            config,
            tenants,
            readiness_bell: readiness::Bell::default(),
            comparison_bell: Arc::default(),
            retention_bell: Arc::default(),
            merge_bell: Arc::default(),
            live: intake::Live::default(),
            unrecorded: ended::Unrecorded::default(),
        };
        service.tell_rules().await?;
        Ok(service)
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

    /// DICOMweb, below `/dicomweb`.
    pub fn dicomweb(&self) -> Router {
        let door = Door::new(self.trail.clone(), api::told::dicomweb);
        api::dicomweb::router()
            .with_state(self.clone())
            .layer(from_fn_with_state(door, recorded))
    }

    /// What DICOMweb answers: methods, addresses below its root, and what each
    /// is for.
    #[must_use]
    pub fn dicomweb_operations() -> Vec<(http::Method, String, Action)> {
        api::dicomweb::operations()
    }

    /// The inbox through which it follows its own archive.
    #[must_use]
    pub fn inbox(&self) -> Inbox {
        Inbox::new(
            self.store.db().clone(),
            Arc::clone(&self.clock),
            self.notices.clone(),
            Arc::new(readiness::InputSetsFromInstances {
                service: self.clone(),
            }),
        )
        .recorded_in(self.trail.clone())
    }

    /// Its audit trail, beside the archive's.
    #[must_use]
    pub fn trail(&self) -> Trail {
        self.trail.clone()
    }

    /// What it tells others: what was stored and published, from the archive,
    /// and which input sets are ready.
    #[must_use]
    pub fn outboxes(&self) -> Vec<Arc<dyn OutboxSource>> {
        vec![
            Arc::new(self.archive.clone()),
            Arc::new(self.outbox.clone()),
        ]
    }

    /// Takes DICOM associations at `door` from devices that `identity` knows, watches over
    /// readiness, compares conflicts and keeps the archive in order, until `stop` is called.
    pub fn start_workers(
        &self,
        tasks: &TaskTracker,
        stop: &CancellationToken,
        door: DicomDoor,
        identity: Arc<dyn Identity>,
    ) {
        let serving = intake::dimse::serve(self.clone(), identity, door, stop.clone());
        tasks.spawn(serving);
        tasks.spawn(self.clone().watch_readiness(stop.clone()));
        tasks.spawn(self.clone().compare_conflicts(stop.clone()));
        tasks.spawn(self.clone().sweep_regularly(stop.clone()));
        tasks.spawn(self.clone().delete_expired_regularly(stop.clone()));
        tasks.spawn(self.clone().pack_regularly(stop.clone()));
        tasks.spawn(self.clone().follow_merges(stop.clone()));
        tasks.spawn(self.trail.clone().run(stop.clone()));
        tasks.spawn(self.clone().follow_rules(stop.clone()));
    }

    /// Rewrites settled series as packs.
    async fn pack_regularly(self, stop: CancellationToken) {
        let settled_for = Duration::from_secs(self.config.archive.settle_seconds);
        let every = settled_for.clamp(limits::PACK_PAUSE, limits::PACK_EVERY);
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                packed = self.archive.pack(settled_for) => {
                    if let Err(error) = packed {
                        tracing::error!(%error, "settled series wait to be packed");
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(every) => {}
            }
        }
    }

    async fn sweep_regularly(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.archive.sweep().await {
                tracing::error!(%error, "sweep");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(limits::SWEEP_EVERY) => {}
            }
        }
    }
}
