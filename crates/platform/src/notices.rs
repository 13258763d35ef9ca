//! Tells open pages that something changed. A notice carries no data: the page
//! asks again over the API, so that nothing is seen here that could not be
//! seen there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hilum_contracts::ids::TenantId;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::limits::NOTICE_BACKLOG;

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// Studies, series or input sets.
    Studies,
    /// Runs of models.
    Runs,
    /// Deliveries.
    Deliveries,
    /// Patients and their conflicts.
    Patients,
    /// The quarantine.
    Quarantine,
    /// Events that a service could not take.
    DeadLetters,
    /// People, keys, devices, settings, emergency access.
    Administration,
}

/// Something changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Notice {
    /// Whose; never sent to anybody else.
    #[serde(skip)]
    pub tenant: TenantId,
    /// What.
    pub topic: Topic,
    /// The study it belongs to, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub study_uid: Option<String>,
    /// Told by another process: it is not told on.
    #[serde(skip)]
    pub from_neighbour: bool,
}

/// Where notices are sent and listened to: those of this process, and of its
/// neighbours ([`crate::remote::notices`]).
#[derive(Clone, Debug, Default)]
pub struct Notices(Arc<Listeners>);

#[derive(Debug)]
struct Listeners {
    of_all: broadcast::Sender<Notice>,
    /// Only tenants somebody listens to: a page is not woken by the others.
    of_tenants: Mutex<HashMap<TenantId, broadcast::Sender<Notice>>>,
}

impl Default for Listeners {
    fn default() -> Self {
        Self {
            of_all: broadcast::channel(NOTICE_BACKLOG).0,
            of_tenants: Mutex::default(),
        }
    }
}

impl Notices {
    /// Tells whoever listens. Nobody listening is fine.
    pub fn tell(&self, tenant: &TenantId, topic: Topic, study_uid: Option<&str>) {
        self.send(Notice {
            tenant: tenant.clone(),
            topic,
            study_uid: study_uid.map(ToOwned::to_owned),
            from_neighbour: false,
        });
    }

    /// Tells what a neighbour told.
    pub fn tell_on(&self, tenant: TenantId, topic: Topic, study_uid: Option<String>) {
        self.send(Notice {
            tenant,
            topic,
            study_uid,
            from_neighbour: true,
        });
    }

    fn send(&self, notice: Notice) {
        let mut tenants = self.of_tenants();
        if let Some(of_tenant) = tenants.get(&notice.tenant)
            && of_tenant.send(notice.clone()).is_err()
        {
            tenants.remove(&notice.tenant);
        }
        drop(tenants);
        let _nobody = self.0.of_all.send(notice);
    }

    /// Listens to what changes from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Notice> {
        self.0.of_all.subscribe()
    }

    /// Listens to what changes for `tenant` from now on.
    #[must_use]
    pub fn listen_to(&self, tenant: &TenantId) -> broadcast::Receiver<Notice> {
        self.of_tenants()
            .entry(tenant.clone())
            .or_insert_with(|| broadcast::channel(NOTICE_BACKLOG).0)
            .subscribe()
    }

    fn of_tenants(&self) -> MutexGuard<'_, HashMap<TenantId, broadcast::Sender<Notice>>> {
        let tenants = self.0.of_tenants.lock();
        tenants.unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_hears_of_its_own_and_a_place_is_kept_only_while_somebody_listens() {
        let notices = Notices::default();
        let [one, other] = ["one", "other"].map(|name| TenantId::new(name).unwrap());
        let mut all = notices.listen();
        let mut of_one = notices.listen_to(&one);
        notices.tell(&other, Topic::Studies, None);
        notices.tell(&one, Topic::Runs, Some("1.2"));
        assert_eq!(of_one.try_recv().unwrap().topic, Topic::Runs);
        assert!(of_one.try_recv().is_err());
        assert_eq!(all.try_recv().unwrap().tenant, other);
        assert_eq!(all.try_recv().unwrap().tenant, one);

        drop(of_one);
        notices.tell(&one, Topic::Runs, None);
        assert!(notices.of_tenants().is_empty());
    }
}
