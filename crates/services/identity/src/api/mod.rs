//! The service's REST endpoints.

mod account;
pub(crate) mod auth;
mod body;
mod page;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::IdentityService;

pub(crate) fn router() -> OpenApiRouter<IdentityService> {
    OpenApiRouter::new()
        .routes(routes!(account::profile::get_account))
        .routes(routes!(account::profile::change_account))
        .routes(routes!(account::password::change_own_password))
        .routes(routes!(account::sessions::list_own_sessions))
        .routes(routes!(account::sessions::end_own_sessions))
        .routes(routes!(account::sessions::end_own_session))
}
