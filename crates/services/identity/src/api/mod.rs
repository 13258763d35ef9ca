//! The service's REST endpoints.

mod account;
pub(crate) mod auth;
mod break_glass;
mod devices;
mod invitations;
mod keys;
mod page;
mod people;
mod providers;
mod roles;
mod settings;
mod shard;
mod tenants;
pub(crate) mod told;

use std::str::FromStr;

use hilum_contracts::error::ServiceError;
use hilum_contracts::scope::{Principal, TenantScope};
use hilum_platform::http::{Problem, database_error};
use hilum_platform::notices::Topic;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::IdentityService;

pub(crate) fn router() -> OpenApiRouter<IdentityService> {
    OpenApiRouter::new()
        .routes(routes!(account::profile::get_account))
        .routes(routes!(account::profile::change_account))
        .routes(routes!(account::email::ask_for_email))
        .routes(routes!(account::email::withdraw_email))
        .routes(routes!(account::password::change_own_password))
        .routes(routes!(account::sessions::list_own_sessions))
        .routes(routes!(account::sessions::end_own_sessions))
        .routes(routes!(account::sessions::end_own_session))
        .routes(routes!(people::list_people))
        .routes(routes!(people::change_person))
        .routes(routes!(people::remove_person))
        .routes(routes!(people::sessions::list_sessions_of_person))
        .routes(routes!(people::sessions::end_sessions_of_person))
        .routes(routes!(people::reset::make_reset_link))
        .routes(routes!(account::profile::send_verification))
        .routes(routes!(invitations::list_invitations))
        .routes(routes!(invitations::invite))
        .routes(routes!(invitations::withdraw_invitation))
        .routes(routes!(keys::list_keys))
        .routes(routes!(keys::make_key))
        .routes(routes!(keys::revoke_key))
        .routes(routes!(devices::list_devices))
        .routes(routes!(devices::add_device))
        .routes(routes!(devices::change_device))
        .routes(routes!(devices::remove_device))
        .routes(routes!(devices::unknown::list_unknown_devices))
        .routes(routes!(devices::unknown::admit_unknown_device))
        .routes(routes!(devices::unknown::forget_unknown_device))
        .routes(routes!(roles::list_roles))
        .routes(routes!(settings::get_settings))
        .routes(routes!(settings::change_settings))
        .routes(routes!(providers::list_providers))
        .routes(routes!(providers::add_provider))
        .routes(routes!(providers::change_provider))
        .routes(routes!(providers::remove_provider))
        .routes(routes!(break_glass::list_break_glass))
        .routes(routes!(break_glass::review_break_glass))
        .routes(routes!(tenants::list_tenants))
        .routes(routes!(tenants::make_tenant))
        .routes(routes!(shard::place_tenant))
}

/// An id from an address; what is none names nothing.
fn id<T: FromStr>(text: &str, what: &str) -> Result<T, Problem> {
    text.parse()
        .map_err(|_| ServiceError::not_found(format!("There is no such {what}.")).into())
}

impl IdentityService {
    /// Who acts, by the name that people know them by.
    pub(crate) async fn name_of(&self, scope: &TenantScope) -> Result<String, ServiceError> {
        let Principal::Person { id, .. } = scope.principal() else {
            return Ok(scope.principal().to_string());
        };
        let person = self.store.person(*id).await;
        let person = person.map_err(|error| database_error(&error))?;
        Ok(person.map_or_else(|| scope.principal().to_string(), |person| person.name))
    }

    /// What was decided holds from now on, for everybody who is signed in and
    /// every page that shows it.
    pub(crate) async fn changed(&self, scope: &TenantScope) {
        self.something_ended().await;
        self.notices
            .tell(scope.tenant(), Topic::Administration, None);
    }
}
