//! `POST /api/v1/dead-letters/{consumer}/{event_id}/replay`

use axum::extract::{Path, State};
use hilum_contracts::access::doors;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::notices::Topic;
use http::StatusCode;

use super::Shared;

/// Gives an event once more to the service that could not take it.
#[utoipa::path(post, path = "/dead-letters/{consumer}/{event_id}/replay",
    extensions(("x-hilum-action" = json!("replay-dead-letters"))), tag = "platform",
    params(("consumer" = String, Path), ("event_id" = String, Path)),
    responses((status = 202), (status = 409, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub(crate) async fn replay_dead_letter(
    May(scope, _): May<doors::ReplayDeadLetters>,
    State(shared): State<Shared>,
    Path((consumer, event_id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let inbox = shared.inboxes.iter().find(|i| i.consumer() == consumer);
    let replayed = match inbox {
        Some(inbox) => inbox
            .replay(&scope, &event_id)
            .await
            .map_err(|error| database_error(&error))?,
        None => false,
    };
    if !replayed {
        let text = "There is no such dead letter; it may have been replayed already.";
        return Err(Problem(ServiceError::new(ErrorCode::Conflict, text)));
    }
    tracing::info!(by = ?scope.principal(), consumer, event = event_id, "a dead letter is replayed");
    shared
        .notices
        .tell(scope.tenant(), Topic::DeadLetters, None);
    Ok(StatusCode::ACCEPTED)
}
