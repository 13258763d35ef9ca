//! What is asked before a move: which rows it takes, what lies over them, and
//! what stands against it. Asked again in the move's transaction.

use std::collections::BTreeSet;

use super::tombstone::{self, Marks, study_row};
use super::{answer, hold, packs};
use crate::db::{Connection, OptionalExtension, params};
use crate::error::{ArchiveError, Result};
use crate::model::{MoveOf, NewMove, Overlay};
use crate::pack::Packs;

/// A row that is to move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub id: i64,
    pub series: i64,
    pub series_uid: String,
    pub uid: String,
    pub object: i64,
    pub overlay: Option<Overlay>,
}

/// Rows that `of` names, by id. Their packs must have been dissolved.
pub(crate) fn sources(
    db: &Connection,
    tenant: i64,
    study: &str,
    of: &MoveOf,
) -> Result<Vec<Source>> {
    let (series, only) = match of {
        MoveOf::Study => (None, None),
        MoveOf::Series(series) => (Some(series), None),
        MoveOf::Instances { series, instances } => (
            Some(series),
            Some(instances.iter().collect::<BTreeSet<_>>()),
        ),
    };
    let mut query = db.prepare_cached(
        "SELECT i.id, i.series, s.uid, i.uid, i.object, t.overlay, s.overlay, p.overlay
         FROM instance i JOIN series s ON s.id = i.series JOIN study t ON t.id = s.study
         LEFT JOIN placement p ON p.id = i.placement
         WHERE t.tenant = ?1 AND t.uid = ?2 AND (s.uid = ?3 OR ?3 IS NULL) ORDER BY i.id",
    )?;
    let rows = query.query_map(params![tenant, study, series], |row| {
        Ok(Source {
            id: row.get(0)?,
            series: row.get(1)?,
            series_uid: row.get(2)?,
            uid: row.get(3)?,
            object: row.get(4)?,
            overlay: answer::overlay(row.get(5)?, row.get(6)?, row.get(7)?),
        })
    })?;
    let mut found = Vec::new();
    for row in rows {
        let row = row?;
        if only.as_ref().is_none_or(|only| only.contains(&row.uid)) {
            found.push(row);
        }
    }
    Ok(found)
}

/// Makes rows of every pack that `of` touches.
pub(crate) fn unpack(
    db: &mut Connection,
    packs: &Packs,
    (tenant, study, of): (i64, &str, &MoveOf),
    now: i64,
) -> Result<()> {
    let tx = db.begin(tenant)?;
    let row = study_row(&tx, tenant, study)?;
    let only = match of {
        MoveOf::Study => None,
        MoveOf::Series(series) | MoveOf::Instances { series, .. } => Some(series),
    };
    let series: Vec<i64> = tx
        .prepare_cached("SELECT id FROM series WHERE study = ?1 AND (uid = ?2 OR ?2 IS NULL)")?
        .query_map(params![row, only], |row| row.get(0))?
        .collect::<crate::db::Result<_>>()?;
    for series in series {
        if let Some(pack) = packs::of_series(&tx, series)? {
            packs::dissolve(&tx, packs, pack, now)?;
        }
    }
    tx.commit()?;
    Ok(())
}

/// What a move can't be made against: a hold on what leaves, the deletion of
/// what it goes to, or a change since it was prepared.
pub(crate) fn admits(
    db: &Connection,
    (tenant, asked): (i64, &NewMove),
    marks: Option<&Marks>,
) -> Result<i64> {
    let study = study_row(db, tenant, &asked.study)?;
    if !hold::keeping(db, tenant, study)?.holds.is_empty() {
        return Err(ArchiveError::Held);
    }
    if let Some(marks) = marks
        && tombstone::stands(db, tenant, marks)?
    {
        return Err(ArchiveError::Deleted);
    }
    let seen = &asked.to;
    let overlay: Option<Option<String>> = db
        .prepare_cached("SELECT overlay FROM study WHERE tenant = ?1 AND uid = ?2")?
        .query_row(params![tenant, seen.study], |row| row.get(0))
        .optional()?;
    if overlay.flatten() != seen.study_overlay {
        return Err(ArchiveError::Outdated);
    }
    if let Some(series) = &seen.series {
        let overlay = super::correct::overlay(db, tenant, &seen.study, Some(series))?;
        if overlay != seen.series_overlay {
            return Err(ArchiveError::Outdated);
        }
    }
    Ok(study)
}

/// What lies over what `of` names, each kind once, and over what of its series
/// did not move before.
pub(crate) fn overlays_of(
    db: &Connection,
    tenant: i64,
    study: &str,
    of: &MoveOf,
) -> Result<Vec<Option<Overlay>>> {
    let mut found: Vec<Option<Overlay>> = Vec::new();
    let mut add = |overlay: Option<Overlay>| {
        if !found.contains(&overlay) {
            found.push(overlay);
        }
    };
    let only = match of {
        MoveOf::Study => None,
        MoveOf::Series(series) | MoveOf::Instances { series, .. } => Some(series),
    };
    let mut query = db.prepare_cached(
        "SELECT t.overlay, s.overlay FROM series s JOIN study t ON t.id = s.study
         WHERE t.tenant = ?1 AND t.uid = ?2 AND (s.uid = ?3 OR ?3 IS NULL)",
    )?;
    let mut rows = query.query(params![tenant, study, only])?;
    while let Some(row) = rows.next()? {
        add(answer::overlay(row.get(0)?, row.get(1)?, None));
    }
    for source in sources(db, tenant, study, of)? {
        add(source.overlay);
    }
    Ok(found)
}
