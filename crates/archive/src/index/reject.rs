//! Rejection notes in the index: what they refer to, whether it is there yet or
//! not, and the one standing that hides it. A note that goes lifts what it
//! rejected. Rejection notes themselves are never hidden.

use std::collections::BTreeMap;

use hilum_contracts::Event;
use hilum_contracts::ids::{CorrelationId, TenantId};
use hilum_contracts::imaging::InstancesRejected;
use hilum_platform::clock::from_millis;

use super::answer::{self, INSTANCE, INSTANCE_COLUMNS, INSTANCE_FROM};
use super::conflict::recount;
use super::{history, outbox, packs};
use crate::db::{Connection, OptionalExtension, params};
use crate::descriptor::decompress;
use crate::error::{ArchiveError, Result};
use crate::limits;
use crate::model::{InstanceMetadata, MetadataScope, Rejection, RejectionReason, Standing};
use crate::pack::Packs;

/// What one transaction hid or showed again, by row of its series.
#[derive(Default)]
pub(crate) struct Touched {
    hidden: BTreeMap<i64, Vec<String>>,
    shown: BTreeMap<i64, Vec<String>>,
}

/// Whether a note refers to an instance that comes. It waits to be retired
/// from now on, when the note says so.
pub(crate) fn meets(tx: &Connection, tenant: i64, uid: &str) -> Result<bool> {
    if is_note(tx, tenant, uid)? {
        return Ok(false);
    }
    let met = tx
        .prepare_cached("UPDATE rejection SET retired = 0 WHERE tenant = ?1 AND uid = ?2")?
        .execute(params![tenant, uid])?;
    Ok(met > 0)
}

fn stands(db: &Connection, tenant: i64, uid: &str) -> Result<bool> {
    Ok(db
        .prepare_cached("SELECT 1 FROM rejection WHERE tenant = ?1 AND uid = ?2")?
        .exists(params![tenant, uid])?)
}

fn is_note(db: &Connection, tenant: i64, uid: &str) -> Result<bool> {
    Ok(db
        .prepare_cached("SELECT 1 FROM rejection WHERE tenant = ?1 AND note = ?2")?
        .exists(params![tenant, uid])?)
}

/// Whether a series has a rejection note among its rows.
pub(crate) fn has_note(db: &Connection, tenant: i64, series: i64) -> Result<bool> {
    Ok(db
        .prepare_cached(
            "SELECT 1 FROM instance i JOIN rejection r ON r.tenant = i.tenant AND r.note = i.uid
             WHERE i.series = ?2 AND i.tenant = ?1",
        )?
        .exists([tenant, series])?)
}

/// Carries out a note that became durable.
pub(crate) fn apply(
    tx: &Connection,
    packs: &Packs,
    tenant: i64,
    note: &str,
    rejection: &Rejection,
    touched: &mut Touched,
) -> Result<()> {
    // It may have been rejected itself before it came.
    show(tx, packs, tenant, note, touched)?;
    tx.prepare_cached("DELETE FROM rejection WHERE tenant = ?1 AND uid = ?2")?
        .execute(params![tenant, note])?;
    for uid in &rejection.instances {
        if uid == note || is_note(tx, tenant, uid)? {
            continue;
        }
        tx.prepare_cached(
            "INSERT INTO rejection (tenant, uid, note, reason) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![tenant, uid, note, rejection.reason.code()])?;
        hide(tx, packs, tenant, uid, touched)?;
    }
    Ok(())
}

/// What is served under a UID is rejected from now on.
fn hide(
    tx: &Connection,
    packs: &Packs,
    tenant: i64,
    uid: &str,
    touched: &mut Touched,
) -> Result<()> {
    let series: Option<i64> = tx
        .prepare_cached(
            "UPDATE instance SET standing = 4 WHERE tenant = ?1 AND uid = ?2 AND standing = 0
             RETURNING series",
        )?
        .query_row(params![tenant, uid], |row| row.get(0))
        .optional()?;
    let mut hidden = series;
    if hidden.is_none() {
        for (packed, ordinal) in packs.find(tx, tenant, uid)? {
            if packed.standing(ordinal)? == Standing::Served {
                packs::supersede(tx, &packed.row, ordinal, Standing::Rejected)?;
                hidden = Some(packed.row.series);
            }
        }
    }
    if let Some(series) = hidden {
        let hidden = touched.hidden.entry(series).or_default();
        hidden.push(uid.to_owned());
    }
    Ok(())
}

/// A note was deleted: what no other one rejects is served again.
pub(crate) fn lift(
    tx: &Connection,
    packs: &Packs,
    tenant: i64,
    note: &str,
    touched: &mut Touched,
) -> Result<()> {
    let uids: Vec<String> = tx
        .prepare_cached("DELETE FROM rejection WHERE tenant = ?1 AND note = ?2 RETURNING uid")?
        .query_map(params![tenant, note], |row| row.get(0))?
        .collect::<crate::db::Result<_>>()?;
    for uid in uids {
        if !stands(tx, tenant, &uid)? {
            show(tx, packs, tenant, &uid, touched)?;
        }
    }
    Ok(())
}

fn show(
    tx: &Connection,
    packs: &Packs,
    tenant: i64,
    uid: &str,
    touched: &mut Touched,
) -> Result<()> {
    for (packed, ordinal) in packs.find(tx, tenant, uid)? {
        if packed.standing(ordinal)? == Standing::Rejected {
            // `finish` says since when the series is unsettled.
            packs::dissolve(tx, packs, packed.row, 0)?;
        }
    }
    let series: Option<i64> = tx
        .prepare_cached(
            "UPDATE instance SET standing = 0 WHERE tenant = ?1 AND uid = ?2 AND standing = 4
             RETURNING series",
        )?
        .query_row(params![tenant, uid], |row| row.get(0))
        .optional()?;
    if let Some(series) = series {
        let shown = touched.shown.entry(series).or_default();
        shown.push(uid.to_owned());
    }
    Ok(())
}

/// Counts what was touched anew, has it packed anew, and tells of it.
pub(crate) fn finish(
    tx: &Connection,
    tenant: &TenantId,
    correlation: CorrelationId,
    touched: Touched,
    now: i64,
) -> Result<()> {
    let Touched { hidden, shown } = touched;
    for (changed, rejected) in [(hidden, true), (shown, false)] {
        for (series, uids) in changed {
            recount(tx, series)?;
            packs::unsettle(tx, series, now)?;
            let (study, series_uid, left, revision): (String, String, u64, u64) = tx.query_row(
                "SELECT t.uid, s.uid, s.instances, s.revision FROM series s
                 JOIN study t ON t.id = s.study WHERE s.id = ?1",
                [series],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )?;
            let told = InstancesRejected {
                study_uid: study,
                series_uid: series_uid.clone(),
                sop_instance_uids: uids,
                rejected,
                left,
            };
            let at = from_millis(now);
            let event = Event::new(tenant.clone(), correlation, at, series_uid, revision, &told)
                .map_err(|_| ArchiveError::Invalid("the event cannot be written"))?;
            outbox::append(tx, &event)?;
        }
    }
    Ok(())
}

/// A rejected instance that its address still leads to: one that every note
/// rejects for its quality alone.
pub(crate) fn retrievable(
    db: &Connection,
    packs: &Packs,
    tenant: i64,
    of: &MetadataScope,
) -> Result<Option<InstanceMetadata>> {
    let MetadataScope::Instance {
        study,
        series,
        instance,
    } = of
    else {
        return Ok(None);
    };
    let barred: Option<bool> = db
        .prepare_cached("SELECT max(CASE WHEN reason <> ?3 THEN 1 ELSE 0 END) FROM rejection WHERE tenant = ?1 AND uid = ?2")?
        .query_row(
            params![tenant, instance, RejectionReason::Quality.code()],
            |row| row.get(0),
        )?;
    if barred != Some(false) {
        return Ok(None);
    }
    let sql = format!(
        "SELECT {INSTANCE}, b.metadata, b.layout FROM {INSTANCE_FROM}
         JOIN instance_block b ON b.instance = i.id
         WHERE i.tenant = ?1 AND i.uid = ?2 AND i.standing = 4 AND s.uid = ?3 AND t.uid = ?4"
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(params![tenant, instance, series, study])?;
    if let Some(row) = rows.next()? {
        let metadata: Vec<u8> = row.get(INSTANCE_COLUMNS)?;
        let layout: Vec<u8> = row.get(INSTANCE_COLUMNS + 1)?;
        return Ok(Some(InstanceMetadata {
            row: answer::instance(row)?,
            metadata: decompress(&metadata, limits::METADATA_BYTES)?.into(),
            layout: decompress(&layout, limits::LAYOUT_BYTES)?.into(),
        }));
    }
    for (packed, ordinal) in packs.find(db, tenant, instance)? {
        let here = packed.row.series_uid == *series && packed.row.study_uid == *study;
        if here && packed.standing(ordinal)? == Standing::Rejected {
            return packs.metadata(&packed, ordinal).map(Some);
        }
    }
    Ok(None)
}

/// How many instances of a study are rejected, by why. Where several notes name
/// one, the strictest counts.
pub(crate) fn of_study(
    db: &Connection,
    packs: &Packs,
    tenant: i64,
    study: &str,
) -> Result<BTreeMap<RejectionReason, u64>> {
    let mut found = BTreeMap::new();
    if !history::of(db, tenant)?.rejected {
        return Ok(found);
    }
    let mut count = |uid: &str| -> Result<()> {
        if let Some(reason) = reason_of(db, tenant, uid)? {
            *found.entry(reason).or_default() += 1;
        }
        Ok(())
    };
    // `<> 0` is the condition of the index on what is not served.
    let mut loose = db.prepare_cached(
        "SELECT i.uid FROM study t JOIN series s ON s.study = t.id JOIN instance i ON i.series = s.id
         WHERE t.tenant = ?1 AND t.uid = ?2 AND i.standing <> 0 AND i.standing = 4",
    )?;
    let mut rows = loose.query(params![tenant, study])?;
    while let Some(row) = rows.next()? {
        count(&row.get::<String>(0)?)?;
    }
    let mut packed = db.prepare_cached(
        "SELECT s.id FROM study t JOIN series s ON s.study = t.id JOIN pack p ON p.series = s.id
         WHERE t.tenant = ?1 AND t.uid = ?2 AND p.served < p.instances",
    )?;
    let mut rows = packed.query(params![tenant, study])?;
    while let Some(row) = rows.next()? {
        let Some(packed) = packs.of_series(db, row.get(0)?)? else {
            continue;
        };
        for (ordinal, entry) in (0_u32..).zip(&packed.block.entries) {
            if packed.standing(ordinal)? == Standing::Rejected {
                count(&entry.sop_instance)?;
            }
        }
    }
    Ok(found)
}

fn reason_of(db: &Connection, tenant: i64, uid: &str) -> Result<Option<RejectionReason>> {
    let code: Option<u32> = db
        .prepare_cached("SELECT max(reason) FROM rejection WHERE tenant = ?1 AND uid = ?2")?
        .query_row(params![tenant, uid], |row| row.get(0))?;
    Ok(code.and_then(RejectionReason::of_number))
}

/// Instances whose note says that their time is over: where they are, at most
/// `limit`.
pub(crate) fn to_retire(
    db: &Connection,
    packs: &Packs,
    tenant: i64,
    after: &str,
    limit: u32,
) -> Result<(Vec<MetadataScope>, Option<String>)> {
    let mut query = db.prepare_cached(
        "SELECT DISTINCT uid FROM rejection WHERE tenant = ?1 AND uid > ?2
         AND reason = 113039 AND retired = 0 ORDER BY uid LIMIT ?3",
    )?;
    let uids: Vec<String> = query
        .query_map(params![tenant, after, limit], |row| row.get(0))?
        .collect::<crate::db::Result<_>>()?;
    let mut found = Vec::new();
    for uid in &uids {
        found.extend(place_of(db, packs, tenant, uid)?);
    }
    let full = uids.len() as u64 == u64::from(limit);
    Ok((found, uids.last().cloned().filter(|_| full)))
}

fn place_of(
    db: &Connection,
    packs: &Packs,
    tenant: i64,
    uid: &str,
) -> Result<Option<MetadataScope>> {
    let row: Option<(String, String)> = db
        .prepare_cached(
            "SELECT t.uid, s.uid FROM instance i JOIN series s ON s.id = i.series
             JOIN study t ON t.id = s.study
             WHERE i.tenant = ?1 AND i.uid = ?2 AND i.standing = 4",
        )?
        .query_row(params![tenant, uid], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let mut place = row;
    if place.is_none() {
        for (packed, ordinal) in packs.find(db, tenant, uid)? {
            if packed.standing(ordinal)? == Standing::Rejected {
                place = Some((packed.row.study_uid, packed.row.series_uid));
            }
        }
    }
    Ok(place.map(|(study, series)| MetadataScope::Instance {
        study,
        series,
        instance: uid.to_owned(),
    }))
}

/// An instance that was to be retired is gone.
pub(crate) fn retired(db: &Connection, tenant: i64, uid: &str) -> Result<()> {
    db.prepare_cached(
        "UPDATE rejection SET retired = 1 WHERE tenant = ?1 AND uid = ?2 AND reason = 113039",
    )?
    .execute(params![tenant, uid])?;
    Ok(())
}

/// The standing of what takes the place of served content that went.
pub(crate) fn standing_of_next(tx: &Connection, tenant: i64, uid: &str) -> Result<Standing> {
    let rejected = !is_note(tx, tenant, uid)? && stands(tx, tenant, uid)?;
    Ok(if rejected {
        Standing::Rejected
    } else {
        Standing::Served
    })
}
