//! The HTTP server: which doors there are and what every answer carries. What
//! happens behind a door is its service's business.

mod admission;
pub(crate) mod backup;
mod dead_letters;
mod document;
mod ending;
mod erasures;
mod health;
mod jobs;
mod keys;
mod live;
mod measured;
mod operator;
mod overload;
mod passed_on;
mod rates;
mod records;
mod refusals;
mod replay_dead_letter;
mod replay_job;
pub(crate) mod status;
mod told;
mod web;

pub(crate) use admission::{TENANT_HEADER, for_operator};
pub(crate) use ending::Endings;
pub(crate) use erasures::Erasures;
pub(crate) use keys::Rotated;
pub(crate) use operator::OperatorToken;
pub(crate) use rates::Rates;
pub(crate) use records::Exporting;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use hilum_archive::Archive;
use hilum_contracts::identity::Identity;
use hilum_contracts::service::ServiceName;
use hilum_imaging::ImagingService;
use hilum_platform::audit::{Door, TellsAll, Trail, recorded};
use hilum_platform::cache::Shared as SharedCache;
use hilum_platform::clock::SharedClock;
use hilum_platform::config::Config;
use hilum_platform::db::Home;
use hilum_platform::events::broker::Bus;
use hilum_platform::events::{DeadLetters, Inbox};
use hilum_platform::http_server::Ends;
use hilum_platform::jobs::Jobs;
use hilum_platform::notices::Notices;
use hilum_platform::remote::Neighbour;
use hilum_platform::remote::elsewhere::{Shards, at_its_shard};
use hilum_platform::shares::Shares;
use hilum_platform::tenants::Directory;
use metrics_exporter_prometheus::PrometheusHandle;
use time::OffsetDateTime;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Described;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// What the server is put together from.
pub(crate) struct Parts {
    pub(crate) config: Arc<Config>,
    pub(crate) operator: OperatorToken,
    pub(crate) tenants: Directory,
    pub(crate) identity: Arc<dyn Identity>,
    /// How often each principal may ask.
    pub(crate) rates: Rates,
    pub(crate) clock: SharedClock,
    pub(crate) notices: Notices,
    pub(crate) metrics: PrometheusHandle,
    /// The archive, where it is here.
    pub(crate) archive: Option<Archive>,
    /// Where the databases are.
    pub(crate) databases: Home,
    /// What the services that run here were told, each its own.
    pub(crate) inboxes: Arc<[Inbox]>,
    pub(crate) bus: Option<Bus>,
    pub(crate) cache: Option<SharedCache>,
    /// What the services that run here work on, each its own.
    pub(crate) jobs: Arc<[Arc<dyn Jobs>]>,
    /// Who knows whether each service can do its work.
    pub(crate) status: status::Parts,
    /// Where it is recorded what is refused of that.
    pub(crate) trail: Trail,
    /// What is asked of all services at once, where the archive is.
    pub(crate) own: Result<Own, Neighbour>,
    /// The services' REST endpoints, below `/api/v1`.
    pub(crate) rest: Vec<(ServiceName, Endpoints)>,
    /// The ways to other shards.
    pub(crate) shards: Shards,
    /// Signing in and out, below `/auth`.
    pub(crate) auth: Endpoints,
    pub(crate) dicomweb: Result<Router, Neighbour>,
    pub(crate) ends: Ends,
}

/// A service's endpoints: answered here, or by a neighbour.
pub(crate) enum Endpoints {
    Here(OpenApiRouter),
    At(Neighbour, Described),
}

/// What the server's own endpoints need that every process has.
#[derive(Clone)]
pub(crate) struct Shared {
    config: Arc<Config>,
    tenants: Directory,
    live: live::Live,
    inboxes: Arc<[Inbox]>,
    bus: Option<Bus>,
    cache: Option<SharedCache>,
    jobs: Arc<[Arc<dyn Jobs>]>,
    status: status::Parts,
    shards: Shards,
    metrics: PrometheusHandle,
    archive: Option<Archive>,
    databases: Home,
    identity: Arc<dyn Identity>,
    started_at: OffsetDateTime,
    ends: Ends,
}

/// What the endpoints need that are about all services at once. They are answered
/// where the archive is.
#[derive(Clone)]
pub(crate) struct Own {
    pub(crate) config: Arc<Config>,
    pub(crate) archive: Archive,
    /// What every service was told and could not take.
    pub(crate) letters: Arc<[Arc<dyn DeadLetters>]>,
    /// What every service works on.
    pub(crate) jobs: Arc<[Arc<dyn Jobs>]>,
    pub(crate) erasures: Erasures,
    pub(crate) endings: Endings,
    /// What gives out the rows of a tenant.
    pub(crate) exporting: Exporting,
    pub(crate) notices: Notices,
    /// Where these endpoints are recorded.
    pub(crate) trail: Trail,
    /// Where it is recorded what is done to the installation.
    pub(crate) tells_all: Arc<dyn TellsAll>,
}

impl Own {
    /// What is asked about a tenant.
    fn of_tenant() -> OpenApiRouter<Self> {
        OpenApiRouter::new()
            .routes(routes!(erasures::erase_patient))
            .routes(routes!(erasures::list_erasures))
            .routes(routes!(ending::end_tenant))
            .routes(routes!(records::export_records))
            .routes(routes!(dead_letters::list_dead_letters))
            .routes(routes!(replay_dead_letter::replay_dead_letter))
            .routes(routes!(jobs::list_jobs))
            .routes(routes!(replay_job::replay_job))
    }

    /// What is asked about the installation, whichever tenant whoever asks names.
    fn of_installation() -> OpenApiRouter<Self> {
        OpenApiRouter::new()
            .routes(routes!(backup::make_backup))
            .routes(routes!(ending::list_ended_tenants))
            .routes(routes!(keys::rotate_master_key))
    }

    fn endpoints(own: &Result<Self, Neighbour>, router: OpenApiRouter<Self>) -> Endpoints {
        match own {
            Ok(own) => {
                let door = Door::new(own.trail.clone(), told::rest);
                let router = router.with_state(own.clone());
                Endpoints::Here(router.layer(from_fn_with_state(door, recorded)))
            }
            Err(neighbour) => Endpoints::At(neighbour.clone(), router.into_openapi()),
        }
    }
}

/// The doors of this process.
pub(crate) struct Doors {
    /// Of people and programs.
    pub(crate) public: Router,
    /// Of requests that came to a neighbour, and were let in there.
    pub(crate) passed_on: Router,
}

/// Every door.
pub(crate) fn doors(parts: Parts) -> Doors {
    let admission = Arc::new(admission::Admission {
        names: admission::Names::of(&parts.config),
        operator: parts.operator,
        identity: Arc::clone(&parts.identity),
        rates: parts.rates,
        clock: Arc::clone(&parts.clock),
        tenants: parts.tenants.clone(),
    });
    let places = overload::Places {
        shares: Shares::new(parts.config.max_requests),
        tenants: parts.tenants.clone(),
    };
    let shared = Shared {
        started_at: parts.clock.now(),
        live: live::Live::new(parts.notices),
        inboxes: parts.inboxes,
        bus: parts.bus,
        cache: parts.cache,
        jobs: parts.jobs,
        status: parts.status,
        shards: parts.shards.clone(),
        metrics: parts.metrics,
        archive: parts.archive,
        databases: parts.databases,
        identity: parts.identity,
        ends: parts.ends,
        config: parts.config,
        tenants: parts.tenants,
    };
    let shards = parts.shards;
    let by_shard = |service| Some((shards.clone(), service));
    // What happens to a tenant is told where it lives.
    let live = OpenApiRouter::new()
        .routes(routes!(live::live_updates))
        .layer(from_fn_with_state(
            (shards.clone(), ServiceName::Imaging),
            at_its_shard,
        ));
    let everywhere = OpenApiRouter::new()
        .merge(live)
        .routes(routes!(status::status))
        .with_state(shared.clone())
        .layer(from_fn_with_state(
            Door::new(parts.trail, told::rest),
            recorded,
        ));
    let mut all = passed_on::Merged::new(everywhere);
    let of_tenant = Own::endpoints(&parts.own, Own::of_tenant());
    all.add("/api/v1", of_tenant, by_shard(ServiceName::Imaging));
    let of_installation = Own::endpoints(&parts.own, Own::of_installation());
    all.add("/api/v1", of_installation, None);
    for (service, endpoints) in parts.rest {
        // Identity is one for all shards.
        let its = by_shard(service).filter(|_| service != ServiceName::Identity);
        all.add("/api/v1", endpoints, its);
    }
    all.add("/auth", parts.auth, None);
    let (here, elsewhere, mut document) = all.end(document::Document::openapi());
    document::complete(&mut document);
    document::add_dicomweb(&mut document, ImagingService::dicomweb_operations());
    let document = Arc::new(document);

    // Images are compressed already, and a live stream must not be held back.
    let compressible = SizeAbove::new(1024)
        .and(NotForContentType::SSE)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::const_new("multipart/related"))
        .and(NotForContentType::const_new("application/octet-stream"));

    let (dicomweb_here, dicomweb) = match parts.dicomweb {
        Ok(router) => {
            let router = Router::new().nest("/dicomweb", router);
            (router.clone(), router)
        }
        Err(neighbour) => (Router::new(), passed_on::below("/dicomweb", &neighbour)),
    };
    let at_shard = from_fn_with_state((shards, ServiceName::Imaging), at_its_shard);
    let (dicomweb_here, dicomweb) = (
        dicomweb_here.layer(at_shard.clone()),
        dicomweb.layer(at_shard),
    );
    let here = here.layer(from_fn(refusals::formed));
    let passed_on = Router::new()
        .merge(here.clone())
        .merge(dicomweb_here)
        .layer(from_fn_with_state(places.clone(), overload::bounded))
        .layer(from_fn(measured::measured))
        .layer(CatchPanicLayer::new());
    let public = Router::new()
        .merge(here)
        .merge(elsewhere)
        .merge(dicomweb)
        .route(
            "/api/v1/openapi.json",
            get(move || {
                let document = Arc::clone(&document);
                async move { axum::Json(document.as_ref().clone()) }
            }),
        )
        .merge(health::router().with_state(shared))
        .merge(web::router())
        .layer(from_fn_with_state(places, overload::bounded))
        .layer(from_fn_with_state(admission, admission::admit))
        .layer(from_fn(measured::measured))
        .layer(CompressionLayer::new().compress_when(compressible))
        .layer(CatchPanicLayer::new());
    Doors { public, passed_on }
}
