//! What a file needs beside statements: its log folded back, free pages given away,
//! copies of it, and a look at whether it is as it was written. PostgreSQL does all
//! of this by itself, or its operator does (docs/operations/postgresql.md).

use std::path::Path;

use super::error::{OptionalExtension as _, Result};
use super::{Connection, Held, sqlite};
use crate::error::ArchiveError;

/// A copy of a database that somebody made, to be read.
pub(crate) fn copy_of(path: &Path) -> crate::error::Result<Connection> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let db = rusqlite::Connection::open_with_flags(path, flags)?;
    Ok(Connection::of_sqlite(db))
}

impl Connection {
    /// Rewrites a database that can't give free pages back, when that is done
    /// before anybody waits for it.
    pub(crate) fn make_shrinkable(&self) -> crate::error::Result<()> {
        self.sqlite().map_or(Ok(()), sqlite::make_shrinkable)
    }

    /// Gives some free pages back to the file system; whether there are more.
    pub(crate) fn release_pages(&self) -> crate::error::Result<bool> {
        self.sqlite().map_or(Ok(false), sqlite::release_pages)
    }

    /// Gives back the memory that pages are kept in.
    pub(crate) fn release_memory(&self) -> Result<()> {
        self.of_file("PRAGMA shrink_memory")
    }

    /// Leaves nothing of deleted rows in free pages.
    pub(crate) fn rewrite(&self) -> Result<()> {
        self.of_file("VACUUM")
    }

    /// Leaves nothing of deleted rows in the log; `false` while a reader needs it.
    pub(crate) fn empty_log(&self) -> crate::error::Result<bool> {
        self.sqlite().map_or(Ok(true), sqlite::truncate_log)
    }

    /// The same, where nothing may go on before it is done.
    pub(crate) fn fold(&self) -> crate::error::Result<()> {
        self.sqlite().map_or(Ok(()), sqlite::fold)
    }

    /// Folds the log back as far as readers let it.
    pub(crate) fn fold_some(&self) -> Result<()> {
        match self.0 {
            Held::Sqlite(_) => self.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())),
            Held::Postgres(_) => Ok(()),
        }
    }

    /// Refuses every change, or none.
    pub(crate) fn refuse_changes(&self, refuse: bool) -> Result<()> {
        if let Held::Sqlite(db) = &self.0 {
            db.pragma_update(None, "query_only", refuse)?;
        }
        Ok(())
    }

    /// Runs `work` whose commits may be lost with the power, and no others with them.
    pub(crate) fn without_barrier<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> crate::error::Result<T>,
    ) -> crate::error::Result<T> {
        self.of_file("PRAGMA synchronous = NORMAL")?;
        let done = work(self);
        self.of_file("PRAGMA synchronous = FULL")?;
        done
    }

    /// Copies it while others go on writing to it.
    pub(crate) fn copy_to(&self, path: &Path) -> crate::error::Result<()> {
        match &self.0 {
            Held::Sqlite(db) => sqlite::backup(db, path),
            Held::Postgres(_) => Err(ArchiveError::Invalid("PostgreSQL is copied by pg_dump")),
        }
    }

    /// Whether there is a table of this name.
    pub(crate) fn has_table(&self, name: &str) -> Result<bool> {
        match &self.0 {
            Held::Sqlite(db) => Ok(db.table_exists(None, name)?),
            Held::Postgres(_) => Ok(true),
        }
    }

    /// What is wrong first: pages, indexes, constraints, references. It names tables
    /// and rows, never what is in them.
    pub(crate) fn damage(&self) -> Result<Option<String>> {
        if let Held::Postgres(_) = self.0 {
            return Ok(None);
        }
        let said: String = self.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if said != "ok" {
            return Ok(Some(said));
        }
        let dangling: Option<String> = self
            .query_row("PRAGMA foreign_key_check", [], |row| row.get(0))
            .optional()?;
        Ok(dangling.map(|table| format!("a row of {table} refers to nothing")))
    }

    /// Closes it.
    pub(crate) fn close(self) -> Result<()> {
        match self.0 {
            Held::Sqlite(db) => db.close().map_err(|(_, error)| error.into()),
            Held::Postgres(_) => Ok(()),
        }
    }

    /// Does what is a file's alone.
    fn of_file(&self, text: &str) -> Result<()> {
        match self.0 {
            Held::Sqlite(_) => self.execute_batch(text),
            Held::Postgres(_) => Ok(()),
        }
    }
}
