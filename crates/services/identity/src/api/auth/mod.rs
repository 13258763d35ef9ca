//! `/auth`: signing in and out. Who comes is not known yet; each door says of
//! itself in the document that it is open.

mod break_glass;
mod invitation;
mod oidc;
mod password_reset;
mod set_up;
mod sign_in;
mod sign_out;
mod sign_up;
pub(crate) mod state;
mod tenant;
mod verify_email;

use axum::middleware::from_fn_with_state;
use hilum_platform::audit::{Door, recorded};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::told;
use crate::IdentityService;

pub(crate) fn router(service: &IdentityService) -> OpenApiRouter<IdentityService> {
    let links = from_fn_with_state(service.clone(), told::wrong_links);
    let door = Door::new(service.trail.clone(), told::emergency);
    emergency()
        .layer(from_fn_with_state(door, recorded))
        .merge(open().layer(links))
}

/// What is answered here, wherever it is.
pub(crate) fn endpoints() -> utoipa::openapi::OpenApi {
    emergency().merge(open()).into_openapi()
}

fn open() -> OpenApiRouter<IdentityService> {
    OpenApiRouter::new()
        .routes(routes!(state::auth_state))
        .routes(routes!(set_up::set_up))
        .routes(routes!(sign_up::sign_up))
        .routes(routes!(sign_in::sign_in))
        .routes(routes!(sign_out::sign_out))
        .routes(routes!(tenant::switch_tenant))
        .routes(routes!(invitation::show_invitation))
        .routes(routes!(invitation::accept_invitation))
        .routes(routes!(password_reset::ask_password_reset))
        .routes(routes!(password_reset::finish_password_reset))
        .routes(routes!(verify_email::verify_email))
        .routes(routes!(oidc::start_oidc))
        .routes(routes!(oidc::finish_oidc))
}

fn emergency() -> OpenApiRouter<IdentityService> {
    OpenApiRouter::new()
        .routes(routes!(break_glass::take_break_glass))
        .routes(routes!(break_glass::end_break_glass))
}
