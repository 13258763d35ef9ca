//! A service's own database: a file of SQLite, or a schema of PostgreSQL.

mod connection;
mod ended;
pub mod export;
mod fold;
mod home;
mod migrations;
pub mod moving;
mod postgres;
mod query;
mod ranges;
mod replica;
mod sqlite;
mod value;
mod whose;

use std::path::Path;
use std::time::Duration;

use hilum_contracts::ids::TenantId;

pub use connection::{Connection, On, Reader, Tx};
pub use home::{Home, Server};
pub use migrations::{Migration, Step};
pub use query::{
    As, AssertSqlSafe, Done, Query, Scalar, Text, each, query, query_as, query_scalar,
};
pub use sqlite::snapshot;
pub use value::{Bind, Column, Columns, Index, Row, Value};
pub use whose::{Across, Whose};

use connection::Read;

/// A service's database.
#[derive(Clone, Debug)]
pub struct Db(Engine);

#[derive(Clone, Debug)]
enum Engine {
    Sqlite(sqlite::File),
    Postgres(postgres::Schema),
}

/// What the database says when it can't do something.
pub type DbError = sqlx::Error;

impl Db {
    /// Opens the file, creates it when it is not there, and brings its schema
    /// up to date: first the platform's own tables, then `migrations`.
    ///
    /// # Errors
    /// When the file can't be opened or a migration fails; then nothing of
    /// that migration is kept.
    pub async fn open(path: &Path, migrations: &[Migration]) -> Result<Self, DbError> {
        let db = Self(Engine::Sqlite(sqlite::File::open(path).await?));
        db.migrate(migrations).await?;
        db.guard_ended().await?;
        Ok(db)
    }

    /// Connections for reading the rows of `whose`.
    #[must_use]
    pub fn read<'c>(&'c self, whose: impl Into<Whose<'c>>) -> Reader<'c> {
        Reader(match &self.0 {
            Engine::Sqlite(file) => Read::Sqlite(&file.readers),
            Engine::Postgres(schema) => Read::Postgres(schema, whose.into(), Duration::ZERO),
        })
    }

    /// The same, of a standby where there is one, for who needs not see what was
    /// committed within the last `stale`. A standby that is further behind, or away,
    /// is not asked.
    #[must_use]
    pub fn read_stale<'c>(&'c self, whose: impl Into<Whose<'c>>, stale: Duration) -> Reader<'c> {
        Reader(match &self.0 {
            Engine::Sqlite(file) => Read::Sqlite(&file.readers),
            Engine::Postgres(schema) => Read::Postgres(schema, whose.into(), stale),
        })
    }

    /// Begins a write transaction on the rows of `whose`. On SQLite it holds the
    /// only writer, on PostgreSQL one of few connections: no unrelated await until
    /// it is committed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn begin<'w>(&self, whose: impl Into<Whose<'w>>) -> Result<Tx, DbError> {
        match &self.0 {
            Engine::Sqlite(file) => file.begin().await,
            Engine::Postgres(schema) => {
                let whose = whose.into();
                Ok(Tx::of_postgres(schema.begin(whose).await?, whose))
            }
        }
    }

    /// Whether other processes may use it at the same time.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.0, Engine::Postgres(_))
    }

    /// Which of the processes that share it this one is, also after a restart;
    /// nothing where it is the only one.
    #[must_use]
    pub fn node(&self) -> &str {
        match &self.0 {
            Engine::Sqlite(_) => "",
            Engine::Postgres(schema) => &schema.node,
        }
    }

    /// Deletes what `own` statements and the platform's own tables hold about
    /// each of `subjects`; how many rows went. A statement takes the tenant as
    /// `$1` and the subject as `$2`. Of a file nothing of it is left in free pages
    /// or in the write-ahead log; PostgreSQL clears its pages by itself, later.
    ///
    /// # Errors
    /// When the database does not answer; asked again, it goes on.
    pub async fn forget(
        &self,
        tenant: &TenantId,
        subjects: &[String],
        own: &[&'static str],
    ) -> Result<u64, DbError> {
        let mut rows = 0;
        let mut tx = self.begin(tenant).await?;
        for subject in subjects {
            let own = own.iter().map(|sql| Text::from(*sql));
            for text in own.chain(crate::events::FORGET.iter().cloned()) {
                let done = query(text)
                    .bind(tenant.as_str())
                    .bind(subject)
                    .execute(&mut *tx)
                    .await?;
                rows += done.rows_affected();
            }
        }
        tx.commit().await?;
        self.scrub().await?;
        Ok(rows)
    }

    /// Leaves nothing of deleted rows in free pages or in the write-ahead log of a
    /// file.
    ///
    /// # Errors
    /// When the file can't be written; asked again, it goes on.
    pub async fn scrub(&self) -> Result<(), DbError> {
        match &self.0 {
            Engine::Sqlite(file) => file.scrub().await,
            Engine::Postgres(_) => Ok(()),
        }
    }

    /// Closes every connection.
    pub async fn close(&self) {
        match &self.0 {
            Engine::Sqlite(file) => file.close().await,
            Engine::Postgres(schema) => schema.close().await,
        }
    }
}
