//! A schema of PostgreSQL, asked from threads that may block. Each connection has a
//! runtime of its own, which the waiting thread drives: no other thread has to wake
//! it. Every statement is in a transaction, which says whose rows it is about.
//!
//! A pooler may stand in between, and give each transaction another session of the
//! server. Each connection marks the session that it finds, unless another one did, and
//! every transaction looks whether it is still there: as long as it is, statements that
//! are asked often stay prepared in it. Otherwise nothing is left on a session for later.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::TryStreamExt as _;
use hilum_platform::limits::{PG_ACQUIRE, PG_ANSWER, PG_IN_TRANSACTION, PG_STATEMENT};
use rusqlite::types::Value;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection};
use sqlx::{Arguments as _, AssertSqlSafe, Connection as _, Either, Executor as _, Row as _};
use tokio::runtime::Runtime;

use super::Whose;
use super::error::{Error, Result, is_lost};
use super::spelling::spelt;
use super::value::{Bound, read};
use crate::descriptor::hex;
use crate::keys::random;
use crate::limits::LEASE;

/// A schema, and how it is reached.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    options: Arc<PgConnectOptions>,
    name: Arc<str>,
    owner: Owner,
    /// Sessions of the server go from one connection to another.
    is_pooled: Arc<AtomicBool>,
}

/// Who may change a schema.
#[derive(Clone, Debug)]
enum Owner {
    /// Whoever comes, one at a time.
    Anybody,
    /// The process of this name, whose archive it is.
    Process(Arc<str>),
    /// The same, one change at a time, where another schema has the name.
    Of { index: Arc<str>, token: Arc<str> },
}

/// What a transaction may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Read one state.
    Snapshot,
    /// Change.
    Change,
}

/// A connection, made when it is needed and again after it was lost.
pub(super) struct Session {
    schema: Schema,
    reached: RefCell<Option<Reached>>,
    state: Cell<State>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Open,
    /// A statement failed: nothing of the transaction is kept.
    Failed,
}

struct Reached {
    connection: PgConnection,
    runtime: Option<Runtime>,
    /// What its session of the server is marked with; `None`: it may be another one each time.
    mark: Option<String>,
}

/// The setting of a session that says which connection has it.
const MARK: &str = "hilum.connection";

/// Statements that stay prepared on a connection; each is some ten kilobytes of the server's.
const PREPARED: usize = 200;

/// What a statement gave.
pub(super) struct Answer {
    pub(super) rows: Vec<Vec<Value>>,
    pub(super) changed: u64,
}

impl Schema {
    pub(crate) fn new(options: PgConnectOptions, name: &str) -> Self {
        Self {
            options: Arc::new(options),
            name: name.into(),
            owner: Owner::Anybody,
            is_pooled: Arc::default(),
        }
    }

    /// The same, to be changed by the process of this name alone.
    pub(crate) fn owned_by(self, token: &str) -> Self {
        Self {
            owner: Owner::Process(token.into()),
            ..self
        }
    }

    /// The same, to be changed by the process alone that `index` is owned by.
    pub(crate) fn owned_with(self, index: &Self, token: &str) -> Self {
        Self {
            owner: Owner::Of {
                index: Arc::clone(&index.name),
                token: token.into(),
            },
            ..self
        }
    }

    fn beginning(&self, whose: Whose, kind: Kind) -> String {
        let begin = match kind {
            Kind::Snapshot => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            // Whatever the server begins with otherwise: a statement behind a lock sees
            // what was committed while it waited.
            Kind::Change => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        };
        let mut text = format!(
            "{begin}; SET LOCAL search_path = \"{}\"; SET LOCAL statement_timeout = {}; \
             SET LOCAL idle_in_transaction_session_timeout = {}; {}",
            self.name,
            PG_STATEMENT.as_millis(),
            PG_IN_TRANSACTION.as_millis(),
            scoped(whose)
        );
        if kind == Kind::Change {
            let row = match whose {
                Whose::Of(tenant) => tenant,
                Whose::Every => 0,
            };
            let alone = "; SELECT pg_advisory_xact_lock(hashtextextended(current_schema, 0))";
            text.push_str(&match &self.owner {
                Owner::Anybody => alone.to_owned(),
                Owner::Process(token) => format!("; SELECT enter('{token}', {row})"),
                Owner::Of { index, token } => {
                    format!("{alone}; SELECT \"{index}\".must_own('{token}')")
                }
            });
        }
        text.push_str(&format!("; SELECT current_setting('{MARK}', true)"));
        text
    }
}

/// Settings of a transaction that hold it to the rows of `whose`.
fn scoped(whose: Whose) -> String {
    match whose {
        Whose::Of(tenant) => {
            format!("SET LOCAL hilum.tenant = '{tenant}'; SET LOCAL hilum.across = 'off'")
        }
        Whose::Every => "SET LOCAL hilum.tenant = ''; SET LOCAL hilum.across = 'on'".to_owned(),
    }
}

impl Session {
    pub(super) fn new(schema: Schema) -> Self {
        Self {
            schema,
            reached: RefCell::default(),
            state: Cell::new(State::Idle),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.state.get() != State::Idle
    }

    /// Begins a transaction.
    pub(super) fn begin(&self, whose: Whose, kind: Kind) -> Result<()> {
        self.abandon();
        let text = self.schema.beginning(whose, kind);
        let was_reached = self.reached.borrow().is_some();
        let mut begun = self.begin_where_marked(&text);
        // A connection that was lost since its last use: nothing was done on it.
        if begun.is_err() && was_reached && self.reached.borrow().is_none() {
            begun = self.begin_where_marked(&text);
        }
        // From here on none is marked.
        if matches!(begun, Ok(false)) {
            begun = self.begin_where_marked(&text);
        }
        self.state.set(State::Open);
        if begun.is_err() {
            self.abandon();
        }
        begun.map(drop)
    }

    /// `false`: the session is not the one that statements were prepared in. The
    /// connection is gone then, and with it what it began.
    fn begin_where_marked(&self, text: &str) -> Result<bool> {
        let is_marked = self.on(|reached| {
            let script = sqlx::raw_sql(AssertSqlSafe(text.to_owned()));
            let rows = reached.wait(|connection| async { connection.fetch_all(script).await })?;
            let Some(mark) = &reached.mark else {
                return Ok(true);
            };
            let found: Option<String> =
                rows.last().map(|row| row.try_get(0)).transpose()?.flatten();
            Ok(found.as_ref() == Some(mark))
        })?;
        if !is_marked {
            self.schema.is_pooled.store(true, Ordering::Relaxed);
            self.reached.replace(None);
        }
        Ok(is_marked)
    }

    /// Goes on with the rows of `whose` in the same transaction.
    pub(super) fn narrow(&self, whose: Whose) -> Result<()> {
        self.script(scoped(whose))
    }

    /// Ends the transaction; an error: it may have been kept or not.
    pub(super) fn commit(&self) -> Result<()> {
        if self.state.get() == State::Failed {
            self.abandon();
            return Err(Error::Failed);
        }
        let ended = self.script("COMMIT".to_owned());
        match ended {
            Ok(()) => self.state.set(State::Idle),
            // The next one begins anew, on another connection where this was lost.
            Err(_) => self.abandon(),
        }
        ended
    }

    /// Leaves nothing of the transaction.
    pub(super) fn abandon(&self) {
        let was_open = self.state.replace(State::Idle) != State::Idle;
        // On a connection that was lost there is none.
        if was_open
            && self.reached.borrow().is_some()
            && self.script("ROLLBACK".to_owned()).is_err()
        {
            self.reached.replace(None);
        }
    }

    /// Does one change of one row that no other transaction changes, with no lock
    /// that others take, in one message; how many rows it changed.
    pub(super) fn aside(&self, text: &str) -> Result<u64> {
        let text = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL search_path = \"{}\"; \
             SET LOCAL statement_timeout = {}; {}; {text}; COMMIT",
            self.schema.name,
            LEASE.as_millis(),
            scoped(Whose::Every)
        );
        self.abandon();
        let mut changed = 0;
        let done = self.on(|reached| {
            let script = sqlx::raw_sql(AssertSqlSafe(text));
            changed = reached.wait(|connection| async {
                Ok(connection.execute(script).await?.rows_affected())
            })?;
            Ok(())
        });
        if done.is_err() {
            // A statement of the script failed: its transaction may be open still.
            self.reached.replace(None);
        }
        done.map(|()| changed)
    }

    /// Does statements without values, one after the other.
    pub(super) fn script(&self, text: String) -> Result<()> {
        self.on(|reached| {
            let script = sqlx::raw_sql(AssertSqlSafe(text));
            reached.wait(|connection| async { connection.execute(script).await.map(drop) })
        })
    }

    /// Does a statement, in a transaction of its own where none is open. One that is
    /// `kept` stays prepared where that is possible.
    pub(super) fn ask(&self, text: &str, values: Vec<Value>, kept: bool) -> Result<Answer> {
        if self.is_open() {
            return self.ask_within(text, values, kept);
        }
        self.begin(Whose::Every, Kind::Change)?;
        let answer = self.ask_within(text, values, kept);
        match &answer {
            Ok(_) => self.commit()?,
            Err(_) => self.abandon(),
        }
        answer
    }

    fn ask_within(&self, text: &str, values: Vec<Value>, kept: bool) -> Result<Answer> {
        let mut bound = PgArguments::default();
        for value in values {
            bound.add(Bound(value)).map_err(|_| Error::Value)?;
        }
        let query = sqlx::query_with(AssertSqlSafe(spelt(text)), bound);
        self.on(|reached| {
            let query = query.persistent(kept && reached.mark.is_some());
            reached.wait(|connection| async {
                let mut answer = Answer {
                    rows: Vec::new(),
                    changed: 0,
                };
                let mut given = connection.fetch_many(query);
                while let Some(one) = given.try_next().await? {
                    match one {
                        Either::Left(done) => answer.changed += done.rows_affected(),
                        Either::Right(row) => {
                            let values = (0..row.len()).map(|at| read(row.try_get_raw(at)?));
                            answer.rows.push(values.collect::<sqlx::Result<_>>()?);
                        }
                    }
                }
                Ok(answer)
            })
        })
    }

    /// Runs `work` on the connection, made when there is none.
    fn on<T>(&self, work: impl FnOnce(&mut Reached) -> sqlx::Result<T>) -> Result<T> {
        let mut reached = self.reached.borrow_mut();
        if reached.is_none() {
            if self.is_open() {
                self.state.set(State::Failed);
                return Err(Error::Failed);
            }
            *reached = Some(Reached::new(&self.schema)?);
        }
        let Some(open) = reached.as_mut() else {
            return Err(Error::Failed);
        };
        work(open).map_err(|error| {
            if self.is_open() {
                self.state.set(State::Failed);
            }
            if is_lost(&error) {
                // What it would say next is the answer to something else.
                *reached = None;
            }
            Error::Postgres(error)
        })
    }
}

impl Reached {
    fn new(schema: &Schema) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::Postgres(error.into()))?;
        let may_mark = !schema.is_pooled.load(Ordering::Relaxed);
        let options = PgConnectOptions::clone(&schema.options)
            .statement_cache_capacity(if may_mark { PREPARED } else { 0 });
        let connected = runtime.block_on(async {
            let connect = async {
                let mut connection = PgConnection::connect_with(&options).await?;
                let mark = match may_mark {
                    true => marked(&mut connection).await?,
                    false => None,
                };
                Ok((connection, mark))
            };
            match tokio::time::timeout(PG_ACQUIRE, connect).await {
                Ok(connected) => connected,
                Err(_) => Err(sqlx::Error::PoolTimedOut),
            }
        });
        let (connection, mark) = connected.map_err(Error::Postgres)?;
        if mark.is_none() {
            schema.is_pooled.store(true, Ordering::Relaxed);
        }
        Ok(Self {
            connection,
            runtime: Some(runtime),
            mark,
        })
    }

    fn wait<'c, T, F>(&'c mut self, work: impl FnOnce(&'c mut PgConnection) -> F) -> sqlx::Result<T>
    where
        F: Future<Output = sqlx::Result<T>>,
    {
        match &self.runtime {
            // A server that is gone without a word says nothing for ever.
            Some(runtime) => runtime.block_on(async {
                tokio::time::timeout(PG_ANSWER, work(&mut self.connection))
                    .await
                    .unwrap_or(Err(sqlx::Error::PoolTimedOut))
            }),
            None => Err(sqlx::Error::WorkerCrashed),
        }
    }
}

/// Marks the session, unless another connection did: a pooler has led that one there before.
async fn marked(connection: &mut PgConnection) -> sqlx::Result<Option<String>> {
    let random = random::<16>().map_err(|error| sqlx::Error::Io(std::io::Error::other(error)))?;
    let mark = hex::encode(&random);
    let text = format!(
        "SELECT set_config('{MARK}', coalesce(nullif(current_setting('{MARK}', true), ''), \
         '{mark}'), false)"
    );
    let row = connection
        .fetch_one(sqlx::raw_sql(AssertSqlSafe(text)))
        .await?;
    let found: String = row.try_get(0)?;
    Ok((found == mark).then_some(mark))
}

impl Drop for Reached {
    fn drop(&mut self) {
        // Also where nobody may wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests;
