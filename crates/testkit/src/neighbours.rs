//! A service as its neighbours ask it: served over mutual TLS on loopback.

use std::path::PathBuf;

use axum::Router;
use hilum_contracts::service::ServiceName;
use hilum_platform::http_client::HttpClient;
use hilum_platform::http_server::{Bounds, serve};
use hilum_platform::remote::{Answering, Neighbour};
use hilum_platform::tls::{Certificate, install_provider};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::authority::Authority;

/// What a service answers, at a door for neighbours, until it is dropped.
pub struct Asked {
    /// The way to it.
    pub neighbour: Neighbour,
    folder: TempDir,
    _stop: DropGuard,
}

impl Asked {
    /// Serves what `answering` answers for `service`.
    pub async fn new(service: ServiceName, answering: Answering) -> Self {
        Self::with(service, answering.into_router()).await
    }

    /// The authority of its certificate.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Serves these addresses.
    pub async fn with(service: ServiceName, router: Router) -> Self {
        install_provider();
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new(folder.path());
        let (asked, asks) = (
            authority.vouches_for("asked"),
            authority.vouches_for("asks"),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = format!("https://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let tls = Certificate::open(&asked).unwrap().neighbours();
        tokio::spawn(serve(
            listener,
            router,
            Some(tls),
            Bounds::of_neighbours(),
            stop.clone(),
        ));
        let client = HttpClient::new(Some(&authority.certificate()), Some(&asks)).unwrap();
        Self {
            neighbour: Neighbour::new(service, at.parse().unwrap(), client),
            folder,
            _stop: stop.drop_guard(),
        }
    }
}
