//! ID tokens that an attacker makes: a provider of the test's own answers with
//! whatever it is told to, and nobody comes in by it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use axum::http::{Method, StatusCode, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::world::{Browser, World};

const SECRET: &str = "a secret between two servers";
const URL: &str = "http://hilum.example.org";

/// A provider whose key is known, and that answers with any token.
struct Provider {
    address: SocketAddr,
    key: Ed25519KeyPair,
    token: Arc<Mutex<String>>,
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Provider {
    async fn up() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let key = Ed25519KeyPair::generate().unwrap();
        let token = Arc::<Mutex<String>>::default();
        let at = |path: &str| format!("http://{address}{path}");
        let document = json!({
            "issuer": at(""), "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"), "jwks_uri": at("/keys"),
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"],
        });
        let keys = json!({ "keys": [{
            "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": "1",
            "x": base64(key.public_key()),
        }]});
        let answered = Arc::clone(&token);
        let router = Router::new()
            .route(
                "/.well-known/openid-configuration",
                get(move || async move { Json(document) }),
            )
            .route("/keys", get(move || async move { Json(keys) }))
            .route(
                "/token",
                post(move || async move {
                    let token = answered.lock().unwrap().clone();
                    Json(json!({
                        "access_token": "x", "token_type": "Bearer", "id_token": token,
                    }))
                }),
            );
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            address,
            key,
            token,
        }
    }

    fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it says of a person, rightly.
    fn claims(&self, nonce: &str, now: i64) -> Value {
        json!({
            "iss": self.issuer(), "aud": "hilum", "sub": "rita", "nonce": nonce,
            "iat": now, "exp": now + 300,
            "email": "rita@example.org", "email_verified": true, "name": "Rita",
        })
    }
}

/// A token (RFC 7515 §7.1) that `sign` signs.
fn token(head: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let text = format!(
        "{}.{}",
        base64(head.to_string()),
        base64(claims.to_string())
    );
    let signature = sign(text.as_bytes());
    format!("{text}.{}", base64(signature))
}

/// Goes to the provider: what the browser has to
/// come back with, and the nonce that the token must hold.
async fn on_the_way(id: &str, browser: &mut Browser<'_>) -> (String, String) {
    let away = browser.get(&format!("/auth/oidc/{id}/start")).await;
    assert_eq!(away.status, StatusCode::SEE_OTHER, "{}", away.body);
    let to = away.headers[header::LOCATION].to_str().unwrap();
    let value = |name: &str| {
        let start = to.find(&format!("{name}=")).unwrap() + name.len() + 1;
        to[start..].split('&').next().unwrap().to_owned()
    };
    let back = format!("/auth/oidc/callback?code=x&state={}", value("state"));
    (back, value("nonce"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_or_borrowed_token_lets_nobody_in() {
    let world = World::with(|config| config.identity.public_url = Some(URL.to_owned())).await;
    let provider = Provider::up().await;
    let body = json!({"name": "Clinic", "issuer": provider.issuer(), "client_id": "hilum",
                      "client_secret": SECRET});
    let path = "/api/v1/sign-in-providers";
    let kept = world.operator("a", Method::POST, path, body).await;
    assert_eq!(kept.status, StatusCode::OK, "{}", kept.body);
    let id = kept.body["id"].as_str().unwrap().to_owned();
    let body = json!({"email": "rita@example.org", "role": "radiologist"});
    world
        .operator("a", Method::POST, "/api/v1/invitations", body)
        .await;

    let head = |alg: &str| json!({"alg": alg, "typ": "JWT", "kid": "1"});
    let now = world.now().unix_timestamp();
    let own = |text: &[u8]| provider.key.sign(text).as_ref().to_vec();
    let hmac_with = |key: &[u8]| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        move |text: &[u8]| hmac::sign(&key, text).as_ref().to_vec()
    };
    let public = provider.key.public_key().as_ref().to_vec();
    let thief = Ed25519KeyPair::generate().unwrap();
    let thief_jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": base64(thief.public_key())});
    let with = |nonce: &str, name: &str, value: Value| {
        let mut claims = provider.claims(nonce, now);
        claims[name] = value;
        claims
    };
    type Forgery<'a> = (&'a str, Box<dyn Fn(&str) -> String + 'a>);
    let forgeries: Vec<Forgery<'_>> = vec![
        (
            "no signature",
            Box::new(|nonce: &str| {
                token(&head("none"), &provider.claims(nonce, now), |_| Vec::new())
            }),
        ),
        (
            "none, spelt otherwise",
            Box::new(|nonce: &str| {
                token(&head("nOnE"), &provider.claims(nonce, now), |_| Vec::new())
            }),
        ),
        (
            "the client's secret as key",
            Box::new(|nonce: &str| {
                token(
                    &head("HS256"),
                    &provider.claims(nonce, now),
                    hmac_with(SECRET.as_bytes()),
                )
            }),
        ),
        (
            "the public key as secret",
            Box::new(|nonce: &str| {
                token(
                    &head("HS256"),
                    &provider.claims(nonce, now),
                    hmac_with(&public),
                )
            }),
        ),
        (
            "another's key by the same name",
            Box::new(|nonce: &str| {
                let sign = |text: &[u8]| thief.sign(text).as_ref().to_vec();
                token(&head("EdDSA"), &provider.claims(nonce, now), sign)
            }),
        ),
        (
            "a key that the token brings along",
            Box::new(|nonce: &str| {
                let mut head = head("EdDSA");
                head["jwk"] = thief_jwk.clone();
                let sign = |text: &[u8]| thief.sign(text).as_ref().to_vec();
                token(&head, &provider.claims(nonce, now), sign)
            }),
        ),
        (
            "a changed claim",
            Box::new(|nonce: &str| {
                let whole = token(&head("EdDSA"), &provider.claims(nonce, now), own);
                let parts: Vec<&str> = whole.split('.').collect();
                let other = with(nonce, "sub", json!("owner"));
                format!("{}.{}.{}", parts[0], base64(other.to_string()), parts[2])
            }),
        ),
        (
            "for another client",
            Box::new(|nonce: &str| {
                token(&head("EdDSA"), &with(nonce, "aud", json!("another")), own)
            }),
        ),
        (
            "of another issuer",
            Box::new(|nonce: &str| {
                token(
                    &head("EdDSA"),
                    &with(nonce, "iss", json!("https://accounts.google.com")),
                    own,
                )
            }),
        ),
        (
            "over",
            Box::new(|nonce: &str| {
                token(&head("EdDSA"), &with(nonce, "exp", json!(now - 3_600)), own)
            }),
        ),
        (
            "of another sign-in",
            Box::new(|_: &str| token(&head("EdDSA"), &provider.claims("another", now), own)),
        ),
        (
            "of no sign-in",
            Box::new(|nonce: &str| token(&head("EdDSA"), &with(nonce, "nonce", Value::Null), own)),
        ),
        (
            "of an address that nobody verified",
            Box::new(|nonce: &str| {
                token(
                    &head("EdDSA"),
                    &with(nonce, "email_verified", json!(false)),
                    own,
                )
            }),
        ),
        ("no token at all", Box::new(|_: &str| "x".to_owned())),
    ];
    for (what, forge) in &forgeries {
        let mut browser = world.browser("192.0.2.50");
        let (back, nonce) = on_the_way(&id, &mut browser).await;
        *provider.token.lock().unwrap() = forge(&nonce);
        let answer = browser.get(&back).await;
        let to = answer.headers[header::LOCATION].to_str().unwrap();
        assert!(to.starts_with("/sign-in?error="), "{what}: {to}");
        assert!(browser.token().is_none(), "{what}");
    }
    // The same way with an honest token leads in, so that each was refused for
    // what it is.
    let mut browser = world.browser("192.0.2.50");
    let (back, nonce) = on_the_way(&id, &mut browser).await;
    let honest = token(&head("EdDSA"), &provider.claims(&nonce, now), own);
    *provider.token.lock().unwrap() = honest;
    let answer = browser.get(&back).await;
    assert_eq!(answer.headers[header::LOCATION], "/");
    assert!(browser.token().is_some());
}
