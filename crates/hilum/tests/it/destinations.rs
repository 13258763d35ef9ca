//! Destinations that a tenant makes, changes, pauses, tests and removes while Hilum
//! serves: others' programs receive.

use hilum_testkit::{
    As, Hilum, MailServer, Orthanc, Place, Series, Setup, Storescp, Webhook, wait_until,
};
use serde_json::{Value, json};

use crate::hilum;

/// Tenants may name addresses of this machine.
fn delivering_here() -> Setup {
    hilum()
        .with_fast_model()
        .with_setting("deliveries", "{ networks = [\"127.0.0.0/8\"] }")
}

fn asks(hilum: &Hilum, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let path = format!("/api/v1/destinations{path}");
    let body = (!body.is_null()).then_some(body);
    let answer = hilum.api().send(method, &path, As::Operator("a"), body);
    (answer.status, answer.json())
}

fn makes(hilum: &Hilum, wanted: &Value) -> Value {
    let (status, made) = asks(hilum, "POST", "", wanted);
    assert_eq!(status, 200, "{made}");
    made
}

fn id(made: &Value) -> &str {
    made["id"].as_str().unwrap()
}

fn changes(hilum: &Hilum, made: &Value, change: &Value) {
    let (status, said) = asks(hilum, "PATCH", &format!("/{}", id(made)), change);
    assert_eq!(status, 204, "{said}");
}

fn tests(hilum: &Hilum, made: &Value) -> (bool, String) {
    let path = format!("/{}/test", id(made));
    // Not more often than people are let.
    let said = wait_until("it may be tested again", 10, || {
        let (status, said) = asks(hilum, "POST", &path, &Value::Null);
        (status != 429).then(|| {
            assert_eq!(status, 200, "{said}");
            said
        })
    });
    let message = said["message"].as_str().unwrap().to_owned();
    (said["reached"].as_bool().unwrap(), message)
}

fn node(name: &str, to: &Storescp) -> Value {
    json!({ "name": name, "kind": "dicom", "ae_title": "PACS", "address": to.address().to_string() })
}

fn of(hilum: &Hilum, study: &str, name: &str) -> Value {
    let all = hilum.deliveries(study);
    let mut named = all.into_iter().filter(|one| one["destination"] == name);
    named.next().unwrap_or_default()
}

fn becomes(hilum: &Hilum, study: &str, name: &str, state: &str) -> Value {
    wait_until(&format!("the delivery to {name} is {state}"), 60, || {
        let one = of(hilum, study, name);
        (one["state"] == state).then_some(one)
    })
}

/// A study of its own with results; what it is called.
fn results(hilum: &Hilum, number: u32) -> String {
    let study = format!("1.2.3.77.{number}");
    let is = ["PatientID=D-1", "StudyDescription=Head native"];
    hilum.takes(&Series::another_study(&study, &is));
    hilum.run_becomes(&study, "succeeded");
    study
}

#[test]
fn results_go_to_every_kind_of_destination_that_a_tenant_makes() {
    let (pacs, orthanc, mails) = (
        Storescp::up(),
        Orthanc::up_with(&json!({})),
        MailServer::up(),
    );
    let mut webhook = Webhook::down();
    let mail = format!(
        "{{ server = \"localhost\", port = {}, tls = \"none\", from = \"Hilum <hilum@example.org>\" }}",
        mails.address().port()
    );
    let hilum = delivering_here()
        .with_setting("mail", mail)
        .with_setting("identity.public_url", "\"https://hilum.example.org/\"")
        .start();
    let to_pacs = makes(&hilum, &node("pacs", &pacs));
    let stow = format!("http://{}/dicom-web", orthanc.api().0);
    let to_cloud = makes(
        &hilum,
        &json!({ "name": "cloud", "kind": "stow", "address": stow, "user": "u", "secret": "p" }),
    );
    let to_ris = makes(
        &hilum,
        &json!({ "name": "ris", "kind": "webhook", "address": webhook.url() }),
    );
    let to_readers = makes(
        &hilum,
        &json!({ "name": "readers", "kind": "mail", "address": "readers@example.org" }),
    );
    let secret = to_ris["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_"), "{secret}");
    let (reached, why) = tests(&hilum, &to_ris);
    assert!(!reached && why == "ris: it could not be reached.", "{why}");
    webhook.knows(secret);
    webhook.comes_up(204);
    for made in [&to_pacs, &to_cloud, &to_ris, &to_readers] {
        let (reached, said) = tests(&hilum, made);
        assert!(reached, "{said}");
    }
    assert_eq!(webhook.told()[0]["message"]["type"], "test");
    assert!(
        mails.mails()[0]["subject"]
            .to_string()
            .contains("A test of Hilum")
    );

    let study = results(&hilum, 1);
    for name in ["pacs", "cloud", "ris", "readers"] {
        becomes(&hilum, &study, name, "delivered");
    }
    assert_eq!(pacs.received().len(), 2);
    assert_eq!(orthanc.modalities(), ["SEG", "SR"]);
    assert_eq!(webhook.told()[1]["message"]["data"]["study_uid"], *study);
    assert_eq!(mails.mails().len(), 2);

    // The new secret and the former one sign, so that either side may change first.
    let path = format!("/{}/secret", id(&to_ris));
    let (status, renewed) = asks(&hilum, "POST", &path, &Value::Null);
    assert_eq!(status, 200, "{renewed}");
    let study = results(&hilum, 2);
    becomes(&hilum, &study, "ris", "delivered");
    webhook.goes_down();
    webhook.knows(renewed["secret"].as_str().unwrap());
    webhook.comes_up(204);
    let study = results(&hilum, 3);
    becomes(&hilum, &study, "ris", "delivered");

    // Nothing shows a secret, and another tenant sees nothing.
    let (_, list) = asks(&hilum, "GET", "", &Value::Null);
    assert_eq!(list["items"].as_array().unwrap().len(), 4);
    let others = hilum.api().get_for("b", "/api/v1/destinations");
    assert_eq!(others.json()["items"], json!([]));
    let records = hilum.api().get("/api/v1/tenant/records").text();
    assert!(records.contains("\"readers@example.org\"") || records.contains("readers@example.org"));
    let trail = hilum
        .api()
        .items("/api/v1/audit/entries?action=change-settings&limit=200");
    let shown = format!("{list}{records}{}{}", json!(trail), hilum.log());
    for hidden in [secret, renewed["secret"].as_str().unwrap()] {
        assert!(!shown.contains(hidden.trim_start_matches("whsec_")));
    }
    let changes: Vec<_> = trail.iter().map(|one| &one["details"]["change"]).collect();
    for change in ["added", "tested", "secret-renewed"] {
        assert!(changes.iter().any(|one| **one == change), "{changes:?}");
    }
    hilum.ends_sound();
}

/// Through changes, a pause, a kill and a removal.
fn what_waits_follows_its_destination(setup: Setup) {
    let (mut nowhere, pacs) = (Storescp::down(), Storescp::up());
    let mut hilum = setup.start();
    let made = makes(&hilum, &node("pacs", &nowhere));
    let first = results(&hilum, 1);
    let failed = wait_until("it was tried in vain", 30, || {
        let one = of(&hilum, &first, "pacs");
        (one["attempts"].as_i64() >= Some(1)).then_some(one)
    });
    assert_eq!(failed["state"], "waiting");
    changes(
        &hilum,
        &made,
        &json!({ "address": pacs.address().to_string() }),
    );
    becomes(&hilum, &first, "pacs", "delivered");
    assert_eq!(pacs.received().len(), 2);

    changes(&hilum, &made, &json!({ "paused": true }));
    let second = results(&hilum, 2);
    let waits = becomes(&hilum, &second, "pacs", "waiting");
    assert_eq!(waits["reason"], "The destination is paused.");
    hilum = hilum.killed_and_restarted();
    assert_eq!(of(&hilum, &second, "pacs")["state"], "waiting");
    assert_eq!(pacs.received().len(), 2);
    changes(
        &hilum,
        &made,
        &json!({ "paused": false, "name": "archive" }),
    );
    becomes(&hilum, &second, "archive", "delivered");
    assert_eq!(pacs.received().len(), 4);
    assert_eq!(of(&hilum, &first, "archive")["state"], "delivered");

    changes(
        &hilum,
        &made,
        &json!({ "address": nowhere.address().to_string() }),
    );
    let third = results(&hilum, 3);
    becomes(&hilum, &third, "archive", "waiting");
    let (status, _) = asks(&hilum, "DELETE", &format!("/{}", id(&made)), &Value::Null);
    assert_eq!(status, 204);
    let gone = of(&hilum, &third, "archive");
    assert_eq!(gone["state"], "given-up");
    assert_eq!(gone["reason"], "The destination was removed.");
    assert_eq!(gone["destination_removed"], true);
    let again = format!("/api/v1/deliveries/{}/retry", id(&gone));
    let again = hilum.api().post(&again, &Value::Null);
    assert_eq!(again.status, 409, "{}", again.text());
    assert_eq!(hilum.api().items("/api/v1/jobs?state=dead").len(), 0);

    // Another of the same name has its own from now on, and nothing of the one before.
    nowhere.comes_up();
    makes(&hilum, &node("archive", &nowhere));
    let fourth = results(&hilum, 4);
    becomes(&hilum, &fourth, "archive", "delivered");
    assert_eq!(nowhere.received().len(), 2);
    assert_eq!(of(&hilum, &third, "archive")["state"], "given-up");
    let (status, _) = asks(&hilum, "DELETE", &format!("/{}", id(&made)), &Value::Null);
    assert_eq!(status, 404);
    hilum.ends_sound();
}

#[test]
fn what_waits_goes_on_after_a_change_waits_in_a_pause_and_is_given_up_by_a_removal() {
    what_waits_follows_its_destination(delivering_here());
}

#[test]
fn destinations_of_tenants_stand_on_postgresql_too() {
    let place = Place::pooled();
    let database = place.database().unwrap();
    let owner = database.owner_url_file.unwrap();
    let setting = format!(
        "{{ url_file = {:?}, owner_url_file = {owner:?} }}",
        database.url_file
    );
    what_waits_follows_its_destination(delivering_here().with_setting("database", setting));
}

#[test]
fn a_rule_says_which_studies_go_there() {
    let pacs = Storescp::up();
    let hilum = delivering_here().start();
    let to = |name: &str, rule: &Value| {
        let mut wanted = node(name, &pacs);
        for (field, value) in rule.as_object().unwrap() {
            wanted[field] = value.clone();
        }
        makes(&hilum, &wanted)
    };
    to(
        "mr",
        &json!({ "modalities": ["MR"], "study_description": "head*" }),
    );
    to("ct", &json!({ "modalities": ["CT"] }));
    to("model", &json!({ "models": ["another-model"] }));
    to("knees", &json!({ "body_parts": ["KNEE"] }));
    let study = results(&hilum, 1);
    becomes(&hilum, &study, "mr", "delivered");
    let all = hilum.deliveries(&study);
    assert_eq!(all.len(), 1, "{all:?}");
}

#[test]
fn what_a_tenant_names_does_not_lead_inside_and_what_the_operator_named_is_not_changed() {
    let pacs = Storescp::up();
    let hilum = hilum()
        .with_fast_model()
        .with_setting("deliveries", "{ networks = [\"10.0.0.0/8\"] }")
        .delivering_to("pacs", "PACS", pacs.address())
        .start();
    let refused = |wanted: Value| {
        let (status, said) = asks(&hilum, "POST", "", &wanted);
        (
            status,
            said["detail"].as_str().unwrap_or_default().to_owned(),
        )
    };
    for address in [
        "127.0.0.1:104",
        "localhost:104",
        "[::1]:104",
        "169.254.169.254:80",
        "192.168.1.1:104",
        "[::ffff:127.0.0.1]:104",
    ] {
        let wanted = json!({ "name": "x", "kind": "dicom", "ae_title": "X", "address": address });
        let (status, said) = refused(wanted);
        assert!(
            status == 400 && said.contains("not public"),
            "{address}: {said}"
        );
    }
    for address in [
        "https://127.0.0.1/x",
        "https://169.254.169.254/latest",
        "http://localhost:1/",
    ] {
        let (status, said) = refused(json!({ "name": "x", "kind": "webhook", "address": address }));
        assert!(
            status == 400 && said.contains("not public"),
            "{address}: {said}"
        );
    }
    let mail = json!({ "name": "x", "kind": "mail", "address": "a@example.org" });
    assert_eq!(refused(mail).0, 409);
    let taken =
        json!({ "name": "pacs", "kind": "dicom", "ae_title": "X", "address": "10.0.0.1:1" });
    assert_eq!(refused(taken).0, 409);
    let allowed = json!({ "name": "x", "kind": "dicom", "ae_title": "X", "address": "10.0.0.1:1",
        "paused": true });
    makes(&hilum, &allowed);
    assert_eq!(refused(allowed).0, 409, "a name twice");

    // A secret that was given for one server does not go to another.
    let stow = json!({ "name": "cloud", "kind": "stow", "address": "https://10.0.0.2/dicom-web",
        "secret": "a-token", "paused": true });
    let stow = makes(&hilum, &stow);
    let path = format!("/{}", id(&stow));
    let moved = json!({ "address": "https://10.0.0.3/dicom-web" });
    let (status, said) = asks(&hilum, "PATCH", &path, &moved);
    assert!(
        status == 400 && said["detail"].as_str().unwrap().contains("again"),
        "{said}"
    );
    let given = json!({ "address": "https://10.0.0.3/dicom-web", "secret": "another" });
    changes(&hilum, &stow, &given);

    // Of the configuration: tested, and neither changed nor removed.
    let configured = json!({ "id": "pacs" });
    assert!(tests(&hilum, &configured).0);
    for (method, body) in [
        ("PATCH", json!({ "paused": true })),
        ("DELETE", Value::Null),
    ] {
        let (status, said) = asks(&hilum, method, "/pacs", &body);
        assert_eq!(status, 409, "{said}");
    }
    let study = results(&hilum, 1);
    becomes(&hilum, &study, "pacs", "delivered");

    // What was allowed once and is no more is refused when it is connected to.
    let hilum = hilum.restarted_with("deliveries", "{ networks = [\"127.0.0.0/8\"] }");
    let here = makes(&hilum, &node("here", &pacs));
    assert!(tests(&hilum, &here).0);
    let hilum = hilum.restarted_with("deliveries", "{ networks = [] }");
    let (reached, why) = tests(&hilum, &here);
    assert!(!reached && why.contains("deliveries.networks"), "{why}");
}
