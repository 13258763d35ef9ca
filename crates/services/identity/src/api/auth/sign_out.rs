//! `POST /auth/sign-out`

use axum::extract::State;
use axum::response::IntoResponse;
use hilum_platform::http::{Problem, ProblemBody, database_error};
use http::StatusCode;

use crate::IdentityService;
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
    if let Some(hash) = &visit.session {
        let mut tx = service.store.db().begin().await.map_err(failed)?;
        sessions::end(&mut tx, hash).await.map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        service.answers.empty();
    }
    Ok((StatusCode::NO_CONTENT, visit.no_session()))
}
