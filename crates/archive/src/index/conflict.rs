//! Conflicts under one SOP Instance UID, and what a person decides about them.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::answer::{self, INSTANCE, INSTANCE_FROM, INSTANCE_ID};
use super::levels::refresh_modalities;
use super::query;
use crate::error::{ArchiveError, Result};
use crate::limits;
use crate::model::{ConflictRow, Decision, Page, Standing};

pub(crate) fn list(db: &Connection, tenant: i64, page: Page) -> Result<Vec<ConflictRow>> {
    let sql = format!(
        "SELECT {INSTANCE} FROM {INSTANCE_FROM} WHERE i.tenant = ?1 AND i.standing = 2
         ORDER BY i.id DESC LIMIT ?2 OFFSET ?3"
    );
    let mut query = db.prepare_cached(&sql)?;
    let offset = i64::try_from(page.offset).unwrap_or(i64::MAX);
    let mut rows = query.query(params![tenant, page.limit.min(limits::PAGE_ROWS), offset])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let contender = answer::instance(row)?;
        if let Some(served) = query::served(db, tenant, &contender.sop_instance)? {
            found.push(ConflictRow {
                id: row.get(INSTANCE_ID)?,
                served,
                contender,
            });
        }
    }
    Ok(found)
}

/// Carries out a decision, once: a conflict that is decided is not found.
pub(crate) fn decide(db: &mut Connection, tenant: i64, id: i64, decision: Decision) -> Result<()> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let contender: Option<(String, i64)> = tx
        .query_row(
            "SELECT uid, series FROM instance WHERE id = ?1 AND tenant = ?2 AND standing = 2",
            params![id, tenant],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let (uid, series) = contender.ok_or(ArchiveError::NotFound)?;
    let mark = |id: i64, standing: Standing| {
        tx.execute(
            "UPDATE instance SET standing = ?2 WHERE id = ?1",
            params![id, standing.code()],
        )
    };
    match decision {
        Decision::KeepServed => {
            mark(id, Standing::Superseded)?;
        }
        Decision::ServeContender => {
            let (served, from): (i64, i64) = tx.query_row(
                "SELECT id, series FROM instance WHERE tenant = ?1 AND uid = ?2 AND standing = 0",
                params![tenant, uid],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            mark(served, Standing::Superseded)?;
            mark(id, Standing::Served)?;
            recount(&tx, from)?;
            recount(&tx, series)?;
        }
    }
    tx.commit()?;
    Ok(())
}

/// Counts a series and its study anew: rare, so by the rows themselves.
fn recount(tx: &Connection, series: i64) -> Result<()> {
    tx.execute(
        "UPDATE series SET revision = revision + 1, instances =
            (SELECT count(*) FROM instance WHERE series = ?1 AND standing = 0) WHERE id = ?1",
        [series],
    )?;
    let study: i64 = tx.query_row("SELECT study FROM series WHERE id = ?1", [series], |row| {
        row.get(0)
    })?;
    tx.execute(
        "UPDATE study SET revision = revision + 1,
            instances = (SELECT coalesce(sum(instances), 0) FROM series WHERE study = ?1),
            series = (SELECT count(*) FROM series WHERE study = ?1 AND instances > 0)
         WHERE id = ?1",
        [study],
    )?;
    refresh_modalities(tx, study)
}
