//! Work that takes time: leased to one worker at a time, retried with
//! back-off, and after a limit left as a dead job for a person to see.
//! A job is enqueued in the transaction of the change that asks for it.

mod source;
mod worker;

use std::time::Duration;

use hilum_contracts::ids::{CorrelationId, TenantId};
use uuid::Uuid;

use crate::db::{self, Across, Connection, Db, DbError, Migration, Row};
use crate::limits::ERROR_TEXT_MAX;
use crate::traces;

pub use source::{Backlog, Described, JobSource, Jobs, Listed, State};
pub use worker::{Leases, Worker, keep_lease, run};

/// The tables that jobs live in, in each service's own database.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        sql: "CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        tenant TEXT NOT NULL,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        correlation_id TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('queued', 'leased', 'done', 'dead')),
        attempts INTEGER NOT NULL DEFAULT 0,
        run_at INTEGER NOT NULL,
        lease_owner TEXT,
        lease_until INTEGER,
        last_error TEXT,
        created_at INTEGER NOT NULL,
        UNIQUE (kind, tenant, subject));
    CREATE INDEX jobs_due ON jobs (kind, state, run_at);",
        postgres: "CREATE TABLE jobs (
        id TEXT COLLATE \"C\" PRIMARY KEY,
        tenant TEXT COLLATE \"C\" NOT NULL,
        kind TEXT COLLATE \"C\" NOT NULL,
        subject TEXT COLLATE \"C\" NOT NULL,
        correlation_id TEXT NOT NULL,
        state TEXT COLLATE \"C\" NOT NULL CHECK (state IN ('queued', 'leased', 'done', 'dead')),
        attempts BIGINT NOT NULL DEFAULT 0,
        run_at BIGINT NOT NULL,
        lease_owner TEXT,
        lease_until BIGINT,
        last_error TEXT,
        created_at BIGINT NOT NULL,
        UNIQUE (kind, tenant, subject));",
    },
    Migration {
        version: 2,
        // Whose turn was how long ago: work of one tenant waits behind the others'.
        sql: "CREATE INDEX jobs_open ON jobs (tenant, state, run_at, id) WHERE state <> 'done';
    CREATE INDEX jobs_in_turn ON jobs (kind, tenant, state, run_at, id);
    DROP INDEX jobs_due;
    CREATE TABLE job_turn (
        kind TEXT NOT NULL,
        tenant TEXT NOT NULL,
        turn INTEGER NOT NULL,
        PRIMARY KEY (kind, tenant)) WITHOUT ROWID",
        postgres:
            "CREATE INDEX jobs_open ON jobs (tenant, state, run_at, id) WHERE state <> 'done';
    CREATE INDEX jobs_in_turn ON jobs (kind, tenant, state, run_at, id);
    CREATE TABLE job_turn (
        kind TEXT COLLATE \"C\" NOT NULL,
        tenant TEXT COLLATE \"C\" NOT NULL,
        turn BIGINT NOT NULL,
        PRIMARY KEY (kind, tenant))",
    },
    // What caused it, where that is traced.
    Migration {
        version: 3,
        sql: "ALTER TABLE jobs ADD COLUMN traceparent TEXT",
        postgres: "ALTER TABLE jobs ADD COLUMN traceparent TEXT",
    },
];

/// A job that this worker holds until its lease ends.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its own id.
    pub id: Uuid,
    /// Whose work it is.
    pub tenant: TenantId,
    /// What it is about: a run id, a delivery id.
    pub subject: String,
    /// The work it belongs to.
    pub correlation_id: CorrelationId,
    /// How often it was leased, this time included.
    pub attempts: i64,
    /// W3C trace context of what caused it, where that is traced.
    pub traceparent: Option<String>,
}

/// What to enqueue.
#[derive(Clone, Copy, Debug)]
pub struct NewJob<'a> {
    /// Whose work it is.
    pub tenant: &'a TenantId,
    /// Which worker takes it.
    pub kind: &'a str,
    /// What it is about. A kind has one job for a subject.
    pub subject: &'a str,
    /// The work it belongs to.
    pub correlation_id: CorrelationId,
    /// Not before; milliseconds since 1970.
    pub run_at: i64,
}

/// Adds a job, or starts the one for the same subject anew when it is done or
/// dead. One that is queued or leased stays as it is.
///
/// # Errors
/// When the database does not answer.
pub async fn enqueue(tx: &mut Connection, now: i64, job: NewJob<'_>) -> Result<(), DbError> {
    db::query(
        "INSERT INTO jobs (id, tenant, kind, subject, correlation_id, state, run_at, created_at, traceparent)
         VALUES ($1, $2, $3, $4, $5, 'queued', $6, $7, $8)
         ON CONFLICT (kind, tenant, subject) DO UPDATE
         SET state = 'queued', attempts = 0, run_at = excluded.run_at, last_error = NULL,
             lease_owner = NULL, lease_until = NULL, traceparent = excluded.traceparent
         WHERE jobs.state IN ('done', 'dead')",
    )
    .bind(Uuid::now_v7().to_string())
    .bind(job.tenant.as_str())
    .bind(job.kind)
    .bind(job.subject)
    .bind(job.correlation_id.to_string())
    .bind(job.run_at)
    .bind(now)
    .bind(traces::cause(job.correlation_id))
    .execute(tx)
    .await?;
    Ok(())
}

/// Takes the next job. `$whose`: what else holds for its tenant.
macro_rules! lease_text {
    ($whose:literal) => {
        // Each tenant is looked up behind the one before.
        concat!(
            "WITH RECURSIVE whose (tenant) AS (
             SELECT min(tenant) FROM jobs WHERE kind = $3
             UNION ALL
             SELECT (SELECT min(j.tenant) FROM jobs j WHERE j.kind = $3 AND j.tenant > whose.tenant)
             FROM whose WHERE whose.tenant IS NOT NULL),
         due (tenant, id) AS (
             SELECT tenant, coalesce(
                 (SELECT id FROM jobs j WHERE j.kind = $3 AND j.tenant = whose.tenant
                     AND j.state = 'leased' AND (j.lease_until <= $4 OR j.lease_owner = $1) ORDER BY j.run_at, j.id LIMIT 1),
                 (SELECT id FROM jobs j WHERE j.kind = $3 AND j.tenant = whose.tenant
                     AND j.state = 'queued' AND j.run_at <= $4 ORDER BY j.run_at, j.id LIMIT 1))
             FROM whose WHERE tenant IS NOT NULL",
            $whose,
            ")
         UPDATE jobs SET state = 'leased', attempts = attempts + 1, lease_owner = $1, lease_until = $2
         WHERE id = (SELECT due.id FROM due LEFT JOIN job_turn t ON t.kind = $3 AND t.tenant = due.tenant
             WHERE due.id IS NOT NULL ORDER BY coalesce(t.turn, 0), due.id LIMIT 1)
              AND (state = 'queued' OR lease_until <= $4 OR lease_owner = $1)
         RETURNING id, tenant, subject, correlation_id, attempts, traceparent"
        )
    };
}

/// Takes a job that is due, for `lease`: of the tenant whose turn is longest ago
/// the one that was due first, so that who has ten thousand holds up nobody who has
/// one. A job whose lease has run out is due: its worker is gone. So is one that
/// `owner` still holds: it asks for another, and only could not say how that ended.
///
/// # Errors
/// When the database does not answer.
pub async fn lease(
    db: &Db,
    kind: &str,
    owner: &str,
    now: i64,
    lease: Duration,
) -> Result<Option<Job>, DbError> {
    let until = now.saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX));
    let mut tx = db.begin(Across::Jobs).await?;
    // Workers of other processes choose after this one: each takes its tenant's turn.
    tx.lock(&format!("jobs/{kind}")).await?;
    let row = db::query(
        // Work of a tenant that is being moved goes with it.
        db::each(lease_text!(""), lease_text!(" AND NOT moving(tenant)")),
    )
    .bind(owner)
    .bind(until)
    .bind(kind)
    .bind(now)
    .fetch_optional(&mut *tx)
    .await?;
    let job = row.map(|row| read_job(&row)).transpose()?;
    if let Some(job) = &job {
        db::query(
            "INSERT INTO job_turn (kind, tenant, turn)
             VALUES ($1, $2, (SELECT 1 + coalesce(max(turn), 0) FROM job_turn WHERE kind = $1))
             ON CONFLICT (kind, tenant) DO UPDATE SET turn = excluded.turn",
        )
        .bind(kind)
        .bind(job.tenant.as_str())
        .execute(&mut *tx)
        .await?;
    }
    tx.commit().await?;
    Ok(job)
}

/// Prolongs a lease. `false`: the job is no longer this worker's; stop.
///
/// # Errors
/// When the database does not answer.
pub async fn heartbeat(
    db: &Db,
    job: &Job,
    owner: &str,
    now: i64,
    lease: Duration,
) -> Result<bool, DbError> {
    let until = now.saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX));
    let mut tx = db.begin(&job.tenant).await?;
    let changed = db::query(
        "UPDATE jobs SET lease_until = $1 WHERE id = $2 AND state = 'leased' AND lease_owner = $3",
    )
    .bind(until)
    .bind(job.id.to_string())
    .bind(owner)
    .execute(&mut *tx)
    .await?
    .rows_affected();
    tx.commit().await?;
    Ok(changed == 1)
}

/// What becomes of a leased job.
#[derive(Clone, Copy, Debug)]
pub enum End<'a> {
    /// The work is done.
    Done,
    /// To be tried again at this time (milliseconds since 1970), because of this.
    Retry(i64, &'a str),
    /// The same, and the attempt does not count: what it needs is not there yet.
    NotYet(i64, &'a str),
    /// Given up, because of this. A person sees it and may start it anew.
    Dead(&'a str),
    /// Handed back untouched, as on shutdown: the attempt does not count.
    HandBack,
}

/// Ends this worker's hold on a job, in the transaction of the work's own
/// outcome. `false`: the job was no longer this worker's, and the outcome must
/// not be committed.
///
/// # Errors
/// When the database does not answer.
pub async fn finish(
    tx: &mut Connection,
    job: &Job,
    owner: &str,
    end: End<'_>,
) -> Result<bool, DbError> {
    let (state, back, run_at, error) = match end {
        End::Done => ("done", 0, None, None),
        End::Retry(at, why) => ("queued", 0, Some(at), Some(shorten(why))),
        End::NotYet(at, why) => ("queued", 1, Some(at), Some(shorten(why))),
        End::Dead(why) => ("dead", 0, None, Some(shorten(why))),
        End::HandBack => ("queued", 1, None, None),
    };
    let changed = db::query(
        "UPDATE jobs SET state = $1, attempts = attempts - $2, run_at = COALESCE($3, run_at),
             last_error = COALESCE($4, last_error), lease_owner = NULL, lease_until = NULL
         WHERE id = $5 AND state = 'leased' AND lease_owner = $6",
    )
    .bind(state)
    .bind(back)
    .bind(run_at)
    .bind(error)
    .bind(job.id.to_string())
    .bind(owner)
    .execute(tx)
    .await?
    .rows_affected();
    Ok(changed == 1)
}

/// Has what waits of a kind be tried now: what it waited for has changed.
///
/// # Errors
/// When the database does not answer.
pub async fn hasten(
    tx: &mut Connection,
    tenant: &TenantId,
    kind: &str,
    now: i64,
) -> Result<(), DbError> {
    db::query(
        "UPDATE jobs SET run_at = $1 WHERE kind = $2 AND tenant = $3 AND state = 'queued'
         AND run_at > $1",
    )
    .bind(now)
    .bind(kind)
    .bind(tenant.as_str())
    .execute(tx)
    .await?;
    Ok(())
}

/// Forgets a tenant's jobs of a kind that nobody works on any more. Who holds one
/// holds it no longer.
///
/// # Errors
/// When the database does not answer.
pub async fn forget_kind(
    tx: &mut Connection,
    tenant: &TenantId,
    kind: &str,
) -> Result<(), DbError> {
    for table in [
        "DELETE FROM jobs WHERE kind = $1 AND tenant = $2",
        "DELETE FROM job_turn WHERE kind = $1 AND tenant = $2",
    ] {
        let query = db::query(table).bind(kind).bind(tenant.as_str());
        query.execute(&mut *tx).await?;
    }
    Ok(())
}

/// A name for a worker of this process: that of no other, by which
/// [`reclaim`] knows whose it was.
#[must_use]
pub fn owner(db: &Db) -> String {
    format!("{}/{}", db.node(), Uuid::new_v4())
}

/// Frees the leases of this process's predecessor, at the start: whoever held them
/// is gone. On embedded storage that is every lease.
///
/// # Errors
/// When the database does not answer.
pub async fn reclaim(db: &Db) -> Result<u64, DbError> {
    let mut tx = db.begin(Across::Jobs).await?;
    let freed = db::query(
        "UPDATE jobs SET state = 'queued', lease_owner = NULL, lease_until = NULL
         WHERE state = 'leased' AND ($1 = '' OR substr(lease_owner, 1, length($1) + 1) = $1 || '/')",
    )
    .bind(db.node())
    .execute(&mut *tx)
    .await?
    .rows_affected();
    tx.commit().await?;
    Ok(freed)
}

/// Milliseconds to wait before the next try: doubles from `first`, at most `max`.
#[must_use]
pub fn backoff(attempts: i64, first: Duration, max: Duration) -> i64 {
    let doublings = u32::try_from(attempts.saturating_sub(1).clamp(0, 30)).unwrap_or(30);
    let wait = first
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(max);
    i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)
}

/// Cuts an error text to what is stored, at a character's border.
#[must_use]
pub fn shorten(text: &str) -> &str {
    match text.char_indices().nth(ERROR_TEXT_MAX) {
        Some((end, _)) => text.get(..end).unwrap_or(text),
        None => text,
    }
}

fn read_job(row: &Row) -> Result<Job, DbError> {
    let tenant: String = row.try_get("tenant")?;
    let id: String = row.try_get("id")?;
    let correlation: String = row.try_get("correlation_id")?;
    Ok(Job {
        id: id.parse().map_err(|e| DbError::Decode(Box::new(e)))?,
        tenant: TenantId::new(tenant).map_err(|e| DbError::Decode(Box::new(e)))?,
        subject: row.try_get("subject")?,
        correlation_id: correlation
            .parse()
            .map_err(|e| DbError::Decode(Box::new(e)))?,
        attempts: row.try_get("attempts")?,
        traceparent: row.try_get("traceparent")?,
    })
}
