//! Passes: what other processes let in by without asking, and what ends them.

use axum::http::{Method, StatusCode};
use hilum_contracts::access::Role;
use hilum_contracts::erasure::EndsTenants as _;
use hilum_contracts::identity::{Admitted, Identity as _};
use hilum_contracts::scope::Right;
use hilum_identity::NewKey;
use hilum_platform::config::Neighbours;
use hilum_platform::passes::{Pass, Shown};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::world::{Browser, PASSWORD, World, scope};

/// A world with neighbours, whose passes are signed.
async fn signing() -> World {
    let world = World::with(|config| {
        config.neighbours = Some(Neighbours {
            listen: "127.0.0.1:0".parse().unwrap(),
            certificate: "own.pem".into(),
            key: "own.key".into(),
            ca: "ca.pem".into(),
            at: [].into(),
        });
    });
    signs(world.await).await
}

async fn signs(world: World) -> World {
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let mut changes = world.passes.follow();
    world.service.start_workers(&tasks, &stop);
    let told = changes.wait_for(|known| !known.signers.is_empty()).await;
    told.unwrap();
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    world
}

/// Somebody's pass, as another process keeps it.
struct Kept {
    shown: Shown,
    sealed: Vec<u8>,
}

impl Kept {
    fn of(door: &str, text: &str, admitted: &Admitted) -> Self {
        let shown = Shown::new(door, text);
        let signed = admitted.pass.as_deref().expect("a pass");
        assert!(Pass::of_answer(signed, &shown).is_some());
        let sealed = shown.seal(signed).unwrap();
        Self { shown, sealed }
    }

    async fn of_session(browser: &Browser<'_>) -> Self {
        let token = browser.token().unwrap();
        let admitted = browser.world.service.session(&token, None).await.unwrap();
        Self::of("session", &token, &admitted.expect("a session"))
    }

    async fn of_key(world: &World, bearer: &str) -> Self {
        let admitted = world.service.api_key(bearer, None).await.unwrap();
        Self::of("api-key", bearer, &admitted.expect("a key"))
    }

    fn opened(&self, world: &World) -> Option<Pass> {
        world.passes.open(&self.shown, &self.sealed).ok()
    }

    fn holds(&self, world: &World) -> bool {
        self.opened(world).is_some()
    }
}

async fn member<'a>(world: &'a World, owner: &mut Browser<'a>, email: &str) -> Browser<'a> {
    let body = json!({"email": email, "role": "auditor"});
    let invited = owner.post("/api/v1/invitations", body).await;
    let link = invited.body["link"].as_str().unwrap();
    let token = link.strip_prefix("/#/invitation/").unwrap();
    let mut browser = world.browser("192.0.2.50");
    let body = json!({"token": token, "name": "Rita", "password": PASSWORD});
    let answer = browser.post("/auth/invitation/accept", body).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
    browser
}

async fn id_of(browser: &mut Browser<'_>) -> String {
    let state = browser.get("/auth/state").await.body;
    state["person"]["id"].as_str().unwrap().to_owned()
}

fn key() -> NewKey {
    NewKey {
        name: "script".to_owned(),
        role: Role::Integration,
        limited_to: None,
        expires_at: None,
    }
}

#[tokio::test]
async fn whatever_ends_a_session_ends_its_pass_and_no_other() {
    let world = signing().await;
    let mut owner = world.owner().await;
    for way in [
        "sign-out", "role", "removed", "ended", "own", "password", "tenant",
    ] {
        let mut rita = member(&world, &mut owner, &format!("{way}@example.org")).await;
        let before = Kept::of_session(&rita).await;
        let others = Kept::of_session(&owner).await;
        assert!(before.holds(&world), "{way}");
        let id = id_of(&mut rita).await;
        let (person, sessions) = (
            format!("/api/v1/people/{id}"),
            format!("/api/v1/people/{id}/sessions"),
        );
        let answer = match way {
            "sign-out" => rita.post("/auth/sign-out", Value::Null).await,
            "role" => {
                let body = json!({"role": "radiologist"});
                owner.ask(Method::PATCH, &person, body).await
            }
            "removed" => owner.ask(Method::DELETE, &person, Value::Null).await,
            "ended" => owner.ask(Method::DELETE, &sessions, Value::Null).await,
            "own" | "password" => {
                let mut elsewhere = world.browser("192.0.2.60");
                let email = format!("{way}@example.org");
                let body = json!({"email": email, "password": PASSWORD});
                elsewhere.post("/auth/sign-in", body).await;
                let path = "/api/v1/account/sessions";
                match way {
                    "own" => elsewhere.ask(Method::DELETE, path, Value::Null).await,
                    _ => {
                        let new = "another lighthouse of hers";
                        let body = json!({"current": PASSWORD, "new": new});
                        elsewhere.post("/api/v1/account/password", body).await
                    }
                }
            }
            // The token that a browser came with ends with a new sign-in.
            _ => {
                let email = format!("{way}@example.org");
                let body = json!({"email": email, "password": PASSWORD});
                rita.post("/auth/sign-in", body).await
            }
        };
        assert!(answer.status.is_success(), "{way}: {}", answer.body);
        assert!(!before.holds(&world), "{way}");
        assert!(others.holds(&world), "{way}");
        if way == "tenant" {
            assert!(Kept::of_session(&rita).await.holds(&world));
        }
    }
}

#[tokio::test]
async fn emergency_access_is_in_the_next_pass_and_its_end_in_the_one_after() {
    let world = signing().await;
    let owner = world.owner().await;
    let mut owner = owner;
    let mut rita = member(&world, &mut owner, "rita@example.org").await;
    let without = Kept::of_session(&rita).await;
    let reason = json!({"reason": "a patient bleeds in the emergency room"});
    let answer = rita.post("/auth/break-glass", reason).await;
    assert!(answer.status.is_success(), "{}", answer.body);
    assert!(!without.holds(&world));
    let with = Kept::of_session(&rita).await;
    let right = with.opened(&world).unwrap().acting.right;
    assert!(matches!(right, Right::BreakGlass { .. }));
    let path = "/auth/break-glass";
    let answer = rita.ask(Method::DELETE, path, Value::Null).await;
    assert!(answer.status.is_success(), "{}", answer.body);
    assert!(!with.holds(&world));
    let after = Kept::of_session(&rita).await;
    let right = after.opened(&world).unwrap().acting.right;
    assert!(matches!(right, Right::Role(_)));
}

#[tokio::test]
async fn a_pass_holds_no_longer_than_its_key_and_hours_at_most() {
    let world = signing().await;
    let mut ends_soon = key();
    ends_soon.expires_at = Some(world.now() + time::Duration::minutes(5));
    let made = world.service.create_key(&scope("a"), ends_soon).await;
    let soon = Kept::of_key(&world, &made.unwrap().bearer).await;
    let made = world.service.create_key(&scope("a"), key()).await;
    let made = made.unwrap();
    let late = Kept::of_key(&world, &made.bearer).await;
    world.later(time::Duration::minutes(5));
    assert!(!soon.holds(&world));
    assert!(late.holds(&world));
    world.later(time::Duration::hours(2));
    assert!(!late.holds(&world));
    let again = Kept::of_key(&world, &made.bearer).await;
    assert!(again.holds(&world));
    let path = format!("/api/v1/keys/{}", made.id);
    let answer = world.operator("a", Method::DELETE, &path, Value::Null);
    assert!(answer.await.status.is_success());
    assert!(!again.holds(&world));
}

#[tokio::test]
async fn the_end_of_a_tenant_ends_every_pass_of_it() {
    let world = signing().await;
    let made = world.service.create_key(&scope("b"), key()).await.unwrap();
    let kept = Kept::of_key(&world, &made.bearer).await;
    let other = world.service.create_key(&scope("a"), key()).await.unwrap();
    let other = Kept::of_key(&world, &other.bearer).await;
    world.service.begin_ending(&scope("b"), 0).await.unwrap();
    assert!(!kept.holds(&world));
    assert!(other.holds(&world));
}

#[tokio::test]
async fn a_restart_signs_with_the_same_key_and_knows_what_had_ended() {
    let world = signing().await;
    let made = world.service.create_key(&scope("a"), key()).await.unwrap();
    let kept = Kept::of_key(&world, &made.bearer).await;
    let other = world.service.create_key(&scope("a"), key()).await.unwrap();
    let ended = Kept::of_key(&world, &other.bearer).await;
    let path = format!("/api/v1/keys/{}", other.id);
    let answer = world.operator("a", Method::DELETE, &path, Value::Null);
    assert!(answer.await.status.is_success());
    let before = world.passes.known();
    let world = world.reopened(|_| {}).await;
    // Who signed and what ended is told before anything is answered.
    assert_eq!(world.passes.known().signers, before.signers);
    assert_eq!(world.passes.known().ended, before.ended);
    assert!(world.passes.known().told > before.told);
    let world = signs(world).await;
    assert_eq!(world.passes.known().signers, before.signers);
    assert!(kept.holds(&world));
    assert!(!ended.holds(&world));
    // A day later it is another one, and the first is believed for as long as its passes.
    world.later(time::Duration::days(1));
    let world = signs(world.reopened(|_| {}).await).await;
    assert_eq!(world.passes.known().signers.len(), 2);
    world.later(time::Duration::days(1));
    let world = signs(world.reopened(|_| {}).await).await;
    assert_eq!(world.passes.known().signers.len(), 2);
}

#[tokio::test]
async fn who_has_no_neighbours_signs_nothing() {
    let world = World::new().await;
    let made = world.service.create_key(&scope("a"), key()).await.unwrap();
    let admitted = world.service.api_key(&made.bearer, None).await.unwrap();
    assert_eq!(admitted.unwrap().pass, None);
}
