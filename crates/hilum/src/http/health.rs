//! `/healthz`, `/readyz`, `/metrics`: for machines that watch.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
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

/// The process can do its work now: the archive answers, and it is not stopping.
async fn readyz(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    if shared.stop.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match shared.archive.answers().await {
        Ok(_) => (StatusCode::OK, "ready\n"),
        Err(error) => {
            tracing::error!(%error, "not ready");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the archive does not answer\n",
            )
        }
    }
}

async fn metrics(State(shared): State<Shared>) -> String {
    shared.metrics.run_upkeep();
    shared.metrics.render()
}
