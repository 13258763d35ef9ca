//! Which tenants and devices there are now, as Identity knows them: a snapshot
//! that every service reads without asking, and is told of when it changes.

mod told;

use std::collections::HashMap;
use std::sync::Arc;

use hilum_contracts::identity::{AdmittedDevice, DeviceAsks};
use hilum_contracts::ids::TenantId;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::config::{Config, Device, MAIN, Tenant, UnknownDevices};
use crate::network::{is_loopback, matches};
use told::Told;

/// Every tenant and device at one moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Told", into = "Told")]
pub struct Known {
    tenants: Vec<Tenant>,
    by_name: HashMap<TenantId, usize>,
    by_ae_title: HashMap<String, usize>,
    devices: HashMap<(TenantId, String), Vec<Device>>,
    rules: HashMap<TenantId, Rules>,
    places: HashMap<TenantId, Place>,
}

/// What holds for who comes to a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Requests that one principal may make in a minute, where the tenant said so.
    pub requests_per_minute: Option<u32>,
    /// Whether devices that it does not know are admitted from this machine.
    pub admits_from_loopback: bool,
}

/// Where a tenant lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The shard.
    pub shard: String,
    /// Whether it is being moved to another: for some seconds of that it takes no
    /// changes.
    pub is_moving: bool,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            shard: MAIN.to_owned(),
            is_moving: false,
        }
    }
}

impl Known {
    /// These tenants, in the order in which they came, and their devices. Names
    /// and AE titles are unique.
    #[must_use]
    pub fn new(tenants: Vec<Tenant>, devices: Vec<Device>) -> Self {
        let places = || tenants.iter().enumerate();
        let mut called: HashMap<_, Vec<Device>> = HashMap::new();
        for one in devices {
            let key = (one.tenant.clone(), one.ae_title.clone());
            called.entry(key).or_default().push(one);
        }
        Self {
            by_name: places().map(|(at, one)| (one.name.clone(), at)).collect(),
            by_ae_title: places()
                .map(|(at, one)| (one.ae_title.clone(), at))
                .collect(),
            devices: called,
            rules: HashMap::new(),
            places: HashMap::new(),
            tenants,
        }
    }

    /// The same with these rules.
    #[must_use]
    pub fn with(self, rules: impl IntoIterator<Item = (TenantId, Rules)>) -> Self {
        Self {
            rules: rules.into_iter().collect(),
            ..self
        }
    }

    /// The same with the tenants that live elsewhere than on the first shard, or move.
    #[must_use]
    pub fn placed(self, places: impl IntoIterator<Item = (TenantId, Place)>) -> Self {
        let known = places.into_iter().filter(|(_, at)| *at != Place::default());
        Self {
            places: known.collect(),
            ..self
        }
    }

    /// Where a tenant lives.
    #[must_use]
    pub fn place(&self, tenant: &TenantId) -> Place {
        self.places.get(tenant).cloned().unwrap_or_default()
    }

    /// The tenants that are being moved to another shard.
    pub fn moving(&self) -> impl Iterator<Item = &TenantId> {
        let moving = self.places.iter().filter(|(_, at)| at.is_moving);
        moving.map(|(tenant, _)| tenant)
    }

    /// What holds for who comes to a tenant.
    #[must_use]
    pub fn rules(&self, tenant: &TenantId) -> Rules {
        self.rules.get(tenant).copied().unwrap_or_default()
    }

    /// The device that asks for an association, where it is one that is let in.
    /// What becomes of any other is Identity's to say.
    #[must_use]
    pub fn admit(&self, asks: &DeviceAsks) -> Option<AdmittedDevice> {
        let tenant = &self.tenant_called(&asks.called)?.name;
        let called = self.devices.get(&(tenant.clone(), asks.calling.clone()));
        let by_proof = called.into_iter().flatten().filter_map(|device| {
            let address = device.address.as_deref().unwrap_or_default();
            let certificate = device.certificate_sha256.as_deref().unwrap_or_default();
            Some((proof(address, certificate, asks)?, device))
        });
        if let Some((_, device)) = by_proof.max_by_key(|(proof, _)| *proof) {
            return Some(AdmittedDevice {
                tenant: tenant.clone(),
                ae_title: device.ae_title.clone(),
                issuer: device.issuer.clone(),
                quiet_seconds: device.quiet_seconds,
                fallback_charset: device.fallback_charset.clone(),
            });
        }
        let unknown = self.rules(tenant).admits_from_loopback && is_loopback(asks.peer);
        unknown.then(|| AdmittedDevice {
            tenant: tenant.clone(),
            ae_title: asks.calling.clone(),
            issuer: None,
            quiet_seconds: None,
            fallback_charset: None,
        })
    }

    /// Every tenant.
    #[must_use]
    pub fn tenants(&self) -> &[Tenant] {
        &self.tenants
    }

    /// The tenant of this name.
    #[must_use]
    pub fn tenant(&self, name: &TenantId) -> Option<&Tenant> {
        self.tenants.get(*self.by_name.get(name)?)
    }

    /// The tenant that is called by `ae_title`.
    #[must_use]
    pub fn tenant_called(&self, ae_title: &str) -> Option<&Tenant> {
        self.tenants.get(*self.by_ae_title.get(ae_title)?)
    }

    /// The device that calls itself `ae_title` towards `tenant`, when it has
    /// settings of its own.
    #[must_use]
    pub fn device(&self, tenant: &TenantId, ae_title: &str) -> Option<&Device> {
        let key = (tenant.clone(), ae_title.to_owned());
        self.devices.get(&key)?.last()
    }
}

/// How surely a device that was given this address or network and this
/// certificate (SHA-256 in hexadecimal), empty where none, is the one that asks;
/// nothing when it is not. A certificate proves more than an address, a smaller
/// network more than a larger one.
#[must_use]
pub fn proof(address: &str, certificate: &str, asks: &DeviceAsks) -> Option<u16> {
    let by_address = if address.is_empty() {
        0
    } else {
        u16::from(matches(address, asks.peer)?) + 1
    };
    if !certificate.is_empty() {
        let shown = hex(asks.certificate_sha256?);
        return (shown == certificate).then_some(1_000 + by_address);
    }
    // Known by its AE title only: the configuration may name what a device
    // needs without saying where it is.
    (by_address > 0 || is_loopback(asks.peer)).then_some(by_address)
}

impl Rules {
    /// The rules that a tenant decided on, where it did, over those of the
    /// installation.
    #[must_use]
    pub fn new(requests_per_minute: Option<u32>, unknown: UnknownDevices) -> Self {
        Self {
            requests_per_minute,
            admits_from_loopback: unknown == UnknownDevices::AdmitFromLoopback,
        }
    }
}

/// Lower-case hexadecimal, as a device's certificate is written down.
#[must_use]
pub fn hex(bytes: [u8; 32]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _never_fails = write!(text, "{byte:02x}");
        text
    })
}

/// The newest [`Known`], shared by everything in this process.
#[derive(Clone, Debug)]
pub struct Directory {
    known: Arc<watch::Sender<Arc<Known>>>,
    /// The shard of this process.
    shard: Arc<str>,
}

impl Default for Directory {
    fn default() -> Self {
        Self::new(Known::default())
    }
}

impl Directory {
    /// A directory that knows this.
    #[must_use]
    pub fn new(known: Known) -> Self {
        Self {
            known: Arc::new(watch::Sender::new(Arc::new(known))),
            shard: MAIN.into(),
        }
    }

    /// The same in a process of this shard.
    #[must_use]
    pub fn of_shard(self, name: &str) -> Self {
        Self {
            shard: name.into(),
            ..self
        }
    }

    /// The shard of this process.
    #[must_use]
    pub fn shard(&self) -> &str {
        &self.shard
    }

    /// Whether a tenant lives on the shard of this process.
    #[must_use]
    pub fn is_here(&self, tenant: &TenantId) -> bool {
        let known = self.known();
        known.places.get(tenant).map_or(MAIN, |at| &*at.shard) == &*self.shard
    }

    /// The tenants that live on the shard of this process.
    #[must_use]
    pub fn here(&self) -> Vec<Tenant> {
        let known = self.known();
        let all = known.tenants().iter();
        all.filter(|one| self.is_here(&one.name)).cloned().collect()
    }

    /// A directory of what the configuration names.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self::new(Known::new(config.tenants.clone(), config.devices.clone()))
    }

    /// What is known now.
    #[must_use]
    pub fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.borrow())
    }

    /// Puts what is known in the place of what was, and tells who follows.
    pub fn replace(&self, known: Known) {
        self.known.send_replace(Arc::new(known));
    }

    /// Is told of every change from now on.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Arc<Known>> {
        self.known.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TenantArchive;

    #[tokio::test]
    async fn whoever_follows_is_told_and_finds_the_new_tenant() {
        let directory = Directory::of(&Config::default());
        let mut follower = directory.follow();
        let mut tenants = directory.known().tenants().to_vec();
        tenants.push(Tenant {
            name: TenantId::new("north").unwrap(),
            ae_title: "NORTH".to_owned(),
            archive: TenantArchive::default(),
        });
        directory.replace(Known::new(tenants, Vec::new()));
        follower.changed().await.unwrap();
        let tenant = follower.borrow().tenant_called("NORTH").cloned().unwrap();
        assert_eq!(tenant.name.as_str(), "north");
    }

    fn asks(peer: &str, certificate_sha256: Option<[u8; 32]>) -> DeviceAsks {
        DeviceAsks {
            called: "HILUM".to_owned(),
            calling: "MR1".to_owned(),
            peer: peer.parse().unwrap(),
            certificate_sha256,
        }
    }

    #[test]
    fn an_ae_title_alone_proves_nothing() {
        assert!(proof("", "", &asks("192.0.2.7", None)).is_none());
        assert!(proof("", "", &asks("127.0.0.1", None)).is_some());
    }

    #[test]
    fn who_has_a_certificate_must_show_it() {
        let shown = hex([7; 32]);
        assert!(proof("", &shown, &asks("192.0.2.7", Some([7; 32]))).is_some());
        assert!(proof("", &shown, &asks("192.0.2.7", Some([8; 32]))).is_none());
        assert!(proof("", &shown, &asks("127.0.0.1", None)).is_none());
        let elsewhere = asks("198.51.100.1", Some([7; 32]));
        assert!(proof("192.0.2.0/24", &shown, &elsewhere).is_none());
    }

    #[test]
    fn the_smaller_network_names_the_device() {
        let here = asks("192.0.2.7", None);
        assert!(proof("192.0.2.7", "", &here) > proof("192.0.2.0/24", "", &here));
    }

    #[test]
    fn what_a_neighbour_is_told_admits_the_same_devices() {
        let name = TenantId::new("north").unwrap();
        let tenant = Tenant {
            name: name.clone(),
            ae_title: "HILUM".to_owned(),
            archive: TenantArchive::default(),
        };
        let device = |address: &str, issuer: &str| Device {
            ae_title: "MR1".to_owned(),
            tenant: name.clone(),
            address: Some(address.to_owned()),
            certificate_sha256: None,
            issuer: Some(issuer.to_owned()),
            quiet_seconds: None,
            fallback_charset: None,
        };
        let devices = vec![device("192.0.2.0/24", "NET"), device("192.0.2.7", "ONE")];
        let rules = Rules::new(Some(9), UnknownDevices::AdmitFromLoopback);
        let known = Known::new(vec![tenant], devices).with([(name.clone(), rules)]);
        let text = serde_json::to_string(&known).unwrap();
        let told: Known = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&told).unwrap(), text);
        assert_eq!(told.rules(&name), rules);
        let issuer = |peer| told.admit(&asks(peer, None)).map(|device| device.issuer);
        assert_eq!(issuer("192.0.2.7"), Some(Some("ONE".to_owned())));
        assert_eq!(issuer("192.0.2.8"), Some(Some("NET".to_owned())));
        assert_eq!(issuer("198.51.100.1"), None);
        assert_eq!(issuer("127.0.0.1"), Some(None));
    }
}
