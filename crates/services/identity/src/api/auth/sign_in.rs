//! `POST /auth/sign-in`

use axum::extract::State;
use axum::response::IntoResponse;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::email;
use hilum_platform::http::{Problem, ProblemBody, database_error};
use hilum_platform::http_body::{Body, Confidential};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::IdentityService;
use crate::store::mails::Mail;
use crate::visit::Visit;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    email: String,
    password: Confidential,
}

/// Signs in. A wrong address and a wrong password are answered alike.
#[utoipa::path(post, path = "/sign-in", extensions(("x-hilum-action" = json!("open"))), tag = "auth",
    request_body = SignIn,
    responses((status = 204), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 429, body = ProblemBody)))]
pub(crate) async fn sign_in(
    State(service): State<IdentityService>,
    visit: Visit,
    Body(asked): Body<SignIn>,
) -> Result<impl IntoResponse, Problem> {
    let failed = |error| Problem(database_error(&error));
    // What is no address counts as one that nobody has.
    let address = email::email(&asked.email).unwrap_or_default();
    let attempt = service.attempt(&address, &visit).await?;
    let person = service
        .store
        .person_by_email(&address)
        .await
        .map_err(failed)?;
    let hash = person.as_ref().and_then(|person| person.password.clone());
    let right = service
        .hashing
        .verify(asked.password.reveal(), hash)
        .await?;
    let known = person.as_ref().map(|person| person.id);
    let Some(person) = person.filter(|_| right) else {
        service
            .tell_failure(known, &address, &visit, "wrong-password")
            .await?;
        let text = "The e-mail address or the password is wrong.";
        return Err(ServiceError::new(ErrorCode::Unauthenticated, text).into());
    };
    if person.must_verify {
        service
            .tell_failure(known, &address, &visit, "unverified")
            .await?;
        let mut tx = service.store.begin().await.map_err(failed)?;
        service
            .send(&mut tx, Mail::Verify(person.id))
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        let text = "Open the link in the mail that was sent to your address first.";
        return Err(ServiceError::new(ErrorCode::Forbidden, text).into());
    }
    let memberships = service.store.memberships(person.id).await.map_err(failed)?;
    let Some(first) = memberships.first() else {
        // No organisation's any more, so the installation's.
        let nowhere = service.tell_failure(None, &address, &visit, "nowhere");
        nowhere.await?;
        let text = "You do not belong to an organisation any more.";
        return Err(ServiceError::new(ErrorCode::Forbidden, text).into());
    };
    let mut tx = service.store.begin().await.map_err(failed)?;
    attempt.succeeded(&mut tx).await?;
    let begun = service
        .begin_session(&mut tx, person.id, &first.tenant, &visit, "password")
        .await?;
    tx.commit().await.map_err(failed)?;
    service.something_ended().await;
    let cookies = visit.cookies(&begun.token, begun.browser.as_ref());
    Ok((StatusCode::NO_CONTENT, cookies))
}
