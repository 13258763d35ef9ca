//! Notes in the index: which objects hold them.

use rusqlite::{Connection, params};

use super::schema::state;
use crate::error::{ArchiveError, Result};
use crate::format::Kind;
use crate::note::Written;

/// `reserved → live` of a note's object, in the transaction of what it tells
/// of; the note's row.
pub(crate) fn keep(tx: &Connection, tenant: i64, note: &Written, now: i64) -> Result<i64> {
    let changed = tx
        .prepare_cached(
            "UPDATE object SET state = ?2, kind = ?3, bytes = ?4, changed_at = ?5
             WHERE id = ?1 AND state = ?6",
        )?
        .execute(params![
            note.name.row,
            state::LIVE,
            Kind::Note.code(),
            note.bytes,
            now,
            state::RESERVED
        ])?;
    if changed != 1 {
        return Err(ArchiveError::Index("the reserved name was lost".to_owned()));
    }
    Ok(tx
        .prepare_cached(
            "INSERT INTO note (tenant, object, offset, length, sha256) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .insert(params![
            tenant,
            note.name.row,
            note.offset,
            note.length,
            note.sha256
        ])?)
}
