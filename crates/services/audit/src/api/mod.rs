//! The service's REST endpoints, one file each.

mod entries;
mod export;
mod filter;
mod seals;
mod verify;
mod whose;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::AuditService;

pub(crate) fn router() -> OpenApiRouter<AuditService> {
    OpenApiRouter::new()
        .routes(routes!(entries::list_audit_entries))
        .routes(routes!(export::export_audit))
        .routes(routes!(seals::list_audit_seals))
        .routes(routes!(verify::verify_audit))
}
