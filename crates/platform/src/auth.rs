//! The one place where a [`TenantScope`] is made, from a principal that a door
//! has found to be who it says it is.

use std::net::IpAddr;

use hilum_contracts::access::Role;
use hilum_contracts::ids::TenantId;
use hilum_contracts::scope::{Acting, Principal, Right, TenantScope};

/// The scope of a principal that Identity knows: a person's session or an API
/// key.
#[must_use]
pub fn admitted(tenant: &TenantId, acting: Acting) -> TenantScope {
    TenantScope::grant(tenant.clone(), acting)
}

/// The scope of a command of this machine, for whoever can read the data
/// folder.
#[must_use]
pub fn local_operator(tenant: &TenantId) -> TenantScope {
    let acting = Acting {
        principal: Principal::LocalOperator,
        right: Right::Role(Role::Operator),
        limited_to: None,
        from: None,
    };
    TenantScope::grant(tenant.clone(), acting)
}

/// The scope of an association: the called AE title picked the tenant, the
/// calling one names the device.
#[must_use]
pub fn device(tenant: &TenantId, calling_ae_title: &str, from: Option<IpAddr>) -> TenantScope {
    let acting = Acting {
        principal: Principal::Device(calling_ae_title.to_owned()),
        right: Right::Role(Role::Device),
        limited_to: None,
        from,
    };
    TenantScope::grant(tenant.clone(), acting)
}

/// The scope of work that goes on from a stored event or job of `tenant`.
#[must_use]
pub fn service(tenant: &TenantId, service: &str) -> TenantScope {
    let acting = Acting {
        principal: Principal::Service(service.to_owned()),
        right: Right::Continuation,
        limited_to: None,
        from: None,
    };
    TenantScope::grant(tenant.clone(), acting)
}
