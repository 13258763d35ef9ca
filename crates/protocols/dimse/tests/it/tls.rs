//! Associations over TLS, with dcmtk and with ourselves, certificates by openssl.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hilum_dimse::{AbortCause, Client, ClientConfig, ClientTls, EndReason, ServerConfig, Status};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig as Trust, RootCertStore, ServerConfig as Tls};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;

use crate::files::plain_series;
use crate::support::{
    Behaviour, PATIENCE, TestServer, chunks, failure, operation, proposal, run, text,
};

/// A server's and a device's certificate and key, each its own authority.
struct Certificates {
    folder: TempDir,
}

impl Certificates {
    async fn new() -> Self {
        let _already_there = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let this = Self { folder };
        for name in ["server", "device"] {
            let (certificate, key) = (this.path(name), this.key(name));
            let mut arguments = vec!["req", "-x509", "-newkey", "rsa:2048", "-noenc"];
            arguments.extend(["-days", "2", "-subj", "/CN=localhost"]);
            arguments.extend(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
            arguments.extend(["-addext", "basicConstraints=critical,CA:FALSE"]);
            arguments.extend(["-out", &certificate, "-keyout", &key]);
            let output = run("openssl", &arguments).await;
            assert!(output.status.success(), "{}", text(&output));
        }
        this
    }

    fn path(&self, name: &str) -> String {
        let path: PathBuf = self.folder.path().join(format!("{name}.pem"));
        path.to_str().unwrap().to_owned()
    }

    fn key(&self, name: &str) -> String {
        let path = self.folder.path().join(format!("{name}.key"));
        path.to_str().unwrap().to_owned()
    }

    fn der(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(Path::new(&self.path(name))).unwrap()
    }

    fn private(&self, name: &str) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(Path::new(&self.key(name))).unwrap()
    }

    fn roots(&self, name: &str) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.der(name)).unwrap();
        roots
    }

    /// Asks for the device's certificate, which may be left out.
    fn server(&self) -> ServerConfig {
        let verifier = WebPkiClientVerifier::builder(Arc::new(self.roots("device")))
            .allow_unauthenticated()
            .build()
            .unwrap();
        let tls = Tls::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![self.der("server")], self.private("server"))
            .unwrap();
        ServerConfig {
            tls: Some(watch::Sender::new(Arc::new(tls)).subscribe()),
            ..ServerConfig::default()
        }
    }

    fn client(&self, config: ClientConfig) -> ClientConfig {
        let trust = Trust::builder()
            .with_root_certificates(self.roots("server"))
            .with_client_auth_cert(vec![self.der("device")], self.private("device"))
            .unwrap();
        ClientConfig {
            tls: Some(ClientTls {
                config: Arc::new(trust),
                name: "localhost".try_into().unwrap(),
            }),
            ..config
        }
    }
}

#[tokio::test]
async fn storescu_sends_over_tls_with_a_certificate_and_without() {
    let certificates = Certificates::new().await;
    let server = TestServer::with(certificates.server(), Behaviour::default()).await;
    let (trusted, port) = (certificates.path("server"), server.port());
    let (key, shown) = (certificates.key("device"), certificates.path("device"));
    let files = plain_series();
    for (number, with) in [vec!["+tla"], vec!["+tls", &key, &shown]]
        .iter()
        .enumerate()
    {
        let mut arguments = with.clone();
        arguments.extend(["+cf", &trusted, "127.0.0.1", &port]);
        arguments.extend(files.iter().map(|file| file.to_str().unwrap()));
        let output = run("storescu", &arguments).await;
        assert!(output.status.success(), "{}", text(&output));
        let end = server.ended(number + 1).await;
        assert_eq!(end.reason, EndReason::Released);
        assert_eq!(end.counts.stored, files.len() as u64);
    }
    let shown = server.look(|log| log.certificates.clone());
    assert_eq!(shown, [None, Some(certificates.der("device").to_vec())]);
}

#[tokio::test]
async fn who_speaks_in_clear_or_says_nothing_gets_no_association() {
    let certificates = Certificates::new().await;
    let config = ServerConfig {
        artim: Duration::from_millis(500),
        ..certificates.server()
    };
    let server = TestServer::with(config, Behaviour::default()).await;
    let mut silent = tokio::net::TcpStream::connect(server.address)
        .await
        .unwrap();
    let in_clear = Client::connect(server.address, proposal()).await;
    assert!(in_clear.is_err());
    let closed = tokio::time::timeout(PATIENCE, silent.read(&mut [0; 1])).await;
    assert!(matches!(closed, Ok(Ok(0) | Err(_))), "{closed:?}");
    server
        .until("both are refused", |log| log.refused == 2)
        .await;
}

#[tokio::test]
async fn ours_sends_and_releases_over_tls() {
    let certificates = Certificates::new().await;
    let server = TestServer::with(certificates.server(), Behaviour::default()).await;
    let mut client = server.client(certificates.client(proposal())).await;
    assert!(client.c_echo().await.unwrap().status.is_accepted());
    let data: Vec<u8> = (0..6_000_000_u32).map(|n| n as u8).collect();
    let stored = client.c_store(&operation(1), chunks(&data, 100_000)).await;
    assert!(stored.unwrap().status.is_accepted());
    client.release().await.unwrap();
    let end = server.ended(1).await;
    assert_eq!((end.reason, end.counts.stored), (EndReason::Released, 1));
    assert!(server.look(|log| log.received[0].data == data));
    let stranger = ClientConfig {
        tls: Some(ClientTls {
            name: "another.example".try_into().unwrap(),
            ..certificates.client(proposal()).tls.unwrap()
        }),
        ..proposal()
    };
    assert!(Client::connect(server.address, stranger).await.is_err());
}

#[tokio::test]
async fn a_refused_data_set_and_a_stopping_server_end_well_over_tls() {
    let certificates = Certificates::new().await;
    let behaviour = Behaviour {
        fail_write: Some(failure(0xA700, "full")),
        ..Behaviour::default()
    };
    let server = TestServer::with(certificates.server(), behaviour).await;
    let mut client = server.client(certificates.client(proposal())).await;
    let data = vec![0; 1 << 20];
    let refused = client.c_store(&operation(1), chunks(&data, 65_536)).await;
    assert_eq!(refused.unwrap().status, Status::new(0xA700));
    server.shutdown.cancel();
    let end = server.ended(1).await;
    let stopped = EndReason::AbortedByUs(AbortCause::Shutdown);
    assert_eq!((end.reason, end.counts.failed), (stopped, 1));
    assert!(client.c_echo().await.is_err());
}
