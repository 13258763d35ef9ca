//! `POST /auth/sign-up`

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hilum_contracts::access::Role;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::PersonId;
use hilum_platform::auth;
use hilum_platform::config::SignUp as Rule;
use hilum_platform::email;
use hilum_platform::http::{Problem, ProblemBody, database_error};
use hilum_platform::http_body::{Body, Confidential};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::IdentityService;
use crate::domain::{password, text};
use crate::store::mails::Mail;
use crate::store::members;
use crate::store::people::{self, Person};
use crate::tenants::NewTenant;
use crate::visit::Visit;
use hilum_platform::network::plain;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignUp {
    organisation: String,
    email: String,
    name: String,
    password: Confidential,
}

/// Makes an organisation and its owner, where the installation is open to it.
/// 204: signed in. 202: a mail is on its way, with a link to open first.
#[utoipa::path(post, path = "/sign-up", extensions(("x-hilum-action" = json!("open"))), tag = "auth",
    request_body = SignUp,
    responses((status = 202), (status = 204), (status = 400, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 409, body = ProblemBody), (status = 429, body = ProblemBody)))]
pub(crate) async fn sign_up(
    State(service): State<IdentityService>,
    visit: Visit,
    Body(asked): Body<SignUp>,
) -> Result<Response, Problem> {
    let failed = |error| Problem(database_error(&error));
    if service.rules.sign_up != Rule::Open || !service.is_set_up().await? {
        let text = "Here people come by invitation: ask an administrator for one.";
        return Err(ServiceError::new(ErrorCode::Forbidden, text).into());
    }
    // Each takes a tenant, a hash and a row: they are counted like failures.
    service.attempt("sign-up", &visit).await?;
    let organisation = text::name(&asked.organisation, "The organisation's name")?;
    let mut person = Person {
        id: PersonId::new(),
        email: email::email(&asked.email)?,
        name: text::name(&asked.name, "Your name")?,
        email_verified: false,
        must_verify: service.post.is_some(),
        password: None,
    };
    let context = [person.email.as_str(), &person.name, &organisation];
    password::check(asked.password.reveal(), &context)?;
    person.password = Some(service.hashing.hash(asked.password.reveal()).await?);
    let now = service.clock.now_millis();
    let mut tx = service.store.begin().await.map_err(failed)?;
    if !people::insert(&mut tx, &person, now)
        .await
        .map_err(failed)?
    {
        if person.must_verify {
            // Told to the address only: who asks learns nothing.
            if let Some(owner) = people::by_email(&mut tx, &person.email)
                .await
                .map_err(failed)?
            {
                service
                    .send(&mut tx, Mail::HasAccount(owner.id))
                    .await
                    .map_err(failed)?;
                tx.commit().await.map_err(failed)?;
            }
            return Ok(StatusCode::ACCEPTED.into_response());
        }
        let text = "This address has an account: sign in with it.";
        return Err(ServiceError::new(ErrorCode::Conflict, text).into());
    }
    let new = NewTenant {
        display_name: organisation,
        name: None,
        ae_title: None,
    };
    let made = service.make_tenant(&mut tx, new).await?;
    let scope = auth::service(&made.name, "identity");
    members::insert(&mut tx, &scope, &person, Role::Owner, now)
        .await
        .map_err(failed)?;
    let entry = Entry::new(Act::SignUp)
        .with(Detail::Person, person.id)
        .with(Detail::Role, Role::Owner)
        .with(Detail::Change, "sign-up")
        .from(Some(plain(visit.caller.address)));
    service.tell(&mut tx, &scope, entry).await?;
    if person.must_verify {
        service
            .send(&mut tx, Mail::Verify(person.id))
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        service.publish().await?;
        return Ok(StatusCode::ACCEPTED.into_response());
    }
    let begun = service
        .begin_session(&mut tx, person.id, &made.name, &visit, "sign-up")
        .await?;
    tx.commit().await.map_err(failed)?;
    service.publish().await?;
    let cookies = visit.cookies(&begun.token, begun.browser.as_ref());
    Ok((StatusCode::NO_CONTENT, cookies).into_response())
}
