//! What the index and the keys are kept in, and how their statements reach it:
//! connections, transactions, statements, rows. Nothing else in this crate names
//! a database. Blocks: whoever asks is on a thread that may.
//!
//! One text serves SQLite and PostgreSQL where it can ([`Connection::each`] where it
//! can't), with `?1` or `?` for what is bound.

mod error;
mod lease;
mod params;
mod place;
mod postgres;
mod spelling;
mod sqlite;
mod statement;
mod transaction;
mod turns;
mod upkeep;
mod value;

use std::path::Path;

pub(crate) use rusqlite::params;
pub(crate) use rusqlite::types::{FromSql, ToSql, ToSqlOutput, Value, ValueRef};

pub(crate) use error::{OptionalExtension, Result, is_failure_of_disk};
pub(crate) use lease::Lease;
pub(crate) use params::{Params, params_from_iter, places};
pub(crate) use place::{Place, Places, Tables, elsewhere};
pub(crate) use statement::{Row, Statement};
pub(crate) use transaction::{Transaction, Whose};
pub(crate) use turns::Turns;
pub(crate) use upkeep::copy_of;

use postgres::Session;

/// Those of a bundle: with its twenty values each, a statement of PostgreSQL takes ten
/// times as many.
const ROWS_TOGETHER: usize = 256;

/// A connection to one database.
pub(crate) struct Connection(Held);

enum Held {
    Sqlite(rusqlite::Connection),
    Postgres(Box<Session>),
}

impl Connection {
    fn of_sqlite(db: rusqlite::Connection) -> Self {
        Self(Held::Sqlite(db))
    }

    /// One for a file that is worth nothing before it is whole, and is synced then.
    pub(crate) fn draft(path: &Path, migrations: &[&str]) -> crate::error::Result<Self> {
        let mut db = sqlite::open_writer(path)?;
        db.pragma_update(None, "synchronous", "OFF")?;
        sqlite::migrate(&mut db, migrations)?;
        Ok(Self::of_sqlite(db))
    }

    /// A statement that is asked often: kept prepared.
    pub(crate) fn prepare_cached<'c>(&'c self, text: &str) -> Result<Statement<'c>> {
        match &self.0 {
            Held::Sqlite(db) => Ok(Statement::kept(db.prepare_cached(text)?)),
            Held::Postgres(session) => Ok(Statement::of_postgres(session, text, true)),
        }
    }

    /// The same, but planned for what is bound each time, where the engine does that: which
    /// way is the shortest depends on how often that occurs.
    pub(crate) fn prepare_planned<'c>(&'c self, text: &str) -> Result<Statement<'c>> {
        match &self.0 {
            Held::Sqlite(_) => self.prepare_cached(text),
            Held::Postgres(_) => self.prepare(text),
        }
    }

    /// A statement about so many rows: kept prepared when it is one, because each number
    /// of them has a text of its own.
    pub(crate) fn prepare_for<'c>(&'c self, rows: usize, text: &str) -> Result<Statement<'c>> {
        match rows {
            1 => self.prepare_cached(text),
            _ => self.prepare(text),
        }
    }

    /// A statement that is seldom asked.
    pub(crate) fn prepare<'c>(&'c self, text: &str) -> Result<Statement<'c>> {
        match &self.0 {
            Held::Sqlite(db) => Ok(Statement::once(db.prepare(text)?)),
            Held::Postgres(session) => Ok(Statement::of_postgres(session, text, false)),
        }
    }

    /// Does a statement; how many rows it added, changed or removed.
    pub(crate) fn execute(&self, text: &str, params: impl Params) -> Result<usize> {
        self.prepare(text)?.execute(params)
    }

    /// The first row of a statement, as `map` reads it.
    pub(crate) fn query_row<T>(
        &self,
        text: &str,
        params: impl Params,
        map: impl FnOnce(Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.prepare(text)?.query_row(params, map)
    }

    /// Does several statements without values, one after the other.
    pub(crate) fn execute_batch(&self, text: &str) -> Result<()> {
        match &self.0 {
            Held::Sqlite(db) => Ok(db.execute_batch(text)?),
            Held::Postgres(session) => session.script(text.to_owned()),
        }
    }

    /// A statement that the engines spell differently.
    pub(crate) fn each<'t>(&self, sqlite: &'t str, postgres: &'t str) -> &'t str {
        match self.0 {
            Held::Sqlite(_) => sqlite,
            Held::Postgres(_) => postgres,
        }
    }

    /// About how many rows a statement is best, where it could be about several: on a
    /// server each statement is a way there and back.
    pub(crate) fn together(&self) -> usize {
        match self.0 {
            Held::Sqlite(_) => 1,
            Held::Postgres(_) => ROWS_TOGETHER,
        }
    }

    /// SQLite's own, for what only it has.
    pub(crate) fn sqlite(&self) -> Option<&rusqlite::Connection> {
        match &self.0 {
            Held::Sqlite(db) => Some(db),
            Held::Postgres(_) => None,
        }
    }
}

#[cfg(test)]
impl Connection {
    /// In memory, with some of the tables' migrations.
    pub(crate) fn in_memory(migrations: &[&str]) -> Self {
        let mut db = Self::of_sqlite(rusqlite::Connection::open_in_memory().unwrap());
        db.migrate(migrations);
        db
    }

    /// Applies what is new of `migrations`.
    pub(crate) fn migrate(&mut self, migrations: &[&str]) {
        let Held::Sqlite(db) = &mut self.0 else {
            return;
        };
        sqlite::migrate(db, migrations).unwrap();
    }

    /// The number of the row that was added last.
    pub(crate) fn last_insert_rowid(&self) -> i64 {
        self.sqlite().unwrap().last_insert_rowid()
    }
}
