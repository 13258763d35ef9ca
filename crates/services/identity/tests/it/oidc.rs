//! Signing in with an OpenID provider of others, and what an attacker tries.

use axum::http::{Method, StatusCode, header};
use hilum_testkit::{OIDC_SECRET, OidcProvider};
use serde_json::{Value, json};
use time::Duration;

use crate::world::{Answer, Browser, PASSWORD, World};

const URL: &str = "http://hilum.example.org";

async fn world() -> World {
    World::with(|config| config.identity.public_url = Some(URL.to_owned())).await
}

fn provider() -> OidcProvider {
    OidcProvider::up(&format!("{URL}/auth/oidc/callback"))
}

/// Keeps a provider for tenant `a`; its id.
async fn keep(world: &World, provider: &OidcProvider, client: &str) -> String {
    let body = json!({"name": "Clinic", "issuer": provider.issuer(), "client_id": client,
                      "client_secret": OIDC_SECRET});
    let kept = world
        .operator("a", Method::POST, "/api/v1/sign-in-providers", body)
        .await;
    assert_eq!(kept.status, StatusCode::OK, "{}", kept.body);
    kept.body["id"].as_str().unwrap().to_owned()
}

async fn invite(world: &World, email: &str) {
    let body = json!({"email": email, "role": "radiologist"});
    let invited = world
        .operator("a", Method::POST, "/api/v1/invitations", body)
        .await;
    assert_eq!(invited.status, StatusCode::OK);
}

fn location(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
    let location = answer.headers.get(header::LOCATION).unwrap();
    location.to_str().unwrap().to_owned()
}

/// Goes to the provider and is sent back: the path and query of the way back.
async fn way_back(
    browser: &mut Browser<'_>,
    provider: &OidcProvider,
    start: &str,
    account: &str,
) -> String {
    let to = location(&browser.get(start).await);
    let back = provider.signs_in(&to, account).await;
    back.strip_prefix(URL).unwrap().to_owned()
}

async fn signs_in(
    browser: &mut Browser<'_>,
    provider: &OidcProvider,
    id: &str,
    account: &str,
) -> String {
    let start = format!("/auth/oidc/{id}/start?return_to=/studies");
    let back = way_back(browser, provider, &start, account).await;
    location(&browser.get(&back).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_invited_signs_in_with_the_provider_and_is_known_by_subject_afterwards() {
    let (world, provider) = (world().await, provider());
    let mut owner = world.owner().await;
    let id = keep(&world, &provider, "hilum").await;
    let shown = owner.get("/auth/state").await.body["providers"].clone();
    assert_eq!(shown, json!([{"id": id, "name": "Clinic"}]));
    let mut rita = world.browser("192.0.2.50");
    let nobody = signs_in(&mut rita, &provider, &id, "rita@example.org").await;
    assert_eq!(nobody, "/sign-in?error=forbidden", "nobody invited her");
    assert!(rita.token().is_none());
    invite(&world, "rita@example.org").await;
    let to = signs_in(&mut rita, &provider, &id, "rita@example.org").await;
    assert_eq!(to, "/studies");
    let state = rita.get("/auth/state").await.body;
    assert_eq!(state["person"]["name"], "Person rita");
    assert_eq!(state["role"], "radiologist");
    let mut elsewhere = world.browser("192.0.2.51");
    let again = signs_in(&mut elsewhere, &provider, &id, "rita@example.org").await;
    assert_eq!(again, "/studies");
    let trail = world.trail("a").await;
    let last = trail.last().unwrap();
    assert_eq!(last["act"], "sign-in");
    assert_eq!(last["details"]["change"], "provider");
    // Nobody reads the secret, and its removal ends what it vouched for.
    let bytes = std::fs::read(world.dir.path().join("identity.sqlite-wal")).unwrap();
    let secret = OIDC_SECRET.as_bytes();
    assert!(!bytes.windows(secret.len()).any(|part| part == secret));
    let path = format!("/api/v1/sign-in-providers/{id}");
    let elsewhere = world
        .operator("b", Method::DELETE, &path, Value::Null)
        .await;
    assert_eq!(elsewhere.status, StatusCode::NOT_FOUND);
    assert!(rita.admitted().await.is_some());
    world
        .operator("a", Method::DELETE, &path, Value::Null)
        .await;
    assert!(rita.admitted().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_s_provider_opens_nothing_of_another_tenant() {
    let (world, provider) = (world().await, provider());
    // Who owns a and b; the provider is a's alone.
    world.owner().await;
    let id = keep(&world, &provider, "hilum").await;
    let mut owner = world.browser("192.0.2.9");
    let to = signs_in(&mut owner, &provider, &id, "owner@example.org").await;
    assert_eq!(to, "/studies", "a member with the verified address");
    assert_eq!(owner.admitted().await.unwrap().tenant.as_str(), "a");
    let state = owner.get("/auth/state").await.body;
    assert_eq!(
        state["tenants"].as_array().unwrap().len(),
        1,
        "nor what there is"
    );
    let sessions = owner.get("/api/v1/account/sessions").await.body;
    assert_eq!(sessions["items"].as_array().unwrap().len(), 2);
    let name = json!({"name": "Eve"});
    let renamed = owner.ask(Method::PATCH, "/api/v1/account", name).await;
    assert_eq!(renamed.status, StatusCode::FORBIDDEN);
    let refused = owner.post("/auth/tenant", json!({"tenant": "b"})).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    owner.sign_in("owner@example.org", PASSWORD).await;
    let gone = owner.post("/auth/tenant", json!({"tenant": "b"})).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_somebody_made_with_another_s_address_is_not_theirs() {
    let (world, provider) = (world().await, provider());
    let id = keep(&world, &provider, "hilum").await;
    // An administrator of b takes the invitation that they wrote to somebody else.
    let body = json!({"email": "rita@example.org", "role": "auditor"});
    let invited = world
        .operator("b", Method::POST, "/api/v1/invitations", body)
        .await;
    let link = invited.body["link"].as_str().unwrap();
    let token = link.rsplit_once('/').unwrap().1;
    let mut squatter = world.browser("203.0.113.66");
    let body = json!({"token": token, "name": "Rita", "password": PASSWORD});
    let taken = squatter.post("/auth/invitation/accept", body).await;
    assert_eq!(taken.status, StatusCode::NO_CONTENT);
    // It does not become an account of a when its provider vouches for the address.
    invite(&world, "rita@example.org").await;
    let mut rita = world.browser("192.0.2.50");
    let to = signs_in(&mut rita, &provider, &id, "rita@example.org").await;
    assert_eq!(to, "/sign-in?error=forbidden");
    let state = squatter.get("/auth/state").await.body;
    assert_eq!(state["tenants"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_good_in_the_browser_that_asked_once_and_not_for_long() {
    let (world, provider) = (world().await, provider());
    let id = keep(&world, &provider, "hilum").await;
    invite(&world, "rita@example.org").await;
    let start = format!("/auth/oidc/{id}/start");
    let refused = "/sign-in?error=invalid";

    // The attacker's own answer, given to a victim: signed in as the attacker.
    let mut attacker = world.browser("203.0.113.66");
    let theirs = way_back(&mut attacker, &provider, &start, "rita@example.org").await;
    let mut victim = world.browser("192.0.2.50");
    assert_eq!(location(&victim.get(&theirs).await), refused);
    // Also while the victim is on a way of their own.
    let own = way_back(&mut victim, &provider, &start, "rita@example.org").await;
    assert_eq!(location(&victim.get(&theirs).await), refused);
    assert!(victim.token().is_none());
    // That ended the victim's way; the state alone is worth nothing.
    assert_eq!(location(&victim.get(&own).await), refused);

    // Another issuer's name in the answer: a mix-up (RFC 9207).
    let back = way_back(&mut victim, &provider, &start, "rita@example.org").await;
    assert!(back.contains("&iss="), "{back}");
    let (front, _) = back.split_once("&iss=").unwrap();
    let cookies = victim.cookies.clone();
    let mixed = format!("{front}&iss=https%3A%2F%2Fevil.example");
    assert_eq!(location(&victim.get(&mixed).await), refused);
    victim.cookies = cookies.clone();
    assert_eq!(
        location(&victim.get(front).await),
        refused,
        "it names itself"
    );

    // A code is used once, whatever the browser still shows.
    victim.cookies = cookies.clone();
    assert_eq!(location(&victim.get(&back).await), "/");
    assert!(victim.token().is_some());
    let mut replay = world.browser("203.0.113.66");
    replay.cookies = cookies;
    assert_eq!(location(&replay.get(&back).await), refused);
    assert!(replay.token().is_none());

    let late = way_back(&mut replay, &provider, &start, "rita@example.org").await;
    world.later(Duration::minutes(10));
    assert_eq!(location(&replay.get(&late).await), refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_for_one_provider_is_none_for_another() {
    let (world, honest, evil) = (world().await, provider(), provider());
    let honest_id = keep(&world, &honest, "hilum").await;
    let evil_id = keep(&world, &evil, "hilum").await;
    invite(&world, "rita@example.org").await;
    let mut rita = world.browser("192.0.2.50");
    let at_honest = format!("/auth/oidc/{honest_id}/start");
    let back = way_back(&mut rita, &honest, &at_honest, "rita@example.org").await;
    let flow = rita.cookies[0].1.clone();
    let sealed = flow.split_once('.').unwrap().1;
    rita.cookies[0].1 = format!("{evil_id}.{sealed}");
    let to = location(&rita.get(&back).await);
    assert_eq!(to, "/sign-in?error=invalid", "the flow is sealed for one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symmetric_signature_and_an_unverified_address_let_nobody_in() {
    let (world, provider) = (world().await, provider());
    let id = keep(&world, &provider, "hilum").await;
    let symmetric = keep(&world, &provider, "symmetric").await;
    for account in ["rita@example.org", "unverified@example.org"] {
        invite(&world, account).await;
    }
    let mut rita = world.browser("192.0.2.50");
    let to = signs_in(&mut rita, &provider, &symmetric, "rita@example.org").await;
    assert_eq!(to, "/sign-in?error=invalid");
    let to = signs_in(&mut rita, &provider, &id, "unverified@example.org").await;
    assert_eq!(to, "/sign-in?error=forbidden");
    assert!(rita.token().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_led_to_another_site_and_a_provider_must_be_one() {
    let (world, provider) = (world().await, provider());
    let id = keep(&world, &provider, "hilum").await;
    invite(&world, "rita@example.org").await;
    let mut rita = world.browser("192.0.2.50");
    let start = format!("/auth/oidc/{id}/start?return_to=//evil.example/");
    let back = way_back(&mut rita, &provider, &start, "rita@example.org").await;
    assert_eq!(location(&rita.get(&back).await), "/");
    for issuer in ["http://192.0.2.1", "ftp://x", "http://127.0.0.1:1"] {
        let body = json!({"name": "x", "issuer": issuer, "client_id": "x", "client_secret": "x"});
        let path = "/api/v1/sign-in-providers";
        let refused = world.operator("a", Method::POST, path, body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{issuer}");
    }
}

/// A door that nobody should knock at: its port, and how often somebody did.
fn door() -> (u16, impl Fn() -> usize) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let knocks = move || std::iter::from_fn(|| listener.accept().ok()).count();
    (port, knocks)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_leads_this_server_to_no_address_inside() {
    let exposed = |config: &mut hilum_platform::config::Config| {
        config.http = "0.0.0.0:443".parse().unwrap();
        config.identity.public_url = Some("https://hilum.example.org".to_owned());
    };
    let world = World::with(exposed).await;
    let (port, knocks) = door();
    let ask = async |world: &World, issuer: &str| {
        let body = json!({"name": "x", "issuer": issuer, "client_id": "x", "client_secret": "x"});
        let path = "/api/v1/sign-in-providers";
        let refused = world.operator("a", Method::POST, path, body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{issuer}");
        refused.body["detail"].as_str().unwrap().to_owned()
    };
    for host in [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "10.0.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "[fd00::1]",
        "[fe80::1]",
    ] {
        ask(&world, &format!("https://{host}:{port}")).await;
        ask(&world, &format!("http://{host}:{port}")).await;
    }
    assert_eq!(knocks(), 0);
    // Where the configuration allows it, it is asked; in clear it never is.
    let world = world.reopened(|config| {
        config.identity.provider_networks = vec!["127.0.0.0/8".parse().unwrap()];
    });
    let world = world.await;
    for (issuer, expected) in [
        ("https://localhost", 1),
        ("https://127.0.0.1", 1),
        ("http://127.0.0.1", 0),
    ] {
        ask(&world, &format!("{issuer}:{port}")).await;
        assert_eq!(knocks(), expected, "{issuer}");
    }
}
