//! `POST /auth/sign-out`

use axum::extract::State;
use axum::response::IntoResponse;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_platform::http::{Problem, ProblemBody, database_error};
use http::StatusCode;

use crate::IdentityService;
use crate::audit::of_session;
use crate::store::sessions;
use crate::visit::Visit;

/// Ends the session of this browser.
#[utoipa::path(post, path = "/sign-out", extensions(("x-hilum-action" = json!("open"))), tag = "auth",
    responses((status = 204), (status = 503, body = ProblemBody)))]
pub(crate) async fn sign_out(
    State(service): State<IdentityService>,
    visit: Visit,
) -> Result<impl IntoResponse, Problem> {
    let failed = |error| Problem(database_error(&error));
    let session = service.session_of(&visit).await?;
    if let (Some(hash), Some(session)) = (&visit.session, session) {
        let mut tx = service.store.begin().await.map_err(failed)?;
        sessions::end(&mut tx, hash).await.map_err(failed)?;
        let entry = Entry::new(Act::SignOut).with(Detail::Session, session.id);
        let own = of_session(&session, &visit);
        service.tell(&mut tx, &own, entry).await?;
        tx.commit().await.map_err(failed)?;
        service.something_ended().await;
    }
    Ok((StatusCode::NO_CONTENT, visit.no_session()))
}
