//! `POST /auth/invitation`, `POST /auth/invitation/accept`

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use hilum_contracts::access::Role;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::PersonId;
use hilum_platform::auth;
use hilum_platform::clock::from_millis;
use hilum_platform::http::{Problem, ProblemBody, database_error};
use hilum_platform::http_body::{Body, Confidential};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::IdentityService;
use crate::domain::{password, text};
use crate::secret::hash;
use crate::store::invitations::{self, Invitation};
use crate::store::people::{self, Person};
use crate::store::tokens::{self, Purpose};
use crate::store::{members, tenants};
use crate::throttle::Attempt;
use crate::visit::Visit;
use hilum_platform::network::plain;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvitationToken {
    /// From the link.
    #[schema(value_type = String)]
    token: Confidential,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct InvitationShown {
    /// The organisation's name.
    organisation: String,
    email: String,
    #[schema(value_type = String)]
    role: Role,
    invited_by: String,
    /// Whether the address has an account: its password is asked for then.
    has_account: bool,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: OffsetDateTime,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvitationAccepted {
    /// From the link.
    #[schema(value_type = String)]
    token: Confidential,
    /// Of who has no account.
    name: Option<String>,
    /// A new one, or that of the account; none for who is signed in to it.
    #[schema(value_type = Option<String>)]
    password: Option<Confidential>,
}

fn ended() -> ServiceError {
    ServiceError::not_found("This invitation was used, withdrawn or is too old: ask for another.")
}

/// What an invitation is to.
#[utoipa::path(post, path = "/invitation", extensions(("x-hilum-action" = json!("open"))), tag = "auth",
    request_body = InvitationToken,
    responses((status = 200, body = InvitationShown), (status = 404, body = ProblemBody)))]
pub(crate) async fn show_invitation(
    State(service): State<IdentityService>,
    Body(asked): Body<InvitationToken>,
) -> Result<Json<InvitationShown>, Problem> {
    let failed = |error| Problem(database_error(&error));
    let found = service
        .store
        .invitation(&hash(asked.token.reveal()), service.clock.now_millis())
        .await
        .map_err(failed)?
        .ok_or_else(ended)?;
    let scope = auth::service(&found.tenant, "identity");
    let tenant = service.store.tenant(&scope).await.map_err(failed)?;
    let person = service
        .store
        .person_by_email(&found.email)
        .await
        .map_err(failed)?;
    Ok(Json(InvitationShown {
        organisation: tenant.ok_or_else(ended)?.display_name,
        email: found.email,
        role: found.role,
        invited_by: found.invited_by,
        has_account: person.is_some(),
        expires_at: from_millis(found.expires_at),
    }))
}

/// Takes an invitation and signs in to its organisation.
#[utoipa::path(post, path = "/invitation/accept", extensions(("x-hilum-action" = json!("open"))),
    tag = "auth", request_body = InvitationAccepted,
    responses((status = 204), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 429, body = ProblemBody)))]
pub(crate) async fn accept_invitation(
    State(service): State<IdentityService>,
    visit: Visit,
    Body(asked): Body<InvitationAccepted>,
) -> Result<impl IntoResponse, Problem> {
    let failed = |error| Problem(database_error(&error));
    let (token, now) = (hash(asked.token.reveal()), service.clock.now_millis());
    let found = service.store.invitation(&token, now).await;
    let found = found.map_err(failed)?.ok_or_else(ended)?;
    let known = service
        .store
        .person_by_email(&found.email)
        .await
        .map_err(failed)?;
    let (person, is_new, attempt) = match known {
        Some(person) => {
            let attempt = service.prove(&person, &asked, &visit).await?;
            (person, false, attempt)
        }
        None => (service.newcomer(&found, &asked).await?, true, None),
    };

    let mut tx = service.store.begin().await.map_err(failed)?;
    let taken = invitations::take(&mut tx, &token, now)
        .await
        .map_err(failed)?
        .ok_or_else(ended)?;
    if is_new
        && !people::insert(&mut tx, &person, now)
            .await
            .map_err(failed)?
    {
        let text = "This address got an account in the meantime: open the link again.";
        return Err(ServiceError::new(ErrorCode::Conflict, text).into());
    }
    if taken.mailed {
        people::verified(&mut tx, person.id, &taken.email)
            .await
            .map_err(failed)?;
    }
    let scope = auth::service(&taken.tenant, "identity");
    tenants::get(&mut tx, &scope)
        .await
        .map_err(failed)?
        .ok_or_else(ended)?;
    members::insert(&mut tx, &scope, &person, taken.role, now)
        .await
        .map_err(failed)?;
    // A link that an administrator made opens that organisation only.
    tokens::clear(&mut tx, Purpose::Reset, Some(person.id))
        .await
        .map_err(failed)?;
    let entry = Entry::new(Act::SignUp)
        .with(Detail::Person, person.id)
        .with(Detail::Role, taken.role)
        .with(Detail::Invitation, taken.id)
        .from(Some(plain(visit.caller.address)));
    service.tell(&mut tx, &scope, entry).await?;
    if let Some(attempt) = &attempt {
        attempt.succeeded(&mut tx).await?;
    }
    let begun = service
        .begin_session(&mut tx, person.id, &taken.tenant, &visit, "invitation")
        .await?;
    tx.commit().await.map_err(failed)?;
    service.changed(&scope).await;
    let cookies = visit.cookies(&begun.token, begun.browser.as_ref());
    Ok((StatusCode::NO_CONTENT, cookies))
}

impl IdentityService {
    /// Who has an account shows that it is theirs: by being signed in to it, or
    /// by its password.
    async fn prove(
        &self,
        person: &Person,
        asked: &InvitationAccepted,
        visit: &Visit,
    ) -> Result<Option<Attempt>, ServiceError> {
        let session = self.session_of(visit).await?;
        if session.is_some_and(|session| session.person == person.id && !session.is_vouched) {
            return Ok(None);
        }
        let attempt = self.attempt(&person.email, visit).await?;
        let given = asked.password.as_ref().map_or("", Confidential::reveal);
        if self.hashing.verify(given, person.password.clone()).await? {
            return Ok(Some(attempt));
        }
        self.tell_failure(Some(person.id), &person.email, visit, "wrong-password")
            .await?;
        let text = "This address has an account: sign in to it, or give its password.";
        Err(ServiceError::new(ErrorCode::Unauthenticated, text))
    }

    async fn newcomer(
        &self,
        invitation: &Invitation,
        asked: &InvitationAccepted,
    ) -> Result<Person, ServiceError> {
        let name = text::name(asked.name.as_deref().unwrap_or_default(), "Your name")?;
        let given = asked.password.as_ref().map_or("", Confidential::reveal);
        password::check(given, &[&invitation.email, &name])?;
        Ok(Person {
            id: PersonId::new(),
            email: invitation.email.clone(),
            name,
            email_verified: false,
            must_verify: false,
            password: Some(self.hashing.hash(given).await?),
        })
    }
}
