//! A service's own database. On embedded storage: one SQLite file with one
//! writer connection and many readers, `synchronous=FULL`, so that what was
//! committed survives a power cut.

mod connection;
mod ended;
pub mod export;
mod fold;
mod query;
mod value;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

pub use connection::{Connection, On, Reader, Tx};
pub use query::{As, AssertSqlSafe, Done, Query, Scalar, query, query_as, query_scalar};
pub use value::{Bind, Column, Columns, Index, Row, Value};

use crate::limits::{DB_BUSY, DB_READERS, SCRUB_ATTEMPTS, SCRUB_PAUSE};

/// A service's database.
#[derive(Clone, Debug)]
pub struct Db {
    writer: SqlitePool,
    readers: SqlitePool,
    /// The write-ahead log's file.
    log: Arc<Path>,
    folding: Arc<fold::Folding>,
}

/// One numbered, idempotent step of a schema.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Steps run in this order, each once.
    pub version: i64,
    /// Its SQL, one or several statements.
    pub sql: &'static str,
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
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // What a row or a page in memory held before is not in the unused part of
            // the pages that are written next: `forget` could not reach it there.
            .pragma("secure_delete", "FAST")
            // See `fold`.
            .pragma("wal_autocheckpoint", "0")
            .busy_timeout(DB_BUSY)
            .foreign_keys(true);
        // A file's connection can't be lost: asking each before its use would cost as
        // much as many a question.
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .test_before_acquire(false)
            .connect_with(options.clone())
            .await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(DB_READERS)
            .test_before_acquire(false)
            .connect_with(options)
            .await?;
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let db = Self {
            writer,
            readers,
            log: PathBuf::from(log).into(),
            folding: Arc::default(),
        };
        db.migrate("platform", crate::events::MIGRATIONS).await?;
        db.migrate("jobs", crate::jobs::MIGRATIONS).await?;
        db.migrate("audit", crate::audit::MIGRATIONS).await?;
        db.migrate("ended", ended::MIGRATIONS).await?;
        db.migrate("service", migrations).await?;
        db.guard_ended().await?;
        Ok(db)
    }

    /// Connections for reading.
    #[must_use]
    pub fn read(&self) -> Reader<'_> {
        Reader(&self.readers)
    }

    /// Begins a write transaction. It holds the only writer: no unrelated
    /// await until it is committed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn begin(&self) -> Result<Tx, DbError> {
        self.fold_now_and_again();
        let begun = match self.writer.begin_with("BEGIN IMMEDIATE").await {
            // SQLite ends a transaction by itself when the disk is full, and the connection
            // counts on: it would refuse every later one.
            Err(DbError::InvalidSavePointStatement) => {
                self.writer.acquire().await?.close().await?;
                self.writer.begin_with("BEGIN IMMEDIATE").await
            }
            begun => begun,
        };
        Ok(Tx(Connection(begun?)))
    }

    /// Deletes what `own` statements and the platform's own tables hold about
    /// each of `subjects`, and leaves nothing of it in free pages or in the
    /// write-ahead log; how many rows went. A statement takes the tenant as
    /// `$1` and the subject as `$2`.
    ///
    /// # Errors
    /// When the database does not answer; asked again, it goes on.
    pub async fn forget(
        &self,
        tenant: &str,
        subjects: &[String],
        own: &[&'static str],
    ) -> Result<u64, DbError> {
        let mut rows = 0;
        let mut tx = self.begin().await?;
        for subject in subjects {
            for sql in own.iter().chain(crate::events::FORGET) {
                let done = query(*sql)
                    .bind(tenant)
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

    /// Leaves nothing of deleted rows in free pages or in the write-ahead log.
    async fn scrub(&self) -> Result<(), DbError> {
        sqlx::query("VACUUM").execute(&self.writer).await?;
        for _ in 0..SCRUB_ATTEMPTS {
            let busy: i64 = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)")
                .fetch_one(&self.writer)
                .await?;
            if busy == 0 {
                return self.sync_log().await;
            }
            tokio::time::sleep(SCRUB_PAUSE).await;
        }
        Err(sqlx::Error::Protocol(
            "a reader keeps the write-ahead log: ask again".to_owned(),
        ))
    }

    /// Makes the log's length durable, which SQLite does not: a power cut would
    /// bring everything back that stood in it.
    async fn sync_log(&self) -> Result<(), DbError> {
        let log = Arc::clone(&self.log);
        let synced = tokio::task::spawn_blocking(move || match std::fs::File::open(&*log) {
            // SQLite takes no locks on this file, so that closing it drops none.
            Ok(file) => file.sync_all(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        });
        match synced.await {
            Ok(synced) => Ok(synced?),
            Err(_) => Err(sqlx::Error::WorkerCrashed),
        }
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    async fn migrate(&self, owner: &str, migrations: &[Migration]) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        tx.script(
            "CREATE TABLE IF NOT EXISTS schema_migrations (
                owner TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (owner, version))",
        )
        .await?;
        tx.commit().await?;
        for migration in migrations {
            let mut tx = self.begin().await?;
            if !is_applied(&mut tx, owner, migration.version).await? {
                tx.script(migration.sql).await?;
                query("INSERT INTO schema_migrations (owner, version) VALUES ($1, $2)")
                    .bind(owner)
                    .bind(migration.version)
                    .execute(&mut *tx)
                    .await?;
            }
            tx.commit().await?;
        }
        Ok(())
    }
}

async fn is_applied(
    connection: &mut Connection,
    owner: &str,
    version: i64,
) -> Result<bool, DbError> {
    let found: Option<i64> =
        query_scalar("SELECT version FROM schema_migrations WHERE owner = $1 AND version = $2")
            .bind(owner)
            .bind(version)
            .fetch_optional(connection)
            .await?;
    Ok(found.is_some())
}

/// Copies a service's database to a file that is not there yet, as it is at
/// one moment, also while its service runs.
///
/// # Errors
/// When either can't be used; a copy that was begun is not complete then.
pub async fn snapshot(from: &Path, to: &Path) -> Result<(), DbError> {
    let options = SqliteConnectOptions::new()
        .filename(from)
        .busy_timeout(DB_BUSY);
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await?;
    let target = to.to_string_lossy().into_owned();
    let copied = sqlx::query("VACUUM INTO $1")
        .bind(target)
        .execute(&pool)
        .await;
    pool.close().await;
    copied?;
    // VACUUM INTO leaves its file to the page cache.
    std::fs::File::open(to)
        .and_then(|file| file.sync_all())
        .map_err(DbError::Io)
}
