//! `POST /auth/set-up`

use axum::extract::State;
use axum::response::IntoResponse;
use hilum_contracts::access::Role;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::PersonId;
use hilum_platform::auth;
use hilum_platform::email;
use hilum_platform::http::{Problem, ProblemBody, database_error};
use hilum_platform::http_body::{Body, Confidential};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::IdentityService;
use crate::domain::{password, text};
use crate::secret::hash;
use crate::store::mails::Mail;
use crate::store::people::{self, Person};
use crate::store::tokens;
use crate::store::{members, tenants};
use crate::tenants::NewTenant;
use crate::visit::Visit;
use hilum_platform::network::plain;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetUp {
    /// From the link that the server printed.
    #[schema(value_type = String)]
    token: Confidential,
    organisation: String,
    email: String,
    name: String,
    password: Confidential,
}

/// Makes the first person, who owns every tenant that nobody owns.
#[utoipa::path(post, path = "/set-up", extensions(("x-hilum-action" = json!("open"))), tag = "auth",
    request_body = SetUp,
    responses((status = 204), (status = 400, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 429, body = ProblemBody)))]
pub(crate) async fn set_up(
    State(service): State<IdentityService>,
    visit: Visit,
    Body(asked): Body<SetUp>,
) -> Result<impl IntoResponse, Problem> {
    let failed = |error| Problem(database_error(&error));
    let attempt = service.attempt("set-up", &visit).await?;
    let organisation = text::name(&asked.organisation, "The organisation's name")?;
    let mut person = Person {
        id: PersonId::new(),
        email: email::email(&asked.email)?,
        name: text::name(&asked.name, "Your name")?,
        email_verified: false,
        must_verify: false,
        password: None,
    };
    let context = [person.email.as_str(), &person.name, &organisation];
    password::check(asked.password.reveal(), &context)?;
    person.password = Some(service.hashing.hash(asked.password.reveal()).await?);

    let now = service.clock.now_millis();
    let mut tx = service.store.begin().await.map_err(failed)?;
    let token = hash(asked.token.reveal());
    let right = tokens::take_set_up(&mut tx, &token, now)
        .await
        .map_err(failed)?;
    if !right || people::any(&mut tx).await.map_err(failed)? {
        let text = "This link was used or is from before the last start: the server prints a \
                    new one when it starts and nobody exists.";
        return Err(ServiceError::new(ErrorCode::Forbidden, text).into());
    }
    people::insert(&mut tx, &person, now)
        .await
        .map_err(failed)?;
    let mut owned = tenants::without_owner(&mut tx).await.map_err(failed)?;
    if owned.is_empty() {
        let new = NewTenant {
            display_name: organisation.clone(),
            name: None,
            ae_title: None,
        };
        owned.push(service.make_tenant(&mut tx, new).await?.name);
    }
    for (at, tenant) in owned.iter().enumerate() {
        let scope = auth::service(tenant, "identity");
        members::insert(&mut tx, &scope, &person, Role::Owner, now)
            .await
            .map_err(failed)?;
        let entry = Entry::new(Act::SignUp)
            .with(Detail::Person, person.id)
            .with(Detail::Role, Role::Owner)
            .with(Detail::Change, "set-up")
            .from(Some(plain(visit.caller.address)));
        service.tell(&mut tx, &scope, entry).await?;
        if at == 0
            && let Some(row) = tenants::get(&mut tx, &scope).await.map_err(failed)?
        {
            tenants::update(&mut tx, &scope, &organisation, &row.settings)
                .await
                .map_err(failed)?;
        }
    }
    let first = owned
        .first()
        .ok_or_else(|| ServiceError::internal("No tenant was made."))?;
    attempt.succeeded(&mut tx).await?;
    service
        .send(&mut tx, Mail::Verify(person.id))
        .await
        .map_err(failed)?;
    let begun = service
        .begin_session(&mut tx, person.id, first, &visit, "set-up")
        .await?;
    tx.commit().await.map_err(failed)?;
    service.publish().await?;
    tracing::info!("the first person was made");
    let cookies = visit.cookies(&begun.token, begun.browser.as_ref());
    Ok((StatusCode::NO_CONTENT, cookies))
}
