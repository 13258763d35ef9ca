//! Plans a run for every model that takes a ready input set. What the series'
//! headers would have to decide is decided by the run, which then says why not.

use async_trait::async_trait;
use hilum_contracts::Event;
use hilum_contracts::event::Payload as _;
use hilum_contracts::imaging::InputSetReady;
use hilum_platform::auth;
use hilum_platform::db::Connection;
use hilum_platform::events::{ConsumeError, Consumer, Interest};
use hilum_platform::flags::About;
use hilum_platform::notices::Topic;

use crate::models::Entry;
use crate::service::{InferenceService, flag_of};
use crate::store::{self, NewRun};

pub(crate) struct RunsFromInputSets {
    pub(crate) service: InferenceService,
}

/// What is followed here.
pub const INTEREST: Interest = Interest {
    consumer: "inference.runs",
    kinds: &[InputSetReady::KIND],
};

#[async_trait]
impl Consumer for RunsFromInputSets {
    fn name(&self) -> &'static str {
        INTEREST.consumer
    }

    fn kinds(&self) -> &'static [&'static str] {
        INTEREST.kinds
    }

    async fn consume(&self, event: &Event, tx: &mut Connection) -> Result<(), ConsumeError> {
        let input: InputSetReady = event.payload()?;
        let scope = auth::service(&event.tenant, "inference");
        let now = self.service.clock.now_millis();
        for entry in self.service.models.iter() {
            let Entry::Ready(model) = entry else { continue };
            let wanted = &model.manifest.input;
            let enough =
                usize::try_from(input.instance_count).is_ok_and(|n| n >= wanted.min_slices);
            if !wanted.automatic || input.modality != wanted.modality || !enough {
                continue;
            }
            let (name, version) = model.id();
            let about = About {
                tenant: &event.tenant,
                study_uid: &input.study_uid,
                version,
            };
            if !self.service.flags.is_on(&flag_of(name), about).await {
                metrics::counter!("hilum_runs_switched_off_total", "model" => name.to_owned())
                    .increment(1);
                continue;
            }
            let run = NewRun {
                input: &input,
                correlation_id: event.correlation_id,
                model: name,
                version,
                model_digest: &model.digest,
            };
            store::plan(tx, &scope, &run, now).await?;
        }
        Ok(())
    }

    fn consumed(&self, event: &Event) {
        self.service.bell.notify_one();
        let study = event.payload::<InputSetReady>().ok().map(|p| p.study_uid);
        self.service
            .notices
            .tell(&event.tenant, Topic::Runs, study.as_deref());
    }
}
