//! `GET /people`, `PATCH|DELETE /people/{id}`

pub(crate) mod reset;
pub(crate) mod sessions;

use axum::Json;
use axum::extract::{Path, Query, State};
use hilum_contracts::access::{Role, doors};
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::PersonId;
use hilum_platform::clock::from_millis;
use hilum_platform::db::Tx;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::http_body::Body;
use hilum_platform::scope::TenantScope;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::id;
use super::page::PageQuery;
use crate::IdentityService;
use crate::domain::roles::require_may_give;
use crate::store::{members, people, sessions as rows};

#[derive(Serialize, ToSchema)]
pub(crate) struct PersonList {
    items: Vec<PersonItem>,
    /// `after` of the next page, when there may be one.
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct PersonItem {
    id: String,
    name: String,
    email: String,
    email_verified: bool,
    #[schema(value_type = String)]
    role: Role,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    since: OffsetDateTime,
    /// When they were seen last in a session that goes on.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    seen_at: Option<OffsetDateTime>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersonChange {
    #[schema(value_type = String)]
    role: Role,
}

/// The people of the organisation, by name.
#[utoipa::path(get, path = "/people",
    extensions(("x-hilum-action" = json!("view-people"))), tag = "people", params(PageQuery),
    responses((status = 200, body = PersonList), (status = 400, body = ProblemBody)))]
pub(crate) async fn list_people(
    May(scope, _): May<doors::ViewPeople>,
    State(service): State<IdentityService>,
    Query(page): Query<PageQuery>,
) -> Result<Json<PersonList>, Problem> {
    service.looks_at(&scope, "people", page.q()?).await?;
    let rows = service
        .store
        .members(&scope, page.q()?, page.after.map(PersonId), page.limit())
        .await
        .map_err(|error| database_error(&error))?
        .ok_or_else(|| {
            ServiceError::invalid("Who the page goes on after has left: begin at the first page.")
        })?;
    let next = page.next(&rows, |row| row.id.to_string());
    let items = rows
        .into_iter()
        .map(|row| PersonItem {
            id: row.id.to_string(),
            name: row.name,
            email: row.email,
            email_verified: row.email_verified,
            role: row.role,
            since: from_millis(row.since),
            seen_at: row.seen_at.map(from_millis),
        })
        .collect();
    Ok(Json(PersonList { items, next }))
}

/// Gives a person another role. Their sessions in this organisation end: they
/// sign in again, to what they may now.
#[utoipa::path(patch, path = "/people/{id}",
    extensions(("x-hilum-action" = json!("manage-people"))), tag = "people",
    params(("id" = String, Path)), request_body = PersonChange,
    responses((status = 204), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody)))]
pub(crate) async fn change_person(
    May(scope, _): May<doors::ManagePeople>,
    State(service): State<IdentityService>,
    Path(person): Path<String>,
    Body(change): Body<PersonChange>,
) -> Result<StatusCode, Problem> {
    let failed = |error| Problem(database_error(&error));
    let person: PersonId = id(&person, "person")?;
    require_may_give(&scope, change.role)?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    let role = role_to_take(&mut tx, &scope, person).await?;
    if role == change.role {
        return Ok(StatusCode::NO_CONTENT);
    }
    members::set_role(&mut tx, &scope, person, change.role)
        .await
        .map_err(failed)?;
    if role == Role::Owner && members::owners(&mut tx, &scope).await.map_err(failed)? == 0 {
        return Err(last_owner().into());
    }
    rows::end_of_member(&mut tx, &scope, person)
        .await
        .map_err(failed)?;
    let entry = Entry::new(Act::ChangeRole)
        .with(Detail::Person, person)
        .with(Detail::Role, change.role)
        .with(Detail::Change, format!("from {role}"));
    service.tell(&mut tx, &scope, entry).await?;
    tx.commit().await.map_err(failed)?;
    service.changed(&scope).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a person out of the organisation, and out of its sessions at once.
#[utoipa::path(delete, path = "/people/{id}",
    extensions(("x-hilum-action" = json!("manage-people"))), tag = "people",
    params(("id" = String, Path)),
    responses((status = 204), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody)))]
pub(crate) async fn remove_person(
    May(scope, _): May<doors::ManagePeople>,
    State(service): State<IdentityService>,
    Path(person): Path<String>,
) -> Result<StatusCode, Problem> {
    let failed = |error| Problem(database_error(&error));
    let person: PersonId = id(&person, "person")?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    let role = role_to_take(&mut tx, &scope, person).await?;
    members::delete(&mut tx, &scope, person, service.clock.now_millis())
        .await
        .map_err(failed)?;
    if role == Role::Owner && members::owners(&mut tx, &scope).await.map_err(failed)? == 0 {
        return Err(last_owner().into());
    }
    people::delete_if_nowhere(&mut tx, person)
        .await
        .map_err(failed)?;
    let entry = Entry::new(Act::ChangePerson)
        .with(Detail::Person, person)
        .with(Detail::Change, "removed");
    service.tell(&mut tx, &scope, entry).await?;
    tx.commit().await.map_err(failed)?;
    service.changed(&scope).await;
    Ok(StatusCode::NO_CONTENT)
}

/// The role of a member whom who acts may change.
pub(super) async fn role_to_take(
    tx: &mut Tx,
    scope: &TenantScope,
    person: PersonId,
) -> Result<Role, ServiceError> {
    let role = members::role_of(tx, scope, person)
        .await
        .map_err(|error| database_error(&error))?
        .ok_or_else(|| ServiceError::not_found("There is no such person."))?;
    require_may_give(scope, role)?;
    Ok(role)
}

fn last_owner() -> ServiceError {
    let text = "An organisation keeps an owner: make somebody else one first.";
    ServiceError::new(ErrorCode::Conflict, text)
}
