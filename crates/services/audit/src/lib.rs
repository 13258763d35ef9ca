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
mod domain;
mod erasure;
mod export;
mod limits;
mod sealing;
mod searching;
mod signer;
mod store;
mod verifying;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hilum_platform::audit::{AuditSource, Keyring, Trail};
use hilum_platform::clock::SharedClock;
use hilum_platform::db::{Db, DbError, Migration};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa_axum::router::OpenApiRouter;

pub use crate::domain::seal::{Content, Range, Seal, SealFault};
use crate::signer::Signer;
use crate::store::Store;
pub use crate::verifying::{Verified, VerifiedWriter};

/// How long entries are kept when nobody says otherwise: six years (45 CFR
/// 164.316(b)(2)(i)).
pub const KEEP: Duration = Duration::from_secs(6 * 366 * 24 * 3_600);

const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    sql: include_str!("../migrations/0001_seals.sql"),
}];

/// The service.
#[derive(Clone)]
pub struct AuditService {
    store: Store,
    trail: Trail,
    sources: Arc<[Arc<dyn AuditSource>]>,
    signer: Arc<Signer>,
    clock: SharedClock,
    /// The folder with each tenant's file of seals.
    seals: PathBuf,
    keep_millis: i64,
    /// Held while seals are made, and while they are compared with the trails.
    sealing: Arc<tokio::sync::Mutex<()>>,
}

/// The service can't start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its database.
    #[error("audit's database: {0}")]
    Db(#[from] DbError),
    /// The key that it signs with.
    #[error("the key of the audit trail's seals: {0}")]
    Key(#[from] std::io::Error),
}

impl AuditService {
    /// Opens the service's database in `dir`. `sources`: every other service's
    /// trail. `keep`: how long entries are kept.
    ///
    /// # Errors
    /// When its database or its key can't be used.
    pub async fn open(
        dir: &Path,
        keyring: Keyring,
        clock: SharedClock,
        sources: Vec<Arc<dyn AuditSource>>,
        keep: Duration,
    ) -> Result<Self, OpenError> {
        let db = Db::open(&dir.join("audit.sqlite"), MIGRATIONS).await?;
        let key = dir.join("keys").join("audit-seals.key");
        let signer = tokio::task::spawn_blocking(move || Signer::open(&key))
            .await
            .map_err(|_| std::io::Error::other("the key's reading broke off"))??;
        let trail = Trail::new(db.clone(), keyring, Arc::clone(&clock), "audit");
        let mut sources = sources;
        sources.push(Arc::new(trail.clone()));
        Ok(Self {
            store: Store::new(db),
            trail,
            sources: sources.into(),
            signer: Arc::new(signer),
            clock,
            seals: dir.join("seals"),
            keep_millis: i64::try_from(keep.as_millis()).unwrap_or(i64::MAX),
            sealing: Arc::default(),
        })
    }

    /// Its own audit trail.
    #[must_use]
    pub fn trail(&self) -> Trail {
        self.trail.clone()
    }

    /// The service's REST endpoints, below `/api/v1`.
    pub fn router(&self) -> OpenApiRouter {
        api::router().with_state(self.clone())
    }

    /// Seals, removes what is old, and counts, until `stop` is called.
    pub fn start_workers(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        tasks.spawn(self.clone().seal_regularly(stop.clone()));
        tasks.spawn(self.clone().remove_regularly(stop.clone()));
        tasks.spawn(self.trail.clone().run(stop.clone()));
    }

    /// Writes and seals what is left, and closes its database. The other trails
    /// are closed to writing by then, and still to be read.
    pub async fn close(&self) {
        self.trail.close().await;
        self.seal_all().await;
        self.store.db().close().await;
    }
}
