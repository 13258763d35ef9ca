//! `GET|POST /tenants`, for the operator of the installation.

use axum::Json;
use axum::extract::State;
use hilum_contracts::access::doors;
use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::TenantId;
use hilum_platform::clock::from_millis;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::http_body::Body;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{IdentityService, NewTenant};

#[derive(Serialize, ToSchema)]
pub(crate) struct TenantList {
    items: Vec<TenantItem>,
}

#[derive(Serialize, ToSchema)]
struct TenantItem {
    name: String,
    display_name: String,
    ae_title: String,
    /// Whether the configuration file names it.
    configured: bool,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    /// The shard that it lives on.
    shard: String,
    /// To which it is being moved and, behind a dot, by which attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    moving_to: Option<String>,
    /// From which it was, while something of it is left there.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_from: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantRequest {
    display_name: String,
    /// 1 to 32 of `a-z`, `0-9` and `-`; made of the display name when absent.
    name: Option<String>,
    /// Made of the name when absent.
    ae_title: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TenantMade {
    name: String,
    ae_title: String,
}

/// Every tenant of the installation.
#[utoipa::path(get, path = "/tenants",
    extensions(("x-hilum-action" = json!("operate"))), tag = "platform",
    responses((status = 200, body = TenantList), (status = 403, body = ProblemBody)))]
pub(crate) async fn list_tenants(
    _: May<doors::Operate>,
    State(service): State<IdentityService>,
) -> Result<Json<TenantList>, Problem> {
    let rows = service.store.tenants().await;
    let items = rows
        .map_err(|error| database_error(&error))?
        .into_iter()
        .map(|row| TenantItem {
            name: row.name.to_string(),
            display_name: row.display_name,
            ae_title: row.ae_title,
            configured: row.configured,
            created_at: from_millis(row.created_at),
            shard: row.place.shard,
            moving_to: row.moving_to,
            moved_from: row.moved_from,
        })
        .collect();
    Ok(Json(TenantList { items }))
}

/// Makes a tenant. Its first person comes by an invitation.
#[utoipa::path(post, path = "/tenants",
    extensions(("x-hilum-action" = json!("operate"))), tag = "platform",
    request_body = TenantRequest,
    responses((status = 200, body = TenantMade), (status = 400, body = ProblemBody),
        (status = 409, body = ProblemBody)))]
pub(crate) async fn make_tenant(
    May(scope, _): May<doors::Operate>,
    State(service): State<IdentityService>,
    Body(asked): Body<TenantRequest>,
) -> Result<Json<TenantMade>, Problem> {
    let name = asked.name.map(TenantId::new).transpose();
    let name = name.map_err(|error| ServiceError::invalid(format!("{error}.")))?;
    let made = service
        .create_tenant(
            &scope,
            NewTenant {
                display_name: asked.display_name,
                name,
                ae_title: asked.ae_title,
            },
        )
        .await?;
    Ok(Json(TenantMade {
        name: made.name.to_string(),
        ae_title: made.ae_title,
    }))
}
