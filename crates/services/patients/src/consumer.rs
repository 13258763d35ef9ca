//! Confirms the identity that images were stored with.

use async_trait::async_trait;
use hilum_contracts::Event;
use hilum_contracts::event::Payload as _;
use hilum_contracts::imaging::{InstancesStored, StudyCorrected};
use hilum_platform::auth;
use hilum_platform::clock::SharedClock;
use hilum_platform::db::Connection;
use hilum_platform::events::{ConsumeError, Consumer, Interest};
use hilum_platform::notices::{Notices, Topic};

use crate::store;

pub(crate) struct IdentitiesFromImages {
    pub(crate) clock: SharedClock,
    pub(crate) notices: Notices,
}

/// What is followed here.
pub const INTEREST: Interest = Interest {
    consumer: "patients.identities",
    kinds: &[InstancesStored::KIND, StudyCorrected::KIND],
};

#[async_trait]
impl Consumer for IdentitiesFromImages {
    fn name(&self) -> &'static str {
        INTEREST.consumer
    }

    fn kinds(&self) -> &'static [&'static str] {
        INTEREST.kinds
    }

    async fn consume(&self, event: &Event, tx: &mut Connection) -> Result<(), ConsumeError> {
        if event.kind == StudyCorrected::KIND {
            let corrected: StudyCorrected = event.payload()?;
            if let Some(patient) = &corrected.patient {
                let scope = auth::service(&event.tenant, "patients");
                let of = (corrected.study_uid.as_str(), patient);
                store::identities::correct(tx, &scope, of, self.clock.now_millis()).await?;
            }
            return Ok(());
        }
        let stored: InstancesStored = event.payload()?;
        // Our own outputs copy the identity of the images they were made from.
        if stored.origin == "hilum" {
            return Ok(());
        }
        let scope = auth::service(&event.tenant, "patients");
        let of = (stored.study_uid.as_str(), &stored.patient);
        store::identities::confirm(tx, &scope, of, self.clock.now_millis()).await?;
        Ok(())
    }

    fn joined(&self, earlier: &Event, later: &Event) -> Option<Event> {
        InstancesStored::joined(earlier, later)
    }

    fn consumed(&self, event: &Event) {
        self.notices.tell(&event.tenant, Topic::Patients, None);
    }
}
