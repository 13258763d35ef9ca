//! `/healthz`, `/readyz`, `/metrics`: for machines that watch.

use axum::extract::State;
use axum::routing::get;
use axum::{Extension, Router};
use hilum_contracts::access::Action;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::scope::TenantScope;
use hilum_platform::http::{Caller, Problem};
use hilum_platform::jobs::Backlog;
use hilum_platform::limits::DB_READY_WITHIN;
use http::StatusCode;

use super::Shared;

pub(crate) fn router() -> Router<Shared> {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
}

/// The process runs.
async fn healthz() -> &'static str {
    "ok\n"
}

/// The process can do its work now: its databases and the archive answer, and it is
/// not about to end.
/// Without the bus it still can: what it has to tell waits in its outboxes, so that
/// taking it out of service would only refuse images as well. Without the shared cache
/// it asks who knows.
async fn readyz(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    if shared.ends.stop.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    if shared.ends.leaving.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "leaving\n");
    }
    let asked = tokio::time::timeout(DB_READY_WITHIN, shared.databases.answers());
    if !asked.await.is_ok_and(|answer| answer.is_ok()) {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the database does not answer\n",
        );
    }
    if let Some(archive) = &shared.archive
        && let Err(error) = archive.answers().await
    {
        tracing::error!(%error, "not ready");
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the archive does not answer\n",
        );
    }
    if shared.bus.as_ref().is_some_and(|bus| !bus.is_connected()) {
        return (
            StatusCode::OK,
            "ready; the bus can't be reached: events wait\n",
        );
    }
    if shared.cache.as_ref().is_some_and(|cache| !cache.answers()) {
        return (
            StatusCode::OK,
            "ready; the shared cache can't be reached: answers are slower\n",
        );
    }
    (StatusCode::OK, "ready\n")
}

/// Figures without patient data, for this machine, and from elsewhere for who
/// may see whether the services work.
async fn metrics(
    caller: Caller,
    scope: Option<Extension<TenantScope>>,
    State(shared): State<Shared>,
) -> Result<String, Problem> {
    if !caller.address.is_loopback() {
        let scope = scope.ok_or_else(|| {
            let text = "Send an API key that may view-status as a bearer token.";
            ServiceError::new(ErrorCode::Unauthenticated, text)
        })?;
        scope.require(Action::ViewStatus)?;
    }
    // What does not answer has no figures, and alerts say that they are missing.
    for source in shared.jobs.iter() {
        if let Ok(of) = source.backlog().await {
            waiting("jobs", source.service(), of);
        }
    }
    for inbox in shared.inboxes.iter() {
        if let Ok(of) = inbox.backlog().await {
            waiting("events", inbox.consumer(), of);
        }
    }
    shared.metrics.run_upkeep();
    Ok(shared.metrics.render())
}

/// What waits for whom, at this moment.
fn waiting(what: &'static str, who: &'static str, of: Backlog) {
    let labels = [("what", what), ("for", who)];
    let figures = [
        ("hilum_waiting", of.waiting as f64),
        ("hilum_waiting_oldest_seconds", of.oldest as f64 / 1_000.0),
        ("hilum_given_up", of.dead as f64),
    ];
    for (name, figure) in figures {
        metrics::gauge!(name, &labels).set(figure);
    }
}
