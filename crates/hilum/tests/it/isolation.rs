//! Nobody reaches what is not theirs: every operation of the OpenAPI document is
//! sent by nobody, by every role, and by another tenant with real identifiers. A
//! new operation that these tests do not know fails them.

use std::collections::BTreeMap;

use hilum_contracts::access::{Action, Role, allows};
use hilum_testkit::{Api, As, Hilum, Series, Storescp, wait_until};
use serde_json::{Value, json};

use crate::hilum;

/// An operation of the document.
pub(crate) struct Operation {
    pub(crate) method: String,
    pub(crate) path: String,
    /// `None`: open to everybody.
    pub(crate) action: Option<Action>,
}

pub(crate) fn operations(api: Api) -> Vec<Operation> {
    let document = api
        .send("GET", "/api/v1/openapi.json", As::Nobody, None)
        .json();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if !["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                continue;
            }
            let action = operation["x-hilum-action"].as_str();
            let action = action.unwrap_or_else(|| panic!("{method} {path} names no action"));
            found.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                action: (action != "open").then(|| action.parse().unwrap()),
            });
        }
    }
    assert!(found.len() > 80, "{} operations", found.len());
    found
}

/// What an operation that changes something is sent, so that it would do it.
fn body(operation: &Operation, of: &Names) -> Option<Value> {
    let key = format!("{} {}", operation.method, operation.path);
    let why = "isolation";
    let body = match key.as_str() {
        _ if operation.method == "GET" => return None,
        "POST /dicomweb/studies" | "POST /dicomweb/studies/{study}" => return None,
        "POST /api/v1/imports/{id}/instances" => return None,
        "POST /api/v1/backups" => json!({ "to": "/nowhere/at/all" }),
        "POST /api/v1/studies/{study_uid}/corrections" => {
            json!({ "set": { "PatientName": "Taken^Over" }, "reason": why })
        }
        "POST /api/v1/studies/{study_uid}/moves" => {
            json!({ "to_study_uid": "1.2.3.4.5", "set": {}, "reason": why })
        }
        "DELETE /api/v1/studies/{study_uid}"
        | "DELETE /api/v1/studies/{study_uid}/series/{series_uid}"
        | "DELETE /api/v1/studies/{study_uid}/series/{series_uid}/instances/{sop_instance_uid}" => {
            json!({ "reason": why })
        }
        "POST /api/v1/patient-merges" => json!({
            "prior": { "id": of.value("patient_id") }, "surviving": { "id": "B-1" }, "reason": why
        }),
        "POST /api/v1/erasures" => {
            json!({ "patient_id": of.value("patient_id"), "reason": why })
        }
        "POST /api/v1/holds" => json!({ "study_uid": of.value("study_uid"), "reason": why }),
        "POST /api/v1/exports/{id}" => {
            json!({ "extent": "everything", "as_received": true, "studies": 1 })
        }
        "POST /api/v1/exports/{id}/end" => {
            json!({ "files": 1, "bytes": 1, "failed": 0, "sha256": "00" })
        }
        "POST /api/v1/instance-conflicts/{id}/decide" => json!({ "decision": "keep-first" }),
        "POST /api/v1/patient-conflicts/{id}/resolve" => json!({ "decision": "keep-first" }),
        "PATCH /api/v1/people/{id}" => json!({ "role": "auditor" }),
        "POST /api/v1/invitations" => {
            json!({ "email": "another@example.org", "role": "auditor" })
        }
        "POST /api/v1/keys" => json!({ "name": "another", "role": "auditor" }),
        "POST /api/v1/devices" => json!({ "ae_title": "ANOTHER", "address": "192.0.2.1" }),
        "PATCH /api/v1/devices/{id}" => json!({ "issuer": "TAKEN" }),
        "POST /api/v1/devices/unknown/{id}/admit"
        | "DELETE /api/v1/devices/unknown/{id}"
        | "DELETE /api/v1/devices/{id}"
        | "DELETE /api/v1/keys/{id}"
        | "DELETE /api/v1/people/{id}"
        | "DELETE /api/v1/people/{id}/sessions"
        | "DELETE /api/v1/invitations/{id}"
        | "DELETE /api/v1/holds/{id}"
        | "DELETE /api/v1/patient-merges/{id}"
        | "DELETE /api/v1/quarantine/{id}"
        | "DELETE /api/v1/account/sessions"
        | "DELETE /api/v1/account/sessions/{id}"
        | "POST /api/v1/quarantine/{id}/redrive"
        | "POST /api/v1/input-sets/{id}/accept"
        | "POST /api/v1/runs/{id}/retry"
        | "POST /api/v1/deliveries/{id}/retry"
        | "POST /api/v1/dead-letters/{consumer}/{event_id}/replay"
        | "POST /api/v1/keys/rotate-master"
        | "POST /api/v1/account/verify-email"
        | "DELETE /api/v1/account/email"
        | "POST /api/v1/people/{id}/reset-link"
        | "DELETE /api/v1/sign-in-providers/{id}"
        | "DELETE /auth/break-glass"
        | "POST /auth/sign-out" => json!({}),
        "POST /api/v1/sign-in-providers" => json!({
            "name": "Another", "issuer": "https://127.0.0.1:1", "client_id": "x",
            "client_secret": "y"
        }),
        "PATCH /api/v1/sign-in-providers/{id}" => json!({ "name": "Taken" }),
        "PATCH /api/v1/settings" => json!({ "requests_per_minute": 100_000 }),
        "PATCH /api/v1/account" => json!({ "name": "Somebody Else" }),
        "POST /api/v1/account/email" => json!({ "email": "b@example.org", "password": "y" }),
        "POST /api/v1/account/password" => json!({ "old": "x", "new": "y" }),
        "POST /api/v1/break-glass/{id}/review" => json!({ "text": "nothing to be seen here" }),
        "POST /api/v1/tenants" => json!({ "display_name": "Another" }),
        "POST /auth/tenant" => json!({ "tenant": "a" }),
        "POST /auth/break-glass" => json!({ "reason": "an emergency of a test" }),
        "POST /auth/set-up"
        | "POST /auth/sign-up"
        | "POST /auth/sign-in"
        | "POST /auth/password-reset"
        | "POST /auth/password-reset/finish"
        | "POST /auth/verify-email"
        | "POST /auth/invitation"
        | "POST /auth/invitation/accept" => json!({}),
        "POST /api/v1/audit/verify" => json!({}),
        other => panic!("{other} is new: say here what it is sent"),
    };
    Some(body)
}

/// Real identifiers of a tenant, by the names that addresses use.
struct Names(BTreeMap<&'static str, String>);

impl Names {
    fn value(&self, name: &str) -> &str {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("no identifier for {{{name}}}: the test must learn it"))
    }

    /// The address with these identifiers in it.
    fn fill(&self, path: &str) -> String {
        let id = self.id_of(path);
        let parts = path.split('/').map(|part| {
            match part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'))
            {
                Some("id") => self.value(id).to_owned(),
                Some(name) => self.value(name).to_owned(),
                None => part.to_owned(),
            }
        });
        parts.collect::<Vec<_>>().join("/")
    }

    /// Of what the `{id}` of an address is the id.
    fn id_of(&self, path: &str) -> &'static str {
        let of = [
            ("/instance-conflicts/", "instance_conflict"),
            ("/patient-conflicts/", "patient_conflict"),
            ("/quarantine/", "quarantine"),
            ("/holds/", "hold"),
            ("/patient-merges/", "merge"),
            ("/exports/", "export"),
            ("/imports/", "import"),
            ("/input-sets/", "input_set"),
            ("/runs/", "run"),
            ("/deliveries/", "delivery"),
            ("/keys/", "key"),
            ("/devices/unknown/", "unknown_device"),
            ("/devices/", "device"),
            ("/people/", "person"),
            ("/account/sessions/", "session"),
            ("/invitations/", "invitation"),
            ("/break-glass/", "break_glass"),
            ("/sign-in-providers/", "provider"),
            ("/auth/oidc/", "provider"),
        ];
        let found = of.iter().find(|(part, _)| path.contains(part));
        match found {
            Some((_, name)) => name,
            None if path.contains("{id}") => panic!("{path}: of what is {{id}} the id?"),
            None => "",
        }
    }
}

/// Identifiers that name nothing anywhere.
fn nothing() -> Names {
    let uuid = || "01890000-0000-7000-8000-000000000000".to_owned();
    let uid = || "9.9.9".to_owned();
    let number = || "999999".to_owned();
    Names(BTreeMap::from([
        ("study", uid()),
        ("series", uid()),
        ("instance", uid()),
        ("study_uid", uid()),
        ("series_uid", uid()),
        ("sop_instance_uid", uid()),
        ("frames", "1".to_owned()),
        ("path", "7FE00010".to_owned()),
        ("patient_id", "NOBODY".to_owned()),
        ("consumer", "imaging".to_owned()),
        ("event_id", uuid()),
        ("instance_conflict", number()),
        ("patient_conflict", uuid()),
        ("quarantine", number()),
        ("hold", number()),
        ("merge", number()),
        ("export", uuid()),
        ("import", uuid()),
        ("input_set", uuid()),
        ("run", uuid()),
        ("delivery", uuid()),
        ("key", uuid()),
        ("unknown_device", uuid()),
        ("device", uuid()),
        ("person", uuid()),
        ("session", uuid()),
        ("invitation", uuid()),
        ("break_glass", uuid()),
        ("provider", uuid()),
    ]))
}

/// A key of this role in a tenant.
pub(crate) fn key(hilum: &Hilum, tenant: &str, role: Role) -> String {
    let body = json!({ "name": format!("{role} of {tenant}"), "role": role.name() });
    let made = hilum
        .api()
        .send("POST", "/api/v1/keys", As::Operator(tenant), Some(&body));
    assert_eq!(made.status, 200, "{}", made.text());
    made.json()["key"].as_str().unwrap().to_owned()
}

#[test]
fn every_operation_answers_nobody_and_each_role_as_the_matrix_says() {
    let hilum = hilum().start();
    let api = hilum.api();
    let nothing = nothing();
    let operations = operations(api);
    let mut wrong = Vec::new();
    for operation in &operations {
        if operation.action.is_none() {
            continue;
        }
        let path = nothing.fill(&operation.path);
        let body = body(operation, &nothing);
        let what = format!("{} {}", operation.method, operation.path);
        let answer = api.send(&operation.method, &path, As::Nobody, body.as_ref());
        if answer.status != 401 {
            wrong.push(format!("nobody: {what} answers {}", answer.status));
        }
        // A key that was never made is nobody, too.
        let invented = format!("hk_{}_{}", "0".repeat(32), "A".repeat(43));
        let answer = api.send(&operation.method, &path, As::Key(&invented), body.as_ref());
        if answer.status != 401 {
            wrong.push(format!("an invented key: {what} answers {}", answer.status));
        }
    }
    for role in Role::OF_KEYS {
        let key = key(&hilum, "a", role);
        for operation in &operations {
            let Some(action) = operation.action else {
                continue;
            };
            // It would not end.
            if operation.path == "/api/v1/events" && allows(role, action) {
                continue;
            }
            let path = nothing.fill(&operation.path);
            let body = body(operation, &nothing);
            let answer = api.send(&operation.method, &path, As::Key(&key), body.as_ref());
            let refused = answer.status == 403;
            // One's own account is a person's: a key has none.
            let personal = matches!(action, Action::OwnAccount | Action::BreakGlass);
            if answer.status == 401 || refused == allows(role, action) && !personal {
                wrong.push(format!(
                    "{role}: {} {} answers {}",
                    operation.method, operation.path, answer.status
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a tenant holds, as its operator sees it; without what changes by itself.
fn seen(
    api: Api,
    operations: &[Operation],
    tenant: &str,
    names: &Names,
) -> BTreeMap<String, String> {
    let moving = [
        "/api/v1/events",
        "/api/v1/status",
        "/api/v1/storage",
        "/api/v1/account",
        "/api/v1/audit",
        "/auth/",
    ];
    let reads = operations.iter().filter(|operation| {
        operation.method == "GET" && !moving.iter().any(|path| operation.path.starts_with(path))
    });
    reads
        .map(|operation| {
            let path = names.fill(&operation.path);
            let answer = api.send("GET", &path, As::Operator(tenant), None);
            // The boundary between parts is another one each time.
            let shown = match answer.kind.starts_with("multipart/") {
                true => format!("{} bytes", answer.body.len()),
                false => answer.text(),
            };
            (path, format!("{} {shown}", answer.status))
        })
        .collect()
}

#[test]
fn another_tenant_sees_and_changes_nothing_with_real_identifiers() {
    let mut pacs = Storescp::up_for_ct_only();
    let hilum = hilum()
        .with_fast_model()
        .delivering_to("pacs", "PACS", pacs.address())
        .start();
    let api = hilum.api();
    let names = tenant_with_everything(&hilum);
    let operations = operations(api);

    let others: Vec<(String, String)> = Role::OF_KEYS
        .into_iter()
        .map(|role| (format!("{role} of b"), key(&hilum, "b", role)))
        .collect();
    let before = seen(api, &operations, "a", &names);
    assert!(
        before.values().any(|answer| answer.contains("Secret")),
        "the operator of a sees its patient"
    );

    let mut wrong = Vec::new();
    let mut checked = 0;
    let operator = As::Operator("b");
    let senders = others
        .iter()
        .map(|(who, key)| (who.as_str(), As::Key(key)))
        .chain([("operator, about b", operator)]);
    for (who, sender) in senders {
        for operation in &operations {
            let installation = matches!(operation.action, None | Some(Action::Operate));
            if installation || operation.path == "/api/v1/events" {
                continue;
            }
            let path = names.fill(&operation.path);
            let body = body(operation, &names);
            let answer = api.send(&operation.method, &path, sender, body.as_ref());
            checked += 1;
            let text = answer.text();
            let what = format!(
                "{who}: {} {path} answers {}",
                operation.method, answer.status
            );
            if text.contains("Secret") {
                wrong.push(format!("{what} with what is a's"));
            }
            // An address that names something of a's names nothing.
            // An import is called what its sender calls it.
            let names_something =
                operation.path.contains('{') && !operation.path.contains("/imports/");
            if names_something && answer.status < 300 && !text_is_empty_list(&text) {
                wrong.push(format!(
                    "{what}: {}",
                    text.chars().take(200).collect::<String>()
                ));
            }
        }
    }
    assert!(checked > 400, "{checked} requests");
    let after = seen(api, &operations, "a", &names);
    for (path, answer) in &before {
        if after.get(path) != Some(answer) {
            wrong.push(format!(
                "{path} of a was {answer}\n and is {:?}",
                after.get(path)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    pacs.comes_up();
    let back = json!({ "unknown_devices": null });
    let open = api.send("PATCH", "/api/v1/settings", As::Operator("a"), Some(&back));
    assert!(open.status < 300, "{}", open.text());
    hilum.is_well();
}

fn text_is_empty_list(text: &str) -> bool {
    matches!(text, "" | "[]") || text.starts_with("{\"items\":[]")
}

/// Tenant `a` with one of everything that an address can name.
fn tenant_with_everything(hilum: &Hilum) -> Names {
    let api = hilum.api();
    let study = "1.2.826.0.1.3680043.8.498.7001";
    let named = [
        "PatientName=Secret^Anna",
        "PatientID=A-4711",
        "PatientBirthDate=19700101",
    ];
    let series = Series::another_study(study, &named);
    hilum.takes(&series);
    let run = hilum.run_becomes(study, "succeeded");
    let delivery = wait_until("a delivery", 60, || hilum.deliveries(study).pop());
    let input_set = hilum.input_sets(study).pop().unwrap();
    let instance = hilum.instances(study, "MR").pop().unwrap();
    let uid = |tag: &str| instance[tag]["Value"][0].as_str().unwrap().to_owned();

    // Another person by the same id, and another content by the same UID.
    let born = [
        "PatientName=Secret^Anna",
        "PatientID=A-4711",
        "PatientBirthDate=19010203",
    ];
    let other_study = "1.2.826.0.1.3680043.8.498.7002".to_owned();
    let other = Series::another_study(&other_study, &born);
    hilum.takes(&other);
    hilum.run_becomes(&other_study, "succeeded");
    wait_until("its delivery is held", 60, || {
        hilum.deliveries(&other_study).pop()
    });
    let patient_conflict = wait_until("a conflict of patients", 30, || {
        api.items("/api/v1/patient-conflicts").pop()
    });
    let changed = series.with_other_pixels();
    let sent = hilum.receives(&changed.files()[..1]);
    assert!(sent.accepted, "{}", sent.output);
    let instance_conflict = wait_until("a conflict of contents", 30, || {
        api.items("/api/v1/instance-conflicts").pop()
    });
    let junk = hilum.data().join("../junk");
    std::fs::write(&junk, b"no instance at all").unwrap();
    let refused = hilum.stow(&[&junk]);
    assert_eq!(refused.status, 409, "{}", refused.text());
    let quarantine = wait_until("a refusal", 30, || api.items("/api/v1/quarantine").pop());

    let done = |method: &str, path: &str, body: Value| {
        let answer = api.send(method, path, As::Operator("a"), Some(&body));
        assert!(answer.status < 300, "{path}: {}", answer.text());
        answer.json()
    };
    let hold = done(
        "POST",
        "/api/v1/holds",
        json!({ "study_uid": study, "reason": "a court asks" }),
    );
    let export = "01890000-0000-7000-8000-00000000000e";
    done(
        "POST",
        &format!("/api/v1/exports/{export}"),
        json!({ "extent": "studies", "as_received": false, "studies": 1 }),
    );
    let merge = done(
        "POST",
        "/api/v1/patient-merges",
        json!({ "prior": { "id": "A-1" }, "surviving": { "id": "A-2" }, "reason": "the same" }),
    );
    let invitation = done(
        "POST",
        "/api/v1/invitations",
        json!({ "email": "anna@example.org", "role": "radiologist" }),
    );
    let key = done(
        "POST",
        "/api/v1/keys",
        json!({ "name": "pacs", "role": "integration" }),
    );
    let device = done(
        "POST",
        "/api/v1/devices",
        json!({ "ae_title": "CT1", "address": "192.0.2.7" }),
    );
    done(
        "PATCH",
        "/api/v1/settings",
        json!({ "unknown_devices": "reject" }),
    );
    let sent = hilum.receives(&series.files()[..1]);
    assert!(
        !sent.accepted,
        "an unknown device is rejected: {}",
        sent.output
    );
    let unknown = wait_until("an unknown device", 10, || {
        let found = api.send("GET", "/api/v1/devices/unknown", As::Operator("a"), None);
        found.json()["items"].as_array()?.first().cloned()
    });

    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Null => panic!("an identifier is missing"),
        other => other.to_string(),
    };
    let mut names = nothing();
    names.0.extend([
        ("study", study.to_owned()),
        ("series", uid("0020000E")),
        ("instance", uid("00080018")),
        ("study_uid", study.to_owned()),
        ("series_uid", uid("0020000E")),
        ("sop_instance_uid", uid("00080018")),
        ("patient_id", "A-4711".to_owned()),
        ("instance_conflict", text(&instance_conflict["id"])),
        ("patient_conflict", text(&patient_conflict["id"])),
        ("quarantine", text(&quarantine["id"])),
        ("hold", text(&hold["id"])),
        ("merge", text(&merge["id"])),
        ("export", export.to_owned()),
        ("input_set", text(&input_set["id"])),
        ("run", text(&run["id"])),
        ("delivery", text(&delivery["id"])),
        ("key", text(&key["id"])),
        ("device", text(&device["id"])),
        ("unknown_device", text(&unknown["id"])),
        ("invitation", text(&invitation["id"])),
    ]);
    names
}
