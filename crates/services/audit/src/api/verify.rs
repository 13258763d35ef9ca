//! `POST /audit/verify`

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::ServiceError;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::AuditService;
use crate::verifying::Verified;

/// Nothing, or whose trail beside one's own tenant's.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyRequest {
    /// A tenant that was ended. For the operator of the installation alone.
    ended_tenant: Option<String>,
}

/// Verifies the audit trail, from its beginning: chains and seals.
#[utoipa::path(post, path = "/audit/verify",
    extensions(("x-hilum-action" = json!("view-audit"))), tag = "audit",
    request_body = Option<VerifyRequest>,
    responses((status = 200, body = Verified), (status = 400, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub(crate) async fn verify_audit(
    May(scope, _): May<doors::ViewAudit>,
    State(service): State<AuditService>,
    body: Bytes,
) -> Result<Json<Verified>, Problem> {
    let failed = |error| Problem(database_error(&error));
    let asked: Option<VerifyRequest> = match body.is_empty() {
        true => None,
        false => serde_json::from_slice(&body)
            .map_err(|_| ServiceError::invalid("The body names an ended tenant, or nothing."))?,
    };
    let ended = asked.and_then(|asked| asked.ended_tenant);
    let entry = Entry::new(Act::ViewAudit).with(Detail::Change, "verify");
    let (whose, entry) = service.whose(&scope, ended, entry).await?;
    service.trail.record(&scope, entry).await.map_err(failed)?;
    Ok(Json(service.verify(&whose).await?))
}
