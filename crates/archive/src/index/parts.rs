//! Keeps SQLite's `name_part` whole and quick to read, some with each turn of the writer:
//! fills it for studies of an index from before it, and merges what intake wrote
//! to it commit by commit.

use crate::db::{Connection, OptionalExtension, Whose, params};
use crate::error::Result;

/// Merges some of what was written apart; whether there may be more to do.
pub(crate) fn merge(db: &mut Connection, pages: u32) -> Result<bool> {
    if db.sqlite().is_none() {
        return Ok(false);
    }
    let tx = db.begin(Whose::Every)?;
    let Some(sqlite) = tx.sqlite() else {
        return Ok(false);
    };
    let before = sqlite.total_changes();
    tx.prepare_cached("INSERT INTO name_part (name_part, rank) VALUES ('merge', ?1)")?
        .execute([pages])?;
    // What does nothing changes less than two rows (sqlite.org/fts5.html, 6.8).
    let is_changed = sqlite.total_changes() - before > 1;
    tx.commit()?;
    Ok(is_changed)
}

/// Takes up some studies; whether there may be more to do.
pub(crate) fn complete(db: &mut Connection, some: u32) -> Result<bool> {
    if db.sqlite().is_none() {
        return Ok(false);
    }
    let tx = db.begin(Whose::Every)?;
    let pending: Option<(i64, i64)> = tx
        .prepare_cached("SELECT done, last FROM name_part_pending")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((done, last)) = pending else {
        return Ok(false);
    };
    let upto: Option<i64> = tx
        .prepare_cached(
            "SELECT max(id) FROM (SELECT id FROM study WHERE id > ?1 AND id <= ?2
                ORDER BY id LIMIT ?3)",
        )?
        .query_row(params![done, last, some], |row| row.get(0))?;
    match upto {
        None => tx.execute("DELETE FROM name_part_pending", [])?,
        Some(upto) => {
            // In the order of the index: it is written once for all of them.
            tx.prepare_cached(
                "INSERT INTO name_part
                        (rowid, patient_name_a, patient_name_i, patient_name_p, modalities)
                    SELECT place, patient_name_a, patient_name_i, patient_name_p, modalities
                    FROM study_name_part WHERE study > ?1 AND study <= ?2 ORDER BY place",
            )?
            .execute([done, upto])?;
            tx.execute("UPDATE name_part_pending SET done = ?1", [upto])?
        }
    };
    tx.commit()?;
    Ok(true)
}
