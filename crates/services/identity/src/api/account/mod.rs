//! One's own account. A key or a command has none: it is answered 403 by the
//! matrix.

pub(crate) mod password;
pub(crate) mod profile;
pub(crate) mod sessions;

use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::{PersonId, SessionId};
use hilum_contracts::scope::{Principal, TenantScope};

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
