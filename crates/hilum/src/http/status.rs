//! `GET /api/v1/status`: what this installation is and how it does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Json;
use axum::extract::State;
use futures::future::join_all;
use hilum_archive::Archive;
use hilum_contracts::access::doors;
use hilum_contracts::scope::Principal;
use hilum_contracts::service::ServiceName;
use hilum_inference::runtime::{find_library, library_version};
use hilum_platform::audit::AuditSource;
use hilum_platform::http::May;
use hilum_platform::limits::DB_READY_WITHIN;
use hilum_platform::remote::member::{Readiness, Ready, RemoteMember};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::Shared;

#[derive(Serialize, ToSchema)]
pub(crate) struct Status {
    version: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    started_at: OffsetDateTime,
    /// The AE title to send images to.
    ae_title: String,
    /// Where to send them, `host:port`.
    dicom_address: String,
    /// Whether that takes associations over TLS, and only so.
    dicom_tls: bool,
    services: Vec<ServiceStatus>,
    /// The shard that this process belongs to.
    shard: String,
    /// The services of the other shards; for the operator.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shards: Vec<ShardStatus>,
}

#[derive(Serialize, ToSchema)]
struct ShardStatus {
    name: String,
    services: Vec<ServiceStatus>,
}

#[derive(Serialize, ToSchema)]
struct ServiceStatus {
    name: &'static str,
    ready: bool,
    /// What it runs on, or what is wrong; for people.
    detail: Option<String>,
}

/// What this installation is and how it does.
#[utoipa::path(get, path = "/status",
    extensions(("x-hilum-action" = json!("view-status"))), tag = "platform", responses((status = 200, body = Status)))]
pub(crate) async fn status(
    May(scope, _): May<doors::ViewStatus>,
    State(shared): State<Shared>,
) -> Json<Status> {
    let asked = shared.status.0.iter().map(|part| async move {
        let Readiness { ready, detail } = part.ready.ready().await;
        ServiceStatus {
            name: part.service.as_str(),
            ready,
            detail,
        }
    });
    let services = join_all(asked).await;
    let shards = match scope.principal() {
        Principal::LocalOperator => shards(&shared).await,
        _ => Vec::new(),
    };
    let known = shared.tenants.known();
    let ae_title = known
        .tenant(scope.tenant())
        .map(|tenant| tenant.ae_title.clone())
        .unwrap_or_default();
    Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        started_at: shared.started_at,
        ae_title,
        dicom_address: shared.config.dicom.to_string(),
        dicom_tls: shared.config.dicom_tls,
        services,
        shard: shared.tenants.shard().to_owned(),
        shards,
    })
}

/// What the services of the other shards say of themselves.
async fn shards(shared: &Shared) -> Vec<ShardStatus> {
    let asked = shared.shards.ways().map(|(shard, way)| async move {
        let Readiness { ready, detail } = RemoteMember(way.clone()).ready().await;
        let status = ServiceStatus {
            name: way.service().as_str(),
            ready,
            detail,
        };
        (shard.to_owned(), status)
    });
    let mut all: BTreeMap<String, Vec<ServiceStatus>> = BTreeMap::new();
    for (shard, status) in join_all(asked).await {
        all.entry(shard).or_default().push(status);
    }
    let of = |(name, services)| ShardStatus { name, services };
    all.into_iter().map(of).collect()
}

/// Who knows of each service whether it can do its work.
#[derive(Clone, Default)]
pub(crate) struct Parts(Vec<Part>);

#[derive(Clone)]
struct Part {
    service: ServiceName,
    /// Whether the service runs in this process.
    here: bool,
    ready: Arc<dyn Ready>,
}

impl Parts {
    /// Adds a service that runs here.
    pub(crate) fn add(&mut self, service: ServiceName, ready: Arc<dyn Ready>) {
        let here = true;
        self.0.push(Part {
            service,
            here,
            ready,
        });
    }

    /// Adds one that runs elsewhere.
    pub(crate) fn add_elsewhere(&mut self, service: ServiceName, ready: Arc<dyn Ready>) {
        let here = false;
        self.0.push(Part {
            service,
            here,
            ready,
        });
    }

    /// Who knows of a service that runs here.
    pub(crate) fn here(&self, service: ServiceName) -> Option<Arc<dyn Ready>> {
        let mut all = self.0.iter();
        let found = all.find(|part| part.here && part.service == service);
        found.map(|part| Arc::clone(&part.ready))
    }
}

/// A service that works when its database answers.
pub(crate) struct OnDatabase(pub(crate) Arc<dyn AuditSource>);

#[async_trait]
impl Ready for OnDatabase {
    async fn ready(&self) -> Readiness {
        let heads = tokio::time::timeout(DB_READY_WITHIN, self.0.heads());
        let ready = heads.await.is_ok_and(|heads| heads.is_ok());
        Readiness {
            ready,
            detail: (!ready).then(|| "Its database does not answer.".to_owned()),
        }
    }
}

/// Imaging, which needs the archive as well.
pub(crate) struct OnArchive(pub(crate) Archive, pub(crate) OnDatabase);

#[async_trait]
impl Ready for OnArchive {
    async fn ready(&self) -> Readiness {
        match self.0.answers().await {
            Ok(_) => self.1.ready().await,
            Err(error) => Readiness {
                ready: false,
                detail: Some(error.to_string()),
            },
        }
    }
}

/// Inference, which needs the library that runs models as well.
pub(crate) struct OnRuntime(pub(crate) Option<PathBuf>, pub(crate) OnDatabase);

#[async_trait]
impl Ready for OnRuntime {
    async fn ready(&self) -> Readiness {
        let Some(library) = find_library(self.0.as_deref()) else {
            return Readiness {
                ready: false,
                detail: Some("ONNX Runtime was not found: run `make runtime`.".to_owned()),
            };
        };
        let on = self.1.ready().await;
        let version = || library_version(&library).map(|version| format!("ONNX Runtime {version}"));
        Readiness {
            detail: on.detail.or_else(version),
            ..on
        }
    }
}
