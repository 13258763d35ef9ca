//! What is only read is recorded too. Entries that arrive while one transaction
//! is in flight go together in the next; repeats are counted in memory.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hilum_contracts::audit::{Act, Detail, Entry, Outcome, Subject};
use hilum_contracts::ids::TenantId;
use hilum_contracts::scope::{Principal, TenantScope};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::forgotten::Moment;
use super::trail::{Trail, is_named};
use crate::db::{Across, DbError};
use crate::limits::{
    AUDIT_BATCH, AUDIT_COUNTS_EVERY, AUDIT_QUEUED_MAX, AUDIT_REPEATS_FOR, AUDIT_SEEN_MAX,
};

/// What waits to be written, and what was seen already.
#[derive(Default)]
pub(super) struct Recorder {
    queue: Mutex<Queue>,
    seen: Mutex<HashMap<Access, Seen>>,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    /// Somebody writes, and goes on until nothing waits.
    is_written: bool,
}

/// An entry on its way, and when what it tells of began.
#[derive(Clone)]
struct Told {
    scope: TenantScope,
    since: Moment,
    entry: Entry,
}

struct Waiting {
    told: Told,
    done: oneshot::Sender<Result<(), DbError>>,
}

/// What makes two accesses one and its repeat.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Access {
    tenant: TenantId,
    who: String,
    act: Act,
    outcome: Outcome,
    details: BTreeMap<Detail, String>,
    /// Of whoever is not known: from where.
    from: Option<IpAddr>,
    subjects: Vec<Subject>,
}

struct Seen {
    told: Told,
    first: i64,
    repeats: u64,
    /// Whether the first is durable; the sender is gone when it failed.
    is_kept: watch::Receiver<bool>,
}

impl Access {
    fn of(scope: &TenantScope, entry: &Entry) -> Self {
        let who = match scope.principal() {
            Principal::Person { id, session } => format!("person {id} {session}"),
            other => other.to_string(),
        };
        Self {
            tenant: scope.tenant().clone(),
            who,
            act: entry.act,
            outcome: entry.outcome,
            details: entry.details.clone(),
            from: entry.from,
            subjects: entry.subjects.clone(),
        }
    }
}

impl Recorder {
    /// Forgets accesses to these subjects that were not counted yet.
    pub(super) fn forget(&self, tenant: &TenantId, subjects: &[Subject]) {
        self.seen().retain(|access, _| {
            access.tenant != *tenant
                || !access.subjects.iter().any(|seen| match seen.free_text() {
                    Some(text) => subjects.iter().any(|one| is_named(text, one)),
                    None => subjects.contains(seen),
                })
        });
    }

    /// Forgets accesses of a tenant that were not counted yet.
    pub(super) fn forget_tenant(&self, tenant: &TenantId) {
        self.seen().retain(|access, _| access.tenant != *tenant);
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<Access, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How an access that was seen before is answered.
enum Turn {
    First(watch::Sender<bool>),
    Repeat(watch::Receiver<bool>),
}

impl Trail {
    /// Records something that changes nothing here, each time. When this
    /// returns, the entry is durable.
    ///
    /// # Errors
    /// When the database does not answer; then it may not be done or shown.
    pub async fn record(&self, scope: &TenantScope, entry: Entry) -> Result<(), DbError> {
        self.record_since(scope, self.now(), entry).await
    }

    /// [`Trail::record`] of what began at `since`.
    ///
    /// # Errors
    /// As there.
    pub async fn record_since(
        &self,
        scope: &TenantScope,
        since: Moment,
        entry: Entry,
    ) -> Result<(), DbError> {
        let scope = scope.clone();
        self.enqueue(Told {
            scope,
            since,
            entry,
        })
        .await
    }

    async fn enqueue(&self, told: Told) -> Result<(), DbError> {
        let (done, kept) = oneshot::channel();
        let is_written = {
            let mut queue = self.0.recorder.queue();
            if queue.waiting.len() >= AUDIT_QUEUED_MAX {
                return Err(DbError::PoolTimedOut);
            }
            queue.waiting.push(Waiting { told, done });
            std::mem::replace(&mut queue.is_written, true)
        };
        if !is_written {
            // Of its own, so that whoever asks may go away meanwhile.
            let trail = self.clone();
            tokio::spawn(async move { trail.write_waiting().await });
        }
        kept.await.map_err(|_| DbError::WorkerCrashed)?
    }

    /// Records that something was looked at, before its first byte: once for a
    /// principal (and session), an act and its subjects. Repeats are counted,
    /// and told of regularly; after an hour it is another look.
    ///
    /// # Errors
    /// When the database does not answer; then nothing may be shown.
    pub async fn saw(&self, scope: &TenantScope, entry: Entry) -> Result<(), DbError> {
        self.saw_since(scope, self.now(), entry).await
    }

    /// [`Trail::saw`] of what began at `since`.
    ///
    /// # Errors
    /// As there.
    pub async fn saw_since(
        &self,
        scope: &TenantScope,
        since: Moment,
        entry: Entry,
    ) -> Result<(), DbError> {
        let access = Access::of(scope, &entry);
        let now = self.0.clock.now_millis();
        let looked = Told {
            scope: scope.clone(),
            since,
            entry,
        };
        let (turn, counts) = self.turn(&access, &looked, now);
        if !counts.is_empty() {
            self.tell(counts).await;
        }
        let kept = match turn {
            Turn::First(kept) => kept,
            Turn::Repeat(mut kept) => {
                // Of one that is in flight: durable when that is.
                let is_kept = kept.wait_for(|kept| *kept).await.is_ok();
                if is_kept {
                    return Ok(());
                }
                return self.enqueue(looked).await;
            }
        };
        // Of its own for the same reason as above: others wait for it too.
        let trail = self.clone();
        let recording = tokio::spawn(async move {
            let recorded = trail.enqueue(looked).await;
            match &recorded {
                Ok(()) => {
                    kept.send_replace(true);
                }
                Err(_) => {
                    trail.0.recorder.seen().remove(&access);
                }
            }
            recorded
        });
        recording.await.map_err(|_| DbError::WorkerCrashed)?
    }

    /// Whose turn it is, and counts that must be told to make room.
    fn turn(&self, access: &Access, looked: &Told, now: i64) -> (Turn, Vec<Told>) {
        let mut seen = self.0.recorder.seen();
        let mut counts = Vec::new();
        if let Some(known) = seen.get_mut(access) {
            let of = &known.told;
            // Of one that names nobody any more none is a repeat.
            let is_forgotten = of.since < looked.since
                && of.entry.subjects.iter().any(|subject| {
                    let forgotten = &self.0.forgotten;
                    forgotten.has(of.since, of.scope.tenant(), subject)
                });
            if now.saturating_sub(known.first) < AUDIT_REPEATS_FOR && !is_forgotten {
                known.repeats = known.repeats.saturating_add(1);
                return (Turn::Repeat(known.is_kept.clone()), counts);
            }
            counts.extend(counted(known));
        }
        if seen.len() >= AUDIT_SEEN_MAX {
            counts.extend(seen.values_mut().filter_map(counted));
            seen.clear();
        }
        let (kept, is_kept) = watch::channel(false);
        let first = Seen {
            told: looked.clone(),
            first: now,
            repeats: 0,
            is_kept,
        };
        seen.insert(access.clone(), first);
        (Turn::First(kept), counts)
    }

    /// Writes the counts of repeats now and again, and the last ones at the end.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(AUDIT_COUNTS_EVERY) => {}
            }
            self.write_counts().await;
        }
    }

    /// Writes the counts that were not written yet. Before the database closes.
    pub async fn close(&self) {
        self.write_counts().await;
    }

    async fn write_counts(&self) {
        let now = self.0.clock.now_millis();
        let told: Vec<_> = {
            let mut seen = self.0.recorder.seen();
            let told = seen.values_mut().filter_map(counted).collect();
            seen.retain(|_, seen| now.saturating_sub(seen.first) < AUDIT_REPEATS_FOR);
            told
        };
        self.tell(told).await;
    }

    async fn tell(&self, counts: Vec<Told>) {
        for batch in counts.chunks(AUDIT_BATCH) {
            if self.write(batch).await.is_ok() {
                continue;
            }
            // One by one, so that a tenant whose key is gone holds up no other.
            for one in batch {
                if let Err(error) = self.write(std::slice::from_ref(one)).await {
                    tracing::error!(%error, "repeats of a recorded access were not counted");
                }
            }
        }
    }

    async fn write_waiting(&self) {
        loop {
            let batch: Vec<Waiting> = {
                let mut queue = self.0.recorder.queue();
                if queue.waiting.is_empty() {
                    queue.is_written = false;
                    return;
                }
                let most = queue.waiting.len().min(AUDIT_BATCH);
                queue.waiting.drain(..most).collect()
            };
            let (entries, done): (Vec<_>, Vec<_>) = batch
                .into_iter()
                .map(|waiting| (waiting.told, waiting.done))
                .unzip();
            if self.write(&entries).await.is_ok() {
                for done in done {
                    let _gone_away = done.send(Ok(()));
                }
                continue;
            }
            // One by one, so that a tenant whose key is gone holds up no other.
            for (entry, done) in entries.iter().zip(done) {
                let written = self.write(std::slice::from_ref(entry)).await;
                let _gone_away = done.send(written);
            }
        }
    }

    /// Appends entries in one transaction: all of them or none.
    async fn write(&self, entries: &[Told]) -> Result<(), DbError> {
        let mut tx = self.0.db.begin(Across::Trail).await?;
        for one in entries {
            tx.enter(&one.scope).await?;
            let entry = one.entry.clone();
            self.append_since(&mut tx, &one.scope, one.since, entry)
                .await?;
        }
        tx.commit().await
    }
}

/// What is told of the repeats of an access since the last time.
fn counted(seen: &mut Seen) -> Option<Told> {
    let repeats = std::mem::take(&mut seen.repeats);
    (repeats > 0).then(|| {
        let mut told = seen.told.clone();
        told.entry = told.entry.count(repeats).with(Detail::Repeats, repeats);
        told
    })
}
