use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use async_trait::async_trait;
use hilum_contracts::ids::{InputSetId, TenantId};
use hilum_contracts::inference::RunFinished;
use hilum_contracts::{CorrelationId, Event};
use hilum_platform::audit::AuditSource as _;
use hilum_platform::auth;
use hilum_platform::clock::{self, Clock};
use hilum_platform::db::{self, Across, Connection, Db, Migration};
use hilum_platform::events::{
    ConsumeError, Consumer, DbOutbox, Inbox, MIGRATIONS, OutboxSource as _, Relay, Transit, append,
};
use hilum_platform::notices::{Notices, Topic};

use crate::{database, tenant};

/// Writes down what it sees; fails while it is told to.
struct Recorder {
    fails: AtomicBool,
}

#[async_trait]
impl Consumer for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["inference.run.finished.v1"]
    }

    async fn consume(&self, event: &Event, tx: &mut Connection) -> Result<(), ConsumeError> {
        db::query("INSERT INTO seen (subject) VALUES ($1)")
            .bind(&event.subject)
            .execute(tx)
            .await?;
        if self.fails.load(Ordering::SeqCst) {
            return Err(ConsumeError::Other("not now".to_owned()));
        }
        Ok(())
    }
}

fn recorder(fails: bool) -> Arc<Recorder> {
    Arc::new(Recorder {
        fails: AtomicBool::new(fails),
    })
}

fn event(subject: &str) -> Event {
    let payload = RunFinished {
        run: hilum_contracts::ids::RunId::new(),
        input_set: InputSetId::new(),
        study_uid: "1.2.3".to_owned(),
        state: "succeeded".to_owned(),
        reason: None,
    };
    let now = time::OffsetDateTime::UNIX_EPOCH;
    Event::new(tenant(), CorrelationId::new(), now, subject, 1, &payload).unwrap()
}

async fn tell(db: &Db, event: &Event) {
    let mut tx = db.begin(Across::Nobody).await.unwrap();
    append(&mut tx, event).await.unwrap();
    tx.commit().await.unwrap();
}

async fn seen(db: &Db) -> Vec<String> {
    db::query_scalar("SELECT subject FROM seen ORDER BY rowid")
        .fetch_all(db.read(Across::Nobody))
        .await
        .unwrap()
}

#[tokio::test]
async fn an_event_goes_from_the_outbox_through_the_inbox_into_the_consumers_own_rows() {
    let (_teller_dir, teller) = database().await;
    let (_dir, db) = database().await;
    let inbox = Inbox::new(
        db.clone(),
        clock::system(),
        Notices::default(),
        recorder(false),
    );
    let outbox = DbOutbox::new(teller.clone());
    let relay = Relay::new(
        Arc::new(outbox.clone()),
        vec![inbox.clone()],
        Transit::default(),
    );
    tell(&teller, &event("a")).await;
    tell(&teller, &event("b")).await;

    assert_eq!(relay.step().await.unwrap(), 2);
    assert!(outbox.unsent(10).await.unwrap().is_empty());
    while inbox.step().await.unwrap() {}
    assert_eq!(seen(&db).await, ["a", "b"]);
}

#[tokio::test]
async fn a_repeated_event_has_no_second_effect() {
    let (_dir, db) = database().await;
    let inbox = Inbox::new(
        db.clone(),
        clock::system(),
        Notices::default(),
        recorder(false),
    );
    let event = event("a");
    for _ in 0..2 {
        inbox.receive(&[(1, event.clone())]).await.unwrap();
        while inbox.step().await.unwrap() {}
    }
    assert_eq!(seen(&db).await, ["a"]);
}

#[tokio::test]
async fn a_consumer_that_fails_leaves_no_trace_and_is_tried_again() {
    let (_dir, db) = database().await;
    let consumer = recorder(true);
    let inbox = Inbox::new(
        db.clone(),
        clock::system(),
        Notices::default(),
        consumer.clone(),
    );
    inbox.receive(&[(1, event("a"))]).await.unwrap();
    assert!(inbox.step().await.unwrap());
    assert!(seen(&db).await.is_empty());

    consumer.fails.store(false, Ordering::SeqCst);
    // The first back-off is a fifth of a second.
    for _ in 0..100 {
        if inbox.step().await.unwrap() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(seen(&db).await, ["a"]);
}

#[tokio::test]
async fn an_event_that_can_not_be_read_holds_up_no_other() {
    let (_dir, db) = database().await;
    let inbox = Inbox::new(
        db.clone(),
        clock::system(),
        Notices::default(),
        recorder(false),
    );
    let events: Vec<_> = (1..).zip(["a", "b", "c"].map(event)).collect();
    inbox.receive(&events).await.unwrap();
    let mut tx = db.begin(Across::Nobody).await.unwrap();
    db::query("UPDATE inbox SET event = 'garbage' WHERE position = 2")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    while inbox.step().await.unwrap() {}
    assert_eq!(seen(&db).await, ["a", "c"]);
    let scope = auth::local_operator(&tenant());
    let dead = inbox.dead_letters(&scope).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].kind, "inference.run.finished.v1");
}

#[tokio::test]
async fn an_event_of_another_kind_is_not_kept() {
    let (_dir, db) = database().await;
    let inbox = Inbox::new(
        db.clone(),
        clock::system(),
        Notices::default(),
        recorder(false),
    );
    let mut other = event("a");
    other.kind = "something.else.v1".to_owned();
    inbox.receive(&[(1, other)]).await.unwrap();
    assert!(!inbox.step().await.unwrap());
}

/// A clock that stands where it is put.
#[derive(Debug, Default)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> time::OffsetDateTime {
        clock::from_millis(self.0.load(Ordering::SeqCst))
    }
}

const DAY: i64 = 86_400_000;

/// Receives one event and tries it until it is a dead letter.
async fn give_up(inbox: &Inbox, clock: &SetClock, event: &Event) {
    inbox.receive(&[(1, event.clone())]).await.unwrap();
    for _ in 0..hilum_platform::limits::EVENT_ATTEMPTS {
        inbox.step().await.unwrap();
        clock.0.fetch_add(DAY / 2, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_dead_letter_is_told_of_listed_for_its_tenant_and_replayed_once() {
    let (_dir, db) = database().await;
    let (clock, consumer) = (Arc::new(SetClock::default()), recorder(true));
    let notices = Notices::default();
    let mut told = notices.listen();
    let trail = crate::audit::trail(&db);
    let inbox =
        Inbox::new(db.clone(), clock.clone(), notices, consumer.clone()).recorded_in(trail.clone());
    let event = event("a");
    give_up(&inbox, &clock, &event).await;
    assert_eq!(told.try_recv().unwrap().topic, Topic::DeadLetters);

    let scope = auth::local_operator(&tenant());
    let letters = inbox.dead_letters(&scope).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].event_id, event.id.to_string());
    assert_eq!(letters[0].consumer, "recorder");
    assert_eq!(letters[0].kind, "inference.run.finished.v1");
    assert_eq!(letters[0].last_error.as_deref(), Some("not now"));

    let stranger = auth::local_operator(&TenantId::new("another").unwrap());
    let id = letters[0].event_id.as_str();
    assert!(inbox.dead_letters(&stranger).await.unwrap().is_empty());
    assert!(!inbox.replay(&stranger, id).await.unwrap());

    consumer.fails.store(false, Ordering::SeqCst);
    assert!(inbox.replay(&scope, id).await.unwrap());
    while inbox.step().await.unwrap() {}
    assert_eq!(seen(&db).await, ["a"]);
    assert!(inbox.dead_letters(&scope).await.unwrap().is_empty());
    assert!(!inbox.replay(&scope, id).await.unwrap());
    // Once, by whom it was, in the same transaction.
    let rows = trail.entries(&scope, 0, 10).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].act.as_str(), rows[0].who.as_str()),
        ("retry", "local operator")
    );
}

#[tokio::test]
async fn a_consumed_event_is_forgotten_when_no_repeat_can_come_and_a_dead_letter_never() {
    let (_dir, db) = database().await;
    let (clock, consumer) = (Arc::new(SetClock::default()), recorder(false));
    let inbox = Inbox::new(
        db.clone(),
        clock.clone(),
        Notices::default(),
        consumer.clone(),
    );
    inbox.receive(&[(1, event("a"))]).await.unwrap();
    while inbox.step().await.unwrap() {}
    consumer.fails.store(true, Ordering::SeqCst);
    give_up(&inbox, &clock, &event("b")).await;

    clock.0.store(3 * DAY - 1, Ordering::SeqCst);
    assert_eq!(inbox.forget_old().await.unwrap(), 0);
    clock.0.store(3 * DAY, Ordering::SeqCst);
    assert_eq!(inbox.forget_old().await.unwrap(), 1);
    clock.0.store(100 * DAY, Ordering::SeqCst);
    assert_eq!(inbox.forget_old().await.unwrap(), 0);
    let scope = auth::local_operator(&tenant());
    assert_eq!(inbox.dead_letters(&scope).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_consumed_event_that_keeps_coming_is_remembered() {
    let (_dir, db) = database().await;
    let clock = Arc::new(SetClock::default());
    let inbox = Inbox::new(
        db.clone(),
        clock.clone(),
        Notices::default(),
        recorder(false),
    );
    let event = event("a");
    for day in 0..5 {
        clock.0.store(day * DAY, Ordering::SeqCst);
        inbox.receive(&[(1, event.clone())]).await.unwrap();
        while inbox.step().await.unwrap() {}
        assert_eq!(inbox.forget_old().await.unwrap(), 0);
    }
    assert_eq!(seen(&db).await, ["a"]);
    clock.0.store(7 * DAY, Ordering::SeqCst);
    assert_eq!(inbox.forget_old().await.unwrap(), 1);
}

async fn count(db: &Db, table: &'static str) -> i64 {
    db::query_scalar(db::AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
        .fetch_one(db.read(Across::Nobody))
        .await
        .unwrap()
}

#[tokio::test]
async fn of_a_consumed_event_only_its_id_stays() {
    let (_dir, db) = database().await;
    let inbox = Inbox::new(
        db.clone(),
        clock::system(),
        Notices::default(),
        recorder(false),
    );
    let events: Vec<_> = (1..).zip((0..100).map(|_| event("a"))).collect();
    inbox.receive(&events).await.unwrap();
    while inbox.step().await.unwrap() {}
    assert_eq!(count(&db, "inbox").await, 0);
    assert_eq!(count(&db, "inbox_consumed").await, 100);
    let ids: Vec<Vec<u8>> = db::query_scalar("SELECT event FROM inbox_consumed ORDER BY event")
        .fetch_all(db.read(Across::Nobody))
        .await
        .unwrap();
    let mut told: Vec<_> = events
        .iter()
        .map(|(_, of)| of.id.0.as_bytes().to_vec())
        .collect();
    told.sort();
    assert_eq!(ids, told);

    // A batch of old and new ones: only the new one has an effect.
    let mut again = events;
    again.insert(50, (101, event("b")));
    inbox.receive(&again).await.unwrap();
    while inbox.step().await.unwrap() {}
    assert_eq!(seen(&db).await.len(), 101);
    assert_eq!(count(&db, "inbox_consumed").await, 101);
}

#[tokio::test]
async fn a_repeat_is_recognised_also_when_the_clock_went_back() {
    let (_dir, db) = database().await;
    let clock = Arc::new(SetClock::default());
    let inbox = Inbox::new(
        db.clone(),
        clock.clone(),
        Notices::default(),
        recorder(false),
    );
    let (early, late) = (event("early"), event("late"));
    for (day, event) in [(10, &early), (700, &late)] {
        clock.0.store(day * DAY, Ordering::SeqCst);
        inbox.receive(&[(1, event.clone())]).await.unwrap();
        while inbox.step().await.unwrap() {}
    }
    clock.0.store(9 * DAY, Ordering::SeqCst);
    inbox.receive(&[(1, early), (2, late)]).await.unwrap();
    while inbox.step().await.unwrap() {}
    assert_eq!(seen(&db).await, ["early", "late"]);
}

#[tokio::test]
async fn another_consumer_in_the_same_database_remembers_for_itself() {
    struct Other(Arc<Recorder>);
    #[async_trait]
    impl Consumer for Other {
        fn name(&self) -> &'static str {
            "other"
        }
        fn kinds(&self) -> &'static [&'static str] {
            self.0.kinds()
        }
        async fn consume(&self, of: &Event, tx: &mut Connection) -> Result<(), ConsumeError> {
            self.0.consume(of, tx).await
        }
    }
    let (_dir, db) = database().await;
    let of = |consumer: Arc<dyn Consumer>| {
        Inbox::new(db.clone(), clock::system(), Notices::default(), consumer)
    };
    let event = event("a");
    for inbox in [of(recorder(false)), of(Arc::new(Other(recorder(false))))] {
        inbox.receive(&[(1, event.clone())]).await.unwrap();
        while inbox.step().await.unwrap() {}
    }
    assert_eq!(seen(&db).await, ["a", "a"]);
}

#[tokio::test]
async fn events_that_were_consumed_waited_or_were_given_up_before_the_migration_still_are() {
    let [done, pending, dead] = ["done", "pending", "dead"].map(event);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("service.sqlite");
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true);
    let old = sqlx::SqlitePool::connect_with(options).await.unwrap();
    sqlx::raw_sql("CREATE TABLE schema_migrations (owner TEXT, version INTEGER)")
        .execute(&old)
        .await
        .unwrap();
    for step in &MIGRATIONS[..2] {
        sqlx::raw_sql(step.sql).execute(&old).await.unwrap();
        sqlx::query("INSERT INTO schema_migrations VALUES ('platform', $1)")
            .bind(step.version)
            .execute(&old)
            .await
            .unwrap();
    }
    for (position, of) in (1_i64..).zip([&done, &pending, &dead]) {
        let text = match of.subject.as_str() {
            "done" => String::new(),
            _ => serde_json::to_string(of).unwrap(),
        };
        sqlx::query(
            "INSERT INTO inbox (event_id, consumer, tenant, kind, position, event, state, next_at, received_at)
             VALUES ($1, 'recorder', 'default', $2, $3, $4, $5, 0, 1795000000000)",
        )
        .bind(of.id.to_string())
        .bind(&of.kind)
        .bind(position)
        .bind(text)
        .bind(&of.subject)
        .execute(&old)
        .await
        .unwrap();
    }
    old.close().await;

    let seen_table = [Migration {
        version: 1,
        sql: "CREATE TABLE seen (subject TEXT NOT NULL)",
        postgres: "",
    }];
    let db = Db::open(&path, &seen_table).await.unwrap();
    assert_eq!(count(&db, "inbox").await, 2);
    let day: i64 = db::query_scalar("SELECT day FROM inbox_consumed")
        .fetch_one(db.read(Across::Nobody))
        .await
        .unwrap();
    assert_eq!(day, 1_795_000_000_000 / DAY);
    let inbox = Inbox::new(
        db.clone(),
        clock::system(),
        Notices::default(),
        recorder(false),
    )
    .recorded_in(crate::audit::trail(&db));
    let repeats: Vec<_> = (1..).zip([done, pending, dead.clone()]).collect();
    inbox.receive(&repeats).await.unwrap();
    while inbox.step().await.unwrap() {}
    assert_eq!(seen(&db).await, ["pending"]);
    let scope = auth::local_operator(&tenant());
    assert!(inbox.replay(&scope, &dead.id.to_string()).await.unwrap());
    while inbox.step().await.unwrap() {}
    assert_eq!(seen(&db).await, ["pending", "dead"]);
}

#[tokio::test]
async fn what_is_told_of_an_event_of_an_unknown_form_quotes_nothing_of_it() {
    #[derive(Debug, serde::Deserialize)]
    struct Payload {
        #[expect(dead_code, reason = "never read")]
        patient_name: i64,
    }
    let data = serde_json::json!({ "patient_name": "Doe^John" });
    let refused = serde_json::from_value::<Payload>(data).unwrap_err();
    assert!(refused.to_string().contains("Doe^John"));
    assert!(!ConsumeError::from(refused).to_string().contains("Doe"));
}
