//! Setting up, signing in and out, guessing.

use axum::http::{StatusCode, header};
use hilum_contracts::identity::Identity as _;
use serde_json::json;
use time::Duration;

use crate::world::{PASSWORD, World};

const EMAIL: &str = "owner@example.org";

#[tokio::test]
async fn the_link_of_an_empty_installation_makes_the_first_person_once() {
    let world = World::new().await;
    let token = world.service.set_up_link_token().await.unwrap().unwrap();
    let body = |token: &str| {
        json!({"token": token, "organisation": "St Mary", "email": "Ann@Example.org",
               "name": "Ann", "password": PASSWORD})
    };
    let mut browser = world.browser("192.0.2.1");
    let state = browser.get("/auth/state").await.body;
    assert_eq!(state["set_up_needed"], true);
    let wrong = browser.post("/auth/set-up", body("guess")).await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    let newer = world.service.set_up_link_token().await.unwrap().unwrap();
    let older = browser.post("/auth/set-up", body(&token)).await;
    assert_eq!(
        older.status,
        StatusCode::FORBIDDEN,
        "the next start ends it"
    );
    let made = browser.post("/auth/set-up", body(&newer)).await;
    assert_eq!(made.status, StatusCode::NO_CONTENT, "{}", made.body);
    let again = browser.post("/auth/set-up", body(&newer)).await;
    assert_eq!(again.status, StatusCode::FORBIDDEN);
    assert!(world.service.set_up_link_token().await.unwrap().is_none());

    let state = browser.get("/auth/state").await.body;
    assert_eq!(state["set_up_needed"], false);
    assert_eq!(state["person"]["email"], "ann@example.org");
    assert_eq!(state["role"], "owner");
    assert_eq!(state["tenant"]["display_name"], "St Mary");
    assert_eq!(state["tenant"]["ae_title"], "TENANT_A");
    let tenants: Vec<_> = state["tenants"].as_array().unwrap().iter().collect();
    assert_eq!(tenants.len(), 2, "every tenant that nobody owned");
}

#[tokio::test]
async fn a_wrong_address_and_a_wrong_password_are_answered_alike() {
    let world = World::new().await;
    world.owner().await;
    let mut browser = world.browser("198.51.100.1");
    let unknown = browser.sign_in("nobody@example.org", PASSWORD).await;
    let wrong = browser.sign_in(EMAIL, "another lighthouse").await;
    let nonsense = browser.sign_in("no address", PASSWORD).await;
    assert_eq!(unknown.status, StatusCode::UNAUTHORIZED);
    assert_eq!(unknown.body, wrong.body);
    assert_eq!(unknown.body, nonsense.body);
    assert!(browser.cookies.is_empty());
}

#[tokio::test]
async fn signing_in_gives_a_token_of_its_own_and_ends_the_one_that_came() {
    let world = World::new().await;
    let mut browser = world.owner().await;
    let before = browser.token().unwrap();
    assert_eq!(
        browser.sign_in(EMAIL, PASSWORD).await.status,
        StatusCode::NO_CONTENT
    );
    let after = browser.token().unwrap();
    assert_ne!(before, after);
    assert!(
        world
            .service
            .session(&before, None)
            .await
            .unwrap()
            .is_none()
    );

    // A token that somebody planted names no session, and never will.
    let mut victim = world.browser("192.0.2.9");
    let planted = "A".repeat(43);
    victim.cookies = vec![("hilum-session".to_owned(), planted.clone())];
    victim.sign_in(EMAIL, PASSWORD).await;
    assert_ne!(victim.token().unwrap(), planted);
    assert!(
        world
            .service
            .session(&planted, None)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_token_is_worth_nothing_after_sign_out() {
    let world = World::new().await;
    let mut browser = world.owner().await;
    let token = browser.token().unwrap();
    assert!(browser.admitted().await.is_some());
    let out = browser.post("/auth/sign-out", json!({})).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert!(browser.token().is_none());
    assert!(world.service.session(&token, None).await.unwrap().is_none());
    assert_eq!(browser.get("/auth/state").await.body["signed_in"], false);
}

#[tokio::test]
async fn cookies_are_hidden_from_scripts_and_bound_to_tls_where_there_is_any() {
    let world = World::new().await;
    world.owner().await;
    let mut browser = world.browser("192.0.2.1");
    let plain = browser.sign_in(EMAIL, PASSWORD).await;
    browser.secure = true;
    let secure = browser.sign_in(EMAIL, PASSWORD).await;
    for (answer, tls) in [(plain, false), (secure, true)] {
        let cookies: Vec<_> = answer.headers.get_all(header::SET_COOKIE).iter().collect();
        assert_eq!(cookies.len(), 2, "session and browser");
        for cookie in cookies {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("; Path=/;"), "{cookie}");
            assert!(cookie.contains("; HttpOnly"), "{cookie}");
            assert!(cookie.contains("; SameSite=Lax"), "{cookie}");
            assert!(!cookie.contains("Domain"), "{cookie}");
            assert_eq!(cookie.contains("; Secure"), tls, "{cookie}");
            assert_eq!(cookie.starts_with("__Host-"), tls, "{cookie}");
        }
    }
}

#[tokio::test]
async fn who_guesses_waits_longer_and_longer_and_the_victim_s_browser_does_not() {
    let world = World::new().await;
    let mut victim = world.owner().await;
    let mut guesser = world.browser("198.51.100.7");
    for _ in 0..5 {
        let answer = guesser.sign_in(EMAIL, "not the password").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    let answer = guesser.sign_in(EMAIL, "not the password").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    // Nor does the right one help, nor another address of the same line.
    guesser.address = "198.51.100.200".parse().unwrap();
    let answer = guesser.sign_in(EMAIL, PASSWORD).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);

    // The victim's own browser signs in, even from the guesser's network.
    victim.address = "198.51.100.8".parse().unwrap();
    assert_eq!(
        victim.sign_in(EMAIL, PASSWORD).await.status,
        StatusCode::NO_CONTENT
    );
    // And a new browser of the victim's from anywhere else.
    let mut other = world.browser("203.0.113.5");
    assert_eq!(
        other.sign_in(EMAIL, PASSWORD).await.status,
        StatusCode::NO_CONTENT
    );
    world.later(Duration::seconds(2));
    let answer = guesser.sign_in(EMAIL, "not the password").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    world.later(Duration::seconds(1));
    let answer = guesser.sign_in(EMAIL, PASSWORD).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "it doubled");
}

#[tokio::test]
async fn a_browser_that_another_person_used_is_no_known_one() {
    let world = World::new().await;
    world.owner().await;
    let mut guesser = world.browser("198.51.100.7");
    guesser.cookies = vec![("hilum-browser".to_owned(), "B".repeat(43))];
    for _ in 0..5 {
        guesser.sign_in(EMAIL, "not the password").await;
    }
    guesser.cookies = vec![("hilum-browser".to_owned(), "C".repeat(43))];
    let answer = guesser.sign_in(EMAIL, PASSWORD).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn many_guesses_at_once_count_as_many() {
    let world = World::new().await;
    world.owner().await;
    let guesses = (0..20).map(|_| {
        let mut guesser = world.browser("198.51.100.7");
        async move { guesser.sign_in(EMAIL, "not the password").await.status }
    });
    let answers = futures::future::join_all(guesses).await;
    let tried = answers
        .iter()
        .filter(|status| **status == StatusCode::UNAUTHORIZED);
    assert_eq!(tried.count(), 5);
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_in_any_case_after_a_week() {
    let world = World::new().await;
    let browser = world.owner().await;
    for _ in 0..14 {
        world.later(Duration::hours(11));
        assert!(browser.admitted().await.is_some());
    }
    world.later(Duration::hours(11));
    assert!(browser.admitted().await.is_some(), "165 hours");
    world.later(Duration::hours(4));
    assert!(browser.admitted().await.is_none(), "169 hours");

    let mut browser = world.browser("192.0.2.1");
    browser.sign_in(EMAIL, PASSWORD).await;
    world.later(Duration::hours(12) + Duration::seconds(1));
    assert!(browser.admitted().await.is_none());
}

#[tokio::test]
async fn nothing_that_is_stored_lets_anybody_in() {
    let world = World::new().await;
    let browser = world.owner().await;
    let (token, known) = (browser.token().unwrap(), browser.cookies.clone());
    let files = ["identity.sqlite", "identity.sqlite-wal"];
    for file in files {
        let Ok(bytes) = std::fs::read(world.dir.path().join(file)) else {
            continue;
        };
        let holds = |text: &str| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        assert!(!holds(&token), "{file} holds a token");
        assert!(!holds(PASSWORD), "{file} holds a password");
        for (name, value) in &known {
            assert!(!holds(value), "{file} holds the cookie {name}");
        }
    }
}

#[tokio::test]
async fn a_body_of_another_kind_or_with_more_fields_is_refused() {
    let world = World::new().await;
    let mut browser = world.browser("192.0.2.1");
    let more = json!({"email": EMAIL, "password": PASSWORD, "role": "owner"});
    let answer = browser.post("/auth/sign-in", more).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.body["detail"].as_str().unwrap().contains("role"));
    let wrong = json!({"email": EMAIL, "password": ["secret words"]});
    let answer = browser.post("/auth/sign-in", wrong).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(!answer.body.to_string().contains("secret words"));
    let long = json!({"email": "x".repeat(70_000), "password": PASSWORD});
    let answer = browser.post("/auth/sign-in", long).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn who_signs_up_gets_an_organisation_where_the_installation_is_open_to_it() {
    let closed = World::new().await;
    closed.owner().await;
    let body = json!({"organisation": "North Clinic", "email": "n@example.org", "name": "Nora",
                      "password": PASSWORD});
    let answer = closed
        .browser("192.0.2.1")
        .post("/auth/sign-up", body.clone())
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);

    let world = World::with(|config| {
        config.identity.sign_up = hilum_platform::config::SignUp::Open;
    })
    .await;
    world.owner().await;
    let mut browser = world.browser("192.0.2.1");
    let answer = browser.post("/auth/sign-up", body).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.body);
    let state = browser.get("/auth/state").await.body;
    assert_eq!(state["tenant"]["name"], "north-clinic");
    assert_eq!(state["tenant"]["ae_title"], "NORTH_CLINIC");
    assert_eq!(state["role"], "owner");
    let known = world.directory.known();
    assert!(known.tenant_called("NORTH_CLINIC").is_some());
}
