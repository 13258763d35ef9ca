//! `GET|DELETE /account/sessions`, `DELETE /account/sessions/{id}`

use axum::Json;
use axum::extract::{Path, State};
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::SessionId;
use hilum_platform::clock::from_millis;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use http::StatusCode;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::oneself;
use crate::IdentityService;
use crate::store::sessions::{self, SessionRow};

#[derive(Serialize, ToSchema)]
pub(crate) struct SessionList {
    pub(crate) items: Vec<SessionItem>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SessionItem {
    id: String,
    /// The tenant that it acts in.
    tenant: String,
    /// Whether it is the one that asks.
    current: bool,
    /// The browser's own name.
    browser: String,
    /// The address that it began from.
    address: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    /// To the minute.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    seen_at: OffsetDateTime,
    /// When it ends at the latest.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: OffsetDateTime,
}

impl SessionItem {
    pub(crate) fn new(row: SessionRow, current: Option<SessionId>) -> Self {
        Self {
            current: current == Some(row.id),
            id: row.id.to_string(),
            tenant: row.tenant.to_string(),
            browser: row.browser,
            address: row.address,
            created_at: from_millis(row.created_at),
            seen_at: from_millis(row.seen_at),
            expires_at: from_millis(row.expires_at),
        }
    }
}

/// Where one is signed in, the session used last ahead.
#[utoipa::path(get, path = "/account/sessions",
    extensions(("x-hilum-action" = json!("own-account"))), tag = "account",
    responses((status = 200, body = SessionList), (status = 403, body = ProblemBody)))]
pub(crate) async fn list_own_sessions(
    May(scope, _): May<doors::OwnAccount>,
    State(service): State<IdentityService>,
) -> Result<Json<SessionList>, Problem> {
    let (id, session) = oneself(&scope)?;
    let (store, now) = (&service.store, service.clock.now_millis());
    let failed = |error| Problem(database_error(&error));
    let rows = if store.is_confined(session).await.map_err(failed)? {
        store.sessions_of_member(&scope, id, now).await
    } else {
        store.sessions_of(id, now).await
    };
    let rows = rows.map_err(failed)?;
    let items = rows
        .into_iter()
        .map(|row| SessionItem::new(row, Some(session)))
        .collect();
    Ok(Json(SessionList { items }))
}

/// Ends every session of one's own but this one.
#[utoipa::path(delete, path = "/account/sessions",
    extensions(("x-hilum-action" = json!("own-account"))), tag = "account",
    responses((status = 204), (status = 403, body = ProblemBody)))]
pub(crate) async fn end_own_sessions(
    May(scope, _): May<doors::OwnAccount>,
    State(service): State<IdentityService>,
) -> Result<StatusCode, Problem> {
    let failed = |error| Problem(database_error(&error));
    let (id, session) = oneself(&scope)?;
    service.require_unconfined(session).await?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    sessions::end_all(&mut tx, id, Some(session))
        .await
        .map_err(failed)?;
    let entry = Entry::new(Act::SignOut)
        .with(Detail::Person, id)
        .with(Detail::Change, "all-but-one");
    service.tell(&mut tx, &scope, entry).await?;
    tx.commit().await.map_err(failed)?;
    service.something_ended().await;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends one session of one's own.
#[utoipa::path(delete, path = "/account/sessions/{id}",
    extensions(("x-hilum-action" = json!("own-account"))), tag = "account",
    params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
pub(crate) async fn end_own_session(
    May(scope, _): May<doors::OwnAccount>,
    State(service): State<IdentityService>,
    Path(session): Path<String>,
) -> Result<StatusCode, Problem> {
    let failed = |error| Problem(database_error(&error));
    let missing = || ServiceError::not_found("There is no such session.");
    let (id, own) = oneself(&scope)?;
    service.require_unconfined(own).await?;
    let session: SessionId = session.parse().map_err(|_| missing())?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    if !sessions::end_one(&mut tx, id, session)
        .await
        .map_err(failed)?
    {
        return Err(missing().into());
    }
    let entry = Entry::new(Act::SignOut)
        .with(Detail::Person, id)
        .with(Detail::Session, session);
    service.tell(&mut tx, &scope, entry).await?;
    tx.commit().await.map_err(failed)?;
    service.something_ended().await;
    Ok(StatusCode::NO_CONTENT)
}
