//! Settings, roles, tenants, emergency access.

use axum::http::{Method, StatusCode};
use hilum_contracts::access::Action;
use hilum_contracts::audit::Subject;
use hilum_contracts::erasure::Forgets as _;
use hilum_contracts::export::Exports as _;
use hilum_contracts::identity::{Admitted, Identity as _, Names};
use hilum_contracts::ids::TenantId;
use hilum_contracts::scope::{Principal, TenantScope};
use hilum_platform::auth;
use serde_json::{Value, json};
use time::Duration;

use crate::world::{Browser, PASSWORD, World, scope};

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
    let rules = world.directory.known().rules(&a);
    assert_eq!(rules.requests_per_minute, Some(600));
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
    assert_eq!(list["items"][0]["reason"], "stroke, nobody on call");
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
    let list = owner.get("/api/v1/break-glass").await.body;
    assert_eq!(list["items"][0]["review"], "It was justified.");
    let (mut lines, mut after) = (Vec::new(), None);
    loop {
        let scope = auth::local_operator(&TenantId::new("a").unwrap());
        let page = world.service.export(&scope, after.as_deref()).await;
        let page = page.unwrap();
        lines.extend(page.lines);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let line = lines.iter().find(|line| line.contains("break_glass"));
    let line: Value = serde_json::from_str(line.unwrap()).unwrap();
    assert_eq!(line["row"]["reason"], "stroke, nobody on call");
    assert_eq!(line["row"]["review"], "It was justified.");
    assert!(line["row"].get("sealed_reason").is_none());
    for file in std::fs::read_dir(world.dir.path()).unwrap() {
        let file = file.unwrap().path();
        // A server's folder is its own.
        if file.is_dir() {
            continue;
        }
        let bytes = std::fs::read(file).unwrap();
        for words in [b"nobody on call".as_slice(), b"was justified"] {
            let found = bytes.windows(words.len()).any(|part| part == words);
            assert!(!found, "words of people stand in a file in clear");
        }
    }
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

#[tokio::test]
async fn words_of_emergency_access_that_name_an_erased_patient_go_with_them() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let mut adam = invited(&world, &mut owner, "administrator").await;
    for reason in ["stroke of patient 4711", "stroke of patient 47110"] {
        let body = json!({"reason": reason});
        let taken = adam.post("/auth/break-glass", body).await;
        assert_eq!(taken.status, StatusCode::OK, "{}", taken.body);
    }
    let gone = [Subject::patient("4711", None)];
    let scope = scope("a");
    let service = &world.service;
    assert_eq!(service.forget_named(&scope, &gone).await.unwrap(), 1);
    assert_eq!(service.forget_named(&scope, &gone).await.unwrap(), 0);
    let list = owner.get("/api/v1/break-glass").await.body;
    assert_eq!(list["items"][0]["reason"], "stroke of patient 47110");
    assert!(
        !list["items"][1]["reason"]
            .as_str()
            .unwrap()
            .contains("4711")
    );
}

#[tokio::test]
async fn whoever_listens_is_let_in_no_longer_than_their_session_role_and_emergency_access() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let mut adam = invited(&world, &mut owner, "administrator").await;
    let still = async |scope: &TenantScope| world.service.is_still(scope).await.unwrap();
    let of = |who: Admitted| auth::admitted(&who.tenant, who.acting);
    let before = of(adam.admitted().await.unwrap());
    assert!(still(&before).await);
    let reason = json!({"reason": "stroke, nobody on call"});
    adam.post("/auth/break-glass", reason).await;
    assert!(!still(&before).await, "another right");
    let during = of(adam.admitted().await.unwrap());
    assert!(still(&during).await);
    world.later(Duration::hours(1));
    assert!(!still(&during).await, "it ended by itself");
    let after = of(adam.admitted().await.unwrap());
    let Principal::Person { id, .. } = *after.principal() else {
        panic!("a person");
    };
    let change = json!({"role": "technologist"});
    owner
        .ask(Method::PATCH, &format!("/api/v1/people/{id}"), change)
        .await;
    assert!(!still(&after).await, "another role");

    let own = of(owner.admitted().await.unwrap());
    assert!(still(&own).await);
    owner.post("/auth/sign-out", json!({})).await;
    assert!(!still(&own).await, "signed out");
}

#[tokio::test]
async fn the_trail_says_what_those_were_called_who_left() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let adam = invited(&world, &mut owner, "administrator").await;
    let admitted = adam.admitted().await.unwrap();
    let Principal::Person { id, .. } = admitted.acting.principal else {
        panic!("a person");
    };
    let names = async |tenant: &str| {
        let names = Names::people(&world.service, &scope(tenant), &[id]).await;
        names.unwrap().remove(&id)
    };
    assert_eq!(names("a").await.as_deref(), Some("Adam"));
    assert_eq!(names("b").await, None);
    let path = format!("/api/v1/people/{id}");
    let removed = owner.ask(Method::DELETE, &path, Value::Null).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT, "{}", removed.body);
    assert_eq!(names("a").await.as_deref(), Some("Adam"));
    assert_eq!(names("b").await, None);
}

/// Somebody with a role in `a`.
async fn invited<'a>(world: &'a World, owner: &mut Browser<'_>, role: &str) -> Browser<'a> {
    let body = json!({"email": "adam@example.org", "role": role});
    let invited = owner.post("/api/v1/invitations", body).await.body;
    let link = invited["link"].as_str().unwrap();
    let token = link.rsplit_once('/').unwrap().1;
    let mut browser = world.browser("192.0.2.50");
    let body = json!({"token": token, "name": "Adam", "password": PASSWORD});
    browser.post("/auth/invitation/accept", body).await;
    browser
}
