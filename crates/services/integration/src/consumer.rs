//! Plans deliveries when results are published, and goes on with held ones
//! when a person has decided a conflict.

use async_trait::async_trait;
use hilum_contracts::Event;
use hilum_contracts::event::Payload as _;
use hilum_contracts::imaging::ResultsPublished;
use hilum_contracts::patients::ConflictResolved;
use hilum_platform::auth;
use hilum_platform::config::Destination;
use hilum_platform::db::Connection;
use hilum_platform::events::{ConsumeError, Consumer, Interest};
use hilum_platform::notices::Topic;

use crate::IntegrationService;
use crate::store::destinations;
use crate::store::planning;

pub(crate) struct DeliveriesFromResults {
    pub(crate) service: IntegrationService,
}

/// What is followed here.
pub const INTEREST: Interest = Interest {
    consumer: "integration.deliveries",
    kinds: &[ResultsPublished::KIND, ConflictResolved::KIND],
};

#[async_trait]
impl Consumer for DeliveriesFromResults {
    fn name(&self) -> &'static str {
        INTEREST.consumer
    }

    fn kinds(&self) -> &'static [&'static str] {
        INTEREST.kinds
    }

    async fn consume(&self, event: &Event, tx: &mut Connection) -> Result<(), ConsumeError> {
        let scope = auth::service(&event.tenant, "integration");
        let now = self.service.clock.now_millis();
        if event.kind == ConflictResolved::KIND {
            let resolved: ConflictResolved = event.payload()?;
            for study_uid in &resolved.study_uids {
                planning::release_held(tx, &scope, study_uid, now).await?;
            }
            return Ok(());
        }
        let results: ResultsPublished = event.payload()?;
        let own = |destination: &&Destination| {
            destination.tenant == event.tenant && destination.takes(&results.model)
        };
        let delivery = |destination| planning::NewDelivery {
            results: &results,
            destination,
            correlation_id: event.correlation_id,
        };
        for destination in self.service.destinations.iter().filter(own) {
            planning::plan(tx, &scope, &delivery(&destination.name), now).await?;
        }
        destinations::lock(tx, &scope).await?;
        let made = destinations::of_tenant(tx, &scope).await?;
        for one in made.iter().filter(|one| one.settings.rule.takes(&results)) {
            planning::plan(tx, &scope, &delivery(&one.id), now).await?;
        }
        Ok(())
    }

    fn consumed(&self, event: &Event) {
        self.service.ring();
        self.service
            .notices
            .tell(&event.tenant, Topic::Deliveries, None);
    }
}
