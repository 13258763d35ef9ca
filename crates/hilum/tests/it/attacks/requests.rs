//! Requests that say more than they may, that end twice, that swell, and that say
//! of themselves who sent them and from where.

use std::io::Write as _;

use hilum_testkit::{As, Hilum, Series, python, run};
use serde_json::json;

use super::{person, raw, session_of};
use crate::hilum;

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
fn what_a_request_says_of_its_sender_is_not_believed() {
    let hilum = hilum().start();
    hilum.takes(&Series::sample());
    let body = json!({ "name": "of b", "role": "administrator" });
    let made = hilum
        .api()
        .send("POST", "/api/v1/keys", As::Operator("b"), Some(&body))
        .json();
    let key = made["key"].as_str().unwrap();
    let get = |path: &str, fields: &str| {
        raw(
            &hilum,
            &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{fields}Connection: close\r\n\r\n"),
        )
    };
    let of_b = format!("Authorization: Bearer {key}\r\n");
    for field in [
        "Hilum-Tenant: a",
        "X-Tenant: a",
        "X-Forwarded-User: operator",
    ] {
        let answer = get("/api/v1/studies", &format!("{of_b}{field}\r\n"));
        assert!(answer.contains("\"items\":[]"), "{field}: {answer}");
        let nobody = get("/api/v1/studies", &format!("{field}\r\n"));
        assert!(nobody.starts_with("HTTP/1.1 401"), "{field}: {nobody}");
    }
    let token = hilum.api().operator_token();
    for tenant in ["../b", "b/../a", "A", "a b", "a%00", "*"] {
        let fields = format!("Authorization: Bearer {token}\r\nHilum-Tenant: {tenant}\r\n");
        let answer = get("/api/v1/studies", &fields);
        assert!(answer.starts_with("HTTP/1.1 404"), "{tenant}: {answer}");
    }
    // Two of a field that decides are none.
    let twice = format!("{of_b}Authorization: Bearer {token}\r\n");
    assert!(get("/api/v1/studies", &twice).contains("\"items\":[]"));
    // The address of a proxy that nobody configured is the caller's own word.
    let (_, cookie) = person(&hilum, "anna@example.org", "owner");
    let spoofed = "X-Forwarded-For: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\n\
                   X-Real-IP: 203.0.113.9\r\nX-Forwarded-Host: evil.example\r\n\
                   X-Forwarded-Proto: https\r\nX-HTTP-Method-Override: DELETE\r\n";
    let fields = format!("Cookie: {}\r\n{spoofed}", session_of(&cookie));
    let sessions = get("/api/v1/account/sessions", &fields);
    assert!(sessions.starts_with("HTTP/1.1 200"), "{sessions}");
    assert!(
        !sessions.contains("203.0.113.9") && !sessions.contains("evil.example"),
        "{sessions}"
    );
    let entries = hilum.api().get("/api/v1/audit/entries?limit=200").text();
    assert!(!entries.contains("203.0.113.9"));
    assert!(!hilum.log().contains("203.0.113.9"));
}

/// Peak memory of the process in kilobytes.
fn peak_kb(hilum: &Hilum) -> u64 {
    let path = format!("/proc/{}/status", hilum.process_id());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim()
        .strip_suffix(" kB")
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

#[test]
fn what_can_t_be_read_is_refused_without_quoting_it() {
    let hilum = hilum().start();
    let secret = "Secret^Anna";
    let body = json!({ "prior": secret, "surviving": { "id": 7 }, "reason": true });
    for (method, path, body) in [
        ("POST", "/api/v1/patient-merges".to_owned(), Some(&body)),
        ("POST", "/api/v1/holds".to_owned(), Some(&body)),
        ("DELETE", format!("/api/v1/holds/{secret}"), None),
        ("POST", format!("/api/v1/exports/{secret}"), Some(&body)),
        ("GET", format!("/api/v1/audit/entries?limit={secret}"), None),
        ("GET", format!("/api/v1/people?{secret}=1"), None),
    ] {
        let answer = hilum.api().send(method, &path, As::Operator("a"), body);
        assert_eq!(answer.status, 400, "{method} {path}: {}", answer.text());
        assert_eq!(answer.kind, "application/problem+json", "{path}");
        assert_eq!(answer.json()["code"], "invalid");
        assert!(
            !answer.text().contains("Secret"),
            "{path}: {}",
            answer.text()
        );
    }
}

#[test]
fn a_compressed_body_swells_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let make = "import gzip, io, sys, zipfile\n\
                zeros = b'0' * (1 << 20)\n\
                with gzip.open(sys.argv[1] + '/bomb.gz', 'wb') as bomb:\n\
                \x20   for _ in range(512): bomb.write(zeros)\n\
                with zipfile.ZipFile(sys.argv[1] + '/bomb.zip', 'w', zipfile.ZIP_DEFLATED) as bomb:\n\
                \x20   with bomb.open('bomb.dcm', 'w') as file:\n\
                \x20       for _ in range(512): file.write(zeros)\n";
    let made = run(python().args(["-c", make]).arg(folder.path()));
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let hilum = hilum().start();
    hilum.takes(&Series::sample());
    let before = peak_kb(&hilum);
    let token = hilum.api().operator_token();
    for (name, kind, path) in [
        ("bomb.gz", "application/json", "/api/v1/keys"),
        ("bomb.gz", "application/json", "/auth/sign-in"),
        (
            "bomb.gz",
            "application/dicom",
            "/api/v1/imports/bomb/instances",
        ),
        ("bomb.zip", "application/zip", "/dicomweb/studies"),
        (
            "bomb.zip",
            "multipart/related; type=\"application/dicom\"; boundary=part",
            "/dicomweb/studies",
        ),
        (
            "bomb.zip",
            "application/dicom",
            "/api/v1/imports/bomb/instances",
        ),
    ] {
        let bomb = std::fs::read(folder.path().join(name)).unwrap();
        for coding in ["gzip", "deflate", "br", "zstd", "gzip, gzip"] {
            let mut request = format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
                 Content-Type: {kind}\r\nContent-Encoding: {coding}\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n",
                bomb.len()
            )
            .into_bytes();
            request.write_all(&bomb).unwrap();
            let answer = super::sends(&hilum, &request);
            let status: u16 = answer
                .split(' ')
                .nth(1)
                .unwrap_or_default()
                .parse()
                .unwrap_or(0);
            assert!(
                (400..500).contains(&status),
                "{name} as {coding} to {path}: {answer}"
            );
        }
    }
    let swollen = peak_kb(&hilum).saturating_sub(before);
    assert!(swollen < 64 << 10, "{swollen} kB more");
    hilum.is_well();
}
