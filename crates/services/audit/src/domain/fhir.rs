//! An entry as a FHIR R4 AuditEvent (<https://hl7.org/fhir/R4/auditevent.html>),
//! in the manner of IHE BALP: DICOM's codes say what happened, entities name the
//! study and the patient.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hilum_contracts::audit::{Outcome, Subject};
use hilum_contracts::scope::{Principal, Right};
use hilum_platform::audit::Found;
use hilum_platform::clock::from_millis;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::codes;

const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const OBJECT_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const SOURCE_TYPE: &str = "http://terminology.hl7.org/CodeSystem/security-source-type";
/// Our own acts and roles.
const ACTS: &str = "urn:hilum:audit:act";
const ROLES: &str = "urn:hilum:role";

/// The AuditEvent of an entry. `name`: what whoever did it is called.
/// `patients`: of its studies, where the entry itself names none.
pub(crate) fn audit_event(found: &Found, name: Option<&str>, patients: &[Subject]) -> Value {
    let record = &found.record;
    let (event, subtype) = codes::dicom(record.act);
    let mut subtypes = vec![json!({
        "system": ACTS, "code": record.act.name(),
    })];
    subtypes.extend(
        subtype.map(|(code, display)| json!({ "system": DCM, "code": code, "display": display })),
    );
    let outcome = match record.outcome {
        Outcome::Success => "0",
        Outcome::Refused => "4",
        Outcome::Failed => "8",
    };
    let mut entities: Vec<Value> = found
        .subjects
        .iter()
        .map(|subject| match subject {
            Some(subject) => entity(subject),
            None => erased(),
        })
        .collect();
    let named = found.subjects.iter().flatten();
    if !named
        .clone()
        .any(|one| matches!(one, Subject::Patient { .. }))
    {
        entities.extend(patients.iter().map(entity));
    }
    entities.push(about_itself(found));
    let mut event = json!({
        "resourceType": "AuditEvent",
        "id": format!("{}-{}", record.writer, record.position),
        "type": { "system": DCM, "code": event.0, "display": event.1 },
        "subtype": subtypes,
        "action": codes::letter(record.act),
        "recorded": recorded(record.at),
        "outcome": outcome,
        "agent": [agent(found, name)],
        "source": {
            "site": record.tenant.as_str(),
            "observer": {
                "type": "Device",
                "identifier": { "system": "urn:hilum:service", "value": record.writer },
                "display": format!("Hilum, {}", record.writer),
            },
            "type": [{ "system": SOURCE_TYPE, "code": "4", "display": "Application Server" }],
        },
        "entity": entities,
    });
    if record.outcome != Outcome::Success
        && let Some(event) = event.as_object_mut()
    {
        event.insert("outcomeDesc".to_owned(), record.outcome.name().into());
    }
    event
}

fn recorded(at: i64) -> String {
    from_millis(at).format(&Rfc3339).unwrap_or_default()
}

fn agent(found: &Found, name: Option<&str>) -> Value {
    let record = &found.record;
    let (kind, system, value, display) = match &record.principal {
        Principal::Person { id, .. } => ("Person", "urn:hilum:person", id.to_string(), "person"),
        Principal::ApiKey(id) => ("Device", "urn:hilum:key", id.to_string(), "API key"),
        Principal::Device(ae) => ("Device", "urn:hilum:ae-title", ae.clone(), "DICOM device"),
        Principal::Service(name) => ("Device", "urn:hilum:service", name.clone(), "service"),
        Principal::LocalOperator => (
            "Person",
            "urn:hilum:operator",
            "local".to_owned(),
            "local operator",
        ),
    };
    let role = match record.right {
        Right::Role(role) | Right::BreakGlass { role, .. } => role.name(),
        Right::Continuation => "continuation",
    };
    let mut agent = json!({
        "who": {
            "type": kind,
            "identifier": { "system": system, "value": value },
            "display": display,
        },
        "role": [{ "coding": [{ "system": ROLES, "code": role }] }],
        "requestor": !matches!(record.principal, Principal::Service(_)),
    });
    let Some(fields) = agent.as_object_mut() else {
        return agent;
    };
    if let Some(name) = name {
        fields.insert("name".to_owned(), name.into());
    }
    if let Some(from) = record.from {
        // 2: an IP address (AuditEventAgentNetworkType).
        fields.insert(
            "network".to_owned(),
            json!({ "address": from.to_string(), "type": "2" }),
        );
    }
    if let Right::BreakGlass { access, .. } = record.right {
        fields.insert(
            "purposeOfUse".to_owned(),
            json!([{
                "coding": [{
                    "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
                    "code": "BTG", "display": "break the glass",
                }],
                "text": access.to_string(),
            }]),
        );
    }
    agent
}

fn entity(subject: &Subject) -> Value {
    match subject {
        Subject::Patient { id, issuer } => {
            let mut identifier = json!({ "value": id });
            if let (Some(issuer), Some(fields)) = (issuer, identifier.as_object_mut()) {
                fields.insert("assigner".to_owned(), json!({ "display": issuer }));
            }
            json!({
                "what": { "type": "Patient", "identifier": identifier },
                "type": { "system": ENTITY_TYPE, "code": "1", "display": "Person" },
                "role": { "system": OBJECT_ROLE, "code": "1", "display": "Patient" },
            })
        }
        Subject::Study(uid) => json!({
            "what": {
                "type": "ImagingStudy",
                "identifier": { "system": "urn:dicom:uid", "value": format!("urn:oid:{uid}") },
            },
            "type": { "system": ENTITY_TYPE, "code": "2", "display": "System Object" },
            "role": { "system": OBJECT_ROLE, "code": "3", "display": "Report" },
        }),
        Subject::Query(text) => json!({
            "type": { "system": ENTITY_TYPE, "code": "2", "display": "System Object" },
            "role": { "system": OBJECT_ROLE, "code": "24", "display": "Query" },
            "query": STANDARD.encode(text),
        }),
        Subject::Reason(text) => json!({
            "name": "reason",
            "description": text,
            "type": { "system": ENTITY_TYPE, "code": "4", "display": "Other" },
        }),
        Subject::Account(address) => json!({
            "name": address,
            "type": { "system": ENTITY_TYPE, "code": "4", "display": "Other" },
            "role": { "system": OBJECT_ROLE, "code": "11", "display": "Security User Entity" },
        }),
    }
}

/// Somebody who is known no more.
fn erased() -> Value {
    json!({
        "name": "erased",
        "type": { "system": ENTITY_TYPE, "code": "4", "display": "Other" },
    })
}

/// The entry's own place, its count and its details.
fn about_itself(found: &Found) -> Value {
    let record = &found.record;
    let mut detail = vec![json!({ "type": "count", "valueString": record.count.to_string() })];
    for (name, value) in &record.details {
        if !value.is_empty() {
            detail.push(json!({ "type": name.name(), "valueString": value }));
        }
    }
    if let Some(correlation) = record.correlation {
        detail.push(json!({ "type": "correlation", "valueString": correlation.to_string() }));
    }
    json!({
        "name": format!("entry {} of {}", record.position, record.writer),
        "type": { "system": ENTITY_TYPE, "code": "2", "display": "System Object" },
        "role": { "system": OBJECT_ROLE, "code": "13", "display": "Security Resource" },
        "detail": detail,
    })
}
