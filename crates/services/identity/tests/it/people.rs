//! People of an organisation: who sees, invites, changes and removes them.

use axum::http::{Method, StatusCode};
use hilum_contracts::access::Action;
use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::world::{Browser, PASSWORD, World};

/// Somebody whom `by` invited with a role, signed in.
async fn newcomer<'a>(
    world: &'a World,
    by: &mut Browser<'a>,
    email: &str,
    role: &str,
) -> Browser<'a> {
    let body = json!({"email": email, "role": role});
    let invited = by.post("/api/v1/invitations", body).await;
    assert_eq!(invited.status, StatusCode::OK, "{}", invited.body);
    let mut browser = world.browser("192.0.2.50");
    let body = json!({"token": token_of(&invited.body), "name": format!("New {role}"),
                      "password": PASSWORD});
    let answer = browser.post("/auth/invitation/accept", body).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
    browser
}

fn token_of(invited: &Value) -> String {
    let link = invited["link"].as_str().unwrap();
    link.strip_prefix("/#/invitation/").unwrap().to_owned()
}

async fn id_of(browser: &mut Browser<'_>) -> String {
    let state = browser.get("/auth/state").await.body;
    state["person"]["id"].as_str().unwrap().to_owned()
}

fn path(id: &str) -> String {
    format!("/api/v1/people/{id}")
}

#[tokio::test]
async fn an_invitation_says_to_what_and_is_taken_once() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let body = json!({"email": "Rita@example.org", "role": "radiologist"});
    let invited = owner.post("/api/v1/invitations", body).await.body;
    let token = token_of(&invited);
    let mut rita = world.browser("192.0.2.50");
    let shown = rita.post("/auth/invitation", json!({"token": token})).await;
    assert_eq!(shown.body["organisation"], "St Mary");
    assert_eq!(shown.body["email"], "rita@example.org");
    assert_eq!(shown.body["invited_by"], "Olga Owner");
    assert_eq!(shown.body["has_account"], false);
    let accept = json!({"token": token, "name": "Rita", "password": PASSWORD});
    let answer = rita.post("/auth/invitation/accept", accept.clone()).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
    let state = rita.get("/auth/state").await.body;
    assert_eq!(state["role"], "radiologist");
    assert_eq!(state["tenant"]["name"], "a");
    let mut again = world.browser("192.0.2.51");
    let answer = again.post("/auth/invitation/accept", accept).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    let twice = json!({"email": "rita@example.org", "role": "auditor"});
    let refused = owner.post("/api/v1/invitations", twice).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_withdrawn_or_old_invitation_is_worth_nothing() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let body = json!({"email": "rita@example.org", "role": "radiologist"});
    let first = owner.post("/api/v1/invitations", body.clone()).await.body;
    let second = owner.post("/api/v1/invitations", body.clone()).await.body;
    let list = owner.get("/api/v1/invitations").await.body;
    assert_eq!(
        list["items"].as_array().unwrap().len(),
        1,
        "it took its place"
    );
    let mut rita = world.browser("192.0.2.50");
    let show = |token: String| json!({"token": token});
    let gone = rita.post("/auth/invitation", show(token_of(&first))).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    let id = format!("/api/v1/invitations/{}", second["id"].as_str().unwrap());
    let withdrawn = owner.ask(Method::DELETE, &id, Value::Null).await;
    assert_eq!(withdrawn.status, StatusCode::NO_CONTENT);
    let gone = rita.post("/auth/invitation", show(token_of(&second))).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    let third = owner.post("/api/v1/invitations", body).await.body;
    world.later(time::Duration::days(7));
    let gone = rita.post("/auth/invitation", show(token_of(&third))).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn who_has_an_account_proves_it_before_they_join_another_organisation() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let mut rita = newcomer(&world, &mut owner, "rita@example.org", "radiologist").await;
    owner.post("/auth/tenant", json!({"tenant": "b"})).await;
    let body = json!({"email": "rita@example.org", "role": "auditor"});
    let invited = owner.post("/api/v1/invitations", body).await.body;
    let accept =
        |password: &str| json!({"token": token_of(&invited), "name": "Eve", "password": password});
    let mut eve = world.browser("203.0.113.66");
    let refused = eve
        .post("/auth/invitation/accept", accept("a lighthouse of my own"))
        .await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let body = json!({"token": token_of(&invited)});
    let joined = rita.post("/auth/invitation/accept", body).await;
    assert_eq!(joined.status, StatusCode::NO_CONTENT, "{}", joined.body);
    let state = rita.get("/auth/state").await.body;
    assert_eq!(state["tenant"]["name"], "b");
    assert_eq!(state["role"], "auditor");
    assert_eq!(state["person"]["name"], "New radiologist");
    assert_eq!(state["tenants"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn nobody_gives_a_role_above_their_own_and_administrators_leave_owners_alone() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let owner_id = id_of(&mut owner).await;
    let mut admin = newcomer(&world, &mut owner, "adam@example.org", "administrator").await;
    let mut rita = newcomer(&world, &mut owner, "rita@example.org", "radiologist").await;
    let rita_id = id_of(&mut rita).await;
    let admin_id = id_of(&mut admin).await;
    let role = |role: &str| json!({ "role": role });

    for (who, to) in [
        (&rita_id, role("owner")),
        (&admin_id, role("owner")),
        (&owner_id, role("auditor")),
    ] {
        let refused = admin.ask(Method::PATCH, &path(who), to).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
    }
    let removed = admin
        .ask(Method::DELETE, &path(&owner_id), Value::Null)
        .await;
    assert_eq!(removed.status, StatusCode::FORBIDDEN);
    let signed_out = format!("{}/sessions", path(&owner_id));
    let answer = admin.ask(Method::DELETE, &signed_out, Value::Null).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let invited = json!({"email": "eve@example.org", "role": "owner"});
    let answer = admin.post("/api/v1/invitations", invited).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    for machine in ["operator", "device", "integration"] {
        let refused = owner
            .ask(Method::PATCH, &path(&rita_id), role(machine))
            .await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{machine}");
    }
    let refused = rita
        .ask(Method::PATCH, &path(&rita_id), role("owner"))
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let done = admin
        .ask(Method::PATCH, &path(&rita_id), role("technologist"))
        .await;
    assert_eq!(done.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_field_that_the_door_does_not_name_changes_nothing() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let mut rita = newcomer(&world, &mut owner, "rita@example.org", "radiologist").await;
    let rita_id = id_of(&mut rita).await;
    let more = json!({"role": "technologist", "email": "eve@example.org"});
    let refused = owner.ask(Method::PATCH, &path(&rita_id), more).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let own = json!({"name": "Rita", "role": "owner"});
    let refused = rita.ask(Method::PATCH, "/api/v1/account", own).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let state = rita.get("/auth/state").await.body;
    assert_eq!(state["role"], "radiologist");
}

#[tokio::test]
async fn another_role_ends_the_sessions_that_had_the_old_one() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let mut rita = newcomer(&world, &mut owner, "rita@example.org", "radiologist").await;
    let rita_id = id_of(&mut rita).await;
    assert!(rita.admitted().await.is_some());
    let to = json!({"role": "auditor"});
    owner.ask(Method::PATCH, &path(&rita_id), to).await;
    assert!(rita.admitted().await.is_none(), "the old token, at once");
    rita.sign_in("rita@example.org", PASSWORD).await;
    let state = rita.get("/auth/state").await.body;
    assert_eq!(state["role"], "auditor");
    let actions = state["actions"].as_array().unwrap();
    assert!(!actions.contains(&json!(Action::RetrieveImages.name())));
}

#[tokio::test]
async fn an_organisation_keeps_an_owner() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let owner_id = id_of(&mut owner).await;
    let to = json!({"role": "auditor"});
    let refused = owner.ask(Method::PATCH, &path(&owner_id), to.clone()).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let refused = owner
        .ask(Method::DELETE, &path(&owner_id), Value::Null)
        .await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(owner.admitted().await.is_some(), "nothing of it happened");
    newcomer(&world, &mut owner, "second@example.org", "owner").await;
    let done = owner.ask(Method::PATCH, &path(&owner_id), to).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn who_is_removed_is_out_at_once_and_gone_when_they_belong_nowhere() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let mut rita = newcomer(&world, &mut owner, "rita@example.org", "radiologist").await;
    let rita_id = id_of(&mut rita).await;
    let done = owner
        .ask(Method::DELETE, &path(&rita_id), Value::Null)
        .await;
    assert_eq!(done.status, StatusCode::NO_CONTENT);
    assert!(rita.admitted().await.is_none());
    let answer = rita.sign_in("rita@example.org", PASSWORD).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let again = owner
        .ask(Method::DELETE, &path(&rita_id), Value::Null)
        .await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn people_of_another_organisation_do_not_exist() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let mut rita = newcomer(&world, &mut owner, "rita@example.org", "radiologist").await;
    let rita_id = id_of(&mut rita).await;
    let to = json!({"role": "auditor"});
    for (method, path, body) in [
        (Method::PATCH, path(&rita_id), to),
        (Method::DELETE, path(&rita_id), Value::Null),
        (
            Method::DELETE,
            format!("{}/sessions", path(&rita_id)),
            Value::Null,
        ),
    ] {
        let answer = world.operator("b", method, &path, body).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    let sessions = format!("{}/sessions", path(&rita_id));
    let answer = world
        .operator("b", Method::GET, &sessions, Value::Null)
        .await;
    assert_eq!(answer.body["items"], json!([]));
    let list = world
        .operator("b", Method::GET, "/api/v1/people?q=rita", Value::Null)
        .await;
    assert_eq!(list.body["items"], json!([]));
    assert!(rita.admitted().await.is_some());
}

#[tokio::test]
async fn ten_thousand_people_are_paged_and_searched() {
    let world = World::new().await;
    if world.dir.database().is_some() {
        // Its rows are written into the file.
        return;
    }
    let mut owner = world.owner().await;
    let file = SqliteConnectOptions::new().filename(world.dir.path().join("identity.sqlite"));
    let mut db = SqliteConnection::connect_with(&file).await.unwrap();
    let numbers = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)";
    let id = "printf('%08x-0000-7000-8000-%012x', i, i)";
    for insert in [
        format!(
            "{numbers} INSERT INTO people (id, email, name, email_verified, must_verify, created_at)
             SELECT {id}, printf('p%05d@example.org', i), printf('Person %05d', i), 1, 0, 0 FROM n"
        ),
        format!(
            "{numbers} INSERT INTO memberships (tenant, person, role, sort, search, since)
             SELECT 'a', {id}, 'radiologist', printf('person %05d', i),
                 printf('person %05d p%05d@example.org', i, i), 0 FROM n"
        ),
    ] {
        let done = sqlx::query(sqlx::AssertSqlSafe(insert))
            .execute(&mut db)
            .await;
        assert_eq!(done.unwrap().rows_affected(), 10_000);
    }
    let (mut path, mut seen) = ("/api/v1/people?limit=200".to_owned(), Vec::new());
    loop {
        let page = owner.get(&path).await.body;
        for item in page["items"].as_array().unwrap() {
            seen.push(item["name"].as_str().unwrap().to_lowercase());
        }
        let Some(next) = page["next"].as_str() else {
            break;
        };
        path = format!("/api/v1/people?limit=200&after={next}");
    }
    assert_eq!(seen.len(), 10_001);
    assert!(seen.is_sorted());
    let found = owner.get("/api/v1/people?q=P%C3%89RSON%2009999").await.body;
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    assert_eq!(found["items"][0]["email"], "p09999@example.org");
    let by_email = owner.get("/api/v1/people?q=p0123").await.body;
    assert_eq!(by_email["items"].as_array().unwrap().len(), 10);
    let nobody = owner.get("/api/v1/people?q=%25").await.body;
    assert_eq!(nobody["items"], json!([]), "a pattern is text");
}
