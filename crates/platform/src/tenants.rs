//! Which tenants and devices there are now, as Identity knows them: a snapshot
//! that every service reads without asking, and is told of when it changes.

use std::collections::HashMap;
use std::sync::Arc;

use hilum_contracts::ids::TenantId;
use tokio::sync::watch;

use crate::config::{Config, Device, Tenant};

/// Every tenant and device at one moment.
#[derive(Clone, Debug, Default)]
pub struct Known {
    tenants: Vec<Tenant>,
    by_name: HashMap<TenantId, usize>,
    by_ae_title: HashMap<String, usize>,
    devices: HashMap<(TenantId, String), Device>,
}

impl Known {
    /// These tenants, in the order in which they came, and their devices. Names
    /// and AE titles are unique.
    #[must_use]
    pub fn new(tenants: Vec<Tenant>, devices: Vec<Device>) -> Self {
        let places = || tenants.iter().enumerate();
        Self {
            by_name: places().map(|(at, one)| (one.name.clone(), at)).collect(),
            by_ae_title: places()
                .map(|(at, one)| (one.ae_title.clone(), at))
                .collect(),
            devices: devices
                .into_iter()
                .map(|one| ((one.tenant.clone(), one.ae_title.clone()), one))
                .collect(),
            tenants,
        }
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
        self.devices.get(&(tenant.clone(), ae_title.to_owned()))
    }
}

/// The newest [`Known`], shared by everything in this process.
#[derive(Clone, Debug, Default)]
pub struct Directory(Arc<watch::Sender<Arc<Known>>>);

impl Directory {
    /// A directory that knows this.
    #[must_use]
    pub fn new(known: Known) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(known))))
    }

    /// A directory of what the configuration names.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self::new(Known::new(config.tenants.clone(), config.devices.clone()))
    }

    /// What is known now.
    #[must_use]
    pub fn known(&self) -> Arc<Known> {
        Arc::clone(&self.0.borrow())
    }

    /// Puts what is known in the place of what was, and tells who follows.
    pub fn replace(&self, known: Known) {
        self.0.send_replace(Arc::new(known));
    }

    /// Is told of every change from now on.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Arc<Known>> {
        self.0.subscribe()
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
}
