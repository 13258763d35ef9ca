//! `POST /auth/password-reset`, `POST /auth/password-reset/finish`

use axum::extract::State;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::auth;
use hilum_platform::email;
use hilum_platform::http::{Problem, ProblemBody, database_error};
use hilum_platform::http_body::{Body, Confidential};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::IdentityService;
use crate::domain::password;
use crate::secret::hash;
use crate::store::mails::Mail;
use crate::store::tokens::{self, Purpose};
use crate::store::{people, sessions};
use crate::throttle::RESET;
use crate::visit::Visit;
use hilum_platform::network::plain;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordReset {
    email: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordResetFinish {
    /// From the link.
    #[schema(value_type = String)]
    token: Confidential,
    password: Confidential,
}

/// Sends a link that lets one choose another password. Whether the address has
/// an account is not told, by the answer or by its time.
#[utoipa::path(post, path = "/password-reset", extensions(("x-hilum-action" = json!("open"))),
    tag = "auth", request_body = PasswordReset,
    responses((status = 202), (status = 400, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "The server sends no mail"),
        (status = 429, body = ProblemBody)))]
pub(crate) async fn ask_password_reset(
    State(service): State<IdentityService>,
    visit: Visit,
    Body(asked): Body<PasswordReset>,
) -> Result<StatusCode, Problem> {
    let address = email::email(&asked.email)?;
    if service.post.is_none() {
        let text = "This server sends no mail: an administrator can make a link for you.";
        return Err(ServiceError::new(ErrorCode::Conflict, text).into());
    }
    service
        .attempt(&format!("{RESET}{address}"), &visit)
        .await?;
    tokio::spawn(async move {
        if let Err(error) = service.send_reset(&address).await {
            tracing::error!(%error, "a link for another password could not be put on its way");
        }
    });
    Ok(StatusCode::ACCEPTED)
}

/// Chooses another password by the link; every session of the person ends.
#[utoipa::path(post, path = "/password-reset/finish",
    extensions(("x-hilum-action" = json!("open"))), tag = "auth",
    request_body = PasswordResetFinish,
    responses((status = 204), (status = 400, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub(crate) async fn finish_password_reset(
    State(service): State<IdentityService>,
    visit: Visit,
    Body(asked): Body<PasswordResetFinish>,
) -> Result<StatusCode, Problem> {
    let failed = |error| Problem(database_error(&error));
    let ended = || ServiceError::not_found("This link was used or is too old: ask for another.");
    let now = service.clock.now_millis();
    let token = hash(asked.token.reveal());
    // Looked at before the password is hashed, so that nobody makes this server
    // hash without a link; used up with the change.
    let whose = service.store.token(Purpose::Reset, &token, now).await;
    let whose = whose.map_err(failed)?.ok_or_else(ended)?;
    let person = service.store.person(whose).await.map_err(failed)?;
    let person = person.ok_or_else(ended)?;
    password::check(asked.password.reveal(), &[&person.email, &person.name])?;
    let hash = service.hashing.hash(asked.password.reveal()).await?;
    let memberships = service.store.memberships(person.id).await.map_err(failed)?;

    let mut tx = service.store.begin().await.map_err(failed)?;
    let (_, proved) = tokens::take(&mut tx, Purpose::Reset, &token, now)
        .await
        .map_err(failed)?
        .ok_or_else(ended)?;
    people::set_password(&mut tx, person.id, &hash)
        .await
        .map_err(failed)?;
    people::verified(&mut tx, person.id, &proved)
        .await
        .map_err(failed)?;
    sessions::end_all(&mut tx, person.id, None)
        .await
        .map_err(failed)?;
    for membership in memberships {
        let scope = auth::service(&membership.tenant, "identity");
        let entry = Entry::new(Act::ChangePassword)
            .with(Detail::Person, person.id)
            .with(Detail::Change, "reset")
            .from(Some(plain(visit.caller.address)));
        service.tell(&mut tx, &scope, entry).await?;
    }
    service
        .send(&mut tx, Mail::PasswordChanged(person.id))
        .await
        .map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    service.something_ended().await;
    Ok(StatusCode::NO_CONTENT)
}

impl IdentityService {
    async fn send_reset(&self, address: &str) -> Result<(), hilum_platform::db::DbError> {
        if let Some(person) = self.store.person_by_email(address).await? {
            let mut tx = self.store.begin().await?;
            self.send(&mut tx, Mail::Reset(person.id)).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
