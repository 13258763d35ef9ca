//! `GET /api/v1/status`: what this installation is and how it does.

use axum::Json;
use axum::extract::State;
use hilum_contracts::access::doors;
use hilum_inference::runtime::{find_library, library_version};
use hilum_platform::http::May;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::Shared;

#[derive(Serialize, ToSchema)]
pub(crate) struct Status {
    version: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    started_at: OffsetDateTime,
    /// The AE title to send images to.
    ae_title: String,
    /// Where to send them, `host:port`.
    dicom_address: String,
    /// Whether that takes associations over TLS, and only so.
    dicom_tls: bool,
    services: Vec<ServiceStatus>,
}

#[derive(Serialize, ToSchema)]
struct ServiceStatus {
    name: &'static str,
    ready: bool,
    /// What it runs on, or what is wrong; for people.
    detail: Option<String>,
}

/// What this installation is and how it does.
#[utoipa::path(get, path = "/status",
    extensions(("x-hilum-action" = json!("view-status"))), tag = "platform", responses((status = 200, body = Status)))]
pub(crate) async fn status(
    May(scope, _): May<doors::ViewStatus>,
    State(shared): State<Shared>,
) -> Json<Status> {
    let archive = shared.archive.answers().await;
    let runtime = find_library(shared.config.onnxruntime.as_deref());
    let mut services = vec![
        ServiceStatus {
            name: "archive",
            ready: archive.is_ok(),
            detail: archive.err().map(|error| error.to_string()),
        },
        ServiceStatus {
            name: "inference",
            ready: runtime.is_some(),
            detail: match runtime {
                Some(library) => {
                    library_version(&library).map(|version| format!("ONNX Runtime {version}"))
                }
                None => Some("ONNX Runtime was not found: run `make runtime`.".to_owned()),
            },
        },
    ];
    // Those that follow others have an inbox in their database.
    for inbox in shared.inboxes.iter() {
        let consumer = inbox.consumer();
        let name = consumer.split('.').next().unwrap_or(consumer);
        let answers = inbox.backlog().await.is_ok();
        let detail = (!answers).then(|| "Its database does not answer.".to_owned());
        match services.iter_mut().find(|known| known.name == name) {
            Some(_) if answers => {}
            Some(known) => (known.ready, known.detail) = (false, detail),
            None => services.push(ServiceStatus {
                name,
                ready: answers,
                detail,
            }),
        }
    }
    let known = shared.tenants.known();
    let ae_title = known
        .tenant(scope.tenant())
        .map(|tenant| tenant.ae_title.clone())
        .unwrap_or_default();
    Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        started_at: shared.started_at,
        ae_title,
        dicom_address: shared.config.dicom.to_string(),
        dicom_tls: shared.config.dicom_tls,
        services,
    })
}
