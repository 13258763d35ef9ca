//! Transactions: those that write, one at a time, and snapshots for those that
//! read.

use std::ops::Deref;

use super::error::Result;
use super::postgres::Kind;
use super::{Connection, Held};

/// Whose rows a transaction is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// A tenant's, by the number of its row.
    Of(i64),
    /// Every tenant's: upkeep, and what is found by more than its tenant.
    Every,
}

impl From<i64> for Whose {
    fn from(tenant: i64) -> Self {
        Self::Of(tenant)
    }
}

/// A transaction that writes. Dropped before it is committed, it leaves nothing.
pub(crate) struct Transaction<'c>(&'c Connection);

impl Connection {
    /// Begins a transaction that writes the rows of `whose`: nobody else writes
    /// them until it ends.
    pub(crate) fn begin(&mut self, whose: impl Into<Whose>) -> Result<Transaction<'_>> {
        match &self.0 {
            Held::Sqlite(_) => drop(self.prepare_cached("BEGIN IMMEDIATE")?.execute([])?),
            Held::Postgres(session) => session.begin(whose.into(), Kind::Change)?,
        }
        Ok(Transaction(self))
    }

    /// Runs `work` on one state of the database, however many questions it asks.
    pub(crate) fn snapshot<T>(
        &self,
        work: impl FnOnce(&Self) -> crate::error::Result<T>,
    ) -> crate::error::Result<T> {
        match &self.0 {
            Held::Sqlite(_) => {
                // Kept prepared: parsing them would be a good part of a small question.
                self.prepare_cached("BEGIN")?.execute([])?;
                let answer = work(self);
                self.prepare_cached("COMMIT")?.execute([])?;
                answer
            }
            Held::Postgres(session) => {
                session.begin(Whose::Every, Kind::Snapshot)?;
                let answer = work(self);
                session.abandon();
                answer
            }
        }
    }

    /// Does one change of one row of PostgreSQL that no transaction changes, without
    /// waiting for any; how many rows it changed.
    pub(super) fn aside(&self, text: &str) -> Result<u64> {
        match &self.0 {
            Held::Sqlite(db) => Ok(u64::try_from(db.execute(text, [])?).unwrap_or(u64::MAX)),
            Held::Postgres(session) => session.aside(text),
        }
    }

    /// Goes on with the rows of one tenant only, until the transaction ends.
    pub(crate) fn narrow(&self, tenant: i64) -> Result<()> {
        match &self.0 {
            Held::Sqlite(_) => Ok(()),
            Held::Postgres(session) => session.narrow(Whose::Of(tenant)),
        }
    }

    /// Leaves nothing of a transaction whose end is not known.
    pub(crate) fn abandon(&self) {
        match &self.0 {
            Held::Sqlite(db) if db.is_autocommit() => {}
            Held::Sqlite(db) => drop(db.execute_batch("ROLLBACK")),
            Held::Postgres(session) => session.abandon(),
        }
    }
}

impl Transaction<'_> {
    /// Makes what was done durable.
    pub(crate) fn commit(self) -> Result<()> {
        // What fails is rolled back when this is dropped.
        match &self.0.0 {
            Held::Sqlite(_) => drop(self.0.prepare_cached("COMMIT")?.execute([])?),
            Held::Postgres(session) => session.commit()?,
        }
        Ok(())
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.0
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
