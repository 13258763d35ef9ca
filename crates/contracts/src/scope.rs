//! Whose data a call may touch. Every function that reaches data takes a
//! [`TenantScope`]; there is no way to leave it out.

use serde::{Deserialize, Serialize};

use crate::ids::TenantId;

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Principal {
    /// The person at this machine: until identity exists, doors are open on
    /// loopback only.
    LocalOperator,
    /// A DICOM device, by its calling AE title.
    Device(String),
    /// A service that goes on with work which a stored event or job names.
    Service(String),
}

/// One tenant's data, on behalf of one principal.
#[derive(Clone, Debug)]
pub struct TenantScope {
    tenant: TenantId,
    principal: Principal,
}

impl TenantScope {
    /// Grants `principal` the data of `tenant`. Called in
    /// `hilum_platform::auth` only, which the architecture test checks.
    #[must_use]
    pub fn grant(tenant: TenantId, principal: Principal) -> Self {
        Self { tenant, principal }
    }

    /// The tenant whose data may be touched.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Who acts.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }
}
