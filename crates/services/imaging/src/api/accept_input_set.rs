//! `POST /input-sets/{id}/accept`

use axum::extract::{Path, State};
use hilum_contracts::access::doors;
use hilum_contracts::error::ServiceError;
use hilum_platform::http::{May, Problem, ProblemBody};
use http::StatusCode;

use crate::ImagingService;

/// A person says that an input set is complete as it is.
#[utoipa::path(post, path = "/input-sets/{id}/accept",
    extensions(("x-hilum-action" = json!("accept-input"))), tag = "imaging",
    params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn accept_input_set(
    May(scope, _): May<doors::AcceptInput>,
    State(service): State<ImagingService>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = id
        .parse()
        .map_err(|_| ServiceError::not_found("There is no such input set."))?;
    service.accept(&scope, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
