//! `GET /api/v1/events`: tells open pages that something changed. How many
//! pages may listen is bounded: each holds a connection for as long as it is open.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _};
use hilum_contracts::access::doors;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::identity::Identity;
use hilum_contracts::scope::TenantScope;
use hilum_contracts::service::ServiceName;
use hilum_platform::connections::Connections;
use hilum_platform::http::{May, Problem, ProblemBody};
use hilum_platform::limits::{LIVE_CHECK, LIVE_CHECKS_A_SECOND, LIVE_PAUSE, LIVE_TURN};
use hilum_platform::notices::{Notice, Notices, Topic};
use hilum_platform::remote::elsewhere::{Answers, Shards};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Shared;

/// The places for open pages, and what they listen to.
#[derive(Clone)]
pub(super) struct Live {
    notices: Notices,
    places: Arc<Semaphore>,
    most: usize,
    /// From when on nobody has been promised a turn.
    next_turn: Arc<Mutex<Instant>>,
}

impl Live {
    pub(super) fn new(notices: Notices) -> Self {
        Self::with_places(notices, Connections::here().live)
    }

    fn with_places(notices: Notices, most: usize) -> Self {
        let places = Arc::new(Semaphore::new(most));
        Self {
            notices,
            places,
            most,
            next_turn: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// When a page may hear of a change: at once, unless others hear of one.
    fn turn(&self) -> Instant {
        let mut next = self
            .next_turn
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let turn = next.max(Instant::now());
        *next = turn + LIVE_TURN;
        turn
    }

    /// A place for one page. It is given back when its stream is dropped, which the
    /// server does when the page goes away.
    fn enter(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            tracing::warn!(limit = self.most, "a page gets no live updates");
            ServiceError::new(
                ErrorCode::Unavailable,
                "As many pages as can be served have live updates already; try again later.",
            )
        })
    }

    /// How long a page waits until it asks again whether it may go on. No two of them
    /// go on asking at the same moment.
    fn until_asked(&self) -> Duration {
        let open = self.most.saturating_sub(self.places.available_permits());
        let seconds = LIVE_CHECK
            .as_secs_f64()
            .max(of(open) / of(LIVE_CHECKS_A_SECOND));
        Duration::from_secs_f64(seconds * (0.8 + 0.4 * fastrand::f64()))
    }
}

fn of(many: usize) -> f64 {
    u32::try_from(many).unwrap_or(u32::MAX).into()
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
    let page = Page {
        place: shared.live.enter()?,
        changes: shared.live.notices.listen_to(scope.tenant()),
        identity: shared.identity,
        shards: shared.shards,
        asks_at: Instant::now() + shared.live.until_asked(),
        rests_until: Instant::now(),
        live: shared.live,
        scope,
    };
    let told = futures::stream::unfold(page, async |mut page| {
        let events = page.next().await?;
        Some((futures::stream::iter(events.into_iter().map(Ok)), page))
    });
    let events = told
        .flatten()
        .take_until(shared.ends.stop.clone().cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

/// A page that is open, and whoever has it open.
struct Page {
    live: Live,
    /// Held as long as the page is open.
    #[expect(dead_code, reason = "dropping it is what it is for")]
    place: OwnedSemaphorePermit,
    changes: Receiver<Notice>,
    identity: Arc<dyn Identity>,
    shards: Shards,
    scope: TenantScope,
    /// When it is asked whether they would still be let in: their session or key, role
    /// or emergency access may have ended.
    asks_at: Instant,
    /// Before that it hears of nothing: intake changes things hundreds of times a second.
    rests_until: Instant,
}

impl Page {
    /// What it is told next; `None` when whoever listens would not be let in any more,
    /// or nobody tells.
    async fn next(&mut self) -> Option<Vec<Event>> {
        tokio::time::sleep_until(self.rests_until).await;
        let told = tokio::select! {
            first = self.changes.recv() => {
                tokio::time::sleep_until(self.live.turn()).await;
                gathered(first, &mut self.changes)?
            }
            () = tokio::time::sleep_until(self.asks_at) => Told::default(),
        };
        if told.is_about_access() || self.asks_at <= Instant::now() {
            // Nothing of a tenant that has moved happens here. The page comes back, and is
            // led to where it is.
            let answers = self.shards.of(self.scope.tenant(), ServiceName::Imaging);
            if !matches!(answers, Answers::Here) {
                return None;
            }
            // Who can't be asked for gets nothing either.
            if !self.identity.is_still(&self.scope).await.unwrap_or(false) {
                return None;
            }
            self.asks_at = Instant::now() + self.live.until_asked();
        }
        if told != Told::default() {
            self.rests_until = Instant::now() + LIVE_PAUSE;
        }
        Some(told.events())
    }
}

/// What changed, each thing once.
#[derive(Default, PartialEq)]
struct Told {
    changes: HashSet<Notice>,
    /// Some was missed.
    missed: bool,
}

impl Told {
    fn is_about_access(&self) -> bool {
        let is_about_access = |change: &Notice| change.topic == Topic::Administration;
        self.missed || self.changes.iter().any(is_about_access)
    }

    fn events(self) -> Vec<Event> {
        if self.missed {
            return vec![Event::default().event("reload").data("{}")];
        }
        let event = |change| Event::default().event("changed").json_data(&change).ok();
        self.changes.into_iter().filter_map(event).collect()
    }
}

/// The `first` of what changed, and what waits behind it; `None` when nobody tells.
fn gathered(first: Result<Notice, RecvError>, rest: &mut Receiver<Notice>) -> Option<Told> {
    let (mut told, mut next) = (Told::default(), first);
    loop {
        match next {
            Ok(change) => _ = told.changes.insert(change),
            Err(RecvError::Lagged(_)) => told.missed = true,
            Err(RecvError::Closed) => return None,
        }
        next = match rest.try_recv() {
            Ok(change) => Ok(change),
            Err(TryRecvError::Lagged(many)) => Err(RecvError::Lagged(many)),
            Err(TryRecvError::Empty | TryRecvError::Closed) => return Some(told),
        };
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use hilum_contracts::ids::TenantId;
    use http::{StatusCode, header};

    use super::*;

    #[test]
    fn a_page_too_many_is_asked_to_come_back_and_finds_the_place_that_another_left() {
        let live = Live::with_places(Notices::default(), 1);
        let first = live.enter().unwrap();

        let Err(refused) = live.enter() else {
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
        assert!(live.enter().is_ok());
    }

    #[test]
    fn what_changes_a_hundred_times_is_told_once_and_what_was_missed_as_one_reload() {
        let notices = Notices::default();
        let tenant = TenantId::new("default").unwrap();
        let mut changes = notices.listen_to(&tenant);
        let mut told = |times| {
            for _ in 0..times {
                notices.tell(&tenant, Topic::Studies, Some("1.2"));
                notices.tell(&tenant, Topic::Runs, Some("1.2"));
            }
            let first = changes.try_recv().map_err(|error| match error {
                TryRecvError::Lagged(many) => RecvError::Lagged(many),
                TryRecvError::Empty | TryRecvError::Closed => RecvError::Closed,
            });
            gathered(first, &mut changes).unwrap()
        };
        let few = told(100);
        assert!(!few.is_about_access());
        assert_eq!(few.events().len(), 2);
        let too_many = told(200);
        assert!(
            too_many.is_about_access(),
            "whoever missed it has to be asked for"
        );
        assert_eq!(too_many.events().len(), 1);
    }

    #[test]
    fn pages_hear_of_a_change_one_after_the_other_and_one_alone_at_once() {
        let live = Live::with_places(Notices::default(), 10);
        let first = live.turn();
        assert!(first <= Instant::now());
        let turns: Vec<_> = (0..250).map(|_| live.turn()).collect();
        let last = *turns.last().unwrap();
        assert!(last >= first + LIVE_TURN * 250, "{:?}", last - first);
        assert!(turns.windows(2).all(|two| two[1] - two[0] >= LIVE_TURN));
    }

    #[test]
    fn ten_thousand_pages_ask_no_more_often_than_a_thousand_do() {
        let live = Live::with_places(Notices::default(), 10_000);
        let seconds = |open| {
            let _places: Vec<_> = (0..open).map(|_| live.enter().unwrap()).collect();
            live.until_asked().as_secs_f64()
        };
        assert!((4.0..=6.0).contains(&seconds(1)));
        assert!((4.0..=6.0).contains(&seconds(1_000)));
        assert!((40.0..=60.0).contains(&seconds(10_000)));
    }
}
