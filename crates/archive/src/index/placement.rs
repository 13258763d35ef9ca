//! Where moved instances belong: what reads lay over them, and which series
//! later arrivals follow. A placement is shared by every instance that was
//! moved alike, and goes with the last of them.

use super::answer::{self, STUDY};
use super::history;
use crate::db::{Connection, OptionalExtension, params};
use crate::error::Result;
use crate::limits;
use crate::model::StudyRow;

/// A series, or with an empty series UID a whole study, that was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redirect {
    pub study: String,
    pub series: String,
    pub overlay: String,
}

/// Where what arrives under these UIDs belongs; `None`: there.
pub(crate) fn of(
    db: &Connection,
    tenant: i64,
    study: &str,
    series: &str,
) -> Result<Option<Redirect>> {
    let mut found: Option<Redirect> = None;
    for _ in 0..limits::REDIRECTS_FOLLOWED {
        let next = match &found {
            None => step(db, tenant, study, series)?,
            Some(last) => step(db, tenant, &last.study, &last.series)?,
        };
        if next.is_none() {
            break;
        }
        found = next;
    }
    Ok(found)
}

fn step(db: &Connection, tenant: i64, study: &str, series: &str) -> Result<Option<Redirect>> {
    let mut query = db.prepare_cached(
        "SELECT r.to_study, r.to_series, p.overlay FROM redirect r
         JOIN placement p ON p.id = r.placement
         WHERE r.tenant = ?1 AND r.study = ?2 AND r.series IN (?3, '')
         ORDER BY r.series DESC LIMIT 1",
    )?;
    let found = query
        .query_row(params![tenant, study, series], |row| {
            Ok(Redirect {
                study: row.get(0)?,
                series: row.get(1)?,
                overlay: row.get(2)?,
            })
        })
        .optional()?;
    Ok(found.map(|found| match found.series.as_str() {
        // The study was merged into another: its series keep their UIDs.
        "" => Redirect {
            series: series.to_owned(),
            ..found
        },
        _ => found,
    }))
}

/// The row of an overlay.
pub(crate) fn keep(tx: &Connection, tenant: i64, overlay: &str) -> Result<i64> {
    Ok(tx
        .prepare_cached(tx.each(
            "INSERT INTO placement (tenant, overlay) VALUES (?1, ?2)
             ON CONFLICT (tenant, overlay) DO UPDATE SET tenant = excluded.tenant RETURNING id",
            "INSERT INTO placement (tenant, overlay) VALUES (?1, ?2)
             ON CONFLICT (tenant, md5(overlay)) DO UPDATE SET tenant = excluded.tenant RETURNING id",
        ))?
        .query_row(params![tenant, overlay], |row| row.get(0))?)
}

/// What arrives under the UIDs `from` belongs to `to` from now on, and so does
/// what followed an earlier move to `from`. What arrives under `to` stays.
pub(crate) fn redirect(
    tx: &Connection,
    tenant: i64,
    (study, series): (&str, &str),
    (to_study, to_series): (&str, &str),
    placement: i64,
) -> Result<()> {
    tx.prepare_cached(
        "UPDATE redirect SET to_study = ?4, to_series = ?5, placement = ?6
         WHERE tenant = ?1 AND to_study = ?2 AND to_series = ?3",
    )?
    .execute(params![
        tenant, study, series, to_study, to_series, placement
    ])?;
    tx.prepare_cached(
        "INSERT INTO redirect (tenant, study, series, to_study, to_series, placement)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (tenant, study, series) DO UPDATE SET to_study = excluded.to_study,
            to_series = excluded.to_series, placement = excluded.placement",
    )?
    .execute(params![
        tenant, study, series, to_study, to_series, placement
    ])?;
    tx.prepare_cached("DELETE FROM redirect WHERE tenant = ?1 AND study = ?2 AND series = ?3")?
        .execute(params![tenant, to_study, to_series])?;
    Ok(())
}

/// What is deleted with a study, or a series of it, although it was received
/// under other UIDs.
#[derive(Debug, Default)]
pub(crate) struct Followers {
    /// Studies that were merged into it and are there no more.
    pub studies: Vec<String>,
    /// Series that were moved to it: study and series.
    pub series: Vec<(String, String)>,
    /// Instances that were.
    pub instances: Vec<String>,
}

pub(crate) fn followers(
    db: &Connection,
    tenant: i64,
    study: &str,
    series: Option<&str>,
) -> Result<Followers> {
    let mut found = Followers::default();
    if !history::of(db, tenant)?.moved {
        return Ok(found);
    }
    let mut query = db.prepare_cached(
        "SELECT r.study, r.series, EXISTS
            (SELECT 1 FROM study s WHERE s.tenant = ?1 AND s.uid = r.study)
         FROM redirect r WHERE r.tenant = ?1 AND r.to_study = ?2 AND (r.to_series = ?3 OR ?3 IS NULL)",
    )?;
    let mut rows = query.query(params![tenant, study, series])?;
    while let Some(row) = rows.next()? {
        let (from, of, is_there): (String, String, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
        match (of.as_str(), is_there) {
            ("", false) => found.studies.push(from),
            ("", true) => {}
            _ => found.series.push((from, of)),
        }
    }
    let mut query = db.prepare_cached(
        "SELECT DISTINCT i.uid FROM instance i JOIN series s ON s.id = i.series
         JOIN study t ON t.id = s.study WHERE t.tenant = ?1 AND t.uid = ?2
         AND (s.uid = ?3 OR ?3 IS NULL) AND i.placement IS NOT NULL",
    )?;
    found.instances = query
        .query_map(params![tenant, study, series], |row| row.get(0))?
        .collect::<crate::db::Result<_>>()?;
    Ok(found)
}

/// Forgets what led to a study that is gone, or to a series of it.
pub(crate) fn forget_way_to(
    tx: &Connection,
    tenant: i64,
    study: &str,
    series: Option<&str>,
) -> Result<()> {
    tx.prepare_cached(
        "DELETE FROM redirect WHERE tenant = ?1 AND to_study = ?2 AND (to_series = ?3 OR ?3 IS NULL)",
    )?
    .execute(params![tenant, study, series])?;
    forget_unused(tx, tenant)
}

/// Placements that nothing has any more go: they name patients.
pub(crate) fn forget_unused(tx: &Connection, tenant: i64) -> Result<()> {
    tx.prepare_cached(
        "DELETE FROM placement WHERE tenant = ?1
         AND NOT EXISTS (SELECT 1 FROM instance WHERE placement = placement.id)
         AND NOT EXISTS (SELECT 1 FROM redirect WHERE placement = placement.id)",
    )?
    .execute([tenant])?;
    Ok(())
}

/// Whether a series has moved instances.
pub(crate) fn is_in(db: &Connection, series: i64) -> Result<bool> {
    Ok(db
        .prepare_cached("SELECT 1 FROM instance WHERE series = ?1 AND placement IS NOT NULL")?
        .exists([series])?)
}

/// A study's row, if it is there.
pub(crate) fn study(db: &Connection, tenant: i64, uid: &str) -> Result<Option<StudyRow>> {
    let sql = format!("SELECT {STUDY} FROM study t WHERE t.tenant = ?1 AND t.uid = ?2");
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(params![tenant, uid])?;
    Ok(match rows.next()? {
        Some(row) => Some(answer::study(row, 0)?.0),
        None => None,
    })
}
