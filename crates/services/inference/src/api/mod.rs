//! The service's REST endpoints, one file each.

mod models;
mod retry_run;
mod runs;
pub(crate) mod told;

pub(crate) use runs::ResultInstanceItem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::service::InferenceService;

pub(crate) fn router() -> OpenApiRouter<InferenceService> {
    OpenApiRouter::new()
        .routes(routes!(runs::list_runs))
        .routes(routes!(retry_run::retry_run))
        .routes(routes!(models::list_models))
}
