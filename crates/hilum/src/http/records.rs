//! `GET /api/v1/tenant/records`: all that the organisation owns beside its
//! images and its audit trail, line by line, from every service. Owns the order
//! of the services; each gives its own.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures::stream;
use hilum_contracts::access::doors;
use hilum_contracts::error::ServiceError;
use hilum_contracts::export::Exports;
use hilum_contracts::scope::TenantScope;
use hilum_platform::http::{May, Problem, ProblemBody};
use http::header;

use super::Own;

/// Everything that gives rows out.
pub(crate) type Exporting = Arc<[Arc<dyn Exports>]>;

/// An export on its way.
struct Records {
    services: Exporting,
    scope: TenantScope,
    /// Which service is asked, and for what is behind which place.
    at: usize,
    after: Option<String>,
}

/// Everything that the organisation owns beside images and audit trail: people,
/// settings, devices, keys without secrets, patients, corrections, holds, runs,
/// deliveries, certificates. One JSON object a line: `service`, `table`, `row`.
#[utoipa::path(get, path = "/tenant/records",
    extensions(("x-hilum-action" = json!("end-tenant"))), tag = "settings",
    responses((status = 200, content_type = "application/x-ndjson", body = String),
        (status = 403, body = ProblemBody)))]
pub(crate) async fn export_records(
    May(scope, _): May<doors::EndTenant>,
    State(own): State<Own>,
) -> Result<Response, Problem> {
    let name = format!("attachment; filename=\"{}.ndjson\"", scope.tenant());
    let records = Records {
        services: own.exporting,
        scope,
        at: 0,
        after: None,
    };
    let lines = stream::try_unfold(records, |mut records| async move {
        let page = records.page().await.map_err(|error| {
            tracing::error!(%error, "an export of records broke off");
            std::io::Error::other("the export broke off")
        });
        page.map(|page| page.map(|page| (page, records)))
    });
    Response::builder()
        .header(header::CONTENT_TYPE, "application/x-ndjson")
        .header(header::CONTENT_DISPOSITION, name)
        .header(header::CACHE_CONTROL, "no-store")
        .body(Body::from_stream(lines))
        .map_err(|_| ServiceError::internal("The answer can't be made.").into())
}

impl Records {
    /// The next lines; none at the end.
    async fn page(&mut self) -> Result<Option<Bytes>, ServiceError> {
        while let Some(service) = self.services.get(self.at) {
            let page = service.export(&self.scope, self.after.as_deref()).await?;
            self.after = page.next;
            if self.after.is_none() {
                self.at += 1;
            }
            if !page.lines.is_empty() {
                return Ok(Some(Bytes::from(page.lines.join("\n") + "\n")));
            }
        }
        Ok(None)
    }
}
