//! `GET /destinations`

use axum::Json;
use axum::extract::State;
use hilum_contracts::access::doors;
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
    ae_title: String,
    /// `host:port`
    address: String,
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
            ae_title: destination.ae_title.clone(),
            address: destination.address.clone(),
        })
        .collect();
    Json(DestinationList { items })
}
