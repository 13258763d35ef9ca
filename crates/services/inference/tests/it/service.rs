//! The service from a ready input set to published results, with an Imaging
//! that holds the sample and keeps what is published.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use hilum_contracts::Event;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::{CorrelationId, InputSetId, TenantId};
use hilum_contracts::imaging::{
    DataSetStream, Imaging, InputSetReady, InstanceRef, Published, ReadyReason, ResultSet,
};
use hilum_contracts::scope::TenantScope;
use hilum_inference::pipeline::Software;
use hilum_inference::worker::SupervisorConfig;
use hilum_inference::{InferenceService, Options};
use hilum_platform::auth;
use hilum_platform::clock;
use hilum_platform::events::OutboxSource;
use hilum_platform::flags::{self, Flags};
use hilum_platform::notices::Notices;
use serde_json::Value;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::models::root;
use crate::worker::{config, sample, worker_program};

#[derive(Default)]
struct FakeImaging {
    instances: Vec<(InstanceRef, Bytes)>,
    published: Mutex<HashMap<String, Vec<InstanceRef>>>,
    attempts: Mutex<usize>,
    superseded: Mutex<Vec<InputSetId>>,
}

impl FakeImaging {
    fn new() -> Arc<Self> {
        let instances = sample()
            .into_iter()
            .enumerate()
            .map(|(n, (transfer_syntax_uid, bytes))| {
                let reference = InstanceRef {
                    sop_class_uid: "1.2.840.10008.5.1.4.1.1.4".into(),
                    sop_instance_uid: n.to_string(),
                    series_uid: "1.2".into(),
                    transfer_syntax_uid,
                    length: bytes.len() as u64,
                };
                (reference, bytes)
            })
            .collect();
        Arc::new(Self {
            instances,
            ..Self::default()
        })
    }

    fn published(&self) -> HashMap<String, Vec<InstanceRef>> {
        self.published.lock().unwrap().clone()
    }
}

#[async_trait]
impl Imaging for FakeImaging {
    async fn input_set(
        &self,
        _: &TenantScope,
        set: InputSetId,
    ) -> Result<Vec<InstanceRef>, ServiceError> {
        if self.superseded.lock().unwrap().contains(&set) {
            return Err(ServiceError::new(ErrorCode::Conflict, "Superseded."));
        }
        Ok(self.instances.iter().map(|i| i.0.clone()).collect())
    }

    async fn data_set(&self, _: &TenantScope, uid: &str) -> Result<DataSetStream, ServiceError> {
        let found = self.instances.iter().find(|i| i.0.sop_instance_uid == uid);
        let bytes = found
            .ok_or_else(|| ServiceError::not_found("No such instance."))?
            .1
            .clone();
        let middle = bytes.len() / 2;
        let pieces = [bytes.slice(..middle), bytes.slice(middle..)];
        Ok(futures::stream::iter(pieces.map(Ok)).boxed())
    }

    async fn instances(
        &self,
        _: &TenantScope,
        _: &[String],
    ) -> Result<Vec<InstanceRef>, ServiceError> {
        Ok(Vec::new())
    }

    async fn publish_results(
        &self,
        _: &TenantScope,
        results: ResultSet,
    ) -> Result<Published, ServiceError> {
        *self.attempts.lock().unwrap() += 1;
        let mut published = self.published.lock().unwrap();
        if let Some(before) = published.get(&results.key) {
            return Ok(Published::Before(before.clone()));
        }
        let read = |r: &hilum_contracts::imaging::ResultInstance| {
            let object = dicom_object::InMemDicomObject::read_dataset_with_ts(
                r.data_set.as_ref(),
                &dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN.erased(),
            )
            .expect("a data set");
            let text = |name| {
                object
                    .element_by_name(name)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .into_owned()
            };
            InstanceRef {
                sop_class_uid: text("SOPClassUID"),
                sop_instance_uid: text("SOPInstanceUID"),
                series_uid: text("SeriesInstanceUID"),
                transfer_syntax_uid: "1.2.840.10008.1.2.1".into(),
                length: r.data_set.len() as u64,
            }
        };
        let instances: Vec<_> = results.instances.iter().map(read).collect();
        published.insert(results.key, instances.clone());
        Ok(Published::Now(instances))
    }
}

struct Running {
    service: InferenceService,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Running {
    async fn start(
        dir: &Path,
        models: &Path,
        supervisor: SupervisorConfig,
        imaging: &Arc<FakeImaging>,
    ) -> Self {
        Self::start_with(dir, models, supervisor, imaging, None).await
    }

    async fn start_with(
        dir: &Path,
        models: &Path,
        supervisor: SupervisorConfig,
        imaging: &Arc<FakeImaging>,
        flags: Option<&Path>,
    ) -> Self {
        let options = Options {
            models: models.to_path_buf(),
            supervisor,
            software: Software {
                version: "0".into(),
                installation: "test".into(),
            },
            flags: Flags::open(flags).await.unwrap(),
        };
        let keyring = hilum_testkit::keyring();
        let notices = Notices::default();
        let service = InferenceService::open(dir, clock::system(), notices, keyring, options)
            .await
            .expect("it opens");
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let imaging: Arc<dyn Imaging> = Arc::clone(imaging) as _;
        service.start_workers(&tasks, &stop, &imaging);
        tasks.spawn(service.inbox().run(stop.clone()));
        Self {
            service,
            stop,
            tasks,
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn tell(&self, input_set: InputSetId, revision: u32, modality: &str) {
        let ready = InputSetReady {
            input_set,
            revision,
            supersedes: None,
            study_uid: "1.1".into(),
            series_uid: "1.2".into(),
            modality: modality.into(),
            instance_count: 20,
            digest: format!("digest-{revision}"),
            reason: ReadyReason::AssociationReleased,
            reason_text: "Released.".into(),
            last_instance_at: OffsetDateTime::UNIX_EPOCH,
        };
        let event = Event::new(
            tenant(),
            CorrelationId::new(),
            OffsetDateTime::UNIX_EPOCH,
            "1.2",
            u64::from(revision),
            &ready,
        )
        .unwrap();
        self.service
            .inbox()
            .receive(&[(i64::from(revision), event)])
            .await
            .unwrap();
    }

    async fn call(&self, method: &str, path: &str) -> (u16, Value) {
        let (router, _) = self.service.router().split_for_parts();
        let mut request = http::Request::builder()
            .method(method)
            .uri(path)
            .body(axum::body::Body::empty())
            .unwrap();
        request
            .extensions_mut()
            .insert(auth::local_operator(&tenant()));
        let response = router.oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// Waits until the newest run is in one of these states.
    async fn wait(&self, states: &[&str]) -> Value {
        let start = Instant::now();
        loop {
            let (_, list) = self.call("GET", "/runs?study_uid=1.1").await;
            let run = list["items"][0].clone();
            if states.contains(&run["state"].as_str().unwrap_or_default()) {
                return run;
            }
            assert!(start.elapsed() < Duration::from_secs(90), "{list:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn tenant() -> TenantId {
    TenantId::new("default").unwrap()
}

/// A models directory that holds the small model alone.
fn small_model(dir: &Path) -> std::path::PathBuf {
    let models = dir.join("models");
    let folder = models.join("brain-mask-small");
    std::fs::create_dir_all(&folder).unwrap();
    for file in std::fs::read_dir(root().join("models/brain-mask-small"))
        .unwrap()
        .flatten()
    {
        std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    // It is there for tests, so it does not start by itself.
    let manifest = folder.join("hilum-model.toml");
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("automatic = false", "")).unwrap();
    models
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_input_set_becomes_one_published_result_and_late_images_supersede_it() {
    let dir = tempfile::tempdir().unwrap();
    let models = small_model(dir.path());
    let imaging = FakeImaging::new();
    let running =
        Running::start(dir.path(), &models, config(worker_program(), &[]), &imaging).await;
    let (_, list) = running.call("GET", "/models").await;
    assert_eq!(list["items"][0]["state"], "ready");

    running.tell(InputSetId::new(), 1, "CT").await;
    running.tell(InputSetId::new(), 2, "MR").await;
    let run = running.wait(&["succeeded", "refused", "failed"]).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    assert!((run["measurements"][0]["value"].as_f64().unwrap() - 1169.1).abs() < 1.0);
    assert_eq!(run["measurements"][0]["unit"], "cm3");
    assert_eq!(run["warnings"].as_array().unwrap().len(), 2);
    assert_eq!(run["result_instances"][0]["kind"], "SEG");
    assert_eq!(run["result_instances"][1]["kind"], "SR");
    assert_eq!(run["not_for_clinical_use"], true);
    assert_eq!(imaging.published().len(), 1);
    assert_eq!(running.service.outbox().unsent(10).await.unwrap().len(), 1);

    running.tell(InputSetId::new(), 3, "MR").await;
    let another = async {
        loop {
            let newer = running.wait(&["succeeded", "refused", "failed"]).await;
            if newer["id"] != run["id"] {
                return newer;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let newer = tokio::time::timeout(Duration::from_secs(60), another)
        .await
        .expect("the late images have a run of their own");
    assert_eq!(
        (newer["state"].as_str(), newer["input_revision"].as_i64()),
        (Some("succeeded"), Some(3)),
        "{newer:#}"
    );
    assert_eq!(newer["result_instances"][2]["kind"], "KO");
    let (_, list) = running
        .call("GET", "/runs?study_uid=1.1&state=superseded")
        .await;
    assert_eq!(list["items"][0]["id"], run["id"]);
    let (status, _) = running
        .call(
            "POST",
            &format!("/runs/{}/retry", newer["id"].as_str().unwrap()),
        )
        .await;
    assert_eq!(status, 409);
    assert_eq!(running.call("GET", "/runs?limit=0").await.0, 400);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cut_short_again_and_again_leaves_one_result_set() {
    let dir = tempfile::tempdir().unwrap();
    let models = small_model(dir.path());
    let imaging = FakeImaging::new();
    let set = InputSetId::new();
    for (round, pause) in [30u64, 250, 700, 1200, 1900].into_iter().enumerate() {
        let running =
            Running::start(dir.path(), &models, config(worker_program(), &[]), &imaging).await;
        if round == 0 {
            running.tell(set, 1, "MR").await;
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
        // Dropped in the middle, without being told to stop: the lease stays, the worker's pipe closes.
        let Running {
            tasks,
            service,
            stop,
        } = running;
        drop((tasks, service));
        stop.cancel();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let running =
        Running::start(dir.path(), &models, config(worker_program(), &[]), &imaging).await;
    let run = running.wait(&["succeeded", "refused", "failed"]).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    let published = imaging.published();
    assert_eq!(published.len(), 1);
    let visible = published.values().next().unwrap();
    assert_eq!(
        run["result_instances"][0]["sop_instance_uid"],
        visible[0].sop_instance_uid
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_always_crashes_is_given_up_and_a_person_can_ask_again() {
    let dir = tempfile::tempdir().unwrap();
    let models = small_model(dir.path());
    let imaging = FakeImaging::new();
    let running = Running::start(
        dir.path(),
        &models,
        config("/bin/sh", &["-c", "kill -SEGV $$"]),
        &imaging,
    )
    .await;
    running.tell(InputSetId::new(), 1, "MR").await;
    let run = running.wait(&["succeeded", "refused", "failed"]).await;
    assert_eq!(
        (run["state"].as_str(), run["attempts"].as_i64()),
        (Some("failed"), Some(3)),
        "{run:#}"
    );
    assert!(
        run["reason"]
            .as_str()
            .unwrap()
            .starts_with("Given up after 3 tries."),
        "{run:#}"
    );
    assert!(imaging.published().is_empty());
    let path = format!("/runs/{}/retry", run["id"].as_str().unwrap());
    assert_eq!(running.call("POST", &path).await.0, 202);
    running.wait(&["queued", "running"]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn input_that_was_superseded_meanwhile_is_not_computed() {
    let dir = tempfile::tempdir().unwrap();
    let models = small_model(dir.path());
    let imaging = FakeImaging::new();
    let set = InputSetId::new();
    imaging.superseded.lock().unwrap().push(set);
    let running = Running::start(dir.path(), &models, config("/bin/false", &[]), &imaging).await;
    running.tell(set, 1, "MR").await;
    running.wait(&["superseded"]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_switched_off_ends_what_runs_and_takes_nothing_new_until_it_is_on_again() {
    let dir = tempfile::tempdir().unwrap();
    let models = small_model(dir.path());
    let imaging = FakeImaging::new();
    let file = dir.path().join("flags.json");
    std::fs::write(&file, r#"{ "flags": {} }"#).unwrap();
    let endless = config("/bin/sh", &["-c", "sleep 600"]);
    let running = Running::start_with(dir.path(), &models, endless, &imaging, Some(&file)).await;
    running.tell(InputSetId::new(), 1, "MR").await;
    running.wait(&["running"]).await;
    assert!(flags::switch_off(&file, "model.brain-mask-small").unwrap());
    let run = running.wait(&["refused"]).await;
    assert_eq!(run["reason_code"], "switched-off", "{run:#}");
    let share = async || running.call("GET", "/models").await.1["items"][0]["share"].clone();
    assert_eq!(share().await, 0.0);
    // Nothing comes of what is ready now.
    running.tell(InputSetId::new(), 2, "MR").await;
    let (_, list) = running.call("GET", "/runs?study_uid=1.1").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list:#}");
    running.stop().await;

    flags::switch_back(&file, "model.brain-mask-small").unwrap();
    let worker = config(worker_program(), &[]);
    let running = Running::start_with(dir.path(), &models, worker, &imaging, Some(&file)).await;
    let path = format!("/runs/{}/retry", run["id"].as_str().unwrap());
    assert_eq!(running.call("POST", &path).await.0, 202);
    let run = running.wait(&["succeeded", "failed"]).await;
    assert_eq!(run["state"], "succeeded", "{run:#}");
    running.stop().await;
}
