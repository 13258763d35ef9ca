//! Identity owns who may come in: tenants, people and what they are to a
//! tenant, sessions, API keys, devices. It decides nothing about data: doors ask
//! it who somebody is, and the matrix of `contracts::access` says the rest.
//!
//! Invariants:
//! - No secret is stored: passwords as argon2id, tokens as SHA-256.
//! - Whoever does not exist is answered like whoever is wrong, after the same
//!   time.
//! - A session's token is new at each sign-in, change of role and change of
//!   tenant; what a person or an administrator ends is ended at once.
//! - Somebody who fails elsewhere never locks a person out of the browser that
//!   they use.
//! - A tenant always has an owner once it had one, and nobody gives a role above
//!   their own.
//! - People, their sessions and their browsers belong to no tenant and are
//!   reached by whole keys only; everything else takes a `TenantScope`.

mod api;
mod audit;
mod break_glass;
mod devices;
mod domain;
mod door;
mod ending;
mod export;
mod hashing;
mod keys;
mod limits;
mod oidc;
mod passes;
mod post;
mod secret;
mod sessions;
mod store;
mod tenants;
mod throttle;
mod visit;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::middleware::from_fn_with_state;
use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::TenantId;
use hilum_platform::audit::{Door, Keyring, Trail, recorded};
use hilum_platform::clock::SharedClock;
use hilum_platform::config::{Config, SignUp, TenantArchive, UnknownDevices};
use hilum_platform::db::{DbError, Home, Migration};
use hilum_platform::http::database_error;
use hilum_platform::limits::{PASS_KEY_LIFE, PASS_LIFE};
use hilum_platform::notices::Notices;
use hilum_platform::passes::Passes;
use hilum_platform::sealed::Sealer;
use hilum_platform::tenants::Directory;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa_axum::router::OpenApiRouter;

pub use crate::keys::{MadeKey, NewKey};
pub use crate::tenants::{MadeTenant, NewTenant};
pub use crate::visit::{cookie, session_cookie};

use crate::domain::settings::millis;
use crate::door::Answers;
use crate::hashing::Hashing;
use crate::limits::UPKEEP_EVERY;
use crate::oidc::Http;
use crate::passes::Issuing;
use crate::post::Post;
use crate::secret::Token;
use crate::store::Store;
use crate::store::tokens::{self, Purpose};

/// The steps of its tables.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        sql: include_str!("../migrations/0001_identity.sql"),
        postgres: include_str!("../migrations/postgres/0001_identity.sql"),
    },
    Migration {
        version: 2,
        sql: include_str!("../migrations/0002_mail.sql"),
        postgres: include_str!("../migrations/postgres/0002_mail.sql"),
    },
    Migration {
        version: 3,
        sql: include_str!("../migrations/0003_providers.sql"),
        postgres: include_str!("../migrations/postgres/0003_providers.sql"),
    },
    Migration {
        version: 4,
        sql: include_str!("../migrations/0004_new_addresses.sql"),
        postgres: include_str!("../migrations/postgres/0004_new_addresses.sql"),
    },
    Migration {
        version: 5,
        sql: include_str!("../migrations/0005_ended.sql"),
        postgres: include_str!("../migrations/postgres/0005_ended.sql"),
    },
    Migration {
        version: 6,
        sql: include_str!("../migrations/0006_trail.sql"),
        postgres: include_str!("../migrations/postgres/0006_trail.sql"),
    },
    Migration {
        version: 7,
        sql: include_str!("../migrations/0007_passes.sql"),
        postgres: include_str!("../migrations/postgres/0007_passes.sql"),
    },
    Migration {
        version: 8,
        sql: include_str!("../migrations/0008_shards.sql"),
        postgres: include_str!("../migrations/postgres/0008_shards.sql"),
    },
];

/// For what the tenants' keys are derived that secrets at others, people's words and
/// what a browser keeps at a provider are sealed under.
const SEALED_FOR: &str = "hilum identity v1";

/// The installation's rules.
#[derive(Debug)]
struct Rules {
    sign_up: SignUp,
    unknown_devices: UnknownDevices,
    /// What links begin with; empty: the page that shows them.
    public_url: String,
    /// How long the trail is kept, and so who is told by name in it.
    trail_kept_ms: i64,
    /// The archive's rules of tenants for which the configuration names some.
    archives: HashMap<TenantId, TenantArchive>,
}

impl Rules {
    fn new(config: &Config) -> Self {
        let by_default = if config.dicom.ip().is_loopback() {
            UnknownDevices::AdmitFromLoopback
        } else {
            UnknownDevices::Reject
        };
        let url = config.identity.public_url.as_deref().unwrap_or_default();
        Self {
            sign_up: config.identity.sign_up,
            unknown_devices: config.identity.unknown_devices.unwrap_or(by_default),
            public_url: url.trim_end_matches('/').to_owned(),
            trail_kept_ms: millis(config.audit.keep()),
            archives: config
                .tenants
                .iter()
                .filter(|tenant| !tenants::names_nothing(&tenant.archive))
                .map(|tenant| (tenant.name.clone(), tenant.archive.clone()))
                .collect(),
        }
    }

    fn names_archive_of(&self, tenant: &TenantId) -> bool {
        self.archives.contains_key(tenant)
    }

    /// The rules that hold: those of the configuration, or the tenant's `own`.
    fn archive_of(&self, tenant: &TenantId, own: TenantArchive) -> TenantArchive {
        self.archives.get(tenant).cloned().unwrap_or(own)
    }
}

/// The service.
#[derive(Clone)]
pub struct IdentityService {
    store: Store,
    clock: SharedClock,
    notices: Notices,
    directory: Directory,
    trail: Trail,
    keyring: Keyring,
    sealer: Sealer,
    provider_http: Http,
    rules: Arc<Rules>,
    hashing: Hashing,
    post: Option<Post>,
    answers: Answers,
    issuing: Arc<Issuing>,
    unknown_writes: Arc<devices::UnknownWrites>,
    strangers: Arc<audit::Strangers>,
    publishing: Arc<tokio::sync::Mutex<()>>,
    /// Once somebody exists, somebody always does.
    is_set_up: Arc<AtomicBool>,
}

impl IdentityService {
    /// Opens the service's database in `dir`, puts the tenants and devices of
    /// the configuration into it, and fills `directory`. What is done is
    /// recorded under the keys of `keyring`, and what ends is told to neighbours
    /// by `passes`.
    ///
    /// # Errors
    /// When the database can't be opened or migrated, or what the configuration
    /// names contradicts what is in it.
    pub async fn open(
        home: impl Into<Home>,
        config: &Config,
        clock: SharedClock,
        notices: Notices,
        directory: Directory,
        keyring: Keyring,
        passes: Passes,
    ) -> Result<Self, ServiceError> {
        let db = home
            .into()
            .open("identity", MIGRATIONS)
            .await
            .map_err(|error| database_error(&error))?;
        let service = Self {
            trail: Trail::new(db.clone(), keyring.clone(), Arc::clone(&clock), "identity"),
            sealer: Sealer::new(keyring.clone(), SEALED_FOR),
            keyring,
            provider_http: Http::of(config)?,
            store: Store::new(db),
            clock,
            notices,
            directory,
            rules: Arc::new(Rules::new(config)),
            hashing: Hashing::default(),
            post: config.mail.as_ref().map(Post::new).transpose()?,
            answers: Answers::default(),
            issuing: Arc::new(Issuing::new(passes, config.neighbours.is_some())),
            unknown_writes: Arc::default(),
            strangers: Arc::default(),
            publishing: Arc::default(),
            is_set_up: Arc::default(),
        };
        service.seal_reasons().await?;
        service.seed(config).await?;
        service.publish().await?;
        let told = service.open_passes().await;
        told.map_err(|error| database_error(&error))?;
        Ok(service)
    }

    /// A token for the link that makes the first person, in the place of the
    /// one that was made before; nothing once somebody exists. It goes into the
    /// address behind `#`, which no server sees: `/#/set-up/TOKEN`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn set_up_link_token(&self) -> Result<Option<String>, ServiceError> {
        let failed = |error| database_error(&error);
        if self.store.has_people().await.map_err(failed)? {
            return Ok(None);
        }
        let token = Token::new()?;
        let mut tx = self.store.begin().await.map_err(failed)?;
        tokens::replace(&mut tx, Purpose::SetUp, &token.hash(), None, i64::MAX)
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(Some(token.reveal().to_owned()))
    }

    /// A link that holds a token where no server sees it.
    fn link(&self, page: &str, token: &Token) -> String {
        format!("{}/#/{page}/{}", self.rules.public_url, token.reveal())
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

    /// What signing in and out asks for, wherever that is answered.
    #[must_use]
    pub fn auth_endpoints() -> utoipa::openapi::OpenApi {
        api::auth::endpoints()
    }

    /// Signing in and out, below `/auth`. Whoever comes needs no scope; each
    /// request carries a `hilum_platform::http::Caller`.
    pub fn auth_router(&self) -> OpenApiRouter {
        api::auth::router(self).with_state(self.clone())
    }

    /// Starts what works by itself.
    pub fn start_workers(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        tasks.spawn(self.trail.clone().run(stop.clone()));
        tasks.spawn(self.clone().run_post(stop.clone()));
        tasks.spawn(self.clone().run_passes(stop.clone()));
        let (service, stop) = (self.clone(), stop.clone());
        tasks.spawn(async move {
            loop {
                if let Err(error) = service.upkeep().await {
                    tracing::error!(%error, "what ended could not be deleted");
                }
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(UPKEEP_EVERY) => {}
                }
            }
        });
    }

    /// Deletes what ended by time.
    async fn upkeep(&self) -> Result<(), DbError> {
        let now = self.clock.now_millis();
        let mut tx = self.store.begin().await?;
        store::sessions::upkeep(&mut tx, now).await?;
        store::attempts::upkeep(&mut tx, now).await?;
        tokens::upkeep(&mut tx, now).await?;
        store::new_addresses::upkeep(&mut tx, now).await?;
        store::invitations::upkeep(&mut tx, now).await?;
        store::members::forget_former(&mut tx, now - self.rules.trail_kept_ms).await?;
        let endings = now - millis(PASS_LIFE);
        store::passes::upkeep(&mut tx, endings, endings - millis(PASS_KEY_LIFE)).await?;
        tx.commit().await?;
        if !self.issuing.is_told() {
            // So that they are forgotten in time, and told if there are neighbours then.
            self.store.date_endings(now).await?;
        }
        Ok(())
    }
}
