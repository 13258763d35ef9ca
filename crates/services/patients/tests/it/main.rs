//! Patients as Imaging's events and people's decisions make them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use axum::{Extension, Router};
use hilum_contracts::ids::TenantId;
use hilum_contracts::imaging::{InstancesStored, PatientIdentity};
use hilum_contracts::patients::{PatientState, Patients as _};
use hilum_contracts::service::ServiceName;
use hilum_contracts::{CorrelationId, Event};
use hilum_patients::PatientsService;
use hilum_platform::notices::Notices;
use hilum_platform::remote::Answering;
use hilum_platform::remote::patients::{self, RemotePatients};
use hilum_platform::{auth, clock};
use hilum_testkit::{Asked, Place, keyring};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// The service, asked in the process and as a neighbour: what it answers is the
/// same.
struct World {
    service: PatientsService,
    asked: Asked,
    _dir: Place,
}

impl World {
    async fn new() -> Self {
        let dir = Place::new();
        let (clock, notices) = (clock::system(), Notices::default());
        let opened = PatientsService::open(dir.home(), clock, notices, keyring()).await;
        let service = opened.unwrap();
        let name = ServiceName::Patients;
        let answering = patients::answer(Answering::new(name), Arc::new(service.clone()));
        Self {
            asked: Asked::new(name, answering).await,
            service,
            _dir: dir,
        }
    }

    /// An image of `study` arrives that names the patient `id`.
    async fn image(&self, tenant: &str, study: &str, id: &str, birth_date: &str, sex: &str) {
        let stored = InstancesStored {
            study_uid: study.to_owned(),
            series_uid: format!("{study}.1"),
            modality: "MR".to_owned(),
            patient: PatientIdentity {
                issuer: "clinic".to_owned(),
                id: id.to_owned(),
                name: "Doe^Jane".to_owned(),
                birth_date: birth_date.to_owned(),
                sex: sex.to_owned(),
            },
            added: 1,
            intake_id: CorrelationId::new(),
            origin: "dimse:MR1".to_owned(),
            last_stored_at: time::OffsetDateTime::UNIX_EPOCH,
        };
        let event = Event::new(
            TenantId::new(tenant).unwrap(),
            CorrelationId::new(),
            time::OffsetDateTime::UNIX_EPOCH,
            study,
            1,
            &stored,
        )
        .unwrap();
        let inbox = self.service.inbox();
        inbox.receive(&[(1, event)]).await.unwrap();
        while inbox.step().await.unwrap() {}
    }

    async fn state(&self, tenant: &str, study: &str) -> PatientState {
        let scope = auth::service(&TenantId::new(tenant).unwrap(), "test");
        let here = self.service.state_of_study(&scope, study).await.unwrap();
        let remote = RemotePatients(self.asked.neighbour.clone());
        assert_eq!(remote.state_of_study(&scope, study).await.unwrap(), here);
        here
    }

    fn router(&self, tenant: &str) -> Router {
        let scope = auth::local_operator(&TenantId::new(tenant).unwrap());
        let (router, _) = self.service.router().split_for_parts();
        router.layer(Extension(scope))
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = self.router("a").oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn open_conflicts(&self) -> Vec<Value> {
        let (_, body) = self
            .call(Method::GET, "/patient-conflicts", Value::Null)
            .await;
        body["items"].as_array().unwrap().clone()
    }

    async fn decide(&self, conflict: &Value, decision: &str) -> StatusCode {
        let path = format!(
            "/patient-conflicts/{}/resolve",
            conflict["id"].as_str().unwrap()
        );
        self.call(Method::POST, &path, json!({ "decision": decision }))
            .await
            .0
    }
}

#[tokio::test]
async fn an_identity_is_pending_until_its_event_came_and_confirmed_then() {
    let world = World::new().await;
    assert_eq!(world.state("a", "1.1").await, PatientState::Pending);
    world.image("a", "1.1", "P1", "19700101", "F").await;
    assert_eq!(world.state("a", "1.1").await, PatientState::Confirmed);
}

#[tokio::test]
async fn the_same_id_in_two_tenants_is_two_patients() {
    let world = World::new().await;
    world.image("a", "1.1", "P1", "19700101", "F").await;
    world.image("b", "1.1", "P1", "19991231", "M").await;
    assert_eq!(world.state("a", "1.1").await, PatientState::Confirmed);
    assert_eq!(world.state("b", "1.1").await, PatientState::Confirmed);
    assert!(world.open_conflicts().await.is_empty());
}

#[tokio::test]
async fn images_without_a_patient_id_never_meet() {
    let world = World::new().await;
    world.image("a", "1.1", "", "19700101", "F").await;
    world.image("a", "1.2", "", "19991231", "M").await;
    assert_eq!(world.state("a", "1.1").await, PatientState::NoPatientId);
    assert!(world.open_conflicts().await.is_empty());
}

#[tokio::test]
async fn a_missing_birth_date_is_no_conflict_and_a_different_one_is() {
    let world = World::new().await;
    world.image("a", "1.1", "P1", "", "F").await;
    world.image("a", "1.2", "P1", "19700101", "F").await;
    assert_eq!(world.state("a", "1.2").await, PatientState::Confirmed);
    world.image("a", "1.3", "P1", "19700102", "F").await;
    assert_eq!(world.state("a", "1.3").await, PatientState::Conflict);
    let conflicts = world.open_conflicts().await;
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0]["attribute"], "birth_date");
    assert_eq!(conflicts[0]["other_value"], "19700102");
}

#[tokio::test]
async fn a_decision_ends_a_conflict_and_the_same_contradiction_does_not_open_it_again() {
    for decision in ["keep-first", "take-second"] {
        let world = World::new().await;
        world.image("a", "1.1", "P1", "19700101", "F").await;
        world.image("a", "1.2", "P1", "19700102", "F").await;
        let conflict = world.open_conflicts().await.remove(0);
        assert_eq!(
            world.decide(&conflict, decision).await,
            StatusCode::NO_CONTENT
        );
        assert_eq!(
            world.decide(&conflict, decision).await,
            StatusCode::CONFLICT
        );
        world.image("a", "1.3", "P1", "19700102", "F").await;
        world.image("a", "1.1", "P1", "19700101", "F").await;
        assert!(world.open_conflicts().await.is_empty(), "{decision}");
        assert_eq!(world.state("a", "1.2").await, PatientState::Confirmed);
    }
}

#[tokio::test]
async fn two_patients_who_share_an_id_are_told_apart_from_then_on() {
    let world = World::new().await;
    world.image("a", "1.1", "P1", "19700101", "F").await;
    world.image("a", "1.2", "P1", "19850505", "M").await;
    let conflicts = world.open_conflicts().await;
    assert_eq!(conflicts.len(), 2, "birth date and sex");
    world.decide(&conflicts[0], "different-patients").await;
    assert!(world.open_conflicts().await.is_empty());
    world.image("a", "1.3", "P1", "19850505", "M").await;
    world.image("a", "1.4", "P1", "19700101", "F").await;
    assert!(world.open_conflicts().await.is_empty());
    let (_, body) = world
        .call(Method::GET, "/patients?id=P1", Value::Null)
        .await;
    let patients = body["items"].as_array().unwrap();
    assert_eq!(patients.len(), 2);
    let of = |sex: &str| {
        let patient = patients.iter().find(|p| p["sex"] == sex).unwrap();
        patient["studies"].as_array().unwrap().len()
    };
    assert_eq!((of("F"), of("M")), (2, 2));
}

#[tokio::test]
async fn another_tenants_conflict_does_not_exist() {
    let world = World::new().await;
    world.image("b", "1.1", "P1", "19700101", "F").await;
    world.image("b", "1.2", "P1", "19700102", "F").await;
    assert_eq!(world.state("b", "1.2").await, PatientState::Conflict);
    assert!(world.open_conflicts().await.is_empty());
    let (router, body) = (world.router("b"), Body::empty());
    let request = Request::get("/patient-conflicts").body(body).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let list: Value = serde_json::from_slice(&bytes).unwrap();
    let foreign = list["items"][0].clone();
    assert!(foreign["id"].is_string());
    assert_eq!(
        world.decide(&foreign, "keep-first").await,
        StatusCode::NOT_FOUND
    );
}
