//! The one place where a [`TenantScope`] is made, from a principal that a door
//! has found to be who it says it is.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hilum_contracts::access::Role;
use hilum_contracts::ids::TenantId;
use hilum_contracts::scope::{Acting, Principal, Right, TenantScope};
use serde::{Deserialize, Serialize};

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

/// A scope as a neighbour is told of it: its tenant, and who acts there.
#[must_use]
pub fn to_neighbour(scope: &TenantScope) -> String {
    let told = Told {
        tenant: scope.tenant().clone(),
        acting: scope.acting().clone(),
    };
    // A header takes ASCII only.
    let text = serde_json::to_string(&told).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(text)
}

/// The scope that a neighbour passed on with its question; none when the text is
/// no scope. Neighbours prove who they are with a certificate before anything they
/// say is read, and each has let in whom it names by its own doors.
#[must_use]
pub fn from_neighbour(text: &str) -> Option<TenantScope> {
    let text = URL_SAFE_NO_PAD.decode(text).ok()?;
    let told: Told = serde_json::from_slice(&text).ok()?;
    Some(TenantScope::grant(told.tenant, told.acting))
}

#[derive(Serialize, Deserialize)]
struct Told {
    // The installation's own trail belongs to a name that no tenant can have.
    #[serde(deserialize_with = "TenantId::deserialize_stored")]
    tenant: TenantId,
    acting: Acting,
}
