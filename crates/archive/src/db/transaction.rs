//! Transactions: those that write, one at a time, and snapshots for those that
//! read.

use std::ops::Deref;

use super::Connection;
use super::error::Result;

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
    pub(crate) fn begin(&mut self, _whose: impl Into<Whose>) -> Result<Transaction<'_>> {
        self.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(Transaction(self))
    }

    /// Runs `work` on one state of the database, however many questions it asks.
    pub(crate) fn snapshot<T>(
        &self,
        work: impl FnOnce(&Self) -> crate::error::Result<T>,
    ) -> crate::error::Result<T> {
        // Kept prepared: parsing them would be a good part of a small question.
        self.prepare_cached("BEGIN")?.execute([])?;
        let answer = work(self);
        self.prepare_cached("COMMIT")?.execute([])?;
        answer
    }

    /// Leaves nothing of a transaction whose end is not known.
    pub(crate) fn abandon(&self) {
        if !self.0.is_autocommit() {
            let _gone = self.execute_batch("ROLLBACK");
        }
    }
}

impl Transaction<'_> {
    /// Makes what was done durable.
    pub(crate) fn commit(self) -> Result<()> {
        // What fails is rolled back when this is dropped.
        self.0.prepare_cached("COMMIT")?.execute([])?;
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
