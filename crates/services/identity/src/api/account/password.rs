//! `POST /account/password`

use axum::extract::State;
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::http_body::{Body, Confidential};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::oneself;
use crate::IdentityService;
use crate::domain::password;
use crate::store::mails::Mail;
use crate::store::tokens::{self, Purpose};
use crate::store::{people, sessions};
use crate::visit::Visit;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordChange {
    /// The one until now.
    current: Confidential,
    new: Confidential,
}

/// Gives oneself another password; every other session of one's own ends.
#[utoipa::path(post, path = "/account/password",
    extensions(("x-hilum-action" = json!("own-account"))), tag = "account",
    request_body = PasswordChange,
    responses((status = 204), (status = 400, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 429, body = ProblemBody)))]
pub(crate) async fn change_own_password(
    May(scope, _): May<doors::OwnAccount>,
    State(service): State<IdentityService>,
    visit: Visit,
    Body(change): Body<PasswordChange>,
) -> Result<StatusCode, Problem> {
    let failed = |error| Problem(database_error(&error));
    let (id, session) = oneself(&scope)?;
    let person = service.store.person(id).await.map_err(failed)?;
    let person = person.ok_or_else(|| ServiceError::not_found("This account is gone."))?;
    let attempt = service.attempt(&person.email, &visit).await?;
    let right = service
        .hashing
        .verify(change.current.reveal(), person.password.clone())
        .await?;
    if !right {
        service
            .tell_failure(Some(id), &person.email, &visit, "wrong-password")
            .await?;
        let text = "The password until now is another one.";
        return Err(ServiceError::new(ErrorCode::Forbidden, text).into());
    }
    password::check(change.new.reveal(), &[&person.email, &person.name])?;
    let hash = service.hashing.hash(change.new.reveal()).await?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    attempt.succeeded(&mut tx).await?;
    people::set_password(&mut tx, id, &hash)
        .await
        .map_err(failed)?;
    tokens::clear(&mut tx, Purpose::Reset, Some(id))
        .await
        .map_err(failed)?;
    sessions::end_all(&mut tx, id, Some(session))
        .await
        .map_err(failed)?;
    let entry = Entry::new(Act::ChangePassword).with(Detail::Person, id);
    service.tell(&mut tx, &scope, entry).await?;
    service
        .send(&mut tx, Mail::PasswordChanged(id))
        .await
        .map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    service.something_ended().await;
    Ok(StatusCode::NO_CONTENT)
}
