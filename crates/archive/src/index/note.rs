//! Notes in the index: which objects hold them.

use rusqlite::{Connection, params};

use super::objects;
use super::schema::state;
use crate::error::Result;
use crate::format::Kind;
use crate::note::Written;

/// `reserved → live` of a note's object, in the transaction of what it tells
/// of; the note's row.
pub(crate) fn keep(tx: &Connection, tenant: i64, note: &Written, now: i64) -> Result<i64> {
    let holds = (Kind::Note, note.bytes);
    objects::settle(tx, note.name.row, state::LIVE, holds, now)?;
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
