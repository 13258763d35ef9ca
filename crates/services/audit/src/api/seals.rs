//! `GET /audit/seals`

use axum::Json;
use axum::extract::{Query, State};
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::AuditService;
use crate::limits::SEALS_PAGE;

#[derive(Deserialize, IntoParams)]
pub(crate) struct SealsQuery {
    /// The number of the last seal of the page before.
    after: Option<u64>,
    /// Seals of a page, at most 100.
    limit: Option<u32>,
    /// A tenant that was ended. For the operator of the installation alone.
    ended_tenant: Option<String>,
}

/// Seals, the oldest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct SealList {
    /// The installation's public key (Ed25519), base64url.
    key: String,
    items: Vec<SealShown>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u64>,
}

/// A signed statement of what the trails held at a time.
#[derive(Serialize, ToSchema)]
struct SealShown {
    number: u64,
    /// What is signed: a JSON object with the seal before, each writer's range
    /// and last hash, and the root of the Merkle tree over all entries.
    content: String,
    /// Ed25519 over the content, base64url.
    signature: String,
    /// SHA-256 of the content, base64url.
    hash: String,
}

/// The seals of the audit trail: keep them elsewhere, and nothing that was
/// sealed can be changed unseen.
#[utoipa::path(get, path = "/audit/seals",
    extensions(("x-hilum-action" = json!("view-audit"))), tag = "audit", params(SealsQuery),
    responses((status = 200, body = SealList), (status = 404, body = ProblemBody),
        (status = 503, body = ProblemBody)))]
pub(crate) async fn list_audit_seals(
    May(scope, _): May<doors::ViewAudit>,
    State(service): State<AuditService>,
    Query(query): Query<SealsQuery>,
) -> Result<Json<SealList>, Problem> {
    let looked = Entry::new(Act::ViewAudit).with(Detail::Setting, "seals");
    let (whose, looked) = service.whose(&scope, query.ended_tenant, looked).await?;
    let recorded = service.trail.saw(&scope, looked).await;
    recorded.map_err(|error| database_error(&error))?;
    let limit = query.limit.unwrap_or(SEALS_PAGE).clamp(1, SEALS_PAGE);
    let seals = service
        .store
        .seals(&whose, query.after.unwrap_or(0), limit)
        .await
        .map_err(|error| database_error(&error))?;
    let is_last = seals.len() < limit as usize;
    let next = seals.last().map(|(number, _)| *number);
    Ok(Json(SealList {
        key: service.signer.public(),
        items: seals
            .into_iter()
            .map(|(number, seal)| SealShown {
                number,
                hash: seal.hash(),
                content: seal.content,
                signature: seal.signature,
            })
            .collect(),
        next: next.filter(|_| !is_last),
    }))
}
