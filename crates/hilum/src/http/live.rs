//! `GET /api/v1/events`: tells open pages that something changed. How many
//! pages may listen is bounded: each holds a connection for as long as it is open.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _};
use hilum_contracts::access::doors;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::identity::Identity;
use hilum_contracts::ids::TenantId;
use hilum_contracts::scope::TenantScope;
use hilum_platform::http::{May, Problem, ProblemBody};
use hilum_platform::limits::{LIVE_CHECK, LIVE_CONNECTIONS};
use hilum_platform::notices::{Notice, Notices, Topic};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, broadcast};
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;

use super::Shared;

/// The places for open pages, and what they listen to.
#[derive(Clone)]
pub(super) struct Live {
    notices: Notices,
    places: Arc<Semaphore>,
}

impl Live {
    pub(super) fn new(notices: Notices) -> Self {
        Self::with_places(notices, LIVE_CONNECTIONS)
    }

    fn with_places(notices: Notices, places: usize) -> Self {
        Self {
            notices,
            places: Arc::new(Semaphore::new(places)),
        }
    }

    /// What changes for `tenant` from now on. The place is given back when the
    /// stream is dropped, which the server does when the page goes away.
    fn listen(
        &self,
        tenant: TenantId,
    ) -> Result<impl Stream<Item = Result<Event, Infallible>> + use<>, ServiceError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            tracing::warn!(limit = LIVE_CONNECTIONS, "a page gets no live updates");
            ServiceError::new(
                ErrorCode::Unavailable,
                "As many pages as can be served have live updates already; try again later.",
            )
        })?;
        let events = BroadcastStream::new(self.notices.listen()).filter_map(move |notice| {
            let _held = &place;
            let event = match notice {
                Ok(notice) if notice.tenant == tenant => {
                    Event::default().event("changed").json_data(&notice).ok()
                }
                Ok(_) => None,
                Err(BroadcastStreamRecvError::Lagged(_)) => {
                    Some(Event::default().event("reload").data("{}"))
                }
            };
            std::future::ready(event.map(Ok))
        });
        Ok(events)
    }
}

/// A stream of server-sent events `changed` with `{"topic", "study_uid"}`; ask
/// again for what changed. `reload` means that some were missed.
#[utoipa::path(get, path = "/events",
    extensions(("x-hilum-action" = json!("view-live"))), tag = "platform",
    responses((status = 200, content_type = "text/event-stream", body = String),
        (status = 503, body = ProblemBody)))]
pub(crate) async fn live_updates(
    May(scope, _): May<doors::ViewLive>,
    State(shared): State<Shared>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let changes = shared.notices.listen();
    let events = shared
        .live
        .listen(scope.tenant().clone())?
        .take_until(no_longer(Arc::clone(&shared.identity), scope, changes))
        .take_until(shared.ends.stop.clone().cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

/// Ends when whoever listens would not be let in any more to the same: when
/// their session or key ends, and when their role or emergency access does. At
/// once when this process ended it, and after seconds in any case.
async fn no_longer(
    identity: Arc<dyn Identity>,
    scope: TenantScope,
    mut changes: broadcast::Receiver<Notice>,
) {
    loop {
        let administration = async {
            loop {
                match changes.recv().await {
                    Ok(notice)
                        if notice.topic != Topic::Administration
                            || notice.tenant != *scope.tenant() => {}
                    // Some were missed, or nobody tells any more.
                    Ok(_) | Err(RecvError::Lagged(_)) => return,
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            () = administration => {}
            () = tokio::time::sleep(LIVE_CHECK) => {}
        }
        // Who can't be asked for gets nothing either; the page comes back.
        if !identity.is_still(&scope).await.unwrap_or(false) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use http::{StatusCode, header};

    use super::*;

    #[test]
    fn a_page_too_many_is_asked_to_come_back_and_finds_the_place_that_another_left() {
        let live = Live::with_places(Notices::default(), 1);
        let tenant = || TenantId::new("default").unwrap();
        let first = live.listen(tenant()).unwrap();

        let Err(refused) = live.listen(tenant()) else {
            panic!("a second page got the only place");
        };
        let answer = Problem(refused).into_response();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key(header::RETRY_AFTER));
        assert_eq!(
            answer.headers()[header::CONTENT_TYPE],
            "application/problem+json"
        );

        drop(first);
        assert!(live.listen(tenant()).is_ok());
    }
}
