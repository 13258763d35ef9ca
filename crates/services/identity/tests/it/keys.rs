//! API keys at the door.

use axum::http::{Method, StatusCode};
use hilum_contracts::access::{Action, Role};
use hilum_contracts::error::ErrorCode;
use hilum_contracts::identity::Identity as _;
use hilum_identity::NewKey;
use hilum_platform::auth;
use serde_json::{Value, json};
use time::Duration;

use crate::world::{World, scope};

fn key(role: Role) -> NewKey {
    NewKey {
        name: "script".to_owned(),
        role,
        limited_to: None,
        expires_at: None,
    }
}

#[tokio::test]
async fn a_key_lets_its_program_in_within_its_role_and_limits() {
    let world = World::new().await;
    let mut limited = key(Role::Integration);
    limited.limited_to = Some(vec![Action::StoreImages]);
    limited.expires_at = Some(world.now() + Duration::hours(1));
    let made = world
        .service
        .create_key(&scope("a"), limited)
        .await
        .unwrap();
    let admitted = world
        .service
        .api_key(&made.bearer, None)
        .await
        .unwrap()
        .unwrap();
    let scope = auth::admitted(&admitted.tenant, admitted.acting);
    assert_eq!(scope.tenant().as_str(), "a");
    assert!(scope.may(Action::StoreImages));
    assert!(!scope.may(Action::ViewStudies));
    world.later(Duration::hours(1));
    assert!(
        world
            .service
            .api_key(&made.bearer, None)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_wrong_secret_or_form_is_nobody() {
    let world = World::new().await;
    let made = world
        .service
        .create_key(&scope("a"), key(Role::Integration))
        .await
        .unwrap();
    let other = world
        .service
        .create_key(&scope("b"), key(Role::Integration))
        .await
        .unwrap();
    let (id, secret) = (&made.bearer[..35], &other.bearer[35..]);
    for wrong in [
        "",
        "hk_",
        "secret",
        &made.bearer[..77],
        &format!("{id}{secret}"),
        &format!("{}x", made.bearer),
    ] {
        assert!(
            world.service.api_key(wrong, None).await.unwrap().is_none(),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn no_key_owns_a_tenant_and_nobody_but_who_may_makes_one() {
    let world = World::new().await;
    for role in [Role::Owner, Role::Operator, Role::Device] {
        let refused = world.service.create_key(&scope("a"), key(role)).await;
        assert_eq!(refused.err().unwrap().code, ErrorCode::Invalid);
    }
    let made = world
        .service
        .create_key(&scope("a"), key(Role::Radiologist))
        .await
        .unwrap();
    let who = world
        .service
        .api_key(&made.bearer, None)
        .await
        .unwrap()
        .unwrap();
    let reader = auth::admitted(&who.tenant, who.acting);
    let refused = world
        .service
        .create_key(&reader, key(Role::Radiologist))
        .await;
    assert_eq!(refused.err().unwrap().code, ErrorCode::Forbidden);
}

#[tokio::test]
async fn a_key_is_shown_once_listed_with_its_last_use_and_revoked_at_once() {
    let world = World::new().await;
    let body = json!({"name": "nightly", "role": "integration", "limited_to": ["store-images"]});
    let made = world
        .operator("a", Method::POST, "/api/v1/keys", body)
        .await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    let bearer = made.body["key"].as_str().unwrap();
    let from = Some("192.0.2.7".parse().unwrap());
    assert!(world.service.api_key(bearer, from).await.unwrap().is_some());
    let list = world
        .operator("a", Method::GET, "/api/v1/keys?q=NIGHT", Value::Null)
        .await;
    let item = &list.body["items"][0];
    assert_eq!(item["used_from"], "192.0.2.7");
    assert_eq!(item["limited_to"], json!(["store-images"]));
    assert!(
        !list.body.to_string().contains(&bearer[36..]),
        "never its secret"
    );
    let path = format!("/api/v1/keys/{}", item["id"].as_str().unwrap());
    let elsewhere = world
        .operator("b", Method::DELETE, &path, Value::Null)
        .await;
    assert_eq!(elsewhere.status, StatusCode::NOT_FOUND);
    assert!(world.service.api_key(bearer, None).await.unwrap().is_some());
    let revoked = world
        .operator("a", Method::DELETE, &path, Value::Null)
        .await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    assert!(world.service.api_key(bearer, None).await.unwrap().is_none());
}

#[tokio::test]
async fn a_key_is_limited_to_what_its_role_may() {
    let world = World::new().await;
    for (role, action) in [("auditor", "store-images"), ("integration", "operate")] {
        let body = json!({"name": "x", "role": role, "limited_to": [action]});
        let refused = world
            .operator("a", Method::POST, "/api/v1/keys", body)
            .await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    }
    let body = json!({"name": "x", "role": "integration", "expires_at": "2020-01-01T00:00:00Z"});
    let refused = world
        .operator("a", Method::POST, "/api/v1/keys", body)
        .await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}
