//! `POST /auth/tenant`

use axum::extract::State;
use axum::response::IntoResponse;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::http::{Problem, ProblemBody, database_error};
use hilum_platform::http_body::Body;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::IdentityService;
use crate::audit::of_session;
use crate::visit::Visit;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SwitchTenant {
    /// One of those that the person belongs to.
    tenant: String,
}

/// Goes on in another tenant, in a session of its own.
#[utoipa::path(post, path = "/tenant", extensions(("x-hilum-action" = json!("open"))), tag = "auth",
    request_body = SwitchTenant,
    responses((status = 204), (status = 401, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub(crate) async fn switch_tenant(
    State(service): State<IdentityService>,
    visit: Visit,
    Body(asked): Body<SwitchTenant>,
) -> Result<impl IntoResponse, Problem> {
    let failed = |error| Problem(database_error(&error));
    let session = service.signed_in(&visit).await?;
    if session.is_vouched {
        let text = "You signed in with this organisation's provider: sign in with your password \
                    to go to another one.";
        return Err(ServiceError::new(ErrorCode::Forbidden, text).into());
    }
    let memberships = service
        .store
        .memberships(session.person)
        .await
        .map_err(failed)?;
    let there = memberships
        .into_iter()
        .find(|one| one.tenant.as_str() == asked.tenant)
        .ok_or_else(|| ServiceError::not_found("There is no such organisation."))?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    let entry = Entry::new(Act::SignOut)
        .with(Detail::Session, session.id)
        .with(Detail::Change, "other-organisation");
    let before = of_session(&session, &visit);
    service.tell(&mut tx, &before, entry).await?;
    let begun = service
        .begin_session(
            &mut tx,
            session.person,
            &there.tenant,
            &visit,
            "other-organisation",
        )
        .await?;
    tx.commit().await.map_err(failed)?;
    service.something_ended().await;
    let cookies = visit.cookies(&begun.token, begun.browser.as_ref());
    Ok((StatusCode::NO_CONTENT, cookies))
}
