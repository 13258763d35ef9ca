//! `POST /auth/verify-email`

use axum::extract::State;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::auth;
use hilum_platform::http::{Problem, ProblemBody, database_error};
use hilum_platform::http_body::{Body, Confidential};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::IdentityService;
use crate::secret::{Hash, hash};
use crate::store::mails::Mail;
use crate::store::tokens::{self, Purpose};
use crate::store::{new_addresses, people, sessions};
use crate::visit::Visit;
use hilum_platform::network::plain;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyEmail {
    /// From the link.
    #[schema(value_type = String)]
    token: Confidential,
}

/// Shows that an address is one's own: the one that one has, or another that one
/// asked for, which takes its place and ends every session but the one that
/// asked.
#[utoipa::path(post, path = "/verify-email", extensions(("x-hilum-action" = json!("open"))),
    tag = "auth", request_body = VerifyEmail,
    responses((status = 204), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn verify_email(
    State(service): State<IdentityService>,
    visit: Visit,
    Body(asked): Body<VerifyEmail>,
) -> Result<StatusCode, Problem> {
    let failed = |error| Problem(database_error(&error));
    let now = service.clock.now_millis();
    let token = hash(asked.token.reveal());
    let whose = service.store.token(Purpose::Verify, &token, now).await;
    let Some(whose) = whose.map_err(failed)? else {
        return service.readdress(&visit, &token, now).await;
    };
    let memberships = service.store.memberships(whose).await.map_err(failed)?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    let (person, address) = tokens::take(&mut tx, Purpose::Verify, &token, now)
        .await
        .map_err(failed)?
        .ok_or_else(ended)?;
    if !people::verified(&mut tx, person, &address)
        .await
        .map_err(failed)?
    {
        return Err(ended().into());
    }
    for membership in memberships {
        let scope = auth::service(&membership.tenant, "identity");
        let entry = Entry::new(Act::VerifyEmail)
            .with(Detail::Person, person)
            .from(Some(plain(visit.caller.address)));
        service.tell(&mut tx, &scope, entry).await?;
    }
    tx.commit().await.map_err(failed)?;
    Ok(StatusCode::NO_CONTENT)
}

fn ended() -> ServiceError {
    ServiceError::not_found("This link was used or is too old: ask for another.")
}

impl IdentityService {
    /// Gives a person the address that they asked for, by the link that was sent
    /// there.
    async fn readdress(
        &self,
        visit: &Visit,
        token: &Hash,
        now: i64,
    ) -> Result<StatusCode, Problem> {
        let failed = |error| Problem(database_error(&error));
        let whose = self.store.new_address_of(token, now).await;
        let whose = whose.map_err(failed)?.ok_or_else(ended)?;
        let memberships = self.store.memberships(whose).await.map_err(failed)?;
        let mut tx = self.store.begin().await.map_err(failed)?;
        let shown = new_addresses::take(&mut tx, token, now)
            .await
            .map_err(failed)?
            .ok_or_else(ended)?;
        let person = shown.person;
        let Some(before) = people::readdress(&mut tx, person, &shown.email)
            .await
            .map_err(failed)?
        else {
            // Whoever opened the link reads there: they may know.
            let text = "This address has an account by now: sign in with it.";
            return Err(ServiceError::new(ErrorCode::Conflict, text).into());
        };
        // Links that went to the address before.
        for purpose in [Purpose::Reset, Purpose::Verify] {
            tokens::clear(&mut tx, purpose, Some(person))
                .await
                .map_err(failed)?;
        }
        sessions::end_all(&mut tx, person, Some(shown.session))
            .await
            .map_err(failed)?;
        for membership in &memberships {
            let scope = auth::service(&membership.tenant, "identity");
            let entry = Entry::new(Act::ChangePerson)
                .with(Detail::Person, person)
                .with(Detail::Change, "address")
                .from(Some(plain(visit.caller.address)));
            self.tell(&mut tx, &scope, entry).await?;
        }
        self.send(&mut tx, Mail::AddressChanged(person, before))
            .await
            .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        for membership in &memberships {
            self.changed(&auth::service(&membership.tenant, "identity"))
                .await;
        }
        Ok(StatusCode::NO_CONTENT)
    }
}
