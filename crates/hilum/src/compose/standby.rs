//! A process that would run Imaging while another one has the archive waits for it, and
//! says so where machines look. When the other one leaves, this one takes connections
//! and has them wait until the archive is its own: nobody is refused meanwhile.

use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use hilum_archive::{Archive, ArchiveConfig, Elsewhere};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::config::Config;
use hilum_platform::connections::Connections;
use hilum_platform::http::Problem;
use hilum_platform::http_server::{self, Bounds, Ends};
use hilum_platform::tls::{Certificate, Feed};
use http::StatusCode;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::{Door, Listeners, listen};

/// How often it is asked whether the other one still has it.
const ASKED_EVERY: Duration = Duration::from_millis(500);

/// How long it takes at most until who stands by has noticed that the other one leaves,
/// and whoever leads clients has noticed that it is ready.
pub(super) const NOTICED_WITHIN: Duration = Duration::from_secs(3);

/// What stands behind the door of HTTP.
#[derive(Clone)]
enum Behind {
    /// Nobody: another process answers.
    Nobody,
    /// Somebody soon: who comes waits.
    Soon,
    Doors(Router),
}

/// A door that is served before there is somebody behind it.
pub(super) struct Late(watch::Sender<Behind>);

impl Late {
    fn new(
        behind: Behind,
        listener: TcpListener,
        (tls, bounds): (Option<Feed>, Bounds),
        (ends, tasks): (&Ends, &TaskTracker),
    ) -> Self {
        let (sender, behind) = watch::channel(behind);
        let router = Router::new().fallback(answer).with_state(behind);
        tasks.spawn(http_server::serve(
            listener,
            router,
            tls,
            bounds,
            ends.clone(),
        ));
        Self(sender)
    }

    /// Answers who waits, and whoever comes, by these.
    pub(super) fn serve(&self, doors: Router) {
        self.0.send_replace(Behind::Doors(doors));
    }
}

/// Returns as soon as no other process has the archive; `None` when none had it.
/// Its doors are served by `on` from then on.
///
/// # Errors
/// When the database does not answer, the address of a door is in use, or a third process
/// has taken it.
pub(super) async fn until_it_is_free(
    archive: &ArchiveConfig,
    config: &mut Config,
    certificate: Option<&Certificate>,
    on: (&Ends, &TaskTracker),
) -> anyhow::Result<Option<(Late, Listeners)>> {
    let elsewhere = async || {
        Archive::elsewhere(archive)
            .await
            .context("nobody says whether another process has the archive")
    };
    if elsewhere().await? == Elsewhere::Nobody {
        return Ok(None);
    }
    tracing::info!(
        "another process has the archive: this one stands by, and takes over when it ends"
    );
    let listener = listen(config.http, "HTTP").await?;
    config.http = listener.local_addr()?;
    let over = (
        certificate.map(Certificate::http),
        Bounds::of(Connections::here()),
    );
    let http = Late::new(Behind::Nobody, listener, over, on);
    let mut listeners = None;
    loop {
        match (elsewhere().await, &listeners) {
            (Ok(Elsewhere::Nobody), _) => break,
            (Ok(Elsewhere::Leaving), None) => {
                listeners = Some(beside_http(config, on).await?);
                http.0.send_replace(Behind::Soon);
                tracing::info!("the other process leaves: who comes waits here");
            }
            (Ok(Elsewhere::Had), Some(_)) => {
                anyhow::bail!("a third process has taken the archive: start again to stand by")
            }
            (Ok(Elsewhere::Had | Elsewhere::Leaving), _) => {}
            // Nobody can take it while the database is away.
            (Err(error), _) => tracing::warn!(error = format!("{error:#}"), "standing by"),
        }
        tokio::time::sleep(ASKED_EVERY).await;
    }
    tracing::info!("the archive is free: taking it");
    http.0.send_replace(Behind::Soon);
    let listeners = match listeners {
        Some(listeners) => listeners,
        None => beside_http(config, on).await?,
    };
    Ok(Some((http, listeners)))
}

/// Neighbours wait for an answer; devices wait where they are until somebody accepts them.
async fn beside_http(config: &mut Config, on: (&Ends, &TaskTracker)) -> anyhow::Result<Listeners> {
    let mut listeners = Listeners::beside_http(config).await?;
    listeners.neighbours = listeners.neighbours.map(|(door, certificate)| {
        let over = (Some(certificate.neighbours()), Bounds::of_neighbours());
        let door = match door {
            Door::Listening(listener) => Door::Served(Late::new(Behind::Soon, listener, over, on)),
            served @ Door::Served(_) => served,
        };
        (door, certificate)
    });
    Ok(listeners)
}

async fn answer(State(mut behind): State<watch::Receiver<Behind>>, request: Request) -> Response {
    let now = behind.borrow().clone();
    let doors = match (now, request.uri().path()) {
        (Behind::Doors(doors), _) => doors,
        (_, "/healthz") => return "ok\n".into_response(),
        (Behind::Nobody, "/readyz") => {
            return (StatusCode::SERVICE_UNAVAILABLE, "standing by\n").into_response();
        }
        (Behind::Soon, "/readyz") => return "taking over: requests wait\n".into_response(),
        (Behind::Nobody, _) => return nobody(),
        // Who passed something on looks whether anybody is here.
        (Behind::Soon, path) if path.starts_with("/ask/") && path.ends_with("/ready") => {
            return nobody();
        }
        (Behind::Soon, _) => {
            let come = behind
                .wait_for(|behind| matches!(behind, Behind::Doors(_)))
                .await;
            match come.as_deref() {
                Ok(Behind::Doors(doors)) => doors.clone(),
                _ => return nobody(),
            }
        }
    };
    let Ok(answer) = doors.oneshot(request).await;
    answer
}

fn nobody() -> Response {
    let text = "This process stands by.";
    Problem(ServiceError::new(ErrorCode::Unavailable, text)).into_response()
}
