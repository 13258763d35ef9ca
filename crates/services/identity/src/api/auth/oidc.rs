//! `GET /auth/oidc/{provider}/start`, `GET /auth/oidc/callback`

use axum::extract::{Path, Query, State};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use hilum_contracts::audit::{Act, Detail, Entry, Outcome, Subject};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::PersonId;
use hilum_platform::auth;
use hilum_platform::http::{Problem, ProblemBody, database_error};
use http::HeaderMap;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::IdentityService;
use crate::api::id;
use crate::domain::text;
use crate::oidc::{Back, Vouched};
use crate::sessions::Begun;
use crate::store::people::{self, Person};
use crate::store::tokens::{self, Purpose};
use crate::store::{invitations, members, providers};
use crate::visit::{Visit, cookie, flow_cookie};
use hilum_platform::network::plain;

#[derive(Deserialize, IntoParams)]
pub(crate) struct StartQuery {
    /// A path of this application to come back to.
    return_to: Option<String>,
}

/// Goes to a provider to sign in.
#[utoipa::path(get, path = "/oidc/{provider}/start", extensions(("x-hilum-action" = json!("open"))),
    tag = "auth", params(("provider" = String, Path), StartQuery),
    responses((status = 303), (status = 404, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub(crate) async fn start_oidc(
    State(service): State<IdentityService>,
    visit: Visit,
    Path(provider): Path<String>,
    Query(query): Query<StartQuery>,
) -> Result<Response, Problem> {
    let provider = service.store.provider(id(&provider, "provider")?).await;
    let provider = provider
        .map_err(|error| database_error(&error))?
        .ok_or_else(|| ServiceError::not_found("There is no such provider."))?;
    let away = service.leave(&provider, query.return_to.as_deref()).await?;
    let keeps = AppendHeaders(visit.flow(&away.cookie));
    Ok((keeps, Redirect::to(&away.to)).into_response())
}

/// Comes back from a provider. What went wrong is told by the page, by a word
/// in its address.
#[utoipa::path(get, path = "/oidc/callback", extensions(("x-hilum-action" = json!("open"))),
    tag = "auth", params(Back), responses((status = 303)))]
pub(crate) async fn finish_oidc(
    State(service): State<IdentityService>,
    visit: Visit,
    headers: HeaderMap,
    Query(back): Query<Back>,
) -> Response {
    let kept = cookie(&headers, flow_cookie(visit.caller.secure));
    let done = match service.returned(kept, back).await {
        Ok(vouched) => service.enter(vouched, &visit).await,
        Err(error) => {
            let entry = Entry::new(Act::SignInFailed)
                .ended(Outcome::Failed)
                .with(Detail::Reason, "provider");
            let from = plain(visit.caller.address);
            let told = service.tell_of_stranger(entry, None, from).await;
            told.and(Err(error))
        }
    };
    let over = AppendHeaders(visit.no_flow());
    match done {
        Ok((begun, to)) => {
            let cookies = visit.cookies(&begun.token, begun.browser.as_ref());
            (over, cookies, Redirect::to(&to)).into_response()
        }
        Err(error) => {
            tracing::info!(code = ?error.code, "a sign-in with a provider failed");
            let code = serde_json::to_value(error.code).unwrap_or_default();
            let to = format!("/sign-in?error={}", code.as_str().unwrap_or("internal"));
            (over, Redirect::to(&to)).into_response()
        }
    }
}

impl IdentityService {
    /// Begins a session of whom a provider vouches for, or records that it may
    /// not begin.
    async fn enter(
        &self,
        vouched: Vouched,
        visit: &Visit,
    ) -> Result<(Begun, String), ServiceError> {
        let (provider, email) = (vouched.provider.id, vouched.email.clone());
        let scope = auth::service(&vouched.provider.tenant, "identity");
        let entered = self.begin_vouched(vouched, visit).await;
        if let Err(error) = &entered
            && error.code == ErrorCode::Forbidden
        {
            let entry = Entry::new(Act::SignInFailed)
                .ended(Outcome::Failed)
                .about(Subject::account(email))
                .with(Detail::Provider, provider)
                .with(Detail::Reason, "not-invited")
                .from(Some(plain(visit.caller.address)));
            let told = self.trail.saw(&scope, entry).await;
            told.map_err(|error| database_error(&error))?;
        }
        entered
    }

    /// Begins a session of whom a provider vouches for, in its tenant: a member
    /// whom it vouched for before, one with the verified address, or somebody
    /// who was invited with it.
    async fn begin_vouched(
        &self,
        vouched: Vouched,
        visit: &Visit,
    ) -> Result<(Begun, String), ServiceError> {
        let failed = |error| database_error(&error);
        let tenant = vouched.provider.tenant.clone();
        let scope = auth::service(&tenant, "identity");
        let issuer = vouched.provider.issuer.as_str();
        let now = self.clock.now_millis();
        let linked = self
            .store
            .subject(issuer, &vouched.subject)
            .await
            .map_err(failed)?;
        let known = match linked {
            Some(person) => self.store.person(person).await.map_err(failed)?,
            None => self
                .store
                .person_by_email(&vouched.email)
                .await
                .map_err(failed)?,
        };
        let mut tx = self.store.begin().await.map_err(failed)?;
        let person = match known {
            Some(person) => person,
            None => {
                let named = vouched.name.as_deref().unwrap_or(&vouched.email);
                let newcomer = Person {
                    id: PersonId::new(),
                    email: vouched.email.clone(),
                    name: text::name(named, "Your name")?,
                    // The tenant's provider says so; nobody else has to believe it.
                    email_verified: false,
                    must_verify: false,
                    password: None,
                };
                people::insert(&mut tx, &newcomer, now)
                    .await
                    .map_err(failed)?;
                newcomer
            }
        };
        let role = members::role_of(&mut tx, &scope, person.id).await;
        if role.map_err(failed)?.is_none() {
            // Somebody else may have made the account and know its password, for
            // nobody showed yet that the address is theirs.
            if person.password.is_some() && !person.email_verified {
                let text = "This address has an account: sign in to it and open the invitation.";
                return Err(ServiceError::new(ErrorCode::Forbidden, text));
            }
            tokens::clear(&mut tx, Purpose::Reset, Some(person.id))
                .await
                .map_err(failed)?;
            let invited = invitations::take_of(&mut tx, &scope, &vouched.email, now)
                .await
                .map_err(failed)?
                .ok_or_else(|| {
                    let text = "Nobody invited you to this organisation.";
                    ServiceError::new(ErrorCode::Forbidden, text)
                })?;
            members::insert(&mut tx, &scope, &person, invited.role, now)
                .await
                .map_err(failed)?;
            let entry = Entry::new(Act::SignUp)
                .with(Detail::Person, person.id)
                .with(Detail::Role, invited.role)
                .with(Detail::Invitation, invited.id)
                .with(Detail::Provider, vouched.provider.id)
                .from(Some(plain(visit.caller.address)));
            self.tell(&mut tx, &scope, entry).await?;
        }
        if linked.is_none() {
            providers::link(&mut tx, issuer, &vouched.subject, person.id)
                .await
                .map_err(failed)?;
        }
        let begun = self
            .begin_vouched_session(&mut tx, person.id, &vouched.provider, visit)
            .await?;
        tx.commit().await.map_err(failed)?;
        self.changed(&scope).await;
        Ok((begun, vouched.return_to))
    }
}
