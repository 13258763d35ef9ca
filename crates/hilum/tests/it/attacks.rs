//! What attackers of web applications try, tried on a running Hilum. What is
//! hostile to parsers and codecs is in `hostile.rs`, what another tenant tries
//! in `isolation.rs`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use hilum_testkit::{Answer, As, Hilum, Series};
use serde_json::{Value, json};

use crate::hilum;

const PASSWORD: &str = "a quiet harbour at dawn";

/// Makes a person of tenant `a` by invitation: their id and session's cookie.
fn person(hilum: &Hilum, email: &str, role: &str) -> (String, String) {
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
fn browser(hilum: &Hilum, path: &str, cookie: &str, body: &Value) -> Answer {
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

#[test]
fn a_session_that_was_planted_is_not_the_one_that_is_signed_in() {
    let hilum = hilum().start();
    person(&hilum, "anna@example.org", "radiologist");
    let planted = format!("hilum-session={}", "A".repeat(43));
    let answer = signs_in(&hilum, "anna@example.org", &planted);
    assert!(answer.status < 300, "{}", answer.text());
    assert_ne!(session_of(&answer.cookies), planted);
    assert_eq!(account(&hilum, &planted), 401);
    assert_eq!(account(&hilum, session_of(&answer.cookies)), 200);

    // Signing in again leaves nothing of the session that the browser had.
    let again = signs_in(&hilum, "anna@example.org", &answer.cookies);
    assert_ne!(session_of(&again.cookies), session_of(&answer.cookies));
    assert_eq!(account(&hilum, session_of(&answer.cookies)), 401);
}

#[test]
fn a_session_is_nothing_after_signing_out_and_a_role_nothing_after_it_was_taken() {
    let hilum = hilum().start();
    let api = hilum.api();
    let (_, cookie) = person(&hilum, "anna@example.org", "radiologist");
    let out = browser(&hilum, "/auth/sign-out", &cookie, &json!({}));
    assert!(out.status < 300, "{}", out.text());
    assert_eq!(account(&hilum, session_of(&cookie)), 401);

    let (id, cookie) = person(&hilum, "berta@example.org", "radiologist");
    let studies = |cookie: &str| api.send("GET", "/api/v1/studies", As::Browser(cookie), None);
    assert_eq!(studies(&cookie).status, 200);
    let change = json!({ "role": "auditor" });
    let path = format!("/api/v1/people/{id}");
    let changed = api.send("PATCH", &path, As::Operator("a"), Some(&change));
    assert!(changed.status < 300, "{}", changed.text());
    assert!([401, 403].contains(&studies(&cookie).status));

    let gone = api.send("DELETE", &path, As::Operator("a"), Some(&json!({})));
    assert!(gone.status < 300, "{}", gone.text());
    assert_eq!(studies(&cookie).status, 401);
}

#[test]
fn a_key_is_taken_from_its_header_only_and_not_after_it_was_revoked() {
    let hilum = hilum().start();
    let api = hilum.api();
    let body = json!({ "name": "pacs", "role": "integration" });
    let made = api.send("POST", "/api/v1/keys", As::Operator("a"), Some(&body));
    let (id, key) = (made.json()["id"].clone(), made.json()["key"].clone());
    let (id, key) = (id.as_str().unwrap(), key.as_str().unwrap());
    assert_eq!(
        api.send("GET", "/api/v1/studies", As::Key(key), None)
            .status,
        200
    );
    for name in ["key", "api_key", "access_token", "authorization", "token"] {
        let path = format!("/api/v1/studies?{name}={key}");
        assert_eq!(
            api.send("GET", &path, As::Nobody, None).status,
            401,
            "{name}"
        );
    }
    let cookie = format!("hilum-session={key}");
    assert_eq!(account(&hilum, &cookie), 401);
    let path = format!("/api/v1/keys/{id}");
    let revoked = api.send("DELETE", &path, As::Operator("a"), None);
    assert!(revoked.status < 300, "{}", revoked.text());
    assert_eq!(
        api.send("GET", "/api/v1/studies", As::Key(key), None)
            .status,
        401
    );
    assert!(!hilum.log().contains(key), "a key is in the log");
}

#[test]
fn a_request_says_no_more_than_its_fields() {
    let hilum = hilum().start();
    let api = hilum.api();
    let (id, cookie) = person(&hilum, "anna@example.org", "administrator");
    for (method, path, body) in [
        (
            "PATCH",
            "/api/v1/account".to_owned(),
            json!({ "name": "Anna", "role": "owner" }),
        ),
        (
            "PATCH",
            "/api/v1/account".to_owned(),
            json!({ "email_verified": true }),
        ),
        (
            "POST",
            "/api/v1/invitations".to_owned(),
            json!({ "email": "b@example.org", "role": "auditor", "tenant": "b" }),
        ),
        (
            "POST",
            "/api/v1/keys".to_owned(),
            json!({ "name": "x", "role": "auditor", "tenant": "b" }),
        ),
        (
            "PATCH",
            format!("/api/v1/people/{id}"),
            json!({ "role": "owner" }),
        ),
        (
            "POST",
            "/api/v1/invitations".to_owned(),
            json!({ "email": "c@example.org", "role": "owner" }),
        ),
        (
            "POST",
            "/api/v1/keys".to_owned(),
            json!({ "name": "x", "role": "operator" }),
        ),
        (
            "POST",
            "/api/v1/keys".to_owned(),
            json!({ "name": "x", "role": "owner" }),
        ),
    ] {
        let answer = api.send(method, &path, As::Browser(&cookie), Some(&body));
        assert!(
            (400..500).contains(&answer.status),
            "{method} {path} {body}: {} {}",
            answer.status,
            answer.text()
        );
    }
    let state = api.send("GET", "/auth/state", As::Browser(&cookie), None);
    assert_eq!(state.json()["role"], "administrator");
}

#[test]
fn a_page_of_another_site_does_nothing_with_the_cookie_that_comes_along() {
    let hilum = hilum().start();
    let (_, cookie) = person(&hilum, "anna@example.org", "administrator");
    let cookie = session_of(&cookie);
    for (origin, site) in [
        ("Origin: https://evil.example", ""),
        ("Origin: null", ""),
        ("Sec-Fetch-Site: cross-site", ""),
        (
            "Sec-Fetch-Site: same-site",
            "Origin: https://hilum.evil.example",
        ),
        ("X-Nothing: 1", ""),
    ] {
        let body = r#"{"name":"x","role":"auditor"}"#;
        let head = format!(
            "POST /api/v1/keys HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n{origin}\r\n{}\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            if site.is_empty() {
                String::new()
            } else {
                format!("{site}\r\n")
            },
            body.len()
        );
        let answer = raw(&hilum, &head);
        assert!(
            answer.starts_with("HTTP/1.1 403"),
            "{origin} {site}: {answer}"
        );
    }
    let keys = hilum
        .api()
        .send("GET", "/api/v1/keys", As::Operator("a"), None);
    assert_eq!(keys.json()["items"].as_array().unwrap().len(), 0);
}

/// Sends bytes and reads what comes until the connection ends or is silent.
fn raw(hilum: &Hilum, request: &str) -> String {
    let mut stream = TcpStream::connect(hilum.api().0).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut piece) {
        answer.extend_from_slice(&piece[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_request_whose_length_is_ambiguous_is_refused() {
    let hilum = hilum().start();
    let smuggled = "GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for lengths in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Content-Length: -1",
        "Content-Length: 1,2",
    ] {
        let request = format!(
            "POST /auth/sign-in HTTP/1.1\r\nHost: localhost\r\n{lengths}\r\n\r\n0\r\n\r\n{smuggled}"
        );
        let answer = raw(&hilum, &request);
        assert!(answer.starts_with("HTTP/1.1 400"), "{lengths}: {answer}");
        assert!(!answer.contains("openapi\""), "{lengths}: {answer}");
    }
    hilum.is_well();
}

#[test]
fn identifiers_and_texts_from_outside_stay_data() {
    let hilum = hilum().start();
    let api = hilum.api();
    hilum.takes(&Series::sample());
    for uid in [
        "..%2f..%2fkeys%2fmaster.key",
        "%2e%2e",
        "1.2.3%00",
        "1'%20OR%20'1'='1",
        "%0d%0aX:%20y",
    ] {
        for path in [
            format!("/dicomweb/studies/{uid}"),
            format!("/dicomweb/studies/{uid}/metadata"),
            format!("/api/v1/studies/{uid}"),
            format!("/assets/{uid}"),
            format!("/viewer/{uid}"),
        ] {
            let answer = api.send("GET", &path, As::Operator("a"), None);
            let page = answer.kind.starts_with("text/html");
            assert!(
                page || [400, 404].contains(&answer.status),
                "{path}: {} {}",
                answer.status,
                answer.text()
            );
        }
    }
    for text in [
        "' OR 1=1 --",
        "%'; DROP TABLE study; --",
        "\" OR \"\"=\"",
        "*) OR (1=1",
    ] {
        let query: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for path in [
            format!("/api/v1/studies?patient_name={query}"),
            format!("/api/v1/studies?accession={query}"),
            format!("/dicomweb/studies?PatientName={query}"),
            format!("/api/v1/patients?q={query}"),
            format!("/api/v1/people?q={query}"),
        ] {
            let answer = api.send("GET", &path, As::Operator("a"), None);
            assert!(
                [200, 204, 400].contains(&answer.status),
                "{path}: {}",
                answer.text()
            );
            let found = answer.json();
            let found = found["items"]
                .as_array()
                .or(found.as_array())
                .map_or(0, Vec::len);
            assert_eq!(found, 0, "{path}");
        }
    }
    assert_eq!(api.items("/api/v1/studies").len(), 1);
}

#[test]
fn nothing_that_comes_from_outside_forges_a_line_of_the_log() {
    let hilum = hilum().start();
    let forged = "x\"}\n{\"level\":\"ERROR\",\"message\":\"forged\"";
    let body = json!({ "email": forged, "password": PASSWORD });
    let refused = browser(&hilum, "/auth/sign-in", "", &body);
    assert!((400..500).contains(&refused.status));
    let body = json!({ "name": forged, "role": "auditor" });
    let _refused = hilum
        .api()
        .send("POST", "/api/v1/keys", As::Operator("a"), Some(&body));
    let _unknown = hilum.api().send(
        "GET",
        "/api/v1/studies/%0A%7B%22level%22",
        As::Operator("a"),
        None,
    );
    for line in hilum.log().lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert_ne!(line["message"], "forged");
    }
}

#[test]
fn a_cookie_is_out_of_reach_of_scripts_and_other_sites() {
    let hilum = hilum().start();
    person(&hilum, "anna@example.org", "radiologist");
    let body = format!(r#"{{"email":"anna@example.org","password":"{PASSWORD}"}}"#);
    let answer = raw(
        &hilum,
        &format!(
            "POST /auth/sign-in HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ),
    );
    let set = answer.to_ascii_lowercase();
    let set = set
        .lines()
        .find(|line| line.starts_with("set-cookie: hilum-session="));
    let set = set.unwrap_or_else(|| panic!("{answer}"));
    assert!(
        set.contains("httponly") && set.contains("samesite=lax"),
        "{set}"
    );
    for header in [
        "x-content-type-options: nosniff",
        "cross-origin-opener-policy: same-origin",
        "cache-control: no-store",
    ] {
        assert!(
            answer.to_ascii_lowercase().contains(header),
            "{header}: {answer}"
        );
    }
}
