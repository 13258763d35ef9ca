//! The service as its parts see it: rows, models, supervisor, clock.

use std::path::PathBuf;
use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use hilum_contracts::imaging::Imaging;
use hilum_platform::audit::{Door, Keyring, Trail, recorded};
use hilum_platform::clock::SharedClock;
use hilum_platform::config::Config;
use hilum_platform::db::{DbError, Home, Migration};
use hilum_platform::events::{DbOutbox, Inbox};
use hilum_platform::flags::Flags;
use hilum_platform::jobs;
use hilum_platform::notices::Notices;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa_axum::router::OpenApiRouter;

use crate::limits::{RUN_DEADLINE, RUN_LOOPS, RUN_STALL};
use crate::models::{self, Entry, Model};
use crate::pipeline::Software;
use crate::runtime::find_library;
use crate::store::Store;
use crate::worker::{Supervisor, SupervisorConfig};
use crate::{api, workers};

/// The steps of its tables.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    sql: include_str!("../migrations/0001_runs.sql"),
    postgres: include_str!("../migrations/postgres/0001_runs.sql"),
}];

/// How the service runs models.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of model folders.
    pub models: PathBuf,
    /// Workers and their limits.
    pub supervisor: SupervisorConfig,
    /// What results say of this installation.
    pub software: Software,
    /// For whom models are switched on.
    pub flags: Flags,
}

impl Options {
    /// Options from the configuration: workers are `program` with the hidden
    /// command `inference-worker`.
    #[must_use]
    pub fn new(config: &Config, program: PathBuf, installation: String, flags: Flags) -> Self {
        Self {
            flags,
            models: config.models.clone(),
            supervisor: SupervisorConfig {
                program,
                arguments: vec!["inference-worker".to_owned()],
                library: find_library(config.onnxruntime.as_deref()),
                threads: config.inference_threads,
                memory_bytes: config.inference_memory_mb.saturating_mul(1024 * 1024),
                deadline: RUN_DEADLINE,
                stall: RUN_STALL,
            },
            software: Software {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                installation,
            },
        }
    }
}

/// The service.
#[derive(Clone)]
pub struct InferenceService {
    pub(crate) trail: Trail,
    pub(crate) store: Store,
    pub(crate) clock: SharedClock,
    pub(crate) notices: Notices,
    pub(crate) models: Arc<Vec<Entry>>,
    pub(crate) supervisor: Arc<Supervisor>,
    pub(crate) software: Software,
    pub(crate) flags: Flags,
    pub(crate) outbox: DbOutbox,
    pub(crate) bell: Arc<Notify>,
}

impl InferenceService {
    /// Opens the service's database in `home`, reads the models, and frees what
    /// an earlier process held.
    ///
    /// # Errors
    /// When the database can't be opened or migrated. A broken model is no error.
    pub async fn open(
        home: impl Into<Home>,
        clock: SharedClock,
        notices: Notices,
        keyring: Keyring,
        options: Options,
    ) -> Result<Self, DbError> {
        let db = home.into().open("inference", MIGRATIONS).await?;
        jobs::reclaim(&db).await?;
        let folder = options.models.clone();
        let models = tokio::task::spawn_blocking(move || models::list(&folder))
            .await
            .unwrap_or_default();
        for entry in &models {
            match entry {
                Entry::Ready(model) => {
                    tracing::info!(model = model.id().0, version = model.id().1, digest = %model.digest, "model ready")
                }
                Entry::Broken { name, problem } => {
                    tracing::warn!(model = %name, %problem, "model can't be used")
                }
            }
        }
        Ok(Self {
            trail: Trail::new(db.clone(), keyring, Arc::clone(&clock), "inference"),
            outbox: DbOutbox::new(db.clone()),
            store: Store::new(db),
            clock,
            notices,
            models: Arc::new(models),
            supervisor: Arc::new(Supervisor::new(options.supervisor)),
            software: options.software,
            flags: options.flags,
            bell: Arc::new(Notify::new()),
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
        Inbox::new(
            self.store.db().clone(),
            Arc::clone(&self.clock),
            self.notices.clone(),
            Arc::new(workers::RunsFromInputSets {
                service: self.clone(),
            }),
        )
        .recorded_in(self.trail.clone())
    }

    /// Where a relay finds what it tells.
    #[must_use]
    pub fn outbox(&self) -> Arc<DbOutbox> {
        Arc::new(self.outbox.clone())
    }

    /// Its audit trail.
    #[must_use]
    pub fn trail(&self) -> Trail {
        self.trail.clone()
    }

    /// Every folder of the models directory.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.models
    }

    /// The model of this name, when it can run.
    pub(crate) fn model(&self, name: &str) -> Option<Arc<Model>> {
        self.models.iter().find_map(|entry| match entry {
            Entry::Ready(model) if model.id().0 == name => Some(Arc::clone(model)),
            _ => None,
        })
    }

    /// Starts the workers. They hand back what they hold when `stop` is
    /// called, and end their processes.
    pub fn start_workers(
        &self,
        tasks: &TaskTracker,
        stop: &CancellationToken,
        imaging: &Arc<dyn Imaging>,
    ) {
        for _ in 0..RUN_LOOPS {
            let runner = workers::Runner {
                service: self.clone(),
                imaging: Arc::clone(imaging),
            };
            tasks.spawn(jobs::run(runner, stop.clone()));
        }
        tasks.spawn(self.trail.clone().run(stop.clone()));
        tasks.spawn(self.flags.clone().follow(stop.clone()));
        let (supervisor, stop) = (Arc::clone(&self.supervisor), stop.clone());
        tasks.spawn(async move {
            stop.cancelled().await;
            supervisor.stop().await;
        });
    }
}

/// The flag that switches a model on.
pub(crate) fn flag_of(model: &str) -> String {
    format!("model.{model}")
}
