//! Whose data a call may touch, and by which right. Every function that
//! reaches data takes a [`TenantScope`]; there is no way to leave it out.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::access::{Action, Actions, BREAK_GLASS, Role, allows};
use crate::error::{ErrorCode, ServiceError};
use crate::ids::{ApiKeyId, BreakGlassId, PersonId, SessionId, TenantId};

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Principal {
    /// Whoever can read the data folder: the commands of this machine.
    LocalOperator,
    /// A person who signed in.
    Person {
        /// Who it is.
        id: PersonId,
        /// The session that they signed in to.
        session: SessionId,
    },
    /// Another program, by its API key.
    ApiKey(ApiKeyId),
    /// A DICOM device, by its calling AE title.
    Device(String),
    /// A service that goes on with work which a stored event or job names.
    Service(String),
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalOperator => f.write_str("local operator"),
            Self::Person { id, .. } => write!(f, "person {id}"),
            Self::ApiKey(id) => write!(f, "API key {id}"),
            Self::Device(ae_title) => write!(f, "device {ae_title}"),
            Self::Service(name) => write!(f, "service {name}"),
        }
    }
}

/// By which right a principal acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Right {
    /// A role in the tenant.
    Role(Role),
    /// A role, and the emergency access that its holder took.
    BreakGlass {
        /// The role.
        role: Role,
        /// The access, which will be reviewed.
        access: BreakGlassId,
    },
    /// The stored event or job that a service goes on with. No door gives it.
    Continuation,
}

/// A principal as the door found it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Acting {
    /// Who acts.
    pub principal: Principal,
    /// By which right.
    pub right: Right,
    /// What a key is limited to, within its role.
    #[serde(default)]
    pub limited_to: Option<Actions>,
    /// From where; nothing for what comes from within.
    #[serde(default)]
    pub from: Option<IpAddr>,
}

/// One tenant's data, on behalf of one principal.
#[derive(Clone, Debug)]
pub struct TenantScope {
    tenant: TenantId,
    acting: Arc<Acting>,
}

impl TenantScope {
    /// Grants `acting` the data of `tenant`. Called in `hilum_platform::auth`
    /// only, which the architecture test checks.
    #[must_use]
    pub fn grant(tenant: TenantId, acting: Acting) -> Self {
        Self {
            tenant,
            acting: Arc::new(acting),
        }
    }

    /// The tenant whose data may be touched.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Who acts.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.acting.principal
    }

    /// By which right.
    #[must_use]
    pub fn right(&self) -> Right {
        self.acting.right
    }

    /// Who acts, by which right and from where: what a neighbour is told.
    #[must_use]
    pub fn acting(&self) -> &Acting {
        &self.acting
    }

    /// From where.
    #[must_use]
    pub fn from(&self) -> Option<IpAddr> {
        self.acting.from
    }

    /// Whether the principal may do this.
    #[must_use]
    pub fn may(&self, action: Action) -> bool {
        let limited = self.acting.limited_to;
        if limited.is_some_and(|actions| !actions.contains(action)) {
            return false;
        }
        match self.acting.right {
            Right::Role(role) => allows(role, action),
            Right::BreakGlass { role, .. } => allows(role, action) || BREAK_GLASS.contains(&action),
            Right::Continuation => false,
        }
    }

    /// Refuses what the principal may not do.
    ///
    /// # Errors
    /// `Forbidden`, before anything was looked at: it says nothing of what
    /// exists.
    pub fn require(&self, action: Action) -> Result<(), ServiceError> {
        if self.may(action) {
            return Ok(());
        }
        Err(ServiceError::new(
            ErrorCode::Forbidden,
            format!(
                "Your role does not include \"{action}\"; an administrator can give it to you."
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(right: Right, limited_to: Option<Actions>) -> TenantScope {
        let acting = Acting {
            principal: Principal::ApiKey(ApiKeyId::new()),
            right,
            limited_to,
            from: None,
        };
        TenantScope {
            tenant: TenantId::new("a").unwrap(),
            acting: Arc::new(acting),
        }
    }

    #[test]
    fn a_key_s_limit_takes_from_its_role_and_never_adds() {
        let limit: Actions = [Action::StoreImages, Action::ManagePeople]
            .into_iter()
            .collect();
        let key = scope(Right::Role(Role::Integration), Some(limit));
        assert!(key.may(Action::StoreImages));
        assert!(!key.may(Action::ViewStudies));
        assert!(!key.may(Action::ManagePeople));
    }

    #[test]
    fn emergency_access_shows_images_and_changes_nothing() {
        let access = BreakGlassId::new();
        let right = Right::BreakGlass {
            role: Role::Auditor,
            access,
        };
        let auditor = scope(right, None);
        assert!(auditor.may(Action::RetrieveImages));
        assert!(!auditor.may(Action::DeleteImages));
    }

    #[test]
    fn a_continuation_passes_no_door() {
        let service = scope(Right::Continuation, None);
        assert!(
            Action::ALL
                .iter()
                .all(|action| service.require(*action).is_err())
        );
    }
}
