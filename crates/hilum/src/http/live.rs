//! `GET /api/v1/events`: tells open pages that something changed.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _};
use hilum_platform::http::Scope;
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

use super::Shared;

/// A stream of server-sent events `changed` with `{"topic", "study_uid"}`; ask
/// again for what changed. `reload` means that some were missed.
#[utoipa::path(get, path = "/events", tag = "platform",
    responses((status = 200, content_type = "text/event-stream", body = String)))]
pub(crate) async fn live_updates(
    Scope(scope): Scope,
    State(shared): State<Shared>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stop = shared.stop.clone();
    let events = BroadcastStream::new(shared.notices.listen())
        .filter_map(move |notice| {
            let event = match notice {
                Ok(notice) if notice.tenant == *scope.tenant() => {
                    Event::default().event("changed").json_data(&notice).ok()
                }
                Ok(_) => None,
                Err(BroadcastStreamRecvError::Lagged(_)) => {
                    Some(Event::default().event("reload").data("{}"))
                }
            };
            std::future::ready(event.map(Ok))
        })
        .take_until(stop.cancelled_owned());
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))
}
