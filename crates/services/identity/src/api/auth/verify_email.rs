//! `POST /auth/verify-email`

use axum::extract::State;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::ServiceError;
use hilum_platform::auth;
use hilum_platform::http::{Problem, ProblemBody, database_error};
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::network::plain;
use crate::secret::{Confidential, hash};
use crate::store::people;
use crate::store::tokens::{self, Purpose};
use crate::visit::Visit;
use crate::{IdentityService, api::body::Body};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyEmail {
    /// From the link.
    #[schema(value_type = String)]
    token: Confidential,
}

/// Shows that an address is one's own.
#[utoipa::path(post, path = "/verify-email", extensions(("x-hilum-action" = json!("open"))),
    tag = "auth", request_body = VerifyEmail,
    responses((status = 204), (status = 404, body = ProblemBody)))]
pub(crate) async fn verify_email(
    State(service): State<IdentityService>,
    visit: Visit,
    Body(asked): Body<VerifyEmail>,
) -> Result<StatusCode, Problem> {
    let failed = |error| Problem(database_error(&error));
    let ended = || ServiceError::not_found("This link was used or is too old: ask for another.");
    let now = service.clock.now_millis();
    let token = hash(asked.token.reveal());
    let whose = service.store.token(Purpose::Verify, &token, now).await;
    let whose = whose.map_err(failed)?.ok_or_else(ended)?;
    let memberships = service.store.memberships(whose).await.map_err(failed)?;
    let mut tx = service.store.db().begin().await.map_err(failed)?;
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
