//! Events that say together what one of them could say.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hilum_contracts::event::Payload as _;
use hilum_contracts::ids::{InputSetId, RunId};
use hilum_contracts::imaging::{InstancesStored, PatientIdentity};
use hilum_contracts::inference::RunFinished;
use hilum_contracts::{CorrelationId, Event};
use hilum_platform::clock;
use hilum_platform::db::Connection;
use hilum_platform::events::{ConsumeError, Consumer, Inbox};
use hilum_platform::notices::Notices;
use time::OffsetDateTime;

use crate::{database, tenant};

/// Writes down what it is told, in its order.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

#[async_trait]
impl Consumer for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &[InstancesStored::KIND, RunFinished::KIND]
    }

    async fn consume(&self, event: &Event, _tx: &mut Connection) -> Result<(), ConsumeError> {
        let added = event.data.get("added").map(ToString::to_string);
        let text = format!("{}: {}", event.subject, added.unwrap_or_default());
        self.0.lock().unwrap().push(text);
        Ok(())
    }

    fn joined(&self, earlier: &Event, later: &Event) -> Option<Event> {
        InstancesStored::joined(earlier, later)
    }
}

fn stored(series: &str, intake: CorrelationId) -> Event {
    let payload = InstancesStored {
        study_uid: "1.2".to_owned(),
        series_uid: series.to_owned(),
        modality: "CT".to_owned(),
        patient: PatientIdentity::default(),
        added: 2,
        intake_id: intake,
        origin: "stow".to_owned(),
        last_stored_at: OffsetDateTime::UNIX_EPOCH,
    };
    let at = OffsetDateTime::UNIX_EPOCH;
    Event::new(tenant(), intake, at, series, 1, &payload).unwrap()
}

fn finished() -> Event {
    let payload = RunFinished {
        run: RunId::new(),
        input_set: InputSetId::new(),
        study_uid: "1.2".to_owned(),
        state: "succeeded".to_owned(),
        reason: None,
    };
    let at = OffsetDateTime::UNIX_EPOCH;
    Event::new(tenant(), CorrelationId::new(), at, "run", 1, &payload).unwrap()
}

#[tokio::test]
async fn what_one_sender_stores_is_told_at_once_but_never_past_something_else() {
    let (_dir, db) = database().await;
    let told = Arc::new(Told::default());
    let consumer = Arc::clone(&told) as Arc<dyn Consumer>;
    let inbox = Inbox::new(db, clock::system(), Notices::default(), consumer);
    let [one, other] = [CorrelationId::new(), CorrelationId::new()];
    let events = [
        stored("a", one),
        stored("b", one),
        stored("a", other),
        stored("a", one),
        stored("b", one),
        finished(),
        stored("a", one),
    ];
    let all: Vec<_> = (1..).zip(events).collect();
    inbox.receive(&all).await.unwrap();
    while inbox.step().await.unwrap() {}
    assert_eq!(
        *told.0.lock().unwrap(),
        ["a: 4", "b: 4", "a: 2", "run: ", "a: 2"]
    );
    // Each is consumed for good.
    inbox.receive(&all).await.unwrap();
    assert!(!inbox.step().await.unwrap());
}
