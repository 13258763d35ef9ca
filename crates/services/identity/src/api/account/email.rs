//! `POST|DELETE /account/email`
//!
//! Another address counts once its link was opened (`auth::verify_email`).
//! Until then the one that the person has gets what it got, and a word that
//! another one was asked for: whoever holds somebody's session and password
//! can't take the account over unseen (OWASP ASVS 2.2.3, 3.7.1).

use axum::extract::State;
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::email;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::http_body::{Body, Confidential};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::oneself;
use crate::IdentityService;
use crate::domain::settings::millis;
use crate::limits::VERIFY_LIFE;
use crate::store::mails::Mail;
use crate::store::{new_addresses, people};
use crate::visit::Visit;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EmailChange {
    /// The address to have instead.
    email: String,
    password: Confidential,
}

/// Asks for another address: a link goes there, and a word of it to the one
/// until now. Who asks does not learn whether somebody else has the address.
#[utoipa::path(post, path = "/account/email",
    extensions(("x-hilum-action" = json!("own-account"))), tag = "account",
    request_body = EmailChange,
    responses((status = 202), (status = 400, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "The server sends no mail"),
        (status = 429, body = ProblemBody)))]
pub(crate) async fn ask_for_email(
    May(scope, _): May<doors::OwnAccount>,
    State(service): State<IdentityService>,
    visit: Visit,
    Body(change): Body<EmailChange>,
) -> Result<StatusCode, Problem> {
    let failed = |error| Problem(database_error(&error));
    let (id, session) = oneself(&scope)?;
    service.require_unconfined(session).await?;
    if service.post.is_none() {
        let text = "This server sends no mail, so it can't check another address: ask an \
                    administrator to invite it.";
        return Err(ServiceError::new(ErrorCode::Conflict, text).into());
    }
    let wanted = email::email(&change.email)?;
    let person = service.store.person(id).await.map_err(failed)?;
    let person = person.ok_or_else(|| ServiceError::not_found("This account is gone."))?;
    if person.password.is_none() {
        let text = "This account has no password: choose one first (\"I have forgotten my \
                    password\").";
        return Err(ServiceError::new(ErrorCode::Forbidden, text).into());
    }
    let attempt = service.attempt(&person.email, &visit).await?;
    let right = service
        .hashing
        .verify(change.password.reveal(), person.password.clone())
        .await?;
    if !right {
        service
            .tell_failure(Some(id), &person.email, &visit, "wrong-password")
            .await?;
        let text = "The password is another one.";
        return Err(ServiceError::new(ErrorCode::Forbidden, text).into());
    }
    if wanted == person.email {
        return Err(ServiceError::invalid("That is your address already.").into());
    }
    // Each sends mail to an address that may be a stranger's: counted like failures.
    service
        .attempt(&format!("new address {id}"), &visit)
        .await?;
    let expires_at = service.clock.now_millis() + millis(VERIFY_LIFE);
    let mut tx = service.store.begin().await.map_err(failed)?;
    attempt.succeeded(&mut tx).await?;
    new_addresses::ask(&mut tx, id, &wanted, session, expires_at)
        .await
        .map_err(failed)?;
    let taken = people::by_email(&mut tx, &wanted).await.map_err(failed)?;
    let link = match taken {
        Some(other) => Mail::HasAccount(other.id),
        None => Mail::NewAddress(id),
    };
    service.send(&mut tx, link).await.map_err(failed)?;
    let word = Mail::AddressAsked(id, person.email);
    service.send(&mut tx, word).await.map_err(failed)?;
    let entry = Entry::new(Act::ChangePerson)
        .with(Detail::Person, id)
        .with(Detail::Change, "address-asked");
    service.tell(&mut tx, &scope, entry).await?;
    tx.commit().await.map_err(failed)?;
    Ok(StatusCode::ACCEPTED)
}

/// Withdraws it; its link does nothing any more.
#[utoipa::path(delete, path = "/account/email",
    extensions(("x-hilum-action" = json!("own-account"))), tag = "account",
    responses((status = 204), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub(crate) async fn withdraw_email(
    May(scope, _): May<doors::OwnAccount>,
    State(service): State<IdentityService>,
) -> Result<StatusCode, Problem> {
    let failed = |error| Problem(database_error(&error));
    let (id, session) = oneself(&scope)?;
    service.require_unconfined(session).await?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    if !new_addresses::withdraw(&mut tx, id).await.map_err(failed)? {
        let text = "You did not ask for another address.";
        return Err(ServiceError::not_found(text).into());
    }
    let entry = Entry::new(Act::ChangePerson)
        .with(Detail::Person, id)
        .with(Detail::Change, "address-withdrawn");
    service.tell(&mut tx, &scope, entry).await?;
    tx.commit().await.map_err(failed)?;
    Ok(StatusCode::NO_CONTENT)
}
