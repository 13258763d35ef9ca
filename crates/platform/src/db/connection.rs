//! What a statement is done on: a write transaction, or whoever reads.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use hilum_contracts::ids::TenantId;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{Executor as _, Postgres, SqlSafeStr, Sqlite, Transaction};

use super::DbError;
use super::postgres::{Schema, scoped};
use super::query::{AssertSqlSafe, query};
use super::whose::Whose;

/// What a write transaction's statements are done on.
#[derive(Debug)]
pub struct Connection(pub(super) Held);

#[derive(Debug)]
pub(super) enum Held {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres {
        tx: Transaction<'static, Postgres>,
        /// To whose rows it is held; `None`: to nobody's.
        tenant: Option<TenantId>,
    },
}

/// A write transaction. Dropped before it is committed, it leaves nothing.
#[derive(Debug)]
pub struct Tx(pub(super) Connection);

/// Connections for reading.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'c>(pub(super) Read<'c>);

#[derive(Clone, Copy, Debug)]
pub(super) enum Read<'c> {
    Sqlite(&'c SqlitePool),
    /// And how old what is read may be.
    Postgres(&'c Schema, Whose<'c>, Duration),
}

/// Where a statement is done.
#[derive(Debug)]
pub struct On<'c>(pub(super) Reached<'c>);

#[derive(Debug)]
pub(super) enum Reached<'c> {
    Writer(&'c mut SqliteConnection),
    Readers(&'c SqlitePool),
    Transaction(&'c mut PgConnection),
    Schema(&'c Schema, Whose<'c>, Duration),
}

impl Tx {
    pub(super) fn of_sqlite(tx: Transaction<'static, Sqlite>) -> Self {
        Self(Connection(Held::Sqlite(tx)))
    }

    pub(super) fn of_postgres(tx: Transaction<'static, Postgres>, whose: Whose<'_>) -> Self {
        let tenant = tenant_of(whose);
        Self(Connection(Held::Postgres { tx, tenant }))
    }

    /// Makes what was done durable.
    ///
    /// # Errors
    /// When the database does not answer: then it may have been kept or not.
    pub async fn commit(self) -> Result<(), DbError> {
        match self.0.0 {
            Held::Sqlite(tx) => tx.commit().await,
            Held::Postgres { tx, .. } => tx.commit().await,
        }
    }

    /// Leaves nothing of what was done.
    ///
    /// # Errors
    /// When the database does not answer: then nothing is kept either.
    pub async fn rollback(self) -> Result<(), DbError> {
        match self.0.0 {
            Held::Sqlite(tx) => tx.rollback().await,
            Held::Postgres { tx, .. } => tx.rollback().await,
        }
    }
}

impl Connection {
    /// Goes on with the rows of `whose`, within the same transaction.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn enter<'w>(&mut self, whose: impl Into<Whose<'w>>) -> Result<(), DbError> {
        let whose = whose.into();
        if let Held::Postgres { tx, tenant } = &mut self.0
            && *tenant != tenant_of(whose)
        {
            tx.execute(sqlx::raw_sql(AssertSqlSafe(scoped(whose))))
                .await?;
            *tenant = tenant_of(whose);
        }
        Ok(())
    }

    /// Holds up every other transaction of this service that locks the same, until
    /// this one ends. A file of SQLite has one writer anyway.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn lock(&mut self, what: &str) -> Result<(), DbError> {
        if self.is_shared() {
            query(LOCK).bind(what).execute(self).await?;
        }
        Ok(())
    }

    /// Whether it is one of PostgreSQL, where others write at the same time.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.0, Held::Postgres { .. })
    }

    /// Does statements without values, one after the other.
    pub(super) async fn script(&mut self, text: impl SqlSafeStr) -> Result<(), DbError> {
        let script = sqlx::raw_sql(text);
        match &mut self.0 {
            Held::Sqlite(tx) => tx.execute(script).await.map(drop),
            Held::Postgres { tx, .. } => tx.execute(script).await.map(drop),
        }
    }
}

const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema || '/' || $1, 0))";

fn tenant_of(whose: Whose<'_>) -> Option<TenantId> {
    match whose {
        Whose::Of(tenant) => Some(tenant.clone()),
        Whose::Every(_) => None,
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

impl<'c> From<&'c mut Connection> for On<'c> {
    fn from(connection: &'c mut Connection) -> Self {
        Self(match &mut connection.0 {
            Held::Sqlite(tx) => Reached::Writer(tx),
            Held::Postgres { tx, .. } => Reached::Transaction(tx),
        })
    }
}

impl<'c> From<&'c mut Tx> for On<'c> {
    fn from(tx: &'c mut Tx) -> Self {
        Self::from(&mut tx.0)
    }
}

impl<'c> From<Reader<'c>> for On<'c> {
    fn from(reader: Reader<'c>) -> Self {
        Self(match reader.0 {
            Read::Sqlite(pool) => Reached::Readers(pool),
            Read::Postgres(schema, whose, stale) => Reached::Schema(schema, whose, stale),
        })
    }
}
