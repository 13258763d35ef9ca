//! Tenants: what the configuration names is put into the database when the
//! service opens, others are made while it runs, and the directory that every
//! service reads is told of both.

use hilum_contracts::access::Action;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_platform::scope::TenantScope;

use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::TenantId;
use hilum_platform::audit::KeyError;
use hilum_platform::auth;
use hilum_platform::config::{self, Config, is_ae_title};
use hilum_platform::db::Tx;
use hilum_platform::http::database_error;
use hilum_platform::network::device_address;
use hilum_platform::tenants::{Known, Place, Rules};
use uuid::Uuid;

use crate::IdentityService;
use crate::domain::settings::Settings;
use crate::domain::text::{self, ae_title, tenant_name};
use crate::limits::{DEVICES, NAMES_TRIED};
use crate::store::devices::{self, DeviceRow};
use crate::store::ended;
use crate::store::tenants::{self, TenantRow};

/// A tenant to be made.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// The organisation's name for people.
    pub display_name: String,
    /// Its name in paths; made of the organisation's where there is none.
    pub name: Option<TenantId>,
    /// The AE title that images are sent to; made of the name where there is
    /// none.
    pub ae_title: Option<String>,
}

/// A tenant that was made.
#[derive(Clone, Debug)]
pub struct MadeTenant {
    /// Its name in paths.
    pub name: TenantId,
    /// The AE title that images are sent to.
    pub ae_title: String,
}

impl IdentityService {
    /// Makes a tenant that nobody belongs to yet; the operator does, whose scope
    /// is any tenant's.
    ///
    /// # Errors
    /// `Conflict` when its name or AE title is taken.
    pub async fn create_tenant(
        &self,
        scope: &TenantScope,
        new: NewTenant,
    ) -> Result<MadeTenant, ServiceError> {
        scope.require(Action::Operate)?;
        let failed = |error| database_error(&error);
        let mut tx = self.store.begin().await.map_err(failed)?;
        let made = self.make_tenant(&mut tx, new).await?;
        let entry = Entry::new(Act::MakeTenant).with(Detail::Tenant, &made.name);
        self.tell(&mut tx, scope, entry).await?;
        tx.commit().await.map_err(failed)?;
        self.publish().await?;
        Ok(made)
    }

    pub(crate) async fn make_tenant(
        &self,
        tx: &mut Tx,
        new: NewTenant,
    ) -> Result<MadeTenant, ServiceError> {
        let display_name = text::name(&new.display_name, "The organisation's name")?;
        if let Some(title) = &new.ae_title
            && !is_ae_title(title)
        {
            let text = "An AE title has 1 to 16 printable characters and no backslash.";
            return Err(ServiceError::invalid(text));
        }
        for nth in 0..NAMES_TRIED {
            let name = new.name.clone().or_else(|| tenant_name(&display_name, nth));
            let Some(name) = name else { continue };
            let row = TenantRow {
                ae_title: match &new.ae_title {
                    Some(title) => title.clone(),
                    None => ae_title(&name, nth),
                },
                name,
                display_name: display_name.clone(),
                settings: Settings::default(),
                configured: false,
                created_at: self.clock.now_millis(),
                place: Place::default(),
                moving_to: None,
                moved_from: None,
            };
            let made = !self.has_lost_key(&row.name).await
                && tenants::insert(tx, &row)
                    .await
                    .map_err(|error| database_error(&error))?;
            if made {
                self.tell_made(tx, &row).await?;
                return Ok(MadeTenant {
                    name: row.name,
                    ae_title: row.ae_title,
                });
            }
            if new.name.is_some() && new.ae_title.is_some() {
                break;
            }
        }
        let text = "That name or AE title is taken: choose another.";
        Err(ServiceError::new(ErrorCode::Conflict, text))
    }

    /// Puts what the configuration names into the database: the file wins for
    /// what it names, and a device that it names no longer is gone.
    pub(crate) async fn seed(&self, config: &Config) -> Result<(), ServiceError> {
        let failed = |error| database_error(&error);
        let now = self.clock.now_millis();
        let mut tx = self.store.begin().await.map_err(failed)?;
        let named: Vec<_> = config.tenants.iter().map(|one| one.name.clone()).collect();
        tenants::forget_configured(&mut tx, &named)
            .await
            .map_err(failed)?;
        let mut gone = Vec::new();
        for tenant in &config.tenants {
            let scope = auth::service(&tenant.name, "identity");
            let row = TenantRow {
                name: tenant.name.clone(),
                display_name: tenant.name.as_str().to_owned(),
                ae_title: tenant.ae_title.clone(),
                settings: Settings::default(),
                configured: true,
                created_at: now,
                place: Place::default(),
                moving_to: None,
                moved_from: None,
            };
            let is_ended = ended::is(&mut tx, &scope).await.map_err(failed)?;
            if is_ended || self.has_lost_key(&tenant.name).await {
                tracing::warn!(
                    tenant = %tenant.name,
                    "the configuration names a tenant that was ended: remove it there"
                );
                gone.push(&tenant.name);
                continue;
            }
            if tenants::insert(&mut tx, &row).await.map_err(failed)? {
                self.tell_made(&mut tx, &row).await?;
                continue;
            }
            let Some(found) = tenants::get(&mut tx, &scope).await.map_err(failed)? else {
                let text = format!(
                    "The AE title {} of tenant {} belongs to a tenant that was made while \
                     serving: give it another.",
                    tenant.ae_title, tenant.name
                );
                return Err(ServiceError::new(ErrorCode::Conflict, text));
            };
            tenants::configure(&mut tx, &scope, &tenant.ae_title, &found.settings)
                .await
                .map_err(failed)?;
        }
        devices::delete_configured(&mut tx).await.map_err(failed)?;
        for device in &config.devices {
            let scope = auth::service(&device.tenant, "identity");
            if gone.contains(&&device.tenant) {
                continue;
            }
            let row = configured(device, now)?;
            devices::insert(&mut tx, &scope, &row, DEVICES)
                .await
                .map_err(failed)?;
        }
        tx.commit().await.map_err(failed)
    }

    /// Whether a tenant of this name was ended, as its keys know also where this
    /// service's database was lost.
    async fn has_lost_key(&self, name: &TenantId) -> bool {
        matches!(self.keyring.of(name).await, Err(KeyError::Destroyed))
    }

    /// A tenant's own trail begins with its being made.
    async fn tell_made(&self, tx: &mut Tx, row: &TenantRow) -> Result<(), ServiceError> {
        let scope = auth::service(&row.name, "identity");
        let entry = Entry::new(Act::MakeTenant).with(Detail::Tenant, &row.name);
        self.tell(tx, &scope, entry).await
    }

    /// Tells every service which tenants and devices there are now.
    pub(crate) async fn publish(&self) -> Result<(), ServiceError> {
        let failed = |error| database_error(&error);
        // One at a time, so that an older list never comes after a newer one.
        let _turn = self.publishing.lock().await;
        let tenants = self.store.tenants().await.map_err(failed)?;
        let devices = self.store.all_devices().await.map_err(failed)?;
        let of = |row: &TenantRow| {
            let unknown = row.settings.unknown_devices;
            let unknown = unknown.unwrap_or(self.rules.unknown_devices);
            let rules = Rules::new(row.settings.requests_per_minute, unknown);
            (row.name.clone(), rules)
        };
        let rules: Vec<_> = tenants.iter().map(of).collect();
        let places: Vec<_> = tenants
            .iter()
            .map(|row| (row.name.clone(), row.place.clone()))
            .collect();
        let tenants = tenants
            .into_iter()
            .map(|row| config::Tenant {
                archive: self.rules.archive_of(&row.name, row.settings.archive),
                name: row.name,
                ae_title: row.ae_title,
            })
            .collect();
        let devices = devices
            .into_iter()
            .map(|row| config::Device {
                ae_title: row.ae_title,
                tenant: row.tenant,
                address: Some(row.address).filter(|text| !text.is_empty()),
                certificate_sha256: Some(row.certificate).filter(|text| !text.is_empty()),
                issuer: row.issuer,
                quiet_seconds: row.quiet_seconds,
                fallback_charset: row.fallback_charset,
            })
            .collect();
        let known = Known::new(tenants, devices).with(rules).placed(places);
        self.directory.replace(known);
        Ok(())
    }
}

/// Whether the configuration leaves a tenant's archive to the tenant.
pub(crate) fn names_nothing(archive: &config::TenantArchive) -> bool {
    archive.quota_bytes.is_none()
        && archive.quota_instances.is_none()
        && archive.retention.is_empty()
        && archive.resend == config::ResendPolicy::default()
}

fn configured(device: &config::Device, now: i64) -> Result<DeviceRow, ServiceError> {
    let address = device.address.as_deref().map(device_address).transpose()?;
    let certificate = device
        .certificate_sha256
        .as_deref()
        .map(certificate)
        .transpose()?;
    Ok(DeviceRow {
        id: Uuid::now_v7(),
        tenant: device.tenant.clone(),
        ae_title: device.ae_title.clone(),
        address: address.unwrap_or_default(),
        certificate: certificate.unwrap_or_default(),
        issuer: device.issuer.clone(),
        quiet_seconds: device.quiet_seconds,
        fallback_charset: device.fallback_charset.clone(),
        configured: true,
        created_at: now,
        seen_at: None,
        seen_from: None,
    })
}

/// The SHA-256 of a certificate as `openssl x509 -fingerprint` prints it, in
/// its one form.
pub(crate) fn certificate(text: &str) -> Result<String, ServiceError> {
    let hex: String = text
        .chars()
        .filter(|c| *c != ':' && !c.is_whitespace())
        .collect::<String>()
        .to_ascii_lowercase();
    if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(hex)
    } else {
        Err(ServiceError::invalid(
            "A certificate is named by its SHA-256 fingerprint: 64 hexadecimal digits.",
        ))
    }
}
