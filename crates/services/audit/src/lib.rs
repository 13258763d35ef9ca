//! Audit reads the trails that every service writes of itself: it seals them,
//! verifies them, searches and exports them, and removes what was kept long
//! enough. It writes into none but its own, and no service waits for it.
//!
//! Invariants:
//! - A seal holds every entry since the one before, of every writer, and is
//!   signed; it is durable here before it is appended to the tenant's file.
//! - A broken chain is not sealed from where it is broken.
//! - Only whole sealed prefixes are removed, and each chain goes on from a hash
//!   that is sealed.
//! - Who looks at a trail stands in it.

mod api;
mod called;
mod domain;
mod erasure;
mod export;
mod installation;
mod limits;
mod proofs;
mod sealing;
mod searching;
mod signer;
mod store;
mod verifying;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::middleware::from_fn_with_state;
use hilum_contracts::identity::Names;
use hilum_contracts::ids::TenantId;
use hilum_platform::audit::{AuditSource, Door, Keyring, Told, Trail, recorded};
use hilum_platform::clock::SharedClock;
use hilum_platform::db::{DbError, Home, Migration};
use hilum_platform::sealed::Sealer;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa_axum::router::OpenApiRouter;

pub use crate::domain::seal::{Content, Range, Seal, SealFault};
pub use crate::installation::Offline;
use crate::signer::Signer;
use crate::store::Store;
pub use crate::verifying::{Verified, VerifiedWriter};

/// The steps of its tables.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        sql: include_str!("../migrations/0001_seals.sql"),
        postgres: include_str!("../migrations/postgres/0001_seals.sql"),
    },
    Migration {
        version: 2,
        sql: include_str!("../migrations/0002_signing.sql"),
        postgres: include_str!("../migrations/postgres/0002_signing.sql"),
    },
    Migration {
        version: 3,
        sql: include_str!("../migrations/0003_keys_of_seals.sql"),
        postgres: include_str!("../migrations/postgres/0003_keys_of_seals.sql"),
    },
];

/// What its own entries say wrote them.
const WRITER: &str = "audit";

/// The service.
#[derive(Clone)]
pub struct AuditService {
    store: Store,
    trail: Trail,
    sources: Arc<[Arc<dyn AuditSource>]>,
    names: Arc<dyn Names>,
    signer: Arc<Signer>,
    clock: SharedClock,
    /// The folder with each tenant's file of seals.
    seals: PathBuf,
    keep_millis: i64,
    /// Where there are several shards.
    shards: Option<Sharded>,
    /// Held while seals are made, and while they are compared with the trails.
    sealing: Arc<tokio::sync::Mutex<()>>,
}

/// Whether what a writer tells of a tenant is looked after here.
type IsOurs = dyn Fn(&TenantId, &str) -> bool + Send + Sync;

#[derive(Clone)]
struct Sharded {
    ours: Arc<IsOurs>,
    sealer: Sealer,
}

/// The service can't start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its database.
    #[error("audit's database: {0}")]
    Db(#[from] DbError),
    /// The key that it signs with.
    #[error("the key of the audit trail's seals: {0}")]
    Key(String),
}

impl AuditService {
    /// Opens the service's database in `home`; its keys and seals are files in `dir`.
    /// `sources`: every other service's
    /// trail. `names`: who knows what people are called. `keep`: how long entries
    /// are kept.
    ///
    /// # Errors
    /// When its database or its key can't be used.
    pub async fn open(
        dir: &Path,
        home: impl Into<Home>,
        keyring: Keyring,
        clock: SharedClock,
        sources: Vec<Arc<dyn AuditSource>>,
        names: Arc<dyn Names>,
        keep: Duration,
    ) -> Result<Self, OpenError> {
        let db = home.into().open(WRITER, MIGRATIONS).await?;
        let store = Store::new(db.clone());
        let file = dir.join("keys").join("audit-seals.key");
        let signer = Signer::open(&store, &keyring, &file).await?;
        let trail = Trail::new(db, keyring, Arc::clone(&clock), WRITER);
        let mut sources = sources;
        sources.push(Arc::new(trail.clone()));
        Ok(Self {
            store,
            trail,
            names,
            sources: sources.into(),
            signer: Arc::new(signer),
            clock,
            seals: dir.join("seals"),
            keep_millis: i64::try_from(keep.as_millis()).unwrap_or(i64::MAX),
            shards: None,
            sealing: Arc::default(),
        })
    }

    /// The same where there are several shards: for those trails only of which `ours`
    /// says so, by tenant and writer, and with proofs of the keys that sign, under keys
    /// of `keyring`, for the shards that a tenant moves to.
    #[must_use]
    pub fn among_shards(
        self,
        keyring: Keyring,
        ours: impl Fn(&TenantId, &str) -> bool + Send + Sync + 'static,
    ) -> Self {
        let ours = Arc::new(ours);
        let sealer = Sealer::new(keyring, proofs::PURPOSE);
        Self {
            shards: Some(Sharded { ours, sealer }),
            ..self
        }
    }

    /// The trails of a tenant that are looked after here.
    fn sources_of<'s>(
        &'s self,
        tenant: &'s TenantId,
    ) -> impl Iterator<Item = &'s Arc<dyn AuditSource>> {
        let ours = |source: &&Arc<dyn AuditSource>| {
            let shards = self.shards.as_ref();
            shards.is_none_or(|shards| (shards.ours)(tenant, source.writer()))
        };
        self.sources.iter().filter(ours)
    }

    /// Its own audit trail.
    #[must_use]
    pub fn trail(&self) -> Trail {
        self.trail.clone()
    }

    /// What the REST endpoints are, wherever they are answered.
    #[must_use]
    pub fn endpoints() -> utoipa::openapi::OpenApi {
        api::router().into_openapi()
    }

    /// The service's REST endpoints, below `/api/v1`.
    pub fn router(&self) -> OpenApiRouter {
        // Each door records what it was asked for; what it refuses is told here.
        let door = Door::new(self.trail.clone(), |_, _| Some(Told::Elsewhere));
        api::router()
            .with_state(self.clone())
            .layer(from_fn_with_state(door, recorded))
    }

    /// Seals, removes what is old, and counts, until `stop` is called.
    pub fn start_workers(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        tasks.spawn(self.clone().seal_regularly(stop.clone()));
        tasks.spawn(self.clone().remove_regularly(stop.clone()));
        tasks.spawn(self.trail.clone().run(stop.clone()));
    }

    /// Writes and seals what is left, and closes its database. The other trails
    /// have written their last by then, and can still be read.
    pub async fn close(&self) {
        self.trail.close().await;
        self.seal_all().await;
        self.store.db().close().await;
    }
}
