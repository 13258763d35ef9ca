//! `GET /destinations`

use axum::Json;
use axum::extract::State;
use hilum_contracts::access::doors;
use hilum_platform::config::Way;
use hilum_platform::http::May;
use serde::Serialize;
use utoipa::ToSchema;

use crate::IntegrationService;

#[derive(Serialize, ToSchema)]
pub(crate) struct DestinationList {
    items: Vec<DestinationItem>,
}

#[derive(Serialize, ToSchema)]
struct DestinationItem {
    name: String,
    /// How results get there: `dicom` (C-STORE), `stow` (STOW-RS), `webhook` or `mail`.
    kind: &'static str,
    /// Of a DICOM node.
    #[serde(skip_serializing_if = "Option::is_none")]
    ae_title: Option<String>,
    /// `host:port`, an http address, or one for mail.
    address: String,
    /// The models whose results go there; none named: every model's.
    models: Vec<String>,
}

/// Where this tenant's results are delivered.
#[utoipa::path(get, path = "/destinations",
    extensions(("x-hilum-action" = json!("view-studies"))), tag = "integration",
    responses((status = 200, body = DestinationList)))]
pub(crate) async fn list_destinations(
    May(scope, _): May<doors::ViewStudies>,
    State(service): State<IntegrationService>,
) -> Json<DestinationList> {
    let items = service
        .destinations
        .iter()
        .filter(|destination| destination.tenant == *scope.tenant())
        .map(|destination| DestinationItem {
            name: destination.name.clone(),
            kind: destination.way.kind(),
            ae_title: match &destination.way {
                Way::Dicom { ae_title, .. } => Some(ae_title.clone()),
                Way::Stow { .. } | Way::Webhook { .. } | Way::Mail { .. } => None,
            },
            address: destination.address().to_owned(),
            models: destination.models.clone(),
        })
        .collect();
    Json(DestinationList { items })
}
