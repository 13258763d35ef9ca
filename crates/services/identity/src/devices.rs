//! Which device of which tenant asks for an association (design.md, Tenancy):
//! the called AE title picks the tenant; the calling one, with an address or a
//! certificate, the device. An AE title alone proves nothing. A device of one
//! tenant is nothing to another: nothing here ever changes whose it is.

use hilum_contracts::audit::{Act, Detail, Entry, Outcome};
use std::sync::Mutex;
use std::sync::PoisonError;

use hilum_contracts::error::ServiceError;
use hilum_contracts::identity::{AdmittedDevice, DeviceAdmission, DeviceAsks, DeviceRejection};
use hilum_contracts::ids::TenantId;
use hilum_platform::auth;
use hilum_platform::config::UnknownDevices;
use hilum_platform::http::database_error;
use hilum_platform::scope::TenantScope;
use uuid::Uuid;

use crate::IdentityService;
use crate::domain::settings::millis;
use crate::domain::text::printable;
use crate::door::use_was_noted;
use crate::limits::{SEEN_EVERY, UNKNOWN_DEVICES, UNKNOWN_WRITES};
use crate::store::devices::{self, DeviceRow, UnknownRow};
use hilum_platform::network::{is_loopback, plain};
use hilum_platform::tenants::{hex, proof};

impl IdentityService {
    pub(crate) async fn admit_device(
        &self,
        asks: &DeviceAsks,
    ) -> Result<DeviceAdmission, ServiceError> {
        let failed = |error| database_error(&error);
        let Some(tenant) = self
            .store
            .tenant_called(&asks.called)
            .await
            .map_err(failed)?
        else {
            let entry = refusal(asks, "called-ae-title-unknown");
            let from = plain(asks.peer);
            self.tell_of_stranger(entry, None, from).await?;
            return Ok(DeviceAdmission::Rejected(DeviceRejection::CalledUnknown));
        };
        let scope = auth::service(&tenant.name, "identity");
        let known = self
            .store
            .devices_called(&scope, &asks.calling)
            .await
            .map_err(failed)?;
        let best = known
            .into_iter()
            .filter_map(|device| {
                let proof = proof(&device.address, &device.certificate, asks)?;
                Some((proof, device))
            })
            .max_by_key(|(proof, _)| *proof);
        if let Some((_, device)) = best {
            self.device_called(&scope, &device, asks).await;
            return Ok(DeviceAdmission::Admitted(admitted(&tenant.name, device)));
        }
        let rule = tenant.settings.unknown_devices;
        let rule = rule.unwrap_or(self.rules.unknown_devices);
        if rule == UnknownDevices::AdmitFromLoopback && is_loopback(asks.peer) {
            return Ok(DeviceAdmission::Admitted(AdmittedDevice {
                tenant: tenant.name,
                ae_title: asks.calling.clone(),
                issuer: None,
                quiet_seconds: None,
                fallback_charset: None,
            }));
        }
        self.remember_unknown(&scope, asks).await?;
        Ok(DeviceAdmission::Rejected(DeviceRejection::CallingUnknown))
    }

    async fn device_called(&self, scope: &TenantScope, device: &DeviceRow, asks: &DeviceAsks) {
        let now = self.clock.now_millis();
        if device
            .seen_at
            .is_some_and(|at| now < at + millis(SEEN_EVERY))
        {
            return;
        }
        let from = plain(asks.peer).to_string();
        let write = async {
            let mut tx = self.store.begin().await?;
            devices::seen(&mut tx, scope, device.id, &from, now).await?;
            tx.commit().await
        };
        use_was_noted(write.await);
    }

    async fn remember_unknown(
        &self,
        scope: &TenantScope,
        asks: &DeviceAsks,
    ) -> Result<(), ServiceError> {
        let failed = |error| database_error(&error);
        let now = self.clock.now_millis();
        let reason = "calling-ae-title-unknown";
        if !self.unknown_writes.may(now) {
            let entry = refusal(asks, reason).without(Detail::Device);
            let counted = self.trail.saw(scope, entry).await;
            return counted.map_err(failed);
        }
        let row = UnknownRow {
            id: Uuid::now_v7(),
            ae_title: printable(&asks.calling, 16),
            address: plain(asks.peer).to_string(),
            certificate: asks.certificate_sha256.map(hex).unwrap_or_default(),
            count: 1,
            first_at: now,
            last_at: now,
        };
        let mut tx = self.store.begin().await.map_err(failed)?;
        devices::remember_unknown(&mut tx, scope, &row, UNKNOWN_DEVICES)
            .await
            .map_err(failed)?;
        let entry = refusal(asks, reason).from(Some(plain(asks.peer)));
        self.tell(&mut tx, scope, entry).await?;
        tx.commit().await.map_err(failed)
    }
}

/// What the trail tells of a rejected association.
fn refusal(asks: &DeviceAsks, reason: &'static str) -> Entry {
    Entry::new(Act::DeviceRefused)
        .ended(Outcome::Refused)
        .with(Detail::Device, printable(&asks.calling, 16))
        .with(Detail::Reason, reason)
}

fn admitted(tenant: &TenantId, device: DeviceRow) -> AdmittedDevice {
    AdmittedDevice {
        tenant: tenant.clone(),
        ae_title: device.ae_title,
        issuer: device.issuer,
        quiet_seconds: device.quiet_seconds,
        fallback_charset: device.fallback_charset,
    }
}

/// Bounds how often strangers make this service write.
#[derive(Debug, Default)]
pub(crate) struct UnknownWrites(Mutex<(i64, u32)>);

impl UnknownWrites {
    fn may(&self, now: i64) -> bool {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (second, count) = &mut *state;
        if *second != now / 1_000 {
            *second = now / 1_000;
            *count = 0;
        }
        *count += 1;
        *count <= UNKNOWN_WRITES
    }
}
