//! The one place where a [`TenantScope`] is made. Until identity exists, HTTP
//! is open to the person at this machine on loopback, and a DICOM device is
//! known by the AE titles of its association.

use hilum_contracts::ids::TenantId;
use hilum_contracts::scope::{Principal, TenantScope};

/// The scope of an HTTP request from this machine.
#[must_use]
pub fn local_operator(tenant: &TenantId) -> TenantScope {
    TenantScope::grant(tenant.clone(), Principal::LocalOperator)
}

/// The scope of an association: the called AE title picked the tenant, the
/// calling one names the device.
#[must_use]
pub fn device(tenant: &TenantId, calling_ae_title: &str) -> TenantScope {
    TenantScope::grant(
        tenant.clone(),
        Principal::Device(calling_ae_title.to_owned()),
    )
}

/// The scope of work that goes on from a stored event or job of `tenant`.
#[must_use]
pub fn service(tenant: &TenantId, service: &str) -> TenantScope {
    TenantScope::grant(tenant.clone(), Principal::Service(service.to_owned()))
}
