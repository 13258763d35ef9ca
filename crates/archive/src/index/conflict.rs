//! Conflicts under one SOP Instance UID: which are only another encoding, and
//! what a person decides about the rest.

use super::audit::Told;
use hilum_contracts::audit::Subject;

use super::answer::{self, INSTANCE, INSTANCE_FROM, INSTANCE_ID};
use super::levels::refresh_modalities;
use super::{instances, packs};
use crate::db::{Connection, OptionalExtension, params};
use crate::error::{ArchiveError, Result};
use crate::limits;
use crate::model::{ConflictRow, Decision, Page, Standing, Uncompared};
use crate::pack::Packs;

pub(crate) fn list(
    db: &Connection,
    packs: &Packs,
    tenant: i64,
    page: Page,
) -> Result<Vec<ConflictRow>> {
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
        if let Some(served) = instances::served(db, packs, tenant, &contender.sop_instance)? {
            found.push(ConflictRow {
                id: row.get(INSTANCE_ID)?,
                served,
                contender,
            });
        }
    }
    Ok(found)
}

/// A conflict that is to be compared, from the start.
pub(crate) fn await_comparison(tx: &Connection, id: i64) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO comparison (instance, tenant) SELECT id, tenant FROM instance WHERE id = ?1
         ON CONFLICT (instance) DO UPDATE SET attempts = 0",
    )?
    .execute([id])?;
    Ok(())
}

/// Takes a conflict to be compared, least tried first, and counts the attempt
/// before anything is decoded.
pub(crate) fn begin_comparison(
    db: &mut Connection,
    packs: &Packs,
    tenant: i64,
) -> Result<Option<Uncompared>> {
    let tx = db.begin(tenant)?;
    let next: Option<(i64, String)> = tx
        .prepare_cached(
            "SELECT i.id, i.uid FROM comparison c JOIN instance i ON i.id = c.instance
             WHERE c.tenant = ?1 AND c.attempts < ?2 AND i.standing = 2
             ORDER BY c.attempts, c.instance LIMIT 1",
        )?
        .query_row(params![tenant, limits::COMPARISON_ATTEMPTS], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((id, uid)) = next else {
        return Ok(None);
    };
    tx.execute(
        "UPDATE comparison SET attempts = attempts + 1 WHERE instance = ?1",
        [id],
    )?;
    let contender = instances::with_layout(&tx, id)?;
    let served = instances::served_with_layout(&tx, packs, tenant, &uid)?;
    tx.commit()?;
    Ok(served.map(|served| Uncompared {
        id,
        served,
        contender,
    }))
}

/// Whether the two showed the same. Nothing changes when another one is served
/// meanwhile, or a person has decided.
pub(crate) fn end_comparison(
    db: &mut Connection,
    packs: &Packs,
    tenant: i64,
    id: i64,
    served_sha256: &[u8; 32],
    same: bool,
) -> Result<()> {
    let tx = db.begin(tenant)?;
    let uid: Option<String> = tx
        .query_row(
            "SELECT uid FROM instance WHERE id = ?1 AND tenant = ?2 AND standing = 2",
            params![id, tenant],
            |row| row.get(0),
        )
        .optional()?;
    let served = match uid {
        Some(uid) => instances::served(&tx, packs, tenant, &uid)?,
        None => None,
    };
    if served.is_some_and(|served| served.sha256 == *served_sha256) {
        if same {
            tx.execute(
                "UPDATE instance SET standing = ?2 WHERE id = ?1",
                params![id, Standing::Variant.code()],
            )?;
        }
        tx.execute("DELETE FROM comparison WHERE instance = ?1", [id])?;
    }
    tx.commit()?;
    Ok(())
}

/// Carries out a decision, once: a conflict that is decided is not found.
pub(crate) fn decide(
    db: &mut Connection,
    packs: &Packs,
    tenant: i64,
    id: i64,
    decision: Decision,
    mut told: Told,
    now: i64,
) -> Result<()> {
    let tx = db.begin(tenant)?;
    let contender: Option<(String, i64)> = tx
        .query_row(
            "SELECT uid, series FROM instance WHERE id = ?1 AND tenant = ?2 AND standing = 2",
            params![id, tenant],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let (uid, series) = contender.ok_or(ArchiveError::NotFound)?;
    packs::unsettle(&tx, series, now)?;
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
            let from = supersede_served(&tx, packs, tenant, &uid)?;
            packs::unsettle(&tx, from, now)?;
            mark(id, Standing::Served)?;
            recount(&tx, from)?;
            recount(&tx, series)?;
            // Other contenders may be the same as what is served now.
            let mut others = tx.prepare(
                "SELECT id FROM instance WHERE tenant = ?1 AND uid = ?2 AND standing = 2",
            )?;
            for other in others.query_map(params![tenant, uid], |row| row.get(0))? {
                await_comparison(&tx, other?)?;
            }
        }
    }
    let study: String = tx.query_row(
        "SELECT t.uid FROM series s JOIN study t ON t.id = s.study WHERE s.id = ?1",
        [series],
        |row| row.get(0),
    )?;
    told.entry = told.entry.about(Subject::study(study));
    told.with_patient(&tx, tenant)?.keep(&tx, now)?;
    tx.commit()?;
    Ok(())
}

/// What is served under a UID is so no more; the series that it is in.
fn supersede_served(tx: &Connection, packs: &Packs, tenant: i64, uid: &str) -> Result<i64> {
    let row: Option<(i64, i64)> = tx
        .query_row(
            "SELECT id, series FROM instance WHERE tenant = ?1 AND uid = ?2 AND standing = 0",
            params![tenant, uid],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    if let Some((id, series)) = row {
        tx.execute(
            "UPDATE instance SET standing = ?2 WHERE id = ?1",
            params![id, Standing::Superseded.code()],
        )?;
        return Ok(series);
    }
    for (packed, ordinal) in packs.find(tx, tenant, uid)? {
        if packed.standing(ordinal)? == Standing::Served {
            packs::supersede(tx, &packed.row, ordinal, Standing::Superseded)?;
            return Ok(packed.row.series);
        }
    }
    Err(ArchiveError::NotFound)
}

/// Counts a series and its study anew: rare, so by the rows themselves.
pub(crate) fn recount(tx: &Connection, series: i64) -> Result<()> {
    tx.execute(
        "UPDATE series SET revision = revision + 1, instances =
            (SELECT count(*) FROM instance WHERE series = ?1 AND standing = 0)
            + coalesce((SELECT served FROM pack WHERE series = ?1), 0) WHERE id = ?1",
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
