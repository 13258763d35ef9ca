//! What attackers of web applications try, tried on a running Hilum; the list of
//! all of it, with a test each, is in SECURITY.md. What is hostile to parsers and
//! codecs is in `hostile.rs`, what another tenant tries in `isolation`.

mod requests;
mod sessions;
mod texts;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use hilum_testkit::{Answer, As, Hilum};
use serde_json::{Value, json};

pub(crate) const PASSWORD: &str = "a quiet harbour at dawn";

/// Makes a person of tenant `a` by invitation: their id and session's cookie.
pub(crate) fn person(hilum: &Hilum, email: &str, role: &str) -> (String, String) {
    let api = hilum.api();
    let body = json!({ "email": email, "role": role });
    let invited = api.send(
        "POST",
        "/api/v1/invitations",
        As::Operator("a"),
        Some(&body),
    );
    let link = invited.json()["link"].as_str().unwrap().to_owned();
    let (_, token) = link.rsplit_once(['#', '/']).unwrap();
    let body = json!({ "token": token, "name": "Anna Berg", "password": PASSWORD });
    let accepted = browser(hilum, "/auth/invitation/accept", "", &body);
    assert!(accepted.status < 300, "{}", accepted.text());
    let cookie = accepted.cookies;
    let me = api.send("GET", "/api/v1/account", As::Browser(&cookie), None);
    (
        me.json()["id"].as_str().unwrap_or_default().to_owned(),
        cookie,
    )
}

/// Posts from our own page.
pub(crate) fn browser(hilum: &Hilum, path: &str, cookie: &str, body: &Value) -> Answer {
    hilum
        .api()
        .send("POST", path, As::Browser(cookie), Some(body))
}

fn signs_in(hilum: &Hilum, email: &str, cookie: &str) -> Answer {
    let body = json!({ "email": email, "password": PASSWORD });
    browser(hilum, "/auth/sign-in", cookie, &body)
}

fn session_of(cookies: &str) -> &str {
    let found = cookies
        .split("; ")
        .find(|one| one.starts_with("hilum-session="));
    found.unwrap_or_else(|| panic!("no session in {cookies:?}"))
}

fn account(hilum: &Hilum, cookie: &str) -> u16 {
    let answer = hilum
        .api()
        .send("GET", "/api/v1/account", As::Browser(cookie), None);
    answer.status
}

/// Sends a request and reads what comes until the connection ends or is silent.
fn raw(hilum: &Hilum, request: &str) -> String {
    sends(hilum, request.as_bytes())
}

/// Sends bytes, as far as they are taken, and reads what is answered.
fn sends(hilum: &Hilum, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(hilum.api().0).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    // Refused before its end: what is left is nobody's.
    let _broken = stream.write_all(request);
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        answer.extend_from_slice(&piece[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}
