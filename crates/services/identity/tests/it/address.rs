//! Another e-mail address: it counts once it was shown to be one's own, and the
//! one until now hears of it.

use axum::http::{Method, StatusCode};
use hilum_testkit::MailServer;
use serde_json::{Value, json};
use time::Duration;

use crate::mail::{EMAIL, Working, mail, through, token};
use crate::world::{Browser, PASSWORD, World};

const PATH: &str = "/api/v1/account/email";
const NEW: &str = "olga@new.example.org";

fn wanted(email: &str, password: &str) -> Value {
    json!({"email": email, "password": password})
}

/// A mail to `to` that tells of `subject`, among the first `count`.
async fn mailed(server: &MailServer, count: usize, to: &str, subject: &str) -> Value {
    mail(server, count - 1).await;
    let mails = server.mails();
    let found = mails
        .iter()
        .find(|mail| mail["to"][0] == to && mail["subject"] == subject);
    found
        .unwrap_or_else(|| panic!("{to} got no mail of {subject}: {mails:?}"))
        .clone()
}

async fn email_of(browser: &mut Browser<'_>) -> (Value, Value) {
    let account = browser.get("/api/v1/account").await.body;
    (account["email"].clone(), account["new_email"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_address_counts_once_its_link_is_opened_and_the_one_before_hears_of_it() {
    let server = MailServer::up();
    let world = World::with(through(&server)).await;
    let _working = Working::of(&world);
    let mut here = world.owner().await;
    let mut there = world.browser("203.0.113.5");
    there.sign_in(EMAIL, PASSWORD).await;
    mail(&server, 0).await;

    let asked = here
        .post(PATH, wanted(" Olga@New.example.org", PASSWORD))
        .await;
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{}", asked.body);
    let word = "Another address for your account at Hilum";
    let told = mailed(&server, 3, EMAIL, word).await;
    assert!(!told["body"].as_str().unwrap().contains("/verify/"));
    let link = mailed(&server, 3, NEW, "Your new address at Hilum").await;
    let link = json!({"token": token(&link, "verify")});
    assert_eq!(email_of(&mut here).await, (EMAIL.into(), NEW.into()));
    let early = world.browser("203.0.113.9").sign_in(NEW, PASSWORD).await;
    assert_eq!(
        early.status,
        StatusCode::UNAUTHORIZED,
        "it does not count yet"
    );
    assert!(there.admitted().await.is_some());

    // Opened on a telephone, where nobody is signed in.
    let mut phone = world.browser("198.51.100.7");
    let opened = phone.post("/auth/verify-email", link.clone()).await;
    assert_eq!(opened.status, StatusCode::NO_CONTENT, "{}", opened.body);
    assert_eq!(email_of(&mut here).await, (NEW.into(), Value::Null));
    assert!(there.admitted().await.is_none(), "other sessions end");
    let found = here.get("/api/v1/people?q=new.example").await.body;
    assert_eq!(found["items"][0]["email"], NEW);
    mailed(&server, 4, EMAIL, "Your address at Hilum was changed").await;
    let old = there.sign_in(EMAIL, PASSWORD).await;
    assert_eq!(old.status, StatusCode::UNAUTHORIZED);
    let new = there.sign_in(NEW, PASSWORD).await;
    assert_eq!(new.status, StatusCode::NO_CONTENT);
    let again = phone.post("/auth/verify-email", link).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND, "a link works once");

    for tenant in ["a", "b"] {
        let trail = world.trail(tenant).await;
        let mut changes = trail.iter().filter(|entry| entry["act"] == "change-person");
        let last = changes.next_back().unwrap();
        assert_eq!(last["details"]["change"], "address", "{trail:?}");
        assert!(
            trail
                .iter()
                .all(|entry| !entry.to_string().contains("new.example"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_address_needs_the_password_and_ends_with_it() {
    let server = MailServer::up();
    let world = World::with(through(&server)).await;
    let _working = Working::of(&world);
    let mut owner = world.owner().await;
    mail(&server, 0).await;
    let guessed = owner.post(PATH, wanted(NEW, "a guess of twelve")).await;
    assert_eq!(guessed.status, StatusCode::FORBIDDEN);
    let none = owner.post(PATH, wanted("olga", PASSWORD)).await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
    let same = owner.post(PATH, wanted(EMAIL, PASSWORD)).await;
    assert_eq!(same.status, StatusCode::BAD_REQUEST);

    // Withdrawn by the person, by another password, and by time.
    let ask = wanted(NEW, PASSWORD);
    owner.post(PATH, ask.clone()).await;
    mail(&server, 2).await;
    let link = |nth: usize| {
        let mails = server.mails();
        let mut to_new = mails.iter().filter(|mail| mail["to"][0] == NEW);
        json!({"token": token(to_new.nth(nth).unwrap(), "verify")})
    };
    let withdrawn = owner.ask(Method::DELETE, PATH, Value::Null).await;
    assert_eq!(withdrawn.status, StatusCode::NO_CONTENT);
    let again = owner.ask(Method::DELETE, PATH, Value::Null).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    let late = owner.post("/auth/verify-email", link(0)).await;
    assert_eq!(late.status, StatusCode::NOT_FOUND);

    owner.post(PATH, ask.clone()).await;
    mail(&server, 4).await;
    let change = json!({"current": PASSWORD, "new": "a harbour in the rain"});
    let changed = owner.post("/api/v1/account/password", change).await;
    assert_eq!(changed.status, StatusCode::NO_CONTENT, "{}", changed.body);
    let late = owner.post("/auth/verify-email", link(1)).await;
    assert_eq!(late.status, StatusCode::NOT_FOUND);

    mail(&server, 5).await;
    owner.post(PATH, wanted(NEW, "a harbour in the rain")).await;
    mail(&server, 7).await;
    world.later(Duration::days(2));
    let late = owner.post("/auth/verify-email", link(2)).await;
    assert_eq!(late.status, StatusCode::NOT_FOUND);
    let state = owner.get("/auth/state").await.body;
    assert_ne!(state["person"]["email"], NEW);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_s_address_is_theirs_and_who_asks_for_it_learns_nothing() {
    let server = MailServer::up();
    let world = World::with(through(&server)).await;
    let _working = Working::of(&world);
    let mut owner = world.owner().await;
    mail(&server, 0).await;
    let invited = json!({"email": "rita@example.org", "role": "radiologist"});
    owner.post("/api/v1/invitations", invited).await;
    let invitation = token(&mail(&server, 1).await, "invitation");
    let mut rita = world.browser("192.0.2.50");
    let accept = json!({"token": invitation, "name": "Rita", "password": PASSWORD});
    rita.post("/auth/invitation/accept", accept).await;

    let free = rita.post(PATH, wanted(NEW, PASSWORD)).await;
    let link = mailed(&server, 4, NEW, "Your new address at Hilum").await;
    let taken = rita.post(PATH, wanted(EMAIL, PASSWORD)).await;
    assert_eq!((taken.status, &taken.body), (free.status, &free.body));
    assert_eq!(
        email_of(&mut rita).await,
        ("rita@example.org".into(), EMAIL.into())
    );
    mailed(&server, 6, EMAIL, "You have an account at Hilum").await;
    let links = server.mails();
    let to_owner = links.iter().filter(|mail| mail["to"][0] == EMAIL);
    let proves = to_owner.filter(|mail| mail["subject"] == "Your new address at Hilum");
    assert_eq!(proves.count(), 0);
    let older = json!({"token": token(&link, "verify")});
    let older = rita.post("/auth/verify-email", older).await;
    assert_eq!(
        older.status,
        StatusCode::NOT_FOUND,
        "it was asked for no more"
    );

    // Somebody takes the address between the question and the link.
    rita.post(PATH, wanted("free@example.org", PASSWORD)).await;
    let link = mailed(&server, 8, "free@example.org", "Your new address at Hilum").await;
    let invited = json!({"email": "free@example.org", "role": "auditor"});
    owner.post("/api/v1/invitations", invited).await;
    let invitation = token(&mail(&server, 8).await, "invitation");
    let accept = json!({"token": invitation, "name": "Fred", "password": PASSWORD});
    let mut fred = world.browser("192.0.2.51");
    let accepted = fred.post("/auth/invitation/accept", accept).await;
    assert_eq!(accepted.status, StatusCode::NO_CONTENT, "{}", accepted.body);
    let link = json!({"token": token(&link, "verify")});
    let late = rita.post("/auth/verify-email", link).await;
    assert_eq!(late.status, StatusCode::CONFLICT, "{}", late.body);
    assert_eq!(email_of(&mut rita).await.0, "rita@example.org");
}

#[tokio::test]
async fn without_mail_an_address_can_t_be_checked_and_stays() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let asked = owner.post(PATH, wanted(NEW, PASSWORD)).await;
    assert_eq!(asked.status, StatusCode::CONFLICT);
    assert_eq!(email_of(&mut owner).await, (EMAIL.into(), Value::Null));
}
