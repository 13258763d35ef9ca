//! What a database needs beside statements: its log folded back, free pages given
//! away, copies of it, and a look at whether it is as it was written.

use std::path::Path;

use super::error::{OptionalExtension as _, Result};
use super::{Connection, sqlite};

/// A copy of a database that somebody made, to be read.
pub(crate) fn copy_of(path: &Path) -> crate::error::Result<Connection> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let db = rusqlite::Connection::open_with_flags(path, flags)?;
    Ok(Connection(db))
}

impl Connection {
    /// Rewrites a database that can't give free pages back, when that is done
    /// before anybody waits for it.
    pub(crate) fn make_shrinkable(&self) -> crate::error::Result<()> {
        sqlite::make_shrinkable(&self.0)
    }

    /// Gives some free pages back to the file system; whether there are more.
    pub(crate) fn release_pages(&self) -> crate::error::Result<bool> {
        sqlite::release_pages(&self.0)
    }

    /// Gives back the memory that pages are kept in.
    pub(crate) fn release_memory(&self) -> Result<()> {
        self.execute_batch("PRAGMA shrink_memory")
    }

    /// Leaves nothing of deleted rows in free pages.
    pub(crate) fn rewrite(&self) -> Result<()> {
        self.execute_batch("VACUUM")
    }

    /// Leaves nothing of deleted rows in the log; `false` while a reader needs it.
    pub(crate) fn empty_log(&self) -> crate::error::Result<bool> {
        sqlite::truncate_log(&self.0)
    }

    /// The same, where nothing may go on before it is done.
    pub(crate) fn fold(&self) -> crate::error::Result<()> {
        sqlite::fold(&self.0)
    }

    /// Folds the log back as far as readers let it.
    pub(crate) fn fold_some(&self) -> Result<()> {
        self.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    /// Refuses every change, or none.
    pub(crate) fn refuse_changes(&self, refuse: bool) -> Result<()> {
        Ok(self.0.pragma_update(None, "query_only", refuse)?)
    }

    /// Runs `work` whose commits may be lost with the power, and no others with them.
    pub(crate) fn without_barrier<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> crate::error::Result<T>,
    ) -> crate::error::Result<T> {
        self.0.pragma_update(None, "synchronous", "NORMAL")?;
        let done = work(self);
        self.0.pragma_update(None, "synchronous", "FULL")?;
        done
    }

    /// Copies it while others go on writing to it.
    pub(crate) fn copy_to(&self, path: &Path) -> crate::error::Result<()> {
        sqlite::backup(&self.0, path)
    }

    /// Whether there is a table of this name.
    pub(crate) fn has_table(&self, name: &str) -> Result<bool> {
        Ok(self.0.table_exists(None, name)?)
    }

    /// What is wrong first: pages, indexes, constraints, references. It names tables
    /// and rows, never what is in them.
    pub(crate) fn damage(&self) -> Result<Option<String>> {
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
        self.0.close().map_err(|(_, error)| error.into())
    }
}
