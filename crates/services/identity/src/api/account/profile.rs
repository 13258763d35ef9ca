//! `GET|PATCH /account`

use axum::Json;
use axum::extract::State;
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::http_body::Body;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::oneself;
use crate::IdentityService;
use crate::domain::text;
use crate::store::mails::Mail;
use crate::store::people;
use crate::visit::Visit;

#[derive(Serialize, ToSchema)]
pub(crate) struct Account {
    id: String,
    name: String,
    email: String,
    email_verified: bool,
    /// The address that one asked for instead and has not shown to be one's own yet.
    new_email: Option<String>,
    /// Whether one can sign in with a password.
    has_password: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountChange {
    name: String,
}

/// One's own account.
#[utoipa::path(get, path = "/account",
    extensions(("x-hilum-action" = json!("own-account"))), tag = "account",
    responses((status = 200, body = Account), (status = 403, body = ProblemBody)))]
pub(crate) async fn get_account(
    May(scope, _): May<doors::OwnAccount>,
    State(service): State<IdentityService>,
) -> Result<Json<Account>, Problem> {
    let (id, _) = oneself(&scope)?;
    let person = service
        .store
        .person(id)
        .await
        .map_err(|error| database_error(&error))?
        .ok_or_else(|| ServiceError::not_found("This account is gone."))?;
    let new_email = service
        .store
        .new_address(id, service.clock.now_millis())
        .await
        .map_err(|error| database_error(&error))?;
    Ok(Json(Account {
        new_email,
        id: person.id.to_string(),
        name: person.name,
        email: person.email,
        email_verified: person.email_verified,
        has_password: person.password.is_some(),
    }))
}

/// Sends a link that shows that one's address is one's own.
#[utoipa::path(post, path = "/account/verify-email",
    extensions(("x-hilum-action" = json!("own-account"))), tag = "account",
    responses((status = 202),
        (status = 409, body = ProblemBody, description = "The server sends no mail"),
        (status = 429, body = ProblemBody)))]
pub(crate) async fn send_verification(
    May(scope, _): May<doors::OwnAccount>,
    State(service): State<IdentityService>,
    visit: Visit,
) -> Result<StatusCode, Problem> {
    let failed = |error| Problem(database_error(&error));
    let (id, _) = oneself(&scope)?;
    service.attempt(&format!("verify {id}"), &visit).await?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    let mailed = service.send(&mut tx, Mail::Verify(id)).await;
    if !mailed.map_err(failed)? {
        let text = "This server sends no mail.";
        return Err(ServiceError::new(ErrorCode::Conflict, text).into());
    }
    tx.commit().await.map_err(failed)?;
    Ok(StatusCode::ACCEPTED)
}

/// Changes one's own name.
#[utoipa::path(patch, path = "/account",
    extensions(("x-hilum-action" = json!("own-account"))), tag = "account",
    request_body = AccountChange,
    responses((status = 200, body = Account), (status = 400, body = ProblemBody)))]
pub(crate) async fn change_account(
    May(scope, of): May<doors::OwnAccount>,
    State(service): State<IdentityService>,
    Body(change): Body<AccountChange>,
) -> Result<Json<Account>, Problem> {
    let failed = |error| Problem(database_error(&error));
    let (id, session) = oneself(&scope)?;
    service.require_unconfined(session).await?;
    let name = text::name(&change.name, "Your name")?;
    let person = service.store.person(id).await.map_err(failed)?;
    let person = person.ok_or_else(|| ServiceError::not_found("This account is gone."))?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    people::rename(&mut tx, &person, &name)
        .await
        .map_err(failed)?;
    let entry = Entry::new(Act::ChangePerson)
        .with(Detail::Person, id)
        .with(Detail::Change, "renamed");
    service.tell(&mut tx, &scope, entry).await?;
    tx.commit().await.map_err(failed)?;
    get_account(May(scope, of), State(service)).await
}
