//! Folds the write-ahead log back into the database's file, now and again and
//! beside who writes. Left to SQLite, every hundredth commit or so would do it
//! before it returns, and whoever waits for that one waits ten times as long.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use sqlx::Executor as _;

use super::DbError;
use super::sqlite::File;
use crate::limits::DB_FOLDED_AFTER;

/// When the log was folded back.
#[derive(Debug, Default)]
pub(super) struct Folding {
    begun: AtomicU32,
    is_under_way: AtomicBool,
}

/// As much as nobody is in the way of: waits for no one (sqlite.org/pragma.html).
const FOLD: &str = "PRAGMA wal_checkpoint(PASSIVE)";

impl File {
    /// Called with each transaction that begins.
    pub(super) fn fold_now_and_again(&self) {
        let begun = self.folding.begun.fetch_add(1, Ordering::Relaxed);
        if begun % DB_FOLDED_AFTER != DB_FOLDED_AFTER - 1
            || self.folding.is_under_way.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let file = self.clone();
        tokio::spawn(async move {
            // A pool that closes meanwhile folds with its last connection.
            if let Err(error) = file.fold().await
                && !matches!(error, DbError::PoolClosed)
            {
                tracing::warn!(%error, "the write-ahead log was not folded back");
            }
            file.folding.is_under_way.store(false, Ordering::Release);
        });
    }

    /// What stands in the log beside those who write, then what they wrote meanwhile
    /// with nobody writing: only a log that is folded to its end begins anew.
    async fn fold(&self) -> Result<(), DbError> {
        self.readers.execute(FOLD).await?;
        self.writer.execute(FOLD).await?;
        Ok(())
    }
}
