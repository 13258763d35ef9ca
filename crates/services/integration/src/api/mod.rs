//! The service's REST endpoints, one file each.

mod deliveries;
mod destination;
mod destinations;
mod retry_delivery;
pub(crate) mod told;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::IntegrationService;

pub(crate) fn router() -> OpenApiRouter<IntegrationService> {
    OpenApiRouter::new()
        .routes(routes!(deliveries::list_deliveries))
        .routes(routes!(retry_delivery::retry_delivery))
        .routes(routes!(
            destinations::list_destinations,
            destinations::add_destination
        ))
        .routes(routes!(
            destination::change_destination,
            destination::remove_destination
        ))
        .routes(routes!(destination::test_destination))
        .routes(routes!(destination::renew_secret))
}
