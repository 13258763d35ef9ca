//! Nobody reaches what is not theirs: every operation of the OpenAPI document is
//! sent by nobody, by every role, and by another tenant with real identifiers;
//! every verb of DIMSE, every event and every job comes from another tenant with
//! them. A new one that these tests do not know fails them. Objects and keys are
//! asked in the archive's own tests.

mod bodies;
mod events;
mod names;
mod verbs;

use std::collections::BTreeMap;

use hilum_contracts::access::{Action, Role, allows};
use hilum_testkit::{Api, As, Hilum, Storescp};
use serde_json::json;

use self::bodies::body;
use self::names::{Names, nothing, tenant_with_everything};
use crate::hilum;

/// Where tenants may have results sent: nobody is there.
const DELIVERIES: &str = "{ networks = [\"192.0.2.0/24\"] }";

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
        // With when each key was used last.
        "/api/v1/tenant/records",
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
                // So is the server's port after a restart.
                false => answer.text().replace(&api.0.to_string(), "here"),
            };
            (path, format!("{} {shown}", answer.status))
        })
        .collect()
}

/// What somebody sees otherwise than before.
fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let differs = |(path, answer): &(&String, &String)| after.get(*path) != Some(answer);
    let differing = before.iter().filter(differs);
    differing
        .map(|(path, was)| format!("{path} was {was}\n and is {:?}", after.get(path)))
        .collect()
}

#[test]
fn another_tenant_sees_and_changes_nothing_with_real_identifiers() {
    let mut pacs = Storescp::up_for_ct_only();
    let hilum = hilum()
        .with_fast_model()
        .delivering_to("pacs", "PACS", pacs.address())
        .with_setting("identity", "{ public_url = \"http://127.0.0.1\" }")
        .with_setting("deliveries", DELIVERIES)
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
    wrong.extend(changed(&before, &seen(api, &operations, "a", &names)));
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
