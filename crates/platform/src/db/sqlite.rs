//! A service's database as one file of SQLite: one writer connection and many
//! readers, `synchronous=FULL`, so that what was committed survives a power cut.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::Executor as _;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

use super::connection::Tx;
use super::{DbError, fold};
use crate::limits::{DB_BUSY, DB_READERS, SCRUB_ATTEMPTS, SCRUB_PAUSE};

/// The file of a service.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
    /// The write-ahead log's file.
    log: Arc<Path>,
    pub(super) folding: Arc<fold::Folding>,
}

impl File {
    pub(super) async fn open(path: &Path) -> Result<Self, DbError> {
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
        Ok(Self {
            writer,
            readers,
            log: PathBuf::from(log).into(),
            folding: Arc::default(),
        })
    }

    pub(super) async fn begin(&self) -> Result<Tx, DbError> {
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
        Ok(Tx::of_sqlite(begun?))
    }

    /// Leaves nothing of deleted rows in free pages or in the write-ahead log.
    pub(super) async fn scrub(&self) -> Result<(), DbError> {
        self.writer.execute("VACUUM").await?;
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

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
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
