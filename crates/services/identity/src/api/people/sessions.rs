//! `GET|DELETE /people/{id}/sessions`: those in this organisation; what a
//! person does in another is nobody's business here.

use axum::Json;
use axum::extract::{Path, State};
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::ids::PersonId;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use http::StatusCode;

use super::role_to_take;
use crate::IdentityService;
use crate::api::account::sessions::{SessionItem, SessionList};
use crate::api::id;
use crate::store::sessions;

/// Where a person is signed in to this organisation.
#[utoipa::path(get, path = "/people/{id}/sessions",
    extensions(("x-hilum-action" = json!("view-people"))), tag = "people",
    params(("id" = String, Path)),
    responses((status = 200, body = SessionList), (status = 404, body = ProblemBody)))]
pub(crate) async fn list_sessions_of_person(
    May(scope, _): May<doors::ViewPeople>,
    State(service): State<IdentityService>,
    Path(person): Path<String>,
) -> Result<Json<SessionList>, Problem> {
    service.looks_at(&scope, "sessions", "").await?;
    let person: PersonId = id(&person, "person")?;
    let rows = service
        .store
        .sessions_of_member(&scope, person, service.clock.now_millis())
        .await
        .map_err(|error| database_error(&error))?;
    let items = rows
        .into_iter()
        .map(|row| SessionItem::new(row, None))
        .collect();
    Ok(Json(SessionList { items }))
}

/// Signs a person out of this organisation everywhere.
#[utoipa::path(delete, path = "/people/{id}/sessions",
    extensions(("x-hilum-action" = json!("manage-people"))), tag = "people",
    params(("id" = String, Path)),
    responses((status = 204), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub(crate) async fn end_sessions_of_person(
    May(scope, _): May<doors::ManagePeople>,
    State(service): State<IdentityService>,
    Path(person): Path<String>,
) -> Result<StatusCode, Problem> {
    let failed = |error| Problem(database_error(&error));
    let person: PersonId = id(&person, "person")?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    role_to_take(&mut tx, &scope, person).await?;
    sessions::end_of_member(&mut tx, &scope, person)
        .await
        .map_err(failed)?;
    let entry = Entry::new(Act::SignOut)
        .with(Detail::Person, person)
        .with(Detail::Change, "all");
    service.tell(&mut tx, &scope, entry).await?;
    tx.commit().await.map_err(failed)?;
    service.changed(&scope).await;
    Ok(StatusCode::NO_CONTENT)
}
