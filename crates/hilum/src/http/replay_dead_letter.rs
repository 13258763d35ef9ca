//! `POST /api/v1/dead-letters/{consumer}/{event_id}/replay`

use axum::extract::{Path, State};
use hilum_contracts::access::doors;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::http::{May, Problem, ProblemBody};
use hilum_platform::notices::Topic;
use http::StatusCode;

use super::Own;

/// Gives an event once more to the service that could not take it.
#[utoipa::path(post, path = "/dead-letters/{consumer}/{event_id}/replay",
    extensions(("x-hilum-action" = json!("replay-dead-letters"))), tag = "platform",
    params(("consumer" = String, Path), ("event_id" = String, Path)),
    responses((status = 202), (status = 409, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub(crate) async fn replay_dead_letter(
    May(scope, _): May<doors::ReplayDeadLetters>,
    State(own): State<Own>,
    Path((consumer, event_id)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let inbox = own.letters.iter().find(|i| i.consumer() == consumer);
    let replayed = match inbox {
        Some(inbox) => inbox.replay(&scope, &event_id).await.map_err(Problem)?,
        None => false,
    };
    if !replayed {
        let text = "There is no such dead letter; it may have been replayed already.";
        return Err(Problem(ServiceError::new(ErrorCode::Conflict, text)));
    }
    tracing::info!(by = ?scope.principal(), consumer, event = event_id, "a dead letter is replayed");
    own.notices.tell(scope.tenant(), Topic::DeadLetters, None);
    Ok(StatusCode::ACCEPTED)
}
