//! A service's database as a schema of PostgreSQL. Every statement stands in a
//! transaction that says whose rows it may touch, also one that only reads: a
//! pooler may give the next transaction another connection of the server, and a
//! pool gives this one to whoever comes next. Nothing is left on a connection for
//! later: no prepared statement, no setting of a session.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Postgres, Transaction};

use super::query::AssertSqlSafe;
use super::replica::Replica;
use super::whose::Whose;
use super::{DbError, Text, Value};
use crate::limits::{
    PG_ACQUIRE, PG_IDLE, PG_IN_TRANSACTION, PG_LIFE, PG_REPLICA_WITHIN, PG_STATEMENT,
};

/// The schema of a service, reached under the role of the application.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    pub(super) pool: PgPool,
    pub(super) name: Arc<str>,
    /// Which of the processes that share the database this is.
    pub(super) node: Arc<str>,
    /// Read from where what is read may be older.
    replica: Option<Replica>,
}

impl Schema {
    /// Connects when somebody asks; at most `connections` at once.
    pub(super) fn new(
        options: PgConnectOptions,
        name: &str,
        connections: u32,
        node: Arc<str>,
        replica: Option<PgConnectOptions>,
    ) -> Self {
        let pool = |options, within| {
            PgPoolOptions::new()
                .max_connections(connections)
                .min_connections(0)
                .acquire_timeout(within)
                .idle_timeout(PG_IDLE)
                .max_lifetime(PG_LIFE)
                .connect_lazy_with(options)
        };
        Self {
            pool: pool(options, PG_ACQUIRE),
            name: name.into(),
            node,
            replica: replica.map(|options| Replica::new(pool(options, PG_REPLICA_WITHIN))),
        }
    }

    /// Closes every connection.
    pub(super) async fn close(&self) {
        self.pool.close().await;
        if let Some(replica) = &self.replica {
            replica.pool.close().await;
        }
    }

    /// Begins a transaction that reads the rows of `whose`: of the replica where it has
    /// everything that is older than `stale`.
    pub(super) async fn begin_reading(
        &self,
        whose: Whose<'_>,
        stale: Duration,
    ) -> Result<Transaction<'static, Postgres>, DbError> {
        if let Some(replica) = self.replica.as_ref().filter(|_| !stale.is_zero())
            && replica.is_within(stale, &self.pool).await
        {
            let beginning = self.begin_on(&replica.pool, "READ ONLY", whose);
            if let Ok(Ok(begun)) = tokio::time::timeout(PG_REPLICA_WITHIN, beginning).await {
                return Ok(begun);
            }
            replica.is_away();
        }
        self.begin(whose).await
    }

    /// Begins a transaction on the rows of `whose`.
    pub(super) async fn begin(
        &self,
        whose: Whose<'_>,
    ) -> Result<Transaction<'static, Postgres>, DbError> {
        self.begin_on(&self.pool, "READ WRITE", whose).await
    }

    async fn begin_on(
        &self,
        pool: &PgPool,
        mode: &str,
        whose: Whose<'_>,
    ) -> Result<Transaction<'static, Postgres>, DbError> {
        let text = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED {mode}; SET LOCAL search_path = \"{}\"; SET LOCAL statement_timeout = {}; \
             SET LOCAL idle_in_transaction_session_timeout = {}; {}",
            self.name,
            PG_STATEMENT.as_millis(),
            PG_IN_TRANSACTION.as_millis(),
            scoped(whose)
        );
        let pool = pool.clone();
        // Of its own: given up half-way, the driver would not know that the server
        // has begun, and would hand the connection on with the transaction open.
        let begun = tokio::spawn(async move { pool.begin_with(AssertSqlSafe(text)).await });
        begun.await.map_err(|_| DbError::WorkerCrashed)?
    }
}

/// Settings of the transaction that hold it to the rows of `whose`.
pub(super) fn scoped(whose: Whose<'_>) -> String {
    let (tenant, across) = match whose {
        // A tenant's name has no character that would end the text.
        Whose::Of(tenant) => (tenant.as_str(), "off"),
        Whose::Every(_) => ("", "on"),
    };
    format!("SET LOCAL hilum.tenant = '{tenant}'; SET LOCAL hilum.across = '{across}'")
}

/// The statement as PostgreSQL gets it. Unnamed: a named one stays on a connection
/// of the server, and behind a pooler the next transaction has another.
pub(super) fn prepared(
    text: Text,
    values: Vec<Value<'_>>,
) -> Result<sqlx::query::Query<'static, Postgres, PgArguments>, DbError> {
    let mut bound = PgArguments::default();
    for value in values {
        value.add_to_postgres(&mut bound)?;
    }
    Ok(sqlx::query_with(text.for_postgres(), bound).persistent(false))
}
