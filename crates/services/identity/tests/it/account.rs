//! One's own account, and going from tenant to tenant.

use axum::http::{Method, StatusCode};
use hilum_contracts::identity::Identity as _;
use serde_json::{Value, json};

use crate::world::{PASSWORD, World};

const EMAIL: &str = "owner@example.org";

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one_or_all() {
    let world = World::new().await;
    let mut here = world.owner().await;
    let mut there = world.browser("203.0.113.5");
    there.sign_in(EMAIL, PASSWORD).await;
    let mut third = world.browser("203.0.113.6");
    third.sign_in(EMAIL, PASSWORD).await;
    let list = here.get("/api/v1/account/sessions").await.body;
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), 3);
    let current = items.iter().filter(|item| item["current"] == true);
    assert_eq!(current.count(), 1);
    let theirs = items
        .iter()
        .find(|item| item["address"] == "203.0.113.5")
        .unwrap();
    assert_eq!(theirs["browser"], "Test/1.0");
    let path = format!(
        "/api/v1/account/sessions/{}",
        theirs["id"].as_str().unwrap()
    );
    assert!(there.admitted().await.is_some());
    let ended = here.ask(Method::DELETE, &path, Value::Null).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    assert!(there.admitted().await.is_none(), "at once");
    let again = here.ask(Method::DELETE, &path, Value::Null).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    here.ask(Method::DELETE, "/api/v1/account/sessions", Value::Null)
        .await;
    assert!(third.admitted().await.is_none());
    assert!(here.admitted().await.is_some());
}

#[tokio::test]
async fn another_password_needs_the_one_until_now_and_ends_the_other_sessions() {
    let world = World::new().await;
    let mut here = world.owner().await;
    let mut there = world.browser("203.0.113.5");
    there.sign_in(EMAIL, PASSWORD).await;
    let change = |current: &str, new: &str| json!({"current": current, "new": new});
    let path = "/api/v1/account/password";
    let wrong = here
        .post(path, change("guess", "a harbour in the rain"))
        .await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    let weak = here.post(path, change(PASSWORD, "Password1234!")).await;
    assert_eq!(weak.status, StatusCode::BAD_REQUEST);
    let done = here
        .post(path, change(PASSWORD, "a harbour in the rain"))
        .await;
    assert_eq!(done.status, StatusCode::NO_CONTENT, "{}", done.body);
    assert!(here.admitted().await.is_some());
    assert!(there.admitted().await.is_none());
    let old = there.sign_in(EMAIL, PASSWORD).await;
    assert_eq!(old.status, StatusCode::UNAUTHORIZED);
    let new = there.sign_in(EMAIL, "a harbour in the rain").await;
    assert_eq!(new.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_person_renames_themselves_and_nothing_else() {
    let world = World::new().await;
    let mut browser = world.owner().await;
    let path = "/api/v1/account";
    let renamed = browser
        .ask(Method::PATCH, path, json!({"name": "Olga O."}))
        .await;
    assert_eq!(renamed.body["name"], "Olga O.");
    let email = json!({"name": "Olga", "email_verified": true});
    let refused = browser.ask(Method::PATCH, path, email).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let mut nobody = world.browser("192.0.2.1");
    assert_eq!(nobody.get(path).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn going_to_another_tenant_takes_a_session_of_its_own() {
    let world = World::new().await;
    let mut browser = world.owner().await;
    let before = browser.token().unwrap();
    let missing = browser.post("/auth/tenant", json!({"tenant": "c"})).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    let gone = browser.post("/auth/tenant", json!({"tenant": "b"})).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(browser.admitted().await.unwrap().tenant.as_str(), "b");
    assert!(
        world
            .service
            .session(&before, None)
            .await
            .unwrap()
            .is_none()
    );
}
