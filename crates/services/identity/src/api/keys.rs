//! `GET|POST /keys`, `DELETE /keys/{id}`

use axum::Json;
use axum::extract::{Path, Query, State};
use hilum_contracts::access::{Action, Role, doors};
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::ApiKeyId;
use hilum_platform::clock::from_millis;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::http_body::Body;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::id;
use super::page::PageQuery;
use crate::store::keys;
use crate::{IdentityService, NewKey};

#[derive(Serialize, ToSchema)]
pub(crate) struct KeyList {
    items: Vec<KeyItem>,
    /// `after` of the next page, when there may be one.
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct KeyItem {
    id: String,
    name: String,
    #[schema(value_type = String)]
    role: Role,
    /// The actions that it may do of its role's; none: all of them.
    #[schema(value_type = Option<Vec<String>>)]
    limited_to: Option<Vec<Action>>,
    created_by: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<OffsetDateTime>,
    /// To the minute.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    used_at: Option<OffsetDateTime>,
    used_from: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyRequest {
    name: String,
    #[schema(value_type = String)]
    role: Role,
    /// The actions that it may do of its role's; none: all of them.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    limited_to: Option<Vec<Action>>,
    /// When it ends; none: when it is revoked.
    #[serde(default, with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<OffsetDateTime>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct KeyMade {
    id: String,
    /// To be sent as a bearer token. Nobody can show it again.
    key: String,
}

/// API keys, the newest first.
#[utoipa::path(get, path = "/keys",
    extensions(("x-hilum-action" = json!("view-keys"))), tag = "keys", params(PageQuery),
    responses((status = 200, body = KeyList), (status = 400, body = ProblemBody)))]
pub(crate) async fn list_keys(
    May(scope, _): May<doors::ViewKeys>,
    State(service): State<IdentityService>,
    Query(page): Query<PageQuery>,
) -> Result<Json<KeyList>, Problem> {
    service.looks_at(&scope, "keys", page.q()?).await?;
    let rows = service
        .store
        .keys(&scope, page.q()?, page.after.map(ApiKeyId), page.limit())
        .await
        .map_err(|error| database_error(&error))?;
    let next = page.next(&rows, |row| row.id.to_string());
    let items = rows
        .into_iter()
        .map(|row| KeyItem {
            id: row.id.to_string(),
            name: row.name,
            role: row.role,
            limited_to: row.limited_to,
            created_by: row.created_by,
            created_at: from_millis(row.created_at),
            expires_at: row.expires_at.map(from_millis),
            used_at: row.used_at.map(from_millis),
            used_from: row.used_from,
        })
        .collect();
    Ok(Json(KeyList { items, next }))
}

/// Makes a key.
#[utoipa::path(post, path = "/keys",
    extensions(("x-hilum-action" = json!("manage-keys"))), tag = "keys", request_body = KeyRequest,
    responses((status = 200, body = KeyMade), (status = 400, body = ProblemBody),
        (status = 403, body = ProblemBody)))]
pub(crate) async fn make_key(
    May(scope, _): May<doors::ManageKeys>,
    State(service): State<IdentityService>,
    Body(asked): Body<KeyRequest>,
) -> Result<Json<KeyMade>, Problem> {
    let new = NewKey {
        name: asked.name,
        role: asked.role,
        limited_to: asked.limited_to,
        expires_at: asked.expires_at,
    };
    let made = service.create_key(&scope, new).await?;
    Ok(Json(KeyMade {
        id: made.id.to_string(),
        key: made.bearer,
    }))
}

/// Revokes a key, at once.
#[utoipa::path(delete, path = "/keys/{id}",
    extensions(("x-hilum-action" = json!("manage-keys"))), tag = "keys",
    params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
pub(crate) async fn revoke_key(
    May(scope, _): May<doors::ManageKeys>,
    State(service): State<IdentityService>,
    Path(key): Path<String>,
) -> Result<StatusCode, Problem> {
    let failed = |error| Problem(database_error(&error));
    let key: ApiKeyId = id(&key, "key")?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    if !keys::delete(&mut tx, &scope, key).await.map_err(failed)? {
        return Err(ServiceError::not_found("There is no such key.").into());
    }
    let entry = Entry::new(Act::ChangeKey)
        .with(Detail::Key, key)
        .with(Detail::Change, "revoked");
    service.tell(&mut tx, &scope, entry).await?;
    tx.commit().await.map_err(failed)?;
    service.changed(&scope).await;
    Ok(StatusCode::NO_CONTENT)
}
