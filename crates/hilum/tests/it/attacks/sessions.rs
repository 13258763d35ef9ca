//! Sessions and keys: planted, stolen, replayed, used by pages of other sites, and
//! those of somebody else.

use hilum_testkit::As;
use serde_json::json;

use super::{PASSWORD, account, browser, person, raw, session_of, signs_in};
use crate::hilum;

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
#[test]
fn nobody_ends_or_changes_what_is_another_person_s_by_its_id() {
    let hilum = hilum().start();
    let api = hilum.api();
    let (anna, hers) = person(&hilum, "anna@example.org", "radiologist");
    let (_, his) = person(&hilum, "bert@example.org", "radiologist");
    let listed = |cookie: &str| {
        let path = "/api/v1/account/sessions";
        api.send("GET", path, As::Browser(cookie), None).json()["items"].clone()
    };
    let session = listed(&hers)[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(listed(&his).as_array().unwrap().len(), 1);
    for (method, path) in [
        ("DELETE", format!("/api/v1/account/sessions/{session}")),
        ("GET", format!("/api/v1/people/{anna}/sessions")),
        ("DELETE", format!("/api/v1/people/{anna}/sessions")),
        ("PATCH", format!("/api/v1/people/{anna}")),
        ("DELETE", format!("/api/v1/people/{anna}")),
        ("POST", format!("/api/v1/people/{anna}/reset-link")),
    ] {
        let body = json!({ "role": "auditor" });
        let body = (method == "PATCH").then_some(&body);
        let answer = api.send(method, &path, As::Browser(&his), body);
        assert!(
            [403, 404].contains(&answer.status),
            "{method} {path}: {}",
            answer.status
        );
    }
    assert_eq!(account(&hilum, session_of(&hers)), 200);
    assert_eq!(listed(&hers).as_array().unwrap().len(), 1);
}
