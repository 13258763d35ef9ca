//! `GET /api/v1/dead-letters`: what one service told and another could not take.

use axum::Json;
use axum::extract::State;
use hilum_contracts::access::doors;
use hilum_platform::clock::from_millis;
use hilum_platform::http::{May, Problem, ProblemBody};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::Own;

#[derive(Serialize, ToSchema)]
pub(crate) struct DeadLetterList {
    items: Vec<DeadLetterItem>,
    /// Consumers that did not answer, whose dead letters are not listed.
    silent: Vec<&'static str>,
}

#[derive(Serialize, ToSchema)]
struct DeadLetterItem {
    /// The service and its part that could not take the event.
    consumer: String,
    event_id: String,
    /// What happened: the event's type, with its version.
    kind: String,
    attempts: i64,
    /// What went wrong last.
    reason: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    received_at: OffsetDateTime,
}

/// Events that a service could not take and does not try any more, the newest
/// of each service first. What failed of a run or a delivery stands with it.
#[utoipa::path(get, path = "/dead-letters",
    extensions(("x-hilum-action" = json!("view-dead-letters"))), tag = "platform",
    responses((status = 200, body = DeadLetterList), (status = 503, body = ProblemBody)))]
pub(crate) async fn list_dead_letters(
    May(scope, _): May<doors::ViewDeadLetters>,
    State(own): State<Own>,
) -> Result<Json<DeadLetterList>, Problem> {
    let mut items = Vec::new();
    let mut silent = Vec::new();
    for inbox in own.letters.iter() {
        let Ok(letters) = inbox.dead_letters(&scope).await else {
            silent.push(inbox.consumer());
            continue;
        };
        items.extend(letters.into_iter().map(|letter| DeadLetterItem {
            consumer: letter.consumer,
            event_id: letter.event_id,
            kind: letter.kind,
            attempts: letter.attempts,
            reason: letter.last_error,
            received_at: from_millis(letter.received_at),
        }));
    }
    Ok(Json(DeadLetterList { items, silent }))
}
