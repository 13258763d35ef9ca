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
use hilum_platform::http::Problem;
use hilum_platform::http_server::{self, Bounds, Ends};
use hilum_platform::tls::Certificate;
use http::StatusCode;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::{Listeners, listen};

/// How often it is asked whether the other one still has it.
pub(super) const ASKED_EVERY: Duration = Duration::from_millis(500);

/// What stands behind the door of HTTP.
#[derive(Clone)]
enum Behind {
    /// Nobody: another process answers.
    Nobody,
    /// Somebody soon: who comes waits.
    Soon,
    Doors(Router),
}

/// The door of HTTP of a process that stood by: it is served already.
pub(super) struct StoodBy(watch::Sender<Behind>);

impl StoodBy {
    /// Answers who waits, and whoever comes, by these.
    pub(super) fn serve(&self, doors: Router) {
        self.0.send_replace(Behind::Doors(doors));
    }
}

/// Returns as soon as no other process has the archive; `None` when none had it.
/// HTTP is served on `tasks` from then on.
///
/// # Errors
/// When the database does not answer, or the address of a door is in use.
pub(super) async fn until_it_is_free(
    archive: &ArchiveConfig,
    config: &mut Config,
    certificate: Option<&Certificate>,
    (ends, tasks): (&Ends, &TaskTracker),
) -> anyhow::Result<Option<(StoodBy, Listeners)>> {
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
    let (http, behind) = watch::channel(Behind::Nobody);
    tasks.spawn(http_server::serve(
        listener,
        Router::new().fallback(answer).with_state(behind),
        certificate.map(Certificate::http),
        Bounds::default(),
        ends.clone(),
    ));
    let mut listeners = None;
    loop {
        match elsewhere().await {
            Ok(Elsewhere::Nobody) => break,
            Ok(Elsewhere::Had) => {
                http.send_replace(Behind::Nobody);
                listeners = None;
            }
            // Connections wait where they are until somebody accepts them.
            Ok(Elsewhere::Leaving) if listeners.is_none() => {
                listeners = Some(Listeners::beside_http(config).await?);
                http.send_replace(Behind::Soon);
                tracing::info!("the other process leaves: who comes waits here");
            }
            Ok(Elsewhere::Leaving) => {}
            // Nobody can take it while the database is away.
            Err(error) => tracing::warn!(error = format!("{error:#}"), "standing by"),
        }
        tokio::time::sleep(ASKED_EVERY).await;
    }
    tracing::info!("the archive is free: taking it");
    http.send_replace(Behind::Soon);
    let listeners = match listeners {
        Some(listeners) => listeners,
        None => Listeners::beside_http(config).await?,
    };
    Ok(Some((StoodBy(http), listeners)))
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
    let text = "This process stands by: another one answers.";
    Problem(ServiceError::new(ErrorCode::Unavailable, text)).into_response()
}
