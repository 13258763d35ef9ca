//! Another's tester of HTTP interfaces, over the OpenAPI document of a running
//! Hilum: what is answered is what the document says, whatever is sent.

use hilum_testkit::{As, Hilum, python, run};
use serde_json::{Value, json};

use crate::attacks::person;
use crate::hilum;

/// What each answer is held against. `ignored_auth` is not among them: who has no
/// cookie or another's is `isolation`'s.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,\
                      unsupported_method,negative_data_rejection";

/// It never ends.
const LIVE: &str = "/api/v1/events";
/// These end the session that asks, or give it another token.
const ENDING: [&str; 5] = [
    "/auth/sign-out",
    "/auth/tenant",
    "/auth/break-glass",
    "/api/v1/account/sessions",
    "/api/v1/people/{id}/sessions",
];
/// The test has no serializer for part-10 files.
const OF_FILES: &str = "/api/v1/imports/{id}/instances";

/// Runs it as somebody, over what `narrowed` leaves.
fn tests(hilum: &Hilum, headers: &[String], narrowed: &[&str], long: bool) {
    let url = format!("{}/api/v1/openapi.json", hilum.url());
    let mut command = python();
    command.args(["-m", "schemathesis.cli", "run", &url]);
    command.args(["--checks", CHECKS, "--no-color", "--warnings", "off"]);
    // The same cases each time, unless there is time to look for others.
    let how: &[&str] = match long {
        true => &["--max-examples", "100", "--generation-database", "none"],
        false => &["--max-examples", "3", "--generation-deterministic"],
    };
    command.args(["--phases", "coverage,fuzzing"]).args(how);
    for header in headers {
        command.args(["--header", header]);
    }
    for path in [LIVE, OF_FILES].iter().chain(&ENDING) {
        command.args(["--exclude-path", path]);
    }
    let output = run(command.args(narrowed).current_dir(hilum.data()));
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    hilum.is_well();
}

/// A Hilum with an owner whose requests are not counted, and the owner's cookie.
fn owned() -> (Hilum, String) {
    let hilum = hilum().start();
    let many = json!({ "requests_per_minute": 100_000 });
    let set = hilum
        .api()
        .send("PATCH", "/api/v1/settings", As::Operator("a"), Some(&many));
    assert!(set.status < 300, "{}", set.text());
    let (_, cookie) = person(&hilum, "owner@example.org", "owner");
    (hilum, cookie)
}

fn every_answer_is_documented(long: bool) {
    let (hilum, cookie) = owned();
    let own_page = "Sec-Fetch-Site: same-origin".to_owned();
    tests(&hilum, &[format!("Cookie: {cookie}"), own_page], &[], long);
    let account = hilum
        .api()
        .send("GET", "/api/v1/account", As::Browser(&cookie), None);
    assert_eq!(account.status, 200, "the session lived to the end");
    // What is the installation's, but for what writes where it is told to and
    // what changes the key.
    let operator = format!("Authorization: Bearer {}", hilum.api().operator_token());
    let installation = [
        "--include-path-regex",
        "^/api/v1/(tenants|erasures|exports|status|dead-letters|jobs)",
    ];
    tests(&hilum, &[operator], &installation, long);
    tests(&hilum, &[], &[], long);
    let log = hilum.log();
    let faults = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let faults: Vec<_> = faults.filter(|line| line["level"] == "ERROR").collect();
    assert!(faults.is_empty(), "{faults:?}");
    hilum.ends_sound();
}

#[test]
fn every_answer_is_one_that_the_document_promises() {
    every_answer_is_documented(false);
}

#[test]
#[ignore = "takes many minutes: `make test-all`"]
fn no_answer_of_thousands_is_one_that_the_document_does_not_promise() {
    every_answer_is_documented(true);
}
