//! One's own account. A key or a command has none: it is answered 403 by the
//! matrix.

pub(crate) mod email;
pub(crate) mod password;
pub(crate) mod profile;
pub(crate) mod sessions;

use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::{PersonId, SessionId};
use hilum_contracts::scope::{Principal, TenantScope};
use hilum_platform::http::database_error;

use crate::IdentityService;

impl IdentityService {
    /// Refuses what reaches beyond the organisation whose provider vouched for
    /// the session.
    async fn require_unconfined(&self, session: SessionId) -> Result<(), ServiceError> {
        let confined = self.store.is_confined(session).await;
        if confined.map_err(|error| database_error(&error))? {
            let text = "You signed in with this organisation's provider: sign in with your \
                        password to change what you are everywhere.";
            return Err(ServiceError::new(ErrorCode::Forbidden, text));
        }
        Ok(())
    }
}

/// The person who acts, and their session.
fn oneself(scope: &TenantScope) -> Result<(PersonId, SessionId), ServiceError> {
    match scope.principal() {
        Principal::Person { id, session } => Ok((*id, *session)),
        _ => {
            let text = "Only a person who signed in has an account.";
            Err(ServiceError::new(ErrorCode::Forbidden, text))
        }
    }
}
