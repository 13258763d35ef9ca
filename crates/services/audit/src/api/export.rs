//! `GET /audit/export`

use std::collections::VecDeque;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::ServiceError;
use hilum_platform::audit::Filter;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::scope::TenantScope;
use http::header;
use serde::Deserialize;
use utoipa::IntoParams;

use super::filter::FilterQuery;
use crate::AuditService;
use crate::domain::page::After;
use crate::domain::{csv, fhir};
use crate::limits::EXPORT_PAGE;
use crate::searching::Patients;

#[derive(Deserialize, IntoParams)]
pub(crate) struct FormQuery {
    /// `fhir`: R4 AuditEvents, one a line; or `csv`.
    format: Option<String>,
}

#[derive(Clone, Copy)]
enum Form {
    Fhir,
    Csv,
}

/// An export on its way.
struct Export {
    service: AuditService,
    scope: TenantScope,
    filter: Filter,
    form: Form,
    after: Option<After>,
    is_last: bool,
    ready: VecDeque<Bytes>,
    patients: Patients,
}

/// The audit trail as FHIR R4 AuditEvents (NDJSON) or CSV, the newest entry first.
#[utoipa::path(get, path = "/audit/export",
    extensions(("x-hilum-action" = json!("export-audit"))), tag = "audit",
    params(FormQuery, FilterQuery),
    responses(
        (status = 200, content((String = "application/fhir+ndjson"), (String = "text/csv"))),
        (status = 400, body = ProblemBody)))]
pub(crate) async fn export_audit(
    May(scope, _): May<doors::ExportAudit>,
    State(service): State<AuditService>,
    Query(FormQuery { format }): Query<FormQuery>,
    Query(query): Query<FilterQuery>,
) -> Result<Response, Problem> {
    let (form, kind, name) = match format.as_deref().unwrap_or("fhir") {
        "fhir" => (Form::Fhir, "application/fhir+ndjson", "ndjson"),
        "csv" => (Form::Csv, "text/csv; charset=utf-8", "csv"),
        _ => return Err(ServiceError::invalid("The format is fhir or csv.").into()),
    };
    let filter = query.filter(&service, &scope).await?;
    let entry = Entry::new(Act::ExportAudit)
        .about(query.asked())
        .with(Detail::Form, name);
    let recorded = service.trail.record(&scope, entry).await;
    recorded.map_err(|error| database_error(&error))?;
    let mut ready = VecDeque::new();
    if matches!(form, Form::Csv) {
        ready.push_back(Bytes::from_static(csv::HEAD.as_bytes()));
    }
    let export = Export {
        service,
        scope,
        filter,
        form,
        after: None,
        is_last: false,
        ready,
        patients: Patients::default(),
    };
    let lines = stream::try_unfold(export, |mut export| async move {
        loop {
            if let Some(line) = export.ready.pop_front() {
                return Ok::<_, std::io::Error>(Some((line, export)));
            }
            if export.is_last {
                return Ok(None);
            }
            export.fill().await?;
        }
    });
    Response::builder()
        .header(header::CONTENT_TYPE, kind)
        .header(
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"audit.{name}\""),
        )
        .header(header::CACHE_CONTROL, "no-store")
        .body(Body::from_stream(lines))
        .map_err(|_| ServiceError::internal("The answer can't be made.").into())
}

impl Export {
    async fn fill(&mut self) -> std::io::Result<()> {
        self.page().await.map_err(|error| {
            tracing::error!(%error, "an export of the audit trail broke off");
            std::io::Error::other("the export broke off")
        })
    }

    /// The lines of the next page.
    async fn page(&mut self) -> Result<(), ServiceError> {
        let after = self.after.take();
        let page = self
            .service
            .search(&self.scope, &self.filter, after.as_ref(), EXPORT_PAGE);
        let (found, next) = page.await?;
        self.is_last = next.is_none();
        self.after = next;
        let called = self.service.called(&self.scope, &found).await?;
        let mut text = String::new();
        for one in &found {
            let name = called.who(one);
            let patients = self
                .service
                .patients_of(&self.scope, one, &mut self.patients)
                .await?;
            match self.form {
                Form::Csv => text.push_str(&csv::line(one, name.as_deref(), &patients)),
                Form::Fhir => {
                    text.push_str(&fhir::audit_event(one, name.as_deref(), &patients).to_string());
                    text.push('\n');
                }
            }
        }
        if !text.is_empty() {
            self.ready.push_back(Bytes::from(text));
        }
        Ok(())
    }
}
