//! `GET /break-glass`, `POST /break-glass/{id}/review`

use axum::Json;
use axum::extract::{Path, Query, State};
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry, Subject};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::BreakGlassId;
use hilum_contracts::scope::Principal;
use hilum_platform::clock::from_millis;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::http_body::Body;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::id;
use super::page::PageQuery;
use crate::IdentityService;
use crate::domain::text;
use crate::store::break_glass::{self, Words};

#[derive(Serialize, ToSchema)]
pub(crate) struct BreakGlassList {
    items: Vec<BreakGlassItem>,
    /// `after` of the next page, when there may be one.
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct BreakGlassItem {
    id: String,
    /// The person's id.
    person: String,
    person_name: String,
    reason: String,
    address: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    taken_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    until: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    reviewed_at: Option<OffsetDateTime>,
    reviewed_by: Option<String>,
    review: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Review {
    /// What the review found.
    text: String,
}

/// Emergency access that was taken, the newest first.
#[utoipa::path(get, path = "/break-glass",
    extensions(("x-hilum-action" = json!("review-break-glass"))), tag = "people", params(PageQuery),
    responses((status = 200, body = BreakGlassList), (status = 403, body = ProblemBody)))]
pub(crate) async fn list_break_glass(
    May(scope, _): May<doors::ReviewBreakGlass>,
    State(service): State<IdentityService>,
    Query(page): Query<PageQuery>,
) -> Result<Json<BreakGlassList>, Problem> {
    service.looks_at(&scope, "break-glass", "").await?;
    let rows = service
        .store
        .accesses(&scope, page.after.map(BreakGlassId), page.limit())
        .await
        .map_err(|error| database_error(&error))?;
    let next = page.next(&rows, |row| row.id.to_string());
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let open = |words, sealed| service.open_words(scope.tenant(), row.id, words, sealed);
        let reason = open(Words::Reason, &row.reason).await?;
        let review = match &row.review {
            Some(review) => Some(open(Words::Review, review).await?),
            None => None,
        };
        items.push(BreakGlassItem {
            id: row.id.to_string(),
            person: row.person.to_string(),
            person_name: row.person_name,
            reason,
            address: row.address,
            taken_at: from_millis(row.taken_at),
            until: from_millis(row.until),
            reviewed_at: row.reviewed_at.map(from_millis),
            reviewed_by: row.reviewed_by,
            review,
        });
    }
    Ok(Json(BreakGlassList { items, next }))
}

/// Reviews emergency access of somebody else.
#[utoipa::path(post, path = "/break-glass/{id}/review",
    extensions(("x-hilum-action" = json!("review-break-glass"))), tag = "people",
    params(("id" = String, Path)), request_body = Review,
    responses((status = 204), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody)))]
pub(crate) async fn review_break_glass(
    May(scope, _): May<doors::ReviewBreakGlass>,
    State(service): State<IdentityService>,
    Path(access): Path<String>,
    Body(review): Body<Review>,
) -> Result<StatusCode, Problem> {
    let failed = |error| Problem(database_error(&error));
    let access: BreakGlassId = id(&access, "access")?;
    let text = text::reason(&review.text, "A review")?;
    let by = service.name_of(&scope).await?;
    let sealed = service
        .seal_words(scope.tenant(), access, Words::Review, &text)
        .await?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    let found = break_glass::get(&mut tx, &scope, access)
        .await
        .map_err(failed)?
        .ok_or_else(|| ServiceError::not_found("There is no such access."))?;
    if matches!(scope.principal(), Principal::Person { id, .. } if *id == found.person) {
        let text = "Nobody reviews the access that they took themselves.";
        return Err(ServiceError::new(ErrorCode::Forbidden, text).into());
    }
    let now = service.clock.now_millis();
    let kept = break_glass::review(&mut tx, &scope, access, &by, &sealed, now).await;
    if !kept.map_err(failed)? {
        let text = "Somebody has reviewed this access already; reload the page.";
        return Err(ServiceError::new(ErrorCode::Conflict, text).into());
    }
    let entry = Entry::new(Act::ReviewBreakGlass)
        .about(Subject::reason(text))
        .with(Detail::Access, access);
    service.tell(&mut tx, &scope, entry).await?;
    tx.commit().await.map_err(failed)?;
    service.changed(&scope).await;
    Ok(StatusCode::NO_CONTENT)
}
