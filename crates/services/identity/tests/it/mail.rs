//! Mails as a mail server of others gets them, and what their links do.

use axum::http::StatusCode;
use hilum_platform::config::{self, Config, MailTls, SignUp};
use hilum_testkit::{MAIL_USER, MailServer};
use serde_json::{Value, json};
use time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::world::{PASSWORD, World};

pub(crate) const EMAIL: &str = "owner@example.org";
const URL: &str = "https://hilum.example.org";

pub(crate) fn through(server: &MailServer) -> impl FnOnce(&mut Config) {
    let mail = config::Mail {
        server: "localhost".to_owned(),
        port: server.address().port(),
        tls: MailTls::None,
        from: "Hilum <hilum@example.org>".to_owned(),
        user: None,
        password_file: None,
        ca_file: None,
    };
    move |config| {
        config.identity.public_url = Some(URL.to_owned());
        config.mail = Some(mail);
    }
}

/// The service's workers, until this goes.
pub(crate) struct Working(CancellationToken);

impl Working {
    pub(crate) fn of(world: &World) -> Self {
        let stop = CancellationToken::new();
        world.service.start_workers(&TaskTracker::new(), &stop);
        Self(stop)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The `nth` mail, once it is there.
pub(crate) async fn mail(server: &MailServer, nth: usize) -> Value {
    for _ in 0..400 {
        if let Some(mail) = server.mails().get(nth) {
            return mail.clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("mail {nth} did not come in 20 s");
}

/// The token of the link to `page` in a mail.
pub(crate) fn token(mail: &Value, page: &str) -> String {
    let start = format!("{URL}/#/{page}/");
    let body = mail["body"].as_str().unwrap();
    let line = body.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("no link to {page}: {body}"))
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_by_mail_gives_another_password_once_and_ends_every_session() {
    let server = MailServer::up();
    let world = World::with(through(&server)).await;
    let _working = Working::of(&world);
    let mut owner = world.owner().await;
    let verify = mail(&server, 0).await;
    assert_eq!(verify["to"], json!([EMAIL]));
    assert_eq!(verify["auto_submitted"], "auto-generated");
    let body = json!({"token": token(&verify, "verify")});
    let verified = owner.post("/auth/verify-email", body.clone()).await;
    assert_eq!(verified.status, StatusCode::NO_CONTENT);
    let again = owner.post("/auth/verify-email", body).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    assert_eq!(
        owner.get("/auth/state").await.body["person"]["email_verified"],
        true
    );

    let mut other = world.browser("203.0.113.9");
    let ask = |email: &str| json!({ "email": email });
    let unknown = other
        .post("/auth/password-reset", ask("nobody@example.org"))
        .await;
    let known = other.post("/auth/password-reset", ask(EMAIL)).await;
    assert_eq!(unknown.status, StatusCode::ACCEPTED);
    assert_eq!(known.status, StatusCode::ACCEPTED);
    assert_eq!(unknown.body, known.body);
    let reset = mail(&server, 1).await;
    let finish = |password: &str| json!({"token": token(&reset, "reset"), "password": password});
    let weak = other
        .post("/auth/password-reset/finish", finish("Password1234!"))
        .await;
    assert_eq!(
        weak.status,
        StatusCode::BAD_REQUEST,
        "the link is not used up"
    );
    let new = "a harbour in the rain";
    let done = other.post("/auth/password-reset/finish", finish(new)).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT, "{}", done.body);
    assert!(owner.admitted().await.is_none());
    let again = other
        .post("/auth/password-reset/finish", finish(PASSWORD))
        .await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    let old = other.sign_in(EMAIL, PASSWORD).await;
    assert_eq!(old.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        other.sign_in(EMAIL, new).await.status,
        StatusCode::NO_CONTENT
    );
    let told = mail(&server, 2).await;
    assert_eq!(told["subject"], "Your password at Hilum was changed");
    assert_eq!(server.mails().len(), 3, "nobody else got one");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_for_another_password_ends_after_half_an_hour() {
    let server = MailServer::up();
    let world = World::with(through(&server)).await;
    let _working = Working::of(&world);
    world.owner().await;
    mail(&server, 0).await;
    let mut other = world.browser("203.0.113.9");
    other
        .post("/auth/password-reset", json!({"email": EMAIL}))
        .await;
    let reset = mail(&server, 1).await;
    world.later(Duration::minutes(30));
    let body = json!({"token": token(&reset, "reset"), "password": "a harbour in the rain"});
    let late = other.post("/auth/password-reset/finish", body).await;
    assert_eq!(late.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_by_mail_proves_the_address_and_no_file_holds_its_link() {
    let server = MailServer::up();
    let world = World::with(through(&server)).await;
    let _working = Working::of(&world);
    let mut owner = world.owner().await;
    mail(&server, 0).await;
    let body = json!({"email": "rita@example.org", "role": "auditor"});
    let invited = owner.post("/api/v1/invitations", body).await.body;
    assert_eq!(invited["mailed"], true);
    assert_eq!(invited["link"], Value::Null, "the link is rita's alone");
    let invitation = mail(&server, 1).await;
    assert_eq!(invitation["to"], json!(["rita@example.org"]));
    assert_eq!(invitation["subject"], "An invitation to St Mary");
    let token = token(&invitation, "invitation");
    for file in ["identity.sqlite", "identity.sqlite-wal"] {
        let bytes = std::fs::read(world.dir.path().join(file)).unwrap_or_default();
        let held = bytes
            .windows(token.len())
            .any(|part| part == token.as_bytes());
        assert!(!held, "{file} holds a link");
    }
    let mut rita = world.browser("192.0.2.50");
    let body = json!({"token": token, "name": "Rita", "password": PASSWORD});
    let accepted = rita.post("/auth/invitation/accept", body).await;
    assert_eq!(accepted.status, StatusCode::NO_CONTENT, "{}", accepted.body);
    let state = rita.get("/auth/state").await.body;
    assert_eq!(state["person"]["email_verified"], true);

    // Who answers for the organisation is told of emergency access at once.
    let reason = json!({"reason": "stroke, nobody on call"});
    let taken = rita.post("/auth/break-glass", reason).await;
    assert_eq!(taken.status, StatusCode::OK, "{}", taken.body);
    mail(&server, 3).await;
    let mut told: Vec<_> = server.mails()[2..]
        .iter()
        .map(|mail| mail["to"][0].as_str().unwrap().to_owned())
        .collect();
    told.sort();
    assert_eq!(told, [EMAIL, "rita@example.org"]);
    assert!(
        !server.mails()[2]["body"]
            .as_str()
            .unwrap()
            .contains("stroke")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_no_server_takes_is_sent_when_one_does() {
    let mut server = MailServer::down();
    let world = World::with(through(&server)).await;
    let working = Working::of(&world);
    world.owner().await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert!(server.mails().is_empty());
    server.comes_up();
    drop(working);
    world.later(Duration::minutes(1));
    let _working = Working::of(&world);
    let verify = mail(&server, 0).await;
    assert_eq!(verify["to"], json!([EMAIL]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_tls_gets_the_password_over_tls_only_and_must_be_trusted() {
    let server = MailServer::up_with_tls();
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, format!("{}\n", MAIL_USER.1)).unwrap();
    let with = |ca_file| {
        let (plain, password) = (through(&server), password.clone());
        move |config: &mut Config| {
            plain(config);
            let mail = config.mail.as_mut().unwrap();
            mail.tls = MailTls::StartTls;
            mail.user = Some(MAIL_USER.0.to_owned());
            mail.password_file = Some(password);
            mail.ca_file = ca_file;
        }
    };
    let distrustful = World::with(with(None)).await;
    let working = Working::of(&distrustful);
    distrustful.owner().await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(server.mails().is_empty(), "nobody vouches for it");
    drop(working);
    let world = World::with(with(Some(server.ca_file()))).await;
    let _working = Working::of(&world);
    world.owner().await;
    assert_eq!(mail(&server, 0).await["tls"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_up_shows_their_address_first_and_learns_of_nobody_else_s() {
    let server = MailServer::up();
    let mail_way = through(&server);
    let world = World::with(|config| {
        mail_way(config);
        config.identity.sign_up = SignUp::Open;
    })
    .await;
    let _working = Working::of(&world);
    world.owner().await;
    mail(&server, 0).await;
    let sign_up = |email: &str| json!({"organisation": "North", "email": email, "name": "Nora", "password": PASSWORD});
    let mut nora = world.browser("192.0.2.60");
    let new = nora
        .post("/auth/sign-up", sign_up("nora@example.org"))
        .await;
    let verify = mail(&server, 1).await;
    let taken = nora.post("/auth/sign-up", sign_up(EMAIL)).await;
    assert_eq!(new.status, StatusCode::ACCEPTED, "{}", new.body);
    assert_eq!((taken.status, &taken.body), (new.status, &new.body));
    assert!(nora.token().is_none());
    assert_eq!(mail(&server, 2).await["to"], json!([EMAIL]));
    let early = nora.sign_in("nora@example.org", PASSWORD).await;
    assert_eq!(early.status, StatusCode::FORBIDDEN);
    let body = json!({"token": token(&mail(&server, 3).await, "verify")});
    let older = json!({"token": token(&verify, "verify")});
    let older = nora.post("/auth/verify-email", older).await;
    assert_eq!(
        older.status,
        StatusCode::NOT_FOUND,
        "the newer link took its place"
    );
    let verified = nora.post("/auth/verify-email", body).await;
    assert_eq!(verified.status, StatusCode::NO_CONTENT);
    let signed_in = nora.sign_in("nora@example.org", PASSWORD).await;
    assert_eq!(signed_in.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn without_mail_an_administrator_hands_a_link_over() {
    let world = World::new().await;
    let mut owner = world.owner().await;
    let mut other = world.browser("203.0.113.9");
    let asked = other
        .post("/auth/password-reset", json!({"email": EMAIL}))
        .await;
    assert_eq!(asked.status, StatusCode::CONFLICT);
    let state = owner.get("/auth/state").await.body;
    let path = format!(
        "/api/v1/people/{}/reset-link",
        state["person"]["id"].as_str().unwrap()
    );
    let elsewhere = owner.post(&path, Value::Null).await;
    assert_eq!(
        elsewhere.status,
        StatusCode::CONFLICT,
        "they belong to b too"
    );
    let made = world
        .operator("a", axum::http::Method::POST, &path, Value::Null)
        .await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.body);
    let link = made.body["link"].as_str().unwrap();
    let token = link.strip_prefix("/#/reset/").unwrap();
    let body = json!({"token": token, "password": "a harbour in the rain"});
    let done = other.post("/auth/password-reset/finish", body).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT, "{}", done.body);
    other.sign_in(EMAIL, "a harbour in the rain").await;
    let state = other.get("/auth/state").await.body;
    assert_eq!(
        state["person"]["email_verified"], false,
        "it proved no address"
    );
}
