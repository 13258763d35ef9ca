//! What each operation is sent.

use serde_json::{Value, json};

use super::Operation;
use super::names::Names;

/// What an operation that changes something is sent, so that it would do it.
pub(super) fn body(operation: &Operation, of: &Names) -> Option<Value> {
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
        "POST /api/v1/destinations" => json!({
            "name": "another", "kind": "webhook", "address": "https://192.0.2.10/hook"
        }),
        "PATCH /api/v1/destinations/{id}" => json!({ "name": "Taken" }),
        "POST /api/v1/devices/unknown/{id}/admit"
        | "DELETE /api/v1/devices/unknown/{id}"
        | "DELETE /api/v1/devices/{id}"
        | "DELETE /api/v1/destinations/{id}"
        | "POST /api/v1/destinations/{id}/test"
        | "POST /api/v1/destinations/{id}/secret"
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
        | "POST /api/v1/jobs/{service}/{id}/replay"
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
        // It lives elsewhere: nothing changes for who may say so.
        "PUT /api/v1/tenant/shard" => json!({ "from": "nowhere", "shard": "nowhere" }),
        // The name of another: who may end a tenant may end their own.
        "POST /api/v1/tenant/end" => json!({ "confirm": "a" }),
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
