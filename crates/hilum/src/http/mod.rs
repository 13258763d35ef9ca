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
mod rates;
mod records;
mod refusals;
mod replay_dead_letter;
mod replay_job;
mod status;
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
use hilum_audit::AuditService;
use hilum_contracts::identity::Identity;
use hilum_imaging::ImagingService;
use hilum_platform::audit::{Door, recorded};
use hilum_platform::clock::SharedClock;
use hilum_platform::config::Config;
use hilum_platform::events::Inbox;
use hilum_platform::jobs::JobSource;
use hilum_platform::notices::Notices;
use hilum_platform::shares::Shares;
use hilum_platform::tenants::Directory;
use metrics_exporter_prometheus::PrometheusHandle;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use utoipa::OpenApi;
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
    /// Signing in and out, below `/auth`.
    pub(crate) auth: OpenApiRouter,
    pub(crate) clock: SharedClock,
    pub(crate) notices: Notices,
    pub(crate) metrics: PrometheusHandle,
    pub(crate) archive: Archive,
    /// What services have been told, each its own.
    pub(crate) inboxes: Arc<[Inbox]>,
    /// What services work on, each its own.
    pub(crate) jobs: Arc<[Arc<dyn JobSource>]>,
    pub(crate) erasures: Erasures,
    pub(crate) endings: Endings,
    /// What gives out the rows of a tenant.
    pub(crate) exporting: Exporting,
    /// The services' REST endpoints, below `/api/v1`.
    pub(crate) rest: [OpenApiRouter; 6],
    /// Where the server's own endpoints are recorded.
    pub(crate) audit: AuditService,
    pub(crate) dicomweb: Router,
    pub(crate) stop: CancellationToken,
}

/// What the server's own endpoints need.
#[derive(Clone)]
pub(crate) struct Shared {
    config: Arc<Config>,
    tenants: Directory,
    live: live::Live,
    notices: Notices,
    inboxes: Arc<[Inbox]>,
    jobs: Arc<[Arc<dyn JobSource>]>,
    erasures: Erasures,
    endings: Endings,
    exporting: Exporting,
    metrics: PrometheusHandle,
    archive: Archive,
    audit: AuditService,
    identity: Arc<dyn Identity>,
    started_at: OffsetDateTime,
    stop: CancellationToken,
}

/// Every door.
pub(crate) fn router(parts: Parts) -> Router {
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
        live: live::Live::new(parts.notices.clone()),
        notices: parts.notices,
        inboxes: parts.inboxes,
        jobs: parts.jobs,
        erasures: parts.erasures,
        endings: parts.endings,
        exporting: parts.exporting,
        metrics: parts.metrics,
        archive: parts.archive,
        audit: parts.audit.clone(),
        identity: parts.identity,
        stop: parts.stop,
        config: parts.config,
        tenants: parts.tenants,
    };
    let own = OpenApiRouter::new()
        .routes(routes!(live::live_updates))
        .routes(routes!(status::status))
        .routes(routes!(backup::make_backup))
        .routes(routes!(erasures::erase_patient))
        .routes(routes!(erasures::list_erasures))
        .routes(routes!(ending::end_tenant))
        .routes(routes!(ending::list_ended_tenants))
        .routes(routes!(records::export_records))
        .routes(routes!(dead_letters::list_dead_letters))
        .routes(routes!(replay_dead_letter::replay_dead_letter))
        .routes(routes!(jobs::list_jobs))
        .routes(routes!(replay_job::replay_job))
        .routes(routes!(keys::rotate_master_key))
        .with_state(shared.clone())
        .layer(from_fn_with_state(
            Door::new(parts.audit.trail(), told::rest),
            recorded,
        ));
    let rest = parts
        .rest
        .into_iter()
        .fold(own, |all, service| all.merge(service));
    let (rest, mut document) = OpenApiRouter::with_openapi(document::Document::openapi())
        .nest("/api/v1", rest)
        .nest("/auth", parts.auth)
        .split_for_parts();
    document::complete(&mut document);
    document::add_dicomweb(&mut document, ImagingService::dicomweb_operations());
    let document = Arc::new(document);

    // Images are compressed already, and a live stream must not be held back.
    let compressible = SizeAbove::new(1024)
        .and(NotForContentType::SSE)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::const_new("multipart/related"))
        .and(NotForContentType::const_new("application/octet-stream"));

    Router::new()
        .merge(rest.layer(from_fn(refusals::formed)))
        .route(
            "/api/v1/openapi.json",
            get(move || {
                let document = Arc::clone(&document);
                async move { axum::Json(document.as_ref().clone()) }
            }),
        )
        .nest("/dicomweb", parts.dicomweb)
        .merge(health::router().with_state(shared))
        .merge(web::router())
        .layer(from_fn_with_state(places, overload::bounded))
        .layer(from_fn_with_state(admission, admission::admit))
        .layer(from_fn(measured::measured))
        .layer(CompressionLayer::new().compress_when(compressible))
        .layer(CatchPanicLayer::new())
}
