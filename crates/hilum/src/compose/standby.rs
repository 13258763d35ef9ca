//! A process that would run Imaging while another one has the archive waits for it.
//! It says so where machines look, and listens at no door of ours: who reaches it
//! there would wait too.

use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::routing::get;
use hilum_archive::{Archive, ArchiveConfig};
use hilum_platform::http_server::{self, Bounds};
use hilum_platform::tls::Certificate;
use http::StatusCode;
use tokio_util::sync::CancellationToken;

use super::listen;

/// How often it is asked whether the other one still has it.
const ASKED_EVERY: Duration = Duration::from_millis(500);

/// Returns as soon as no other process has the archive.
///
/// # Errors
/// When the database does not answer, or the address of HTTP is in use.
pub(super) async fn until_it_is_free(
    archive: &ArchiveConfig,
    http: std::net::SocketAddr,
    certificate: Option<&Certificate>,
) -> anyhow::Result<()> {
    let is_taken = async || {
        Archive::is_had_elsewhere(archive)
            .await
            .context("nobody says whether another process has the archive")
    };
    if !is_taken().await? {
        return Ok(());
    }
    tracing::info!(
        "another process has the archive: this one stands by, and takes over when it ends"
    );
    let stop = CancellationToken::new();
    let serving = tokio::spawn(http_server::serve(
        listen(http, "HTTP").await?,
        doors(),
        certificate.map(Certificate::http),
        Bounds::default(),
        stop.clone(),
    ));
    loop {
        tokio::time::sleep(ASKED_EVERY).await;
        match is_taken().await {
            Ok(true) => {}
            Ok(false) => break,
            // Nobody can take it while the database is away.
            Err(error) => tracing::warn!(error = format!("{error:#}"), "standing by"),
        }
    }
    stop.cancel();
    serving.await?;
    tracing::info!("the archive is free: taking it");
    Ok(())
}

fn doors() -> Router {
    let not_ready = async || (StatusCode::SERVICE_UNAVAILABLE, "standing by\n");
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(not_ready))
}
