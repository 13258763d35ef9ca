//! The one transaction in which a study, a series or an instance ceases to
//! exist: what stands against it is asked, rows go, a tombstone stays, and
//! objects of which nothing is left die.

use std::collections::BTreeSet;

use hilum_contracts::Event;
use hilum_contracts::ids::{CorrelationId, TenantId};
use hilum_contracts::imaging::InstancesDeleted;
use hilum_platform::clock::from_millis;

use super::audit::Told;
use super::conflict::recount;
use super::levels::refresh_modalities;
use super::reject::{self, Touched};
use super::tombstone::{self, Level, study_row};
use super::{history, hold, note, objects, outbox, packs, placement};
use crate::db::{Connection, OptionalExtension, params};
use crate::descriptor::Digest;
use crate::error::{ArchiveError, Result};
use crate::index::schema::state;
use crate::model::{Cause, Deleted, DeletionRow, MetadataScope, NewDeletion, Origin};
use crate::note::{Note, Written};
use crate::pack::Packs;

/// A deletion whose note is durable.
pub(crate) struct Unit {
    pub tenant: TenantId,
    pub tenant_row: i64,
    pub deletion: NewDeletion,
    pub level: Level,
    pub marks: Vec<[u8; 32]>,
    /// The keys that are to be destroyed, when a whole study goes.
    pub keys: Vec<[u8; 16]>,
    pub note: Written,
    pub told: Told,
}

impl MetadataScope {
    pub(crate) fn study(&self) -> &str {
        match self {
            Self::Study(study) | Self::Series { study, .. } | Self::Instance { study, .. } => study,
        }
    }
}

/// Runs the transaction.
pub(crate) fn delete(db: &mut Connection, packs: &Packs, unit: &Unit, now: i64) -> Result<Deleted> {
    let tx = db.begin(unit.tenant_row)?;
    let study = study_row(&tx, unit.tenant_row, unit.deletion.of.study())?;
    if unit.deletion.cause != Cause::ErasedAgain {
        hold::may_delete(&tx, unit.tenant_row, study, now)?;
    }
    let told = unit.told.clone().with_patient(&tx, unit.tenant_row)?;
    dissolve_packs(&tx, packs, unit, study, now)?;
    let gone = rows_of(&tx, unit, study)?;
    if gone.is_empty() && unit.level != Level::Study {
        return Err(ArchiveError::NotFound);
    }
    let mut objects = BTreeSet::new();
    let mut touched = BTreeSet::new();
    let mut lifted = Touched::default();
    for row in &gone {
        objects.insert(row.object);
        touched.insert(row.series);
        if row.ours {
            forget_publication(&tx, unit.tenant_row, &row.uid)?;
        }
        tx.prepare_cached("DELETE FROM instance WHERE id = ?1")?
            .execute([row.id])?;
        for (packed, _) in packs.find(&tx, unit.tenant_row, &row.uid)? {
            packs::dissolve(&tx, packs, packed.row, now)?;
        }
        if let Some(series) = promote(&tx, unit.tenant_row, &row.uid)? {
            touched.insert(series);
        }
        if unit.deletion.cause == Cause::Rejected {
            reject::retired(&tx, unit.tenant_row, &row.uid)?;
        }
    }
    if history::of(&tx, unit.tenant_row)?.rejected {
        for row in &gone {
            reject::lift(&tx, packs, unit.tenant_row, &row.uid, &mut lifted)?;
        }
    }
    for series in touched {
        recount(&tx, series)?;
    }
    reject::finish(&tx, &unit.tenant, CorrelationId::new(), lifted, now)?;
    let emptied = remove_empty(&tx, study)?;
    objects.extend(forget_told(&tx, unit.tenant_row, &emptied)?);
    let buried = objects::bury_unused(&tx, objects, now)?;
    for mark in &unit.marks {
        tombstone::raise(&tx, unit.tenant_row, mark, now)?;
    }
    for key in &unit.keys {
        tombstone::doom(&tx, unit.tenant_row, key)?;
    }
    let note = note::keep(&tx, unit.tenant_row, &unit.note, now)?;
    let instances = gone.len() as u64;
    told.count(instances).keep(&tx, now)?;
    tx.prepare_cached(
        "INSERT INTO deletion (tenant, level, cause, reason, by, at, instances, note)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        unit.tenant_row,
        unit.level.as_str(),
        unit.deletion.cause.as_str(),
        unit.deletion.reason,
        unit.deletion.by,
        now,
        instances,
        note
    ])?;
    // Who keeps rows about an erased study is asked to forget it, not told.
    let erased = matches!(unit.deletion.cause, Cause::Erased | Cause::ErasedAgain);
    if !(erased && unit.level == Level::Study) {
        outbox::append(&tx, &event(unit, instances, now)?)?;
    }
    tx.commit()?;
    Ok(Deleted {
        instances,
        objects: buried,
    })
}

fn event(unit: &Unit, instances: u64, now: i64) -> Result<Event> {
    let (study_uid, series_uid, sop_instance_uid) = match unit.deletion.of.clone() {
        MetadataScope::Study(study) => (study, None, None),
        MetadataScope::Series { study, series } => (study, Some(series), None),
        MetadataScope::Instance {
            study,
            series,
            instance,
        } => (study, Some(series), Some(instance)),
    };
    let subject = study_uid.clone();
    let deleted = InstancesDeleted {
        study_uid,
        series_uid,
        sop_instance_uid,
        instances,
    };
    Event::new(
        unit.tenant.clone(),
        CorrelationId::new(),
        from_millis(now),
        subject,
        u64::try_from(now).unwrap_or(0),
        &deleted,
    )
    .map_err(|_| ArchiveError::Invalid("the event cannot be written"))
}

struct Gone {
    id: i64,
    series: i64,
    object: i64,
    uid: String,
    ours: bool,
}

/// What goes is rows, also where it was packed.
fn dissolve_packs(tx: &Connection, packs: &Packs, unit: &Unit, study: i64, now: i64) -> Result<()> {
    let only = match &unit.deletion.of {
        MetadataScope::Study(_) => None,
        MetadataScope::Series { series, .. } | MetadataScope::Instance { series, .. } => {
            Some(series)
        }
    };
    let mut query =
        tx.prepare_cached("SELECT id FROM series WHERE study = ?1 AND (uid = ?2 OR ?2 IS NULL)")?;
    let series = query
        .query_map(params![study, only], |row| row.get(0))?
        .collect::<crate::db::Result<Vec<i64>>>()?;
    for series in series {
        if let Some(row) = packs::of_series(tx, series)? {
            packs::dissolve(tx, packs, row, now)?;
        }
    }
    Ok(())
}

/// The instances that go, in every standing.
fn rows_of(tx: &Connection, unit: &Unit, study: i64) -> Result<Vec<Gone>> {
    let (series, instance) = match &unit.deletion.of {
        MetadataScope::Study(_) => (None, None),
        MetadataScope::Series { series, .. } => (Some(series), None),
        MetadataScope::Instance {
            series, instance, ..
        } => (Some(series), Some(instance)),
    };
    // What contradicts an instance from elsewhere goes with it.
    let mut query = tx.prepare_cached(
        "SELECT i.id, i.series, i.object, i.uid, i.origin FROM instance i
         JOIN series s ON s.id = i.series
         WHERE s.study = ?1 AND (s.uid = ?2 OR ?2 IS NULL) AND (i.uid = ?3 OR ?3 IS NULL)",
    )?;
    let ours = serde_json::to_string(&Origin::Hilum).unwrap_or_default();
    let rows = query.query_map(params![study, series, instance], |row| {
        Ok(Gone {
            id: row.get(0)?,
            series: row.get(1)?,
            object: row.get(2)?,
            uid: row.get(3)?,
            ours: row.get::<String>(4)? == ours,
        })
    })?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

/// Where the served content of a UID went and another one is kept, the first
/// of those is served; its series.
fn promote(tx: &Connection, tenant: i64, uid: &str) -> Result<Option<i64>> {
    let served = tx
        .prepare_cached(
            "SELECT 1 FROM instance WHERE tenant = ?1 AND uid = ?2 AND standing IN (0, 4)",
        )?
        .exists(params![tenant, uid])?;
    if served {
        return Ok(None);
    }
    let next = reject::standing_of_next(tx, tenant, uid)?;
    Ok(tx
        .prepare_cached(
            "UPDATE instance SET standing = ?3 WHERE id =
                (SELECT min(id) FROM instance WHERE tenant = ?1 AND uid = ?2) RETURNING series",
        )?
        .query_row(params![tenant, uid, next.code()], |row| row.get(0))
        .optional()?)
}

/// What tells of a study or series that is no more goes with it: its history,
/// and what leads there. The objects of notes that tell nothing else.
fn forget_told(tx: &Connection, tenant: i64, gone: &Emptied) -> Result<Vec<i64>> {
    let mut objects = Vec::new();
    for series in gone.levels() {
        let notes: Vec<i64> = tx
            .prepare_cached(
                "DELETE FROM correction WHERE tenant = ?1 AND study = ?2
                    AND (series = ?3 OR ?3 IS NULL) RETURNING note",
            )?
            .query_map(params![tenant, gone.uid, series], |row| row.get(0))?
            .collect::<crate::db::Result<_>>()?;
        objects.extend(note::forget_unused(tx, &notes)?);
        if history::of(tx, tenant)?.moved {
            placement::forget_way_to(tx, tenant, &gone.uid, series)?;
        }
    }
    Ok(objects)
}

/// A result set of which something was deleted may be published again.
fn forget_publication(tx: &Connection, tenant: i64, uid: &str) -> Result<()> {
    tx.prepare_cached(
        "DELETE FROM publication WHERE tenant = ?1
         AND instr('\\' || instances || '\\', '\\' || ?2 || '\\') > 0",
    )?
    .execute(params![tenant, uid])?;
    Ok(())
}

/// A study of which nothing is left, or of which some series are no more.
pub(crate) struct Emptied {
    pub uid: String,
    pub study: bool,
    pub series: Vec<String>,
}

impl Emptied {
    /// `None` for the whole study; else each series that is no more.
    pub(crate) fn levels(&self) -> impl Iterator<Item = Option<&str>> {
        let series = self.series.iter().filter(|_| !self.study);
        let whole = self.study.then_some(None);
        whole
            .into_iter()
            .chain(series.map(|series| Some(series.as_str())))
    }
}

/// Series without any instance go, and a study without any series.
pub(crate) fn remove_empty(tx: &Connection, study: i64) -> Result<Emptied> {
    let series = tx
        .prepare_cached(
            "DELETE FROM series WHERE study = ?1
             AND NOT EXISTS (SELECT 1 FROM instance WHERE instance.series = series.id)
             AND NOT EXISTS (SELECT 1 FROM pack WHERE pack.series = series.id) RETURNING uid",
        )?
        .query_map([study], |row| row.get(0))?
        .collect::<crate::db::Result<_>>()?;
    let uid = tx
        .prepare_cached("SELECT uid FROM study WHERE id = ?1")?
        .query_row([study], |row| row.get(0))?;
    let left = tx
        .prepare_cached("SELECT 1 FROM series WHERE study = ?1")?
        .exists([study])?;
    if left {
        refresh_modalities(tx, study)?;
    } else {
        tx.prepare_cached("DELETE FROM study WHERE id = ?1")?
            .execute([study])?;
    }
    Ok(Emptied {
        uid,
        study: !left,
        series,
    })
}

/// Buries a note's object after its transaction failed.
pub(crate) fn give_up(db: &Connection, note: &Written, now: i64) -> Result<()> {
    objects::transition(db, note.name.row, state::RESERVED, state::DEAD, now)?;
    Ok(())
}

/// Puts what a note tells into an index that is made again; `instances` of it
/// were found and left out.
pub(crate) fn replay(
    db: &mut Connection,
    tenant: i64,
    told: &Note,
    written: &Written,
    instances: u64,
) -> Result<()> {
    let Note::Deleted {
        level,
        mark,
        also,
        cause,
        reason,
        by,
        at,
    } = told
    else {
        return Ok(());
    };
    let tx = db.begin(tenant)?;
    for mark in std::iter::once(mark).chain(also.iter().map(|Digest(mark)| mark)) {
        tombstone::raise(&tx, tenant, mark, *at)?;
    }
    let note = note::keep(&tx, tenant, written, *at)?;
    tx.prepare_cached(
        "INSERT INTO deletion (tenant, level, cause, reason, by, at, instances, note)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        tenant,
        level,
        cause.as_str(),
        reason,
        by,
        at,
        instances,
        note
    ])?;
    tx.commit()?;
    Ok(())
}

/// Deletions, the newest first.
pub(crate) fn list(db: &Connection, tenant: i64, limit: u32) -> Result<Vec<DeletionRow>> {
    let mut query = db.prepare_cached(
        "SELECT id, level, cause, reason, by, at, instances FROM deletion WHERE tenant = ?1
         ORDER BY id DESC LIMIT ?2",
    )?;
    let mut rows = query.query(params![tenant, limit.min(crate::limits::PAGE_ROWS)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (level, cause): (String, String) = (row.get(1)?, row.get(2)?);
        found.push(DeletionRow {
            id: row.get(0)?,
            level: Level::of(&level).ok_or(ArchiveError::Corrupt)?.as_str(),
            cause: crate::model::Cause::of(&cause).ok_or(ArchiveError::Corrupt)?,
            reason: row.get(3)?,
            by: row.get(4)?,
            at: from_millis(row.get(5)?),
            instances: row.get(6)?,
        });
    }
    Ok(found)
}
