//! The bus, with a RabbitMQ of each test's own. Starting one takes seconds, so
//! that a test asks several things of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hilum_contracts::ids::{InputSetId, RunId};
use hilum_contracts::inference::RunFinished;
use hilum_contracts::{CorrelationId, Event};
use hilum_platform::events::broker::{Bus, Feeder, Topology};
use hilum_platform::events::{
    ConsumeError, Consumer, DbOutbox, Inbox, OutboxSource as _, Relay, Transit, append,
};
use hilum_platform::notices::Notices;
use hilum_platform::{clock, config, telemetry, tls};
use hilum_testkit::{Place, RabbitMq};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::protocol::BasicProperties;
use lapin::types::FieldTable;
use tokio_util::sync::CancellationToken;

use hilum_platform::db::{self, Across, Connection, Db};

use crate::{database, tenant};

const FINISHED: &str = "inference.run.finished.v1";

/// Writes down what it sees.
struct Recorder(&'static str);

#[async_trait]
impl Consumer for Recorder {
    fn name(&self) -> &'static str {
        self.0
    }

    fn kinds(&self) -> &'static [&'static str] {
        &[FINISHED]
    }

    async fn consume(&self, event: &Event, tx: &mut Connection) -> Result<(), ConsumeError> {
        db::query("INSERT INTO seen (subject) VALUES ($1)")
            .bind(&event.subject)
            .execute(tx)
            .await?;
        Ok(())
    }
}

/// A service that follows events in a database of its own.
struct Follower {
    _dir: Place,
    db: Db,
    inbox: Inbox,
}

impl Follower {
    async fn new(name: &'static str) -> Self {
        let (dir, db) = database().await;
        let recorder = Arc::new(Recorder(name));
        let inbox = Inbox::new(db.clone(), clock::system(), Notices::default(), recorder);
        Self {
            _dir: dir,
            db,
            inbox,
        }
    }

    /// Begins to work, until `stop`.
    fn starts(&self, bus: &Bus, stop: &CancellationToken) {
        tokio::spawn(Feeder::new(bus.clone(), self.inbox.clone()).run(stop.clone()));
        tokio::spawn(self.inbox.clone().run(stop.clone()));
    }

    async fn seen(&self) -> Vec<String> {
        db::query_scalar("SELECT subject FROM seen ORDER BY rowid")
            .fetch_all(self.db.read(Across::Nobody))
            .await
            .unwrap()
    }

    /// Waits until it has seen so many, and checks that none came twice.
    async fn sees(&self, count: usize) -> Vec<String> {
        for _ in 0..1_200 {
            if self.seen().await.len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let seen = self.seen().await;
        let different: BTreeSet<_> = seen.iter().collect();
        assert_eq!(different.len(), seen.len(), "an event had two effects");
        assert_eq!(seen.len(), count);
        seen
    }

    /// Has its inbox's table away, or there again.
    async fn is_without_inbox(&self, away: bool) {
        let sql = match away {
            true => "ALTER TABLE inbox RENAME TO inbox_away",
            false => "ALTER TABLE inbox_away RENAME TO inbox",
        };
        let mut tx = self.db.begin(Across::Nobody).await.unwrap();
        db::query(sql).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// A service that tells events.
struct Teller {
    _dir: Place,
    db: Db,
    outbox: DbOutbox,
}

impl Teller {
    async fn new() -> Self {
        let (dir, db) = database().await;
        let outbox = DbOutbox::new(db.clone());
        Self {
            _dir: dir,
            db,
            outbox,
        }
    }

    async fn tells(&self, events: &[Event]) {
        let mut tx = self.db.begin(Across::Events).await.unwrap();
        for event in events {
            append(&mut tx, event).await.unwrap();
        }
        tx.commit().await.unwrap();
        self.outbox.ring();
    }

    fn relay(&self, bus: &Bus) -> Relay {
        let outbox = Arc::new(self.outbox.clone());
        Relay::to_bus(outbox, bus.clone(), Transit::default())
    }

    async fn unsent(&self) -> usize {
        self.outbox.unsent(100_000).await.unwrap().len()
    }
}

fn events(subjects: impl IntoIterator<Item = impl ToString>) -> Vec<Event> {
    let event = |subject: String| {
        let payload = RunFinished {
            run: RunId::new(),
            input_set: InputSetId::new(),
            study_uid: "1.2.3".to_owned(),
            state: "succeeded".to_owned(),
            reason: None,
        };
        let now = time::OffsetDateTime::UNIX_EPOCH;
        Event::new(tenant(), CorrelationId::new(), now, subject, 1, &payload).unwrap()
    };
    subjects
        .into_iter()
        .map(|subject| event(subject.to_string()))
        .collect()
}

fn in_clear(broker: &RabbitMq) -> config::Bus {
    config::Bus {
        amqp: Some(broker.amqp()),
        ..config::Bus::default()
    }
}

fn topology(consumers: &[&str]) -> Topology {
    let kinds = vec![FINISHED.to_owned()];
    Topology::new(
        consumers
            .iter()
            .map(|name| ((*name).to_owned(), kinds.clone()))
            .collect(),
    )
}

async fn channel(broker: &RabbitMq) -> (lapin::Connection, lapin::Channel) {
    let connection = lapin::Connection::connect(&broker.amqp(), Default::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

/// How many messages of a queue nobody has in hand.
async fn waiting(broker: &RabbitMq, queue: &str) -> u32 {
    let (_connection, channel) = channel(broker).await;
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel
        .queue_declare(queue.into(), passive, FieldTable::default())
        .await;
    declared.unwrap().message_count()
}

async fn waits_for(broker: &RabbitMq, queue: &str, count: u32) {
    for _ in 0..300 {
        if waiting(broker, queue).await == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!(
        "{queue} has not {count} messages: {}",
        waiting(broker, queue).await
    );
}

/// What the bus says, for who reads why a test failed.
fn logs() {
    telemetry::start_logs(telemetry::LogFormat::Text, "info");
}

/// Puts bytes that are no event where events go.
async fn put(broker: &RabbitMq, bytes: &[u8]) {
    let (_connection, channel) = channel(broker).await;
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .unwrap();
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let confirm = channel
        .basic_publish(
            "hilum.events".into(),
            FINISHED.into(),
            options,
            bytes,
            properties,
        )
        .await
        .unwrap();
    assert!(confirm.await.unwrap().is_ack());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_consumer_gets_every_event_once_over_tls_also_one_that_is_started_later() {
    logs();
    tls::install_provider();
    let broker = RabbitMq::up();
    let over_tls = |ca_file| config::Bus {
        amqp: Some(broker.amqps()),
        ca_file,
        ..config::Bus::default()
    };
    let everybody = topology(&["first", "second", "late"]);
    let teller = Teller::new().await;
    let told = events(["a", "b", "c"]);
    teller.tells(&told).await;

    // Who shows a certificate that nobody vouches for gets nothing.
    let stranger = Bus::new(&over_tls(None), everybody.clone()).unwrap();
    assert!(teller.relay(&stranger).step().await.is_err());
    assert_eq!(teller.unsent().await, 3);

    let bus = Bus::new(&over_tls(Some(broker.ca_file())), everybody).unwrap();
    let stop = CancellationToken::new();
    let (first, second) = (Follower::new("first").await, Follower::new("second").await);
    first.starts(&bus, &stop);
    second.starts(&bus, &stop);
    let relay = teller.relay(&bus);
    assert_eq!(relay.step().await.unwrap(), 3);
    assert_eq!(teller.unsent().await, 0);
    assert_eq!(first.sees(3).await, ["a", "b", "c"]);
    assert_eq!(second.sees(3).await, ["a", "b", "c"]);

    // The same again, as after a confirm that was lost, with a new one and one of a kind that
    // nobody follows, which has arrived when the broker has it.
    let mut again = told;
    again.extend(events(["d"]));
    again.extend(events(["of another kind"]));
    again[4].kind = "something.else.v1".to_owned();
    teller.tells(&again).await;
    assert_eq!(relay.step().await.unwrap(), 5);
    assert_eq!(teller.unsent().await, 0);
    assert_eq!(first.sees(4).await, ["a", "b", "c", "d"]);
    assert_eq!(second.sees(4).await, ["a", "b", "c", "d"]);

    // Behind the barrier an inbox holds everything, also if its worker stands.
    let late = Follower::new("late").await;
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<Vec<_>>()
    };
    bus.barrier(&names(&["first", "second"])).await.unwrap();
    let everybody = names(&["first", "late"]);
    let in_vain = tokio::time::timeout(Duration::from_secs(2), bus.barrier(&everybody)).await;
    assert!(in_vain.is_err(), "one that does not run was not waited for");
    tokio::spawn(Feeder::new(bus.clone(), late.inbox.clone()).run(stop.clone()));
    let transit = Transit::over(bus.clone(), everybody);
    let halted = transit.halt().await.unwrap();
    assert_eq!(late.inbox.backlog().await.unwrap().waiting, 4);
    drop(halted);
    tokio::spawn(late.inbox.clone().run(stop.clone()));
    assert_eq!(late.sees(4).await, ["a", "b", "c", "d"]);

    // What is no event goes out of the way, and what comes behind it arrives.
    put(&broker, b"no event").await;
    put(&broker, b"{\"specversion\": \"1.0\"}").await;
    teller.tells(&events(["e"])).await;
    relay.step().await.unwrap();
    for follower in [&first, &second, &late] {
        assert_eq!(follower.sees(5).await[4], "e");
        assert!(follower.inbox.backlog().await.unwrap().dead == 0);
    }
    waits_for(&broker, "hilum.dead", 6).await;
    waits_for(&broker, "hilum.late", 0).await;

    tokio::spawn(bus.clone().watch(stop.clone()));
    for _ in 0..100 {
        if bus.is_connected() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(bus.is_connected());
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_or_stands_still_while_events_come_loses_none() {
    logs();
    let mut broker = RabbitMq::up();
    let stop = CancellationToken::new();
    let bus = Bus::new(&in_clear(&broker), topology(&["follower"])).unwrap();
    let (teller, follower) = (Teller::new().await, Follower::new("follower").await);
    follower.starts(&bus, &stop);
    tokio::spawn(bus.clone().watch(stop.clone()));
    // As other processes do that are started at the same time.
    for _ in 0..3 {
        let other = Bus::new(&in_clear(&broker), topology(&["follower"])).unwrap();
        tokio::spawn(other.watch(stop.clone()));
    }
    for part in 0..20 {
        teller.tells(&events(part * 100..(part + 1) * 100)).await;
    }
    assert_eq!(teller.unsent().await, 2_000);
    tokio::spawn(teller.relay(&bus).run(stop.clone()));
    while teller.unsent().await == 2_000 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    broker.is_killed();
    assert!(teller.unsent().await > 0, "it was killed too late");
    for _ in 0..200 {
        if !bus.is_connected() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!bus.is_connected());
    broker.comes_up();
    follower.sees(2_000).await;
    for _ in 0..100 {
        if teller.unsent().await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(teller.unsent().await, 0);

    // Longer than a confirm is waited for, and than a connection is without signs of life.
    broker.freezes();
    for part in 20..25 {
        teller.tells(&events(part * 100..(part + 1) * 100)).await;
    }
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert_eq!(teller.unsent().await, 500);
    broker.goes_on();
    follower.sees(2_500).await;
    // Nobody knows what was still on the way: the barrier asks twice.
    bus.barrier(&["follower".to_owned()]).await.unwrap();
    assert_eq!(follower.inbox.backlog().await.unwrap().waiting, 0);
    assert_eq!(waiting(&broker, "hilum.dead").await, 0);
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_consumer_can_not_keep_waits_in_the_queue_and_behind_a_full_one_in_the_outbox() {
    logs();
    let broker = RabbitMq::up();
    let stop = CancellationToken::new();
    let small = topology(&["follower"]).with_queue_bytes(50_000);
    let bus = Bus::new(&in_clear(&broker), small).unwrap();
    let (teller, follower) = (Teller::new().await, Follower::new("follower").await);
    follower.is_without_inbox(true).await;
    follower.starts(&bus, &stop);
    let relay = teller.relay(&bus);
    teller.tells(&events(["a", "b"])).await;
    relay.step().await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let everybody = ["follower".to_owned()];
    let in_vain = tokio::time::timeout(Duration::from_secs(2), bus.barrier(&everybody)).await;
    assert!(in_vain.is_err(), "they are in no inbox yet");

    // The queue takes what it has room for; the rest stays, and nothing is dropped.
    let mut count = 2;
    loop {
        teller.tells(&events(count..count + 100)).await;
        count += 100;
        if relay.step().await.is_err() {
            break;
        }
        assert!(count < 5_000, "the queue has no limit");
    }
    assert!(teller.unsent().await > 0);
    assert!(relay.step().await.is_err(), "it is full");

    follower.is_without_inbox(false).await;
    tokio::spawn(relay.run(stop.clone()));
    follower.sees(count).await;
    assert_eq!(waiting(&broker, "hilum.dead").await, 0);
    stop.cancel();
}
