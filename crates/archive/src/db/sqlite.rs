//! How this crate opens SQLite: write-ahead log, `synchronous=FULL` for the
//! one writer, numbered migrations, online backup.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::{ArchiveError, Result};
use crate::limits;
use crate::steps;

/// A backup or a doctor may hold a lock for this long.
const BUSY: Duration = Duration::from_secs(30);
/// Statements kept prepared per connection: more than this crate has.
const STATEMENTS: usize = 128;

pub(super) fn open_writer(path: &Path) -> Result<Connection> {
    let db = Connection::open(path)?;
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    // Before the first table; of an older database the next VACUUM makes it so.
    db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", "ON")?;
    db.pragma_update(None, "wal_autocheckpoint", limits::WAL_PAGES)?;
    // Erased rows leave nothing readable in free pages.
    db.pragma_update(None, "secure_delete", "FAST")?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "cache_size", -16_384)?;
    keep_plans(&db)?;
    Ok(db)
}

pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "cache_size", -4_096)?;
    keep_plans(&db)?;
    Ok(db)
}

/// A statement stays prepared whatever is bound to it: otherwise one with LIMIT or
/// GLOB is prepared anew whenever that changes, which takes as long as it runs. No
/// plan here hangs on values (see `index::route`).
fn keep_plans(db: &Connection) -> Result<()> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Applies what is new of `steps`, each in a transaction of its own. A newer
/// database than this program is left alone.
pub(super) fn migrate(db: &mut Connection, steps: &[&str]) -> Result<()> {
    let done: usize = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if done > steps.len() {
        return Err(ArchiveError::Invalid(
            "this archive was written by a newer Hilum: use that or a newer one",
        ));
    }
    for (index, step) in steps.iter().enumerate().skip(done) {
        let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        tx.execute_batch(step)?;
        tx.pragma_update(None, "user_version", index + 1)?;
        steps::at("migrate.applied");
        tx.commit()?;
        steps::at("migrate.committed");
    }
    Ok(())
}

/// Rewrites a database that can't give free pages back, when that is done
/// before anybody waits for it. A larger one is rewritten by the next erasure.
pub(super) fn make_shrinkable(db: &Connection) -> Result<()> {
    const INCREMENTAL: i64 = 2;
    let count = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let bytes = count("page_count")?.saturating_mul(count("page_size")?);
    if count("auto_vacuum")? != INCREMENTAL && bytes <= limits::REWRITTEN_AT_OPENING {
        db.execute_batch("VACUUM")?;
    }
    Ok(())
}

/// Gives some free pages back to the file system, but for those that intake
/// takes again at once; whether there are more.
pub(super) fn release_pages(db: &Connection) -> Result<bool> {
    let free = || db.pragma_query_value(None, "freelist_count", |row| row.get::<_, u32>(0));
    let before = free()?;
    let some = before
        .saturating_sub(limits::FREE_PAGES_KEPT)
        .min(limits::PAGES_RELEASED);
    if some == 0 {
        return Ok(false);
    }
    // A page is given back with each row of the answer.
    let mut release = db.prepare(&format!("PRAGMA incremental_vacuum({some})"))?;
    let mut rows = release.query([])?;
    while rows.next()?.is_some() {}
    let after = free()?;
    Ok(after < before && after > limits::FREE_PAGES_KEPT)
}

/// Folds the write-ahead log back and empties its file, durably: SQLite itself
/// does not sync the shorter length, and a power cut would bring everything
/// back that stood in it. `false` while a reader still needs it.
pub(super) fn truncate_log(db: &Connection) -> Result<bool> {
    let busy: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy != 0 {
        return Ok(false);
    }
    if let Some(path) = db.path().filter(|path| !path.is_empty()) {
        // SQLite takes no locks on this file, so that closing it drops none.
        match std::fs::File::open(format!("{path}-wal")) {
            Ok(log) => log.sync_all()?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// The same, where nothing may go on before it is done.
pub(super) fn fold(db: &Connection) -> Result<()> {
    if truncate_log(db)? {
        return Ok(());
    }
    Err(ArchiveError::Index(
        "its log can't be folded back".to_owned(),
    ))
}

/// Copies a database while others go on writing to it.
pub(super) fn backup(from: &Connection, to: &Path) -> Result<()> {
    let mut copy = Connection::open(to)?;
    // All pages in one step: a snapshot, never restarted by a writer.
    let step = rusqlite::backup::Backup::new(from, &mut copy)?.step(-1)?;
    if step != rusqlite::backup::StepResult::Done {
        return Err(ArchiveError::Index("the backup found it busy".to_owned()));
    }
    // One file, readable from a medium that can't be written.
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    copy.close().map_err(|(_, error)| error)?;
    std::fs::File::open(to)?.sync_all()?;
    Ok(())
}
