//! What the trail tells of who came in and of what was changed.

use axum::http::{Method, StatusCode};
use hilum_contracts::access::Role;
use hilum_contracts::identity::{DeviceAdmission, DeviceAsks, DeviceRejection, Identity as _};
use serde_json::{Value, json};

use crate::world::{PASSWORD, World};

fn acts(trail: &[Value]) -> Vec<&str> {
    trail
        .iter()
        .map(|entry| entry["act"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn each_coming_and_going_and_each_failure_is_an_entry() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    owner.sign_in("owner@example.org", "not the password").await;
    owner.sign_in("owner@example.org", PASSWORD).await;
    owner.post("/auth/tenant", json!({"tenant": "b"})).await;
    owner.post("/auth/sign-out", json!({})).await;
    let a = world.trail("a").await;
    assert_eq!(
        acts(&a),
        [
            "make-tenant",
            "sign-up",
            "sign-in",
            "sign-in-failed",
            "sign-in",
            "sign-out"
        ]
    );
    assert_eq!(a[3]["outcome"], "failed");
    assert_eq!(a[3]["from"], "192.0.2.1");
    assert_eq!(a[4]["from"], "192.0.2.1");
    let b = world.trail("b").await;
    assert_eq!(
        acts(&b),
        [
            "make-tenant",
            "sign-up",
            "sign-in-failed",
            "sign-in",
            "sign-out"
        ]
    );
    let all = format!("{a:?}{b:?}");
    for secret in ["owner@example.org", "Olga", PASSWORD] {
        assert!(!all.contains(secret), "{secret} stands in the trail");
    }
}

#[tokio::test]
async fn each_change_of_administration_is_an_entry_and_each_look_is_one_too() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let before = world.trail("a").await.len();
    let key = json!({"name": "nightly", "role": "integration"});
    let key = owner.post("/api/v1/keys", key).await.body;
    let key = key["id"].as_str().unwrap().to_owned();
    owner
        .ask(Method::DELETE, &format!("/api/v1/keys/{key}"), Value::Null)
        .await;
    let device = json!({"ae_title": "CT1", "address": "192.0.2.7"});
    owner.post("/api/v1/devices", device).await;
    let settings = json!({"session_hours": 8, "resend": "accept"});
    owner.ask(Method::PATCH, "/api/v1/settings", settings).await;
    let invite = json!({"email": "rita@example.org", "role": "radiologist"});
    owner.post("/api/v1/invitations", invite).await;
    owner.get("/api/v1/people").await;
    owner.get("/api/v1/people").await;
    let trail = world.trail("a").await.split_off(before);
    assert_eq!(
        acts(&trail),
        [
            "change-key",
            "change-key",
            "change-device",
            "change-settings",
            "change-person",
            "view-administration",
        ]
    );
    assert_eq!(trail[0]["details"]["key"], key);
    assert_eq!(trail[2]["details"]["device"], "CT1");
    assert_eq!(trail[3]["details"]["setting"], "session_hours resend");
    assert_eq!(trail[4]["details"]["role"], "radiologist");
}

#[tokio::test]
async fn who_fails_at_an_address_that_nobody_has_stands_in_the_installation_s_trail() {
    let world = World::new().await;
    let _owner = world.owner().await;
    let before = world.trail("a").await.len();
    let mut stranger = world.browser("203.0.113.9");
    for _ in 0..3 {
        stranger.sign_in("nobody@example.org", "guessed it?").await;
    }
    assert_eq!(world.trail("a").await.len(), before);
    let own = world.installation_trail().await;
    // Repeats are counted, and written within a minute.
    assert_eq!(acts(&own), ["sign-in-failed"]);
    assert_eq!(own[0]["from"], "203.0.113.9");
    assert_eq!(own[0]["details"]["reason"], "wrong-password");
    assert_eq!(own[0]["subjects"].as_array().unwrap().len(), 1);
    assert!(!format!("{own:?}").contains("nobody@example.org"));
}

#[tokio::test]
async fn however_many_strangers_come_the_trail_grows_by_a_few_entries_a_minute() {
    let world = World::new().await;
    let _owner = world.owner().await;
    for number in 0..60 {
        let mut stranger = world.browser(&format!("203.0.113.{number}"));
        let address = format!("nobody{number}@example.org");
        stranger.sign_in(&address, "guessed it?").await;
    }
    let own = world.installation_trail().await;
    // Thirty are told apart; the others are one entry and its count.
    assert_eq!(own.len(), 31);
    assert!(own[30]["from"].is_null(), "{}", own[30]);
    assert!(own[30]["subjects"].is_null());
}

#[tokio::test]
async fn tries_that_come_too_soon_links_and_keys_that_are_none_are_recorded() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let before = world.trail("a").await.len();
    for _ in 0..8 {
        owner
            .world
            .browser("203.0.113.9")
            .sign_in("owner@example.org", "no")
            .await;
    }
    let trail = world.trail("a").await.split_off(before);
    let reasons: Vec<_> = trail.iter().map(|one| &one["details"]["reason"]).collect();
    assert_eq!(reasons, ["wrong-password", "too-many"]);

    let wrong = json!({"token": "x", "password": PASSWORD});
    let mut stranger = world.browser("203.0.113.9");
    stranger.post("/auth/password-reset/finish", wrong).await;
    let none = world.service.api_key("hk_none", None).await.unwrap();
    assert!(none.is_none());
    let own = world.installation_trail().await;
    let reasons: Vec<_> = own.iter().map(|one| &one["details"]["reason"]).collect();
    assert_eq!(reasons, ["wrong-link", "unknown-key"]);

    let key = json!({"name": "nightly", "role": "integration"});
    let key = owner.post("/api/v1/keys", key).await.body;
    let id = key["id"].as_str().unwrap();
    let bearer = key["key"].as_str().unwrap();
    let other = format!("{}{}", &bearer[..bearer.len() - 3], "AAA");
    assert!(world.service.api_key(&other, None).await.unwrap().is_none());
    let last = world.trail("a").await.pop().unwrap();
    assert_eq!(last["details"]["reason"], "unknown-key");
    assert_eq!(last["details"]["key"], id);
}

#[tokio::test]
async fn who_is_refused_and_what_fails_stands_in_the_trail_of_its_organisation() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let before = world.trail("a").await.len();
    let refused = world
        .ask_as(
            Role::Radiologist,
            Method::GET,
            "/api/v1/people",
            Value::Null,
        )
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let nobody = "/api/v1/people/0192d3a0-0000-7000-8000-000000000000";
    owner.ask(Method::DELETE, nobody, Value::Null).await;
    let trail = world.trail("a").await.split_off(before);
    assert_eq!(acts(&trail), ["refused", "change-person"]);
    assert_eq!(trail[0]["outcome"], "refused");
    assert_eq!(trail[1]["outcome"], "failed");
}

#[tokio::test]
async fn a_device_that_calls_nobody_is_the_installation_s_to_know() {
    let world = World::new().await;
    let asks = DeviceAsks {
        called: "NOBODY".to_owned(),
        calling: "MR1".to_owned(),
        peer: "192.0.2.7".parse().unwrap(),
        certificate_sha256: None,
    };
    for _ in 0..2 {
        let answer = world.service.device(&asks).await.unwrap();
        assert_eq!(
            answer,
            DeviceAdmission::Rejected(DeviceRejection::CalledUnknown)
        );
    }
    let own = world.installation_trail().await;
    assert_eq!(acts(&own), ["device-refused"]);
    assert_eq!(own[0]["details"]["device"], "MR1");
    assert_eq!(own[0]["from"], "192.0.2.7");
}
