//! `POST /audit/verify`

use axum::Json;
use axum::extract::State;
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_platform::http::{May, Problem, ProblemBody, database_error};

use crate::AuditService;
use crate::verifying::Verified;

/// Verifies the audit trail, from its beginning: chains and seals.
#[utoipa::path(post, path = "/audit/verify",
    extensions(("x-hilum-action" = json!("view-audit"))), tag = "audit",
    responses((status = 200, body = Verified), (status = 503, body = ProblemBody)))]
pub(crate) async fn verify_audit(
    May(scope, _): May<doors::ViewAudit>,
    State(service): State<AuditService>,
) -> Result<Json<Verified>, Problem> {
    let entry = Entry::new(Act::ViewAudit).with(Detail::Change, "verify");
    let recorded = service.trail.record(&scope, entry).await;
    recorded.map_err(|error| database_error(&error))?;
    Ok(Json(service.verify(&scope).await?))
}
