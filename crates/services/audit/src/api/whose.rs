//! Whose trail a request is about: that of who asks, or, for the operator of the
//! installation alone, that of a tenant that was ended and has nobody to ask.

use hilum_contracts::access::Action;
use hilum_contracts::audit::{Detail, Entry};
use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::TenantId;
use hilum_platform::auth;
use hilum_platform::http::database_error;
use hilum_platform::scope::TenantScope;

use crate::AuditService;

impl AuditService {
    /// The scope whose trail is meant, and `entry` with the tenant in it.
    ///
    /// # Errors
    /// `Forbidden` for anybody but the operator; `NotFound` when no tenant of the
    /// name was ended.
    pub(super) async fn whose(
        &self,
        scope: &TenantScope,
        ended: Option<String>,
        entry: Entry,
    ) -> Result<(TenantScope, Entry), ServiceError> {
        let Some(name) = ended else {
            return Ok((scope.clone(), entry));
        };
        scope.require(Action::Operate)?;
        let unknown = || ServiceError::not_found("No tenant of this name was ended.");
        let tenant = TenantId::new(name).map_err(|_| unknown())?;
        let is_ended = self.store.db().is_ended(&tenant).await;
        match is_ended.map_err(|error| database_error(&error))? {
            true => Ok((
                auth::service(&tenant, "audit"),
                entry.with(Detail::Tenant, &tenant),
            )),
            false => Err(unknown()),
        }
    }
}
