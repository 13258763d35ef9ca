//! What a statement is done on: a write transaction, or whoever reads.

use std::ops::{Deref, DerefMut};

use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{Executor as _, SqlSafeStr, Sqlite, Transaction};

use super::DbError;

/// What a write transaction's statements are done on.
#[derive(Debug)]
pub struct Connection(pub(super) Transaction<'static, Sqlite>);

/// A write transaction. Dropped before it is committed, it leaves nothing.
#[derive(Debug)]
pub struct Tx(pub(super) Connection);

/// Connections for reading.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'c>(pub(super) &'c SqlitePool);

/// Where a statement is done.
#[derive(Debug)]
pub struct On<'c>(pub(super) Reached<'c>);

#[derive(Debug)]
pub(super) enum Reached<'c> {
    Writer(&'c mut SqliteConnection),
    Readers(&'c SqlitePool),
}

impl Tx {
    /// Makes what was done durable.
    ///
    /// # Errors
    /// When the database does not answer: then it may have been kept or not.
    pub async fn commit(self) -> Result<(), DbError> {
        self.0.0.commit().await
    }

    /// Leaves nothing of what was done.
    ///
    /// # Errors
    /// When the database does not answer: then nothing is kept either.
    pub async fn rollback(self) -> Result<(), DbError> {
        self.0.0.rollback().await
    }
}

impl Deref for Tx {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

impl Connection {
    /// Does statements without values, one after the other.
    pub(super) async fn script(&mut self, text: impl SqlSafeStr) -> Result<(), DbError> {
        self.0.execute(sqlx::raw_sql(text)).await?;
        Ok(())
    }
}

impl<'c> From<&'c mut Connection> for On<'c> {
    fn from(connection: &'c mut Connection) -> Self {
        Self(Reached::Writer(&mut connection.0))
    }
}

impl<'c> From<&'c mut Tx> for On<'c> {
    fn from(tx: &'c mut Tx) -> Self {
        Self::from(&mut tx.0)
    }
}

impl<'c> From<Reader<'c>> for On<'c> {
    fn from(reader: Reader<'c>) -> Self {
        Self(Reached::Readers(reader.0))
    }
}
