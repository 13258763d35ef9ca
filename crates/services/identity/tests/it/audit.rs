//! What the trail tells of who came in and of what was changed.

use axum::http::Method;
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
