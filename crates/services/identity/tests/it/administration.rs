//! Settings, roles, tenants, emergency access.

use axum::http::{Method, StatusCode};
use hilum_contracts::access::Action;
use hilum_contracts::ids::TenantId;
use hilum_platform::auth;
use serde_json::{Value, json};
use time::Duration;

use crate::world::{PASSWORD, World};

#[tokio::test]
async fn an_organisation_decides_for_itself_within_what_is_safe() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let path = "/api/v1/settings";
    let change = json!({
        "display_name": "St Mary’s", "session_idle_minutes": 10, "requests_per_minute": 600,
        "quota_bytes": 1_000_000, "retention": [{"keep_days": 3650}],
    });
    let changed = owner.ask(Method::PATCH, path, change).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
    let a = TenantId::new("a").unwrap();
    assert_eq!(world.service.requests_per_minute(&a), Some(600));
    let known = world.directory.known();
    assert_eq!(
        known.tenant(&a).unwrap().archive.quota_bytes,
        Some(1_000_000)
    );
    assert_eq!(
        known.tenant(&a).unwrap().archive.retention[0].keep_days,
        Some(3650)
    );
    let cleared = owner
        .ask(Method::PATCH, path, json!({"quota_bytes": null}))
        .await;
    assert_eq!(cleared.body["quota_bytes"], Value::Null);
    assert_eq!(cleared.body["display_name"], "St Mary’s");
    for wrong in [
        json!({"session_idle_minutes": 100_000}),
        json!({"requests_per_minute": 1}),
        json!({"retention": [{}]}),
        json!({"ae_title": "OTHER"}),
    ] {
        let refused = owner.ask(Method::PATCH, path, wrong.clone()).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    // The next session has them.
    owner.sign_in("owner@example.org", PASSWORD).await;
    world.later(Duration::minutes(10) + Duration::seconds(1));
    assert!(owner.admitted().await.is_none());
}

#[tokio::test]
async fn what_the_configuration_names_is_changed_there() {
    let world = World::with(|config| config.tenants[0].archive.quota_bytes = Some(5)).await;
    let path = "/api/v1/settings";
    let settings = world
        .operator("a", Method::GET, path, Value::Null)
        .await
        .body;
    assert_eq!(settings["archive_configured"], true);
    let change = json!({"resend": "accept"});
    let refused = world
        .operator("a", Method::PATCH, path, change.clone())
        .await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let other = world.operator("b", Method::PATCH, path, change).await;
    assert_eq!(other.body["resend"], "accept");
    let world = world.reopened(|_| {}).await;
    let b = world
        .operator("b", Method::GET, path, Value::Null)
        .await
        .body;
    assert_eq!(b["resend"], "accept", "the file leaves it to the tenant");
}

#[tokio::test]
async fn the_operator_makes_tenants_and_an_owner_does_not() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let body = json!({"display_name": "North Clinic"});
    let refused = owner.post("/api/v1/tenants", body.clone()).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let made = world
        .operator("a", Method::POST, "/api/v1/tenants", body)
        .await;
    assert_eq!(made.body["name"], "north-clinic");
    let list = world
        .operator("a", Method::GET, "/api/v1/tenants", Value::Null)
        .await;
    assert_eq!(list.body["items"].as_array().unwrap().len(), 3);
    let roles = owner.get("/api/v1/roles").await.body;
    assert_eq!(roles["roles"].as_array().unwrap().len(), 8);
}

#[tokio::test]
async fn emergency_access_opens_images_for_an_hour_and_is_reviewed_by_somebody_else() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let mut notices = world.notices.listen();
    let invited = owner
        .post(
            "/api/v1/invitations",
            json!({"email": "adam@example.org", "role": "administrator"}),
        )
        .await
        .body;
    let token = invited["link"]
        .as_str()
        .unwrap()
        .rsplit_once('/')
        .unwrap()
        .1;
    let mut adam = world.browser("192.0.2.50");
    let body = json!({"token": token, "name": "Adam", "password": PASSWORD});
    adam.post("/auth/invitation/accept", body).await;
    let may = |admitted: hilum_contracts::identity::Admitted| {
        auth::admitted(&admitted.tenant, admitted.acting).may(Action::RetrieveImages)
    };
    assert!(!may(adam.admitted().await.unwrap()));
    let short = adam
        .post("/auth/break-glass", json!({"reason": "because"}))
        .await;
    assert_eq!(short.status, StatusCode::BAD_REQUEST);
    let refused = owner
        .post(
            "/auth/break-glass",
            json!({"reason": "stroke, nobody on call"}),
        )
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "an owner may anyway");
    let taken = adam
        .post(
            "/auth/break-glass",
            json!({"reason": "stroke, nobody on call"}),
        )
        .await;
    assert_eq!(taken.status, StatusCode::OK, "{}", taken.body);
    assert!(may(adam.admitted().await.unwrap()), "at once");
    while let Ok(notice) = notices.try_recv() {
        assert_eq!(notice.tenant.as_str(), "a");
    }
    let state = owner.get("/auth/state").await.body;
    assert_eq!(state["break_glass_to_review"], 1);
    let list = owner.get("/api/v1/break-glass").await.body;
    assert_eq!(list["items"][0]["person_name"], "Adam");
    let path = format!(
        "/api/v1/break-glass/{}/review",
        list["items"][0]["id"].as_str().unwrap()
    );
    let review = json!({"text": "It was justified."});
    let own = adam.post(&path, review.clone()).await;
    assert_eq!(own.status, StatusCode::FORBIDDEN);
    let done = owner.post(&path, review.clone()).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT);
    assert_eq!(owner.post(&path, review).await.status, StatusCode::CONFLICT);
    world.later(Duration::hours(1));
    assert!(!may(adam.admitted().await.unwrap()), "it ends by itself");
    adam.post(
        "/auth/break-glass",
        json!({"reason": "the same stroke again"}),
    )
    .await;
    assert!(may(adam.admitted().await.unwrap()));
    adam.ask(Method::DELETE, "/auth/break-glass", Value::Null)
        .await;
    assert!(!may(adam.admitted().await.unwrap()), "given back");
}
