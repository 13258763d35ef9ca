//! What the index and the keys are kept in, and how their statements reach it:
//! connections, transactions, statements, rows. Nothing else in this crate names
//! a database. Blocks: whoever asks is on a thread that may.

mod error;
mod params;
mod sqlite;
mod statement;
mod transaction;
mod upkeep;

use std::path::Path;

pub(crate) use rusqlite::params;
pub(crate) use rusqlite::types::{FromSql, ToSql, ToSqlOutput, Value, ValueRef};

pub(crate) use error::{OptionalExtension, Result, is_failure_of_disk};
pub(crate) use params::{Params, params_from_iter};
pub(crate) use statement::{Row, Statement};
pub(crate) use transaction::{Transaction, Whose};
pub(crate) use upkeep::copy_of;

/// A connection to one database.
pub(crate) struct Connection(rusqlite::Connection);

impl Connection {
    /// The one connection that writes a file, made when there is none, with its
    /// tables up to date.
    pub(crate) fn writer(path: &Path, migrations: &[&str]) -> crate::error::Result<Self> {
        let mut db = sqlite::open_writer(path)?;
        sqlite::migrate(&mut db, migrations)?;
        Ok(Self(db))
    }

    /// The same for a file that is worth nothing before it is whole, and is synced
    /// then.
    pub(crate) fn draft(path: &Path, migrations: &[&str]) -> crate::error::Result<Self> {
        let mut db = sqlite::open_writer(path)?;
        db.pragma_update(None, "synchronous", "OFF")?;
        sqlite::migrate(&mut db, migrations)?;
        Ok(Self(db))
    }

    /// One of many that read a file.
    pub(crate) fn reader(path: &Path) -> crate::error::Result<Self> {
        Ok(Self(sqlite::open_reader(path)?))
    }

    /// A statement that is asked often: kept prepared.
    pub(crate) fn prepare_cached(&self, text: &str) -> Result<Statement<'_>> {
        Ok(Statement::kept(self.0.prepare_cached(text)?))
    }

    /// A statement that is seldom asked.
    pub(crate) fn prepare(&self, text: &str) -> Result<Statement<'_>> {
        Ok(Statement::once(self.0.prepare(text)?))
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
        Ok(self.0.execute_batch(text)?)
    }

    /// SQLite's own, for what only it has.
    pub(crate) fn sqlite(&self) -> Option<&rusqlite::Connection> {
        Some(&self.0)
    }
}

#[cfg(test)]
impl Connection {
    /// In memory, with some of the tables' migrations.
    pub(crate) fn in_memory(migrations: &[&str]) -> Self {
        let mut db = Self(rusqlite::Connection::open_in_memory().unwrap());
        db.migrate(migrations);
        db
    }

    /// Applies what is new of `migrations`.
    pub(crate) fn migrate(&mut self, migrations: &[&str]) {
        sqlite::migrate(&mut self.0, migrations).unwrap();
    }

    /// The number of the row that was added last.
    pub(crate) fn last_insert_rowid(&self) -> i64 {
        self.0.last_insert_rowid()
    }
}
