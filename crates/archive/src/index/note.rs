//! Notes in the index: which objects hold them.

use super::objects;
use super::schema::state;
use crate::db::{Connection, OptionalExtension, params};
use crate::error::Result;
use crate::format::Kind;
use crate::note::Written;

/// `reserved → live` of a note's object, in the transaction of what it tells
/// of; the note's row.
pub(crate) fn keep(tx: &Connection, tenant: i64, note: &Written, now: i64) -> Result<i64> {
    let holds = (Kind::Note, note.bytes);
    objects::settle(tx, &note.name, state::LIVE, holds, now)?;
    Ok(tx
        .prepare_cached(
            "INSERT INTO note (tenant, object, \"offset\", length, sha256) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .insert(params![
            tenant,
            note.name.row,
            note.offset,
            note.length,
            note.sha256
        ])?)
}

/// Forgets notes, but for those that an entry of a history refers to; their
/// objects.
pub(crate) fn forget_unused(tx: &Connection, notes: &[i64]) -> Result<Vec<i64>> {
    let mut objects = Vec::new();
    for note in notes {
        let object: Option<i64> = tx
            .prepare_cached(
                "DELETE FROM note WHERE id = ?1
                 AND NOT EXISTS (SELECT 1 FROM correction WHERE correction.note = ?1)
                 RETURNING object",
            )?
            .query_row([note], |row| row.get(0))
            .optional()?;
        objects.extend(object);
    }
    Ok(objects)
}
