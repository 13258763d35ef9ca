//! `GET /audit/entries`

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Query, State};
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Entry, Subject};
use hilum_contracts::error::ServiceError;
use hilum_contracts::scope::{Principal, Right};
use hilum_platform::audit::Found;
use hilum_platform::clock::from_millis;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::filter::FilterQuery;
use crate::AuditService;
use crate::called::Called;
use crate::domain::page::After;
use crate::limits::{PAGE, PAGE_MAX};

#[derive(Deserialize, IntoParams)]
pub(crate) struct PageQuery {
    /// `next` of the page before.
    after: Option<String>,
    /// Entries of a page, at most 200 [default: 50].
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AuditEntryList {
    items: Vec<AuditEntry>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Something that was done.
#[derive(Serialize, ToSchema)]
struct AuditEntry {
    /// The service whose trail it stands in.
    writer: String,
    /// Its place there.
    position: u64,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
    /// Who, written out: `person ID`, `API key ID`, `device AE`.
    who: String,
    /// The person's id, when it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<String>,
    /// What the person or the API key is called, or was when the person left.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// What the person or API key is called that was acted on, when it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    acted_on: Option<String>,
    /// The session, when it was a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// The role by which it was done; `continuation` for what a service goes on
    /// with.
    right: String,
    /// The emergency access that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    break_glass: Option<String>,
    /// From which address.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    /// What was done.
    action: String,
    /// `success`, `refused` or `failed`.
    outcome: String,
    /// How often, or with how many instances.
    count: u64,
    /// Whom and what it is about.
    subjects: Vec<AuditSubject>,
    /// What else is known.
    details: BTreeMap<String, String>,
    /// The association, request or job that it is a part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation: Option<String>,
}

/// Whom or what an entry is about.
#[derive(Serialize, ToSchema)]
struct AuditSubject {
    /// `patient`, `study`, `query`, `reason`, `account` or, when it is known no
    /// more, `erased`.
    kind: &'static str,
    /// Patient ID, Study Instance UID, what was searched for, why something was
    /// done, or the e-mail address that was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    /// Issuer of Patient ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
}

/// The audit trail: who did what, to whom, when, from where, by which right.
#[utoipa::path(get, path = "/audit/entries",
    extensions(("x-hilum-action" = json!("view-audit"))), tag = "audit",
    params(FilterQuery, PageQuery),
    responses((status = 200, body = AuditEntryList), (status = 400, body = ProblemBody)))]
pub(crate) async fn list_audit_entries(
    May(scope, _): May<doors::ViewAudit>,
    State(service): State<AuditService>,
    Query(query): Query<FilterQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Json<AuditEntryList>, Problem> {
    let limit = page.limit.unwrap_or(PAGE);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(ServiceError::invalid(format!("A page has 1 to {PAGE_MAX} entries.")).into());
    }
    let after = match page.after.as_deref().filter(|after| !after.is_empty()) {
        Some(after) => Some(
            After::parse(after)
                .ok_or_else(|| ServiceError::invalid("Give `next` of the page before."))?,
        ),
        None => None,
    };
    let filter = query.filter(&service, &scope).await?;
    let asked = Entry::new(Act::ViewAudit).about(query.asked());
    let recorded = service.trail.saw(&scope, asked).await;
    recorded.map_err(|error| database_error(&error))?;
    let (found, next) = service
        .search(&scope, &filter, after.as_ref(), limit)
        .await?;
    let called = service.called(&scope, &found).await?;
    Ok(Json(AuditEntryList {
        items: found.into_iter().map(|one| shown(one, &called)).collect(),
        next: next.map(|next| next.to_string()),
    }))
}

fn shown(found: Found, called: &Called) -> AuditEntry {
    let (name, acted_on) = (called.who(&found), called.acted_on(&found));
    let Found { record, subjects } = found;
    let (person, session) = match &record.principal {
        Principal::Person { id, session } => (Some(id.to_string()), Some(session.to_string())),
        _ => (None, None),
    };
    let (right, break_glass) = match record.right {
        Right::Role(role) => (role.name(), None),
        Right::BreakGlass { role, access } => (role.name(), Some(access.to_string())),
        Right::Continuation => ("continuation", None),
    };
    AuditEntry {
        at: from_millis(record.at),
        who: record.principal.to_string(),
        person,
        name,
        acted_on,
        session,
        right: right.to_owned(),
        break_glass,
        from: record.from.map(|from| from.to_string()),
        action: record.act.name().to_owned(),
        outcome: record.outcome.name().to_owned(),
        count: record.count,
        subjects: subjects.into_iter().map(named).collect(),
        details: record
            .details
            .into_iter()
            .map(|(name, value)| (name.name().to_owned(), value))
            .collect(),
        correlation: record.correlation.map(|id| id.to_string()),
        writer: record.writer,
        position: record.position,
    }
}

fn named(subject: Option<Subject>) -> AuditSubject {
    let (kind, value, issuer) = match subject {
        Some(Subject::Patient { id, issuer }) => ("patient", Some(id), issuer),
        Some(Subject::Study(uid)) => ("study", Some(uid), None),
        Some(Subject::Query(text)) => ("query", Some(text), None),
        Some(Subject::Reason(text)) => ("reason", Some(text), None),
        Some(Subject::Account(address)) => ("account", Some(address), None),
        None => ("erased", None, None),
    };
    AuditSubject {
        kind,
        value,
        issuer,
    }
}
