//! Tells open pages that something changed. A notice carries no data: the page
//! asks again over the API, so that nothing is seen here that could not be
//! seen there.

use hilum_contracts::ids::TenantId;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::limits::NOTICE_BACKLOG;

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Serialize)]
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
#[derive(Clone, Debug)]
pub struct Notices(broadcast::Sender<Notice>);

impl Default for Notices {
    fn default() -> Self {
        Self(broadcast::channel(NOTICE_BACKLOG).0)
    }
}

impl Notices {
    /// Tells whoever listens. Nobody listening is fine.
    pub fn tell(&self, tenant: &TenantId, topic: Topic, study_uid: Option<&str>) {
        let _nobody = self.0.send(Notice {
            tenant: tenant.clone(),
            topic,
            study_uid: study_uid.map(ToOwned::to_owned),
            from_neighbour: false,
        });
    }

    /// Tells what a neighbour told.
    pub fn tell_on(&self, tenant: TenantId, topic: Topic, study_uid: Option<String>) {
        let _nobody = self.0.send(Notice {
            tenant,
            topic,
            study_uid,
            from_neighbour: true,
        });
    }

    /// Listens from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Notice> {
        self.0.subscribe()
    }
}
