//! DICOMweb over a real socket, judged by dicomweb-client and pydicom, both
//! unmodified.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use hilum_archive::{Archive, ArchiveConfig, Limits, MasterKey};
use hilum_imaging::ImagingService;
use hilum_platform::auth;
use hilum_platform::clock;
use hilum_platform::config::Config;
use hilum_platform::notices::Notices;

fn python() -> PathBuf {
    let named = std::env::var_os("HILUM_TEST_PYTHON").map(PathBuf::from);
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let python = named.unwrap_or_else(|| root.join(".cache/venv/bin/python"));
    assert!(
        python.exists(),
        "Python packages for the tests are missing: run `make test-deps`"
    );
    python
}

/// Runs a script of this folder against a DICOMweb server of its own.
async fn judge(script: &str) {
    let dir = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = Config {
        http: address,
        data: dir.path().to_path_buf(),
        ..Config::default()
    };
    let tenant = config.tenants.first().unwrap().name.clone();
    let archive = Archive::open(ArchiveConfig {
        dir: dir.path().join("archive"),
        master_key: MasterKey::Given([7; 32].into()),
        clock: clock::system(),
        limits: Limits::default(),
    })
    .await
    .unwrap();
    let service = ImagingService::open(
        archive,
        Arc::new(config),
        clock::system(),
        Notices::default(),
    )
    .await
    .unwrap();
    let scope = auth::local_operator(&tenant);
    let admit = from_fn(move |mut request: Request, next: Next| {
        request.extensions_mut().insert(scope.clone());
        next.run(request)
    });
    let app = Router::new()
        .nest("/dicomweb", service.dicomweb())
        .layer(admit);
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let output = tokio::process::Command::new(python())
        .arg(folder.join(script))
        .arg(format!("http://{address}/dicomweb"))
        .output()
        .await
        .unwrap();
    server.abort();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{script} failed\n{}\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn dicomweb_client_stores_searches_and_retrieves() {
    judge("dicomweb_client_session.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_valid_file_of_pydicom_comes_back_with_the_same_data_set() {
    judge("stow_round_trip.py").await;
}
