//! What a consumer has been told and has not done yet.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hilum_contracts::Event;
use hilum_contracts::ids::TenantId;
use serde::Serialize;
use tokio::sync::{Notify, OnceCell};
use tokio_util::sync::CancellationToken;

use super::consumed;
use crate::audit::Trail;
use crate::clock::SharedClock;
use crate::db::moving::is_moving;
use crate::db::{self, Across, Connection, Db, DbError};
use crate::jobs::{backoff, shorten};
use crate::limits::{CONSUME_BATCH, EVENT_ATTEMPTS, EVENT_BACKOFF_MAX, FORGET_EVERY, RELAY_POLL};
use crate::notices::{Notices, Topic};
use crate::traces::Work;

/// Why an event could not be consumed.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// The database did not answer; tried again.
    #[error("database: {0}")]
    Db(#[from] DbError),
    /// The event does not have the form of its kind; a dead letter at once.
    /// Not told in the parser's words: they quote values, and events carry names.
    #[error("event of an unknown form ({:?} error at line {}, column {})", .0.classify(), .0.line(), .0.column())]
    Form(#[from] serde_json::Error),
    /// Something else; tried again.
    #[error("{0}")]
    Other(String),
}

/// Which events a consumer follows, known also where it does not run.
#[derive(Clone, Copy, Debug)]
pub struct Interest {
    /// The consumer's name in the inbox; never changed, or repeats are not recognised.
    pub consumer: &'static str,
    /// The kinds of event that it follows.
    pub kinds: &'static [&'static str],
}

/// A service's interest in events.
#[async_trait]
pub trait Consumer: Send + Sync {
    /// Its name in the inbox; never changed, or repeats are not recognised.
    fn name(&self) -> &'static str;
    /// The kinds of event it follows.
    fn kinds(&self) -> &'static [&'static str];
    /// Does its own work in `tx`, which is committed together with the fact
    /// that the event was consumed.
    async fn consume(&self, event: &Event, tx: &mut Connection) -> Result<(), ConsumeError>;
    /// One event that says what two say that come one after the other, if there is one:
    /// it is consumed instead.
    fn joined(&self, _earlier: &Event, _later: &Event) -> Option<Event> {
        None
    }
    /// Called after the commit: ring bells, tell pages.
    fn consumed(&self, _event: &Event) {}
}

/// One consumer's inbox and the worker that empties it.
#[derive(Clone)]
pub struct Inbox {
    pub(super) db: Db,
    pub(super) clock: SharedClock,
    pub(super) notices: Notices,
    pub(super) consumer: Arc<dyn Consumer>,
    pub(super) bell: Arc<Notify>,
    /// Where it is recorded that a person has a dead letter tried anew.
    pub(super) trail: Option<Trail>,
    /// Of the consumer, once it was asked for.
    number: Arc<OnceCell<i64>>,
}

/// An event as the statement takes it that keeps a batch.
#[derive(Serialize)]
struct Arrived<'a> {
    id: String,
    tenant: &'a str,
    kind: &'a str,
    position: i64,
    event: String,
}

/// An event that is due.
struct Due {
    event_id: String,
    tenant: String,
    text: String,
    attempts: i64,
}

impl Inbox {
    /// The inbox of `consumer` in its service's database.
    #[must_use]
    pub fn new(db: Db, clock: SharedClock, notices: Notices, consumer: Arc<dyn Consumer>) -> Self {
        Self {
            db,
            clock,
            notices,
            consumer,
            bell: Arc::new(Notify::new()),
            number: Arc::default(),
            trail: None,
        }
    }

    /// The same, with the trail in the same database in which it is recorded that
    /// a person has a dead letter tried anew; without one nobody can.
    #[must_use]
    pub fn recorded_in(self, trail: Trail) -> Self {
        Self {
            trail: Some(trail),
            ..self
        }
    }

    /// The number under which the consumer's events are remembered.
    pub(super) async fn number(&self) -> Result<i64, DbError> {
        let made = || consumed::number(&self.db, self.consumer.name());
        self.number.get_or_try_init(made).await.copied()
    }

    /// Keeps those events that the consumer follows; of repeats, only the day.
    /// When this returns, they are durable.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn receive(&self, events: &[(i64, Event)]) -> Result<(), DbError> {
        let kinds = self.consumer.kinds();
        let wanted: Vec<_> = events
            .iter()
            .filter(|(_, event)| kinds.contains(&event.kind.as_str()))
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let (consumer, now) = (self.number().await?, self.clock.now_millis());
        let ids: Vec<_> = wanted.iter().map(|(_, event)| event.id).collect();
        let mut tx = self.db.begin(Across::Events).await?;
        let known: HashSet<_> = consumed::recognise(&mut tx, consumer, &json(&ids)?, now)
            .await?
            .into_iter()
            .collect();
        let rows = (0..)
            .zip(wanted)
            .filter(|(index, _)| !known.contains(index))
            .map(|(_, (position, event))| {
                Ok(Arrived {
                    id: event.id.to_string(),
                    tenant: event.tenant.as_str(),
                    kind: &event.kind,
                    position: *position,
                    event: json(event)?,
                })
            })
            .collect::<Result<Vec<_>, DbError>>()?;
        // One statement, because each is handed to another thread and back.
        db::query(db::each(
            "INSERT INTO inbox (event_id, consumer, tenant, kind, position, event, state, next_at, received_at)
             SELECT value ->> 'id', $2, value ->> 'tenant', value ->> 'kind', value ->> 'position',
                value ->> 'event', 'pending', $3, $3 FROM json_each($1) WHERE true
             ON CONFLICT (event_id, consumer) DO NOTHING",
            "INSERT INTO inbox (event_id, consumer, tenant, kind, position, event, state, next_at, received_at)
             SELECT value ->> 'id', $2, value ->> 'tenant', value ->> 'kind',
                (value ->> 'position')::bigint, value ->> 'event', 'pending', $3, $3
             FROM json_array_elements($1::json) AS told (value)
             ON CONFLICT (event_id, consumer) DO NOTHING",
        ))
        .bind(json(&rows)?)
        .bind(self.consumer.name())
        .bind(now)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        self.bell.notify_one();
        Ok(())
    }

    /// Works until told to stop. Between events only, so that none is left half done.
    pub async fn run(self, stop: CancellationToken) {
        tokio::join!(self.work(&stop), self.keep_tidy(&stop));
    }

    /// Forgets what is old at the start and regularly from then on.
    async fn keep_tidy(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.forget_old().await {
                tracing::error!(consumer = self.consumer.name(), %error, "old events stay in the inbox");
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(FORGET_EVERY) => {}
            }
        }
    }

    async fn work(&self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            match self.step().await {
                Ok(true) => {}
                Ok(false) => {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = self.bell.notified() => {}
                        () = tokio::time::sleep(RELAY_POLL / 5) => {}
                    }
                }
                Err(error) => {
                    tracing::error!(consumer = self.consumer.name(), %error, "inbox does not answer");
                    tokio::time::sleep(RELAY_POLL / 5).await;
                }
            }
        }
    }

    /// Consumes what is due, the oldest first. `false`: nothing was. Events are
    /// consumed together as long as all goes well, because each transaction
    /// costs a flush of the disk that intake commits to; otherwise one by one,
    /// so that one that fails holds up no other.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn step(&self) -> Result<bool, DbError> {
        let due = self.due().await?;
        if due.len() > 1 && self.consume(&due).await.is_ok() {
            return Ok(true);
        }
        let mut done = 0;
        for row in &due {
            match self.consume(std::slice::from_ref(row)).await {
                // It goes along with its tenant, as untouched as it is.
                Err(ConsumeError::Db(error)) if is_moving(&error) => continue,
                Err(error) => self.failed(row, &error).await?,
                Ok(()) => {}
            }
            done += 1;
        }
        Ok(done > 0)
    }

    async fn due(&self) -> Result<Vec<Due>, DbError> {
        // Those of a tenant that is being moved go with it.
        let rows = db::query(db::each(
            "SELECT event_id, tenant, event, attempts FROM inbox
             WHERE consumer = $1 AND state = 'pending' AND next_at <= $2 ORDER BY position LIMIT $3",
            "SELECT event_id, tenant, event, attempts FROM inbox
             WHERE consumer = $1 AND state = 'pending' AND next_at <= $2 AND NOT moving(tenant)
             ORDER BY position LIMIT $3",
        ))
        .bind(self.consumer.name())
        .bind(self.clock.now_millis())
        .bind(CONSUME_BATCH)
        .fetch_all(self.db.read(Across::Events))
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Due {
                    event_id: row.try_get("event_id")?,
                    tenant: row.try_get("tenant")?,
                    text: row.try_get("event")?,
                    attempts: row.try_get("attempts")?,
                })
            })
            .collect()
    }

    /// Consumes events in one transaction: all of them or none.
    async fn consume(&self, due: &[Due]) -> Result<(), ConsumeError> {
        let ids: Vec<&str> = due.iter().map(|row| row.event_id.as_str()).collect();
        let consumer = self.number().await?;
        let mut tx = self.db.begin(Across::Events).await?;
        // One process at a time, so that events are consumed in their order.
        tx.lock(self.consumer.name()).await?;
        // Only who takes the row away may do the work: a second worker finds none. What the
        // event said goes with it, and its pages are the next one's.
        let mut first: HashSet<String> = db::query_scalar(db::each(
            "DELETE FROM inbox WHERE event_id IN (SELECT value FROM json_each($1))
                AND consumer = $2 AND state = 'pending' RETURNING event_id",
            "DELETE FROM inbox WHERE event_id IN
                    (SELECT value FROM json_array_elements_text($1::json) AS due (value))
                AND consumer = $2 AND state = 'pending' RETURNING event_id",
        ))
        .bind(serde_json::to_string(&ids)?)
        .bind(self.consumer.name())
        .fetch_all(&mut *tx)
        .await?
        .into_iter()
        .collect();
        let now = self.clock.now_millis();
        let ids = serde_json::to_string(&first)?;
        for again in consumed::remember(&mut tx, consumer, &ids, now).await? {
            first.remove(&again);
        }
        let mut consumed: Vec<Event> = Vec::with_capacity(due.len());
        for row in due.iter().filter(|row| first.contains(&row.event_id)) {
            self.join(&mut consumed, serde_json::from_str(&row.text)?);
        }
        for event in &consumed {
            tx.enter(&event.tenant).await?;
            let work = Work::part(
                "consume",
                event.correlation_id,
                event.traceparent.as_deref(),
                &event.tenant,
            )
            .with("hilum.consumer", self.consumer.name())
            .with("hilum.event", &event.kind);
            work.around(self.consumer.consume(event, &mut tx)).await?;
        }
        tx.commit().await?;
        for event in &consumed {
            self.consumer.consumed(event);
        }
        Ok(())
    }

    /// Adds an event to those before it. It passes those that are told of something else, as
    /// far as they are of its kind: in which order they come is all the same.
    fn join(&self, before: &mut Vec<Event>, event: Event) {
        let of_kind = before
            .iter_mut()
            .rev()
            .take_while(|one| one.tenant != event.tenant || one.kind == event.kind);
        for one in of_kind {
            if let Some(joined) = self.consumer.joined(one, &event) {
                *one = joined;
                return;
            }
        }
        before.push(event);
    }

    async fn failed(&self, row: &Due, error: &ConsumeError) -> Result<(), DbError> {
        let (id, attempts) = (&row.event_id, row.attempts.saturating_add(1));
        let dead = attempts >= EVENT_ATTEMPTS || matches!(error, ConsumeError::Form(_));
        let text = error.to_string();
        tracing::warn!(consumer = self.consumer.name(), event = %id, attempts, dead, error = %text, "event not consumed");
        let wait = backoff(attempts, Duration::from_millis(200), EVENT_BACKOFF_MAX);
        let mut tx = self.db.begin(Across::Events).await?;
        db::query(
            "UPDATE inbox SET state = $1, attempts = $2, next_at = $3, last_error = $4
             WHERE event_id = $5 AND consumer = $6 AND state = 'pending'",
        )
        .bind(if dead { "dead" } else { "pending" })
        .bind(attempts)
        .bind(self.clock.now_millis().saturating_add(wait))
        .bind(shorten(&text))
        .bind(id)
        .bind(self.consumer.name())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if dead {
            metrics::counter!("hilum_dead_letters_total", "consumer" => self.consumer.name())
                .increment(1);
            if let Ok(tenant) = TenantId::new(&row.tenant) {
                self.notices.tell(&tenant, Topic::DeadLetters, None);
            }
        }
        Ok(())
    }
}

fn json(value: &impl Serialize) -> Result<String, DbError> {
    serde_json::to_string(value).map_err(|error| DbError::Encode(Box::new(error)))
}
