//! Rows made again from what a pack keeps, for an index that was lost: of the
//! pack as it was, or of instances that are left of one.

use std::sync::Arc;

use super::conflict::{await_comparison, recount};
use super::levels::Above;
use super::objects::{self, Name};
use super::packs::{self, NewPack, Overrides, PackRow};
use super::schema::state;
use super::{instances, query};
use crate::db::{Connection, OptionalExtension, Transaction, params};
use crate::descriptor::Descriptor;
use crate::error::{ArchiveError, Result};
use crate::format::Kind;
use crate::lookup::{self, Lookup};
use crate::model::Standing;
use crate::pack::{Block, Entry, Packed, Packs};

/// A pack's file, and what it says.
pub(crate) struct Again<'a> {
    pub tenant: i64,
    pub tenant_name: &'a str,
    pub name: Name,
    pub bytes: u64,
    pub block_at: u64,
    pub block_length: u64,
    pub block: &'a Arc<Block>,
    /// When it was begun, Unix milliseconds.
    pub at: i64,
}

/// The pack as it was. The objects that it refers to have rows.
pub(crate) fn whole(tx: &Transaction<'_>, packs: &Packs, of: &Again<'_>) -> Result<()> {
    let series = series_row(tx, of)?;
    let holds = (Kind::Pack, of.bytes);
    objects::settle(tx, &of.name, state::LIVE, holds, of.at)?;
    let owner = packs.lookup.owner(tx, of.tenant)?;
    let owner = owner.ok_or(ArchiveError::NotFound)?;
    let entries = &of.block.entries;
    let served = entries
        .iter()
        .filter(|entry| entry.standing == Standing::Served);
    let new = NewPack {
        tenant: of.tenant,
        series,
        name: of.name,
        bytes: of.bytes,
        block_at: of.block_at,
        block_length: of.block_length,
        rows: Vec::new(),
        replaces: None,
        served: served.count() as u64,
        objects: entries
            .iter()
            .filter_map(|entry| entry.place.elsewhere)
            .collect(),
        hashes: entries
            .iter()
            .map(|entry| owner.hash(&entry.sop_instance))
            .collect(),
    };
    let pack = packs::insert(tx, &new)?;
    let pack = u64::try_from(pack).map_err(|_| ArchiveError::Corrupt)?;
    let places = new.hashes.iter().zip(0_u32..);
    Lookup::add(
        tx,
        of.tenant,
        places.map(|(hash, ordinal)| lookup::Entry {
            hash: *hash,
            pack,
            ordinal,
        }),
    )?;
    beside(tx, of)?;
    recount(tx, series)
}

/// Those of a pack's instances as rows; how many of their texts were damaged.
pub(crate) fn rows(
    tx: &Transaction<'_>,
    packs: &Packs,
    of: &Again<'_>,
    ordinals: &[u32],
) -> Result<u64> {
    let series = series_row(tx, of)?;
    if objects::state_of(tx, of.name.row)? == Some(state::RESERVED) {
        let holds = (Kind::Pack, of.bytes);
        objects::settle(tx, &of.name, state::LIVE, holds, of.at)?;
    }
    let id = pack_row(tx, of)?;
    let mut packed = Packed {
        row: PackRow {
            id,
            tenant: of.tenant,
            tenant_name: of.tenant_name.to_owned(),
            series,
            series_uid: String::new(),
            study_uid: String::new(),
            object: of.name.name,
            instances: of.block.entries.len() as u64,
            block_at: of.block_at,
            block_length: of.block_length,
            overlay: None,
        },
        block: Arc::clone(of.block),
        overrides: Overrides::new(),
    };
    let mut damaged = 0;
    for ordinal in ordinals {
        let Ok(texts) = packs.metadata(&packed, *ordinal) else {
            damaged += 1;
            continue;
        };
        let entry = packed.entry(*ordinal)?;
        let (uid, row) = (entry.sop_instance.to_string(), entry.id);
        let contends = packed.standing(*ordinal)? == Standing::Served
            && instances::served(tx, packs, of.tenant, &uid)?.is_some();
        if contends {
            packed.overrides.insert(*ordinal, Standing::Conflict);
        }
        packs::insert_row(tx, &packed, *ordinal, &texts.metadata, &texts.layout)?;
        if contends {
            await_comparison(tx, row)?;
        }
    }
    beside(tx, of)?;
    packs::unsettle(tx, series, of.at)?;
    recount(tx, series)?;
    Ok(damaged)
}

/// The row of a pack that no series has, made when there is none.
fn pack_row(tx: &Connection, of: &Again<'_>) -> Result<i64> {
    tx.prepare_cached(
        "INSERT INTO pack (tenant, series, object, instances, served, block_at, block_length)
         VALUES (?1, NULL, ?2, ?3, 0, ?4, ?5) ON CONFLICT (object) DO NOTHING",
    )?
    .execute(params![
        of.tenant,
        of.name.row,
        of.block.entries.len(),
        of.block_at,
        of.block_length
    ])?;
    Ok(tx
        .prepare_cached("SELECT id FROM pack WHERE object = ?1")?
        .query_row([of.name.row], |row| row.get(0))?)
}

/// An instance as its descriptor once told of it; its result set is told apart.
fn received(of: &Entry) -> Descriptor {
    Descriptor {
        publication: None,
        ..of.clone().descriptor()
    }
}

/// The rows above the instances, as they were when the pack was made.
fn series_row(tx: &Transaction<'_>, of: &Again<'_>) -> Result<i64> {
    let entries = &of.block.entries;
    let first = entries.iter().min_by_key(|entry| entry.id);
    let mut first = received(first.ok_or(ArchiveError::Corrupt)?);
    let times = || entries.iter().map(|entry| entry.received_at);
    first.received_at = times().min().unwrap_or(first.received_at);
    let last = times().max().unwrap_or(first.received_at);
    let (mut of_study, mut of_series) = ((first.received_at, last), (first.received_at, last));
    if let Some(head) = &of.block.head
        && (&head.study.uid, &head.series.uid) == (&first.study, &first.series)
    {
        if let Some((patient, attributes)) = head.study.received.clone() {
            (first.patient, first.study_attributes) = (patient, attributes);
        }
        if let Some(attributes) = head.series.received.clone() {
            first.series_attributes = attributes;
        }
        of_study = (head.study.row.first_received, head.study.row.last_received);
        of_series = (
            head.series.row.first_received,
            head.series.row.last_received,
        );
    }
    // The first that was committed, which need not be the first received.
    let first_received = if of.block.head.is_some() {
        "?2"
    } else {
        "min(first_received, ?2)"
    };
    let ids = of.block.head.as_ref();
    let (study_id, series_id) =
        ids.map_or((None, None), |head| (head.study.row.id, head.series.row.id));
    if let Some(id) = study_id {
        tx.prepare_cached(
            "INSERT INTO study (id, tenant, uid, first_received, last_received)
             VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT DO NOTHING",
        )?
        .execute(params![id, of.tenant, first.study, first.received_at])?;
    }
    let Above {
        study, mut series, ..
    } = Above::of(tx, of.tenant, &first)?;
    if let Some(id) = series_id {
        // Only before anything names it.
        let moved = tx
            .prepare_cached(
                "UPDATE OR IGNORE series SET id = ?2 WHERE id = ?1
                 AND NOT EXISTS (SELECT 1 FROM instance WHERE series = ?1)
                 AND NOT EXISTS (SELECT 1 FROM pack WHERE series = ?1)
                 AND NOT EXISTS (SELECT 1 FROM unsettled WHERE series = ?1)",
            )?
            .execute([series, id])?;
        if moved == 1 {
            series = id;
        }
    }
    for (table, row, times) in [("study", study, of_study), ("series", series, of_series)] {
        let sql = format!(
            "UPDATE {table} SET first_received = {first_received},
                last_received = max(last_received, ?3) WHERE id = ?1"
        );
        tx.prepare_cached(&sql)?
            .execute(params![row, times.0, times.1])?;
    }
    Ok(series)
}

/// What the instances were published in; and their ids are given once.
fn beside(tx: &Connection, of: &Again<'_>) -> Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO publication (tenant, key, instances, published_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO NOTHING",
    )?;
    let mut before = None;
    for entry in &of.block.entries {
        let Some(of_entry) = &entry.publication else {
            continue;
        };
        if before != Some(&of_entry.key) {
            insert.execute(params![
                of.tenant,
                of_entry.key,
                of_entry.instances.join("\\"),
                of_entry.published_at
            ])?;
        }
        before = Some(&of_entry.key);
    }
    let ids = of.block.entries.iter().map(|entry| entry.id);
    tx.prepare_cached("UPDATE instance_floor SET floor = max(floor, ?1)")?
        .execute([ids.max().unwrap_or(0)])?;
    Ok(())
}

/// What a pack's rows had come to when it was made, once what was before it
/// has been told again; `since`: how often they changed since, if known. A
/// revision never falls: it tells what others keep from what is there now.
pub(crate) fn revise(tx: &Connection, tenant: i64, block: &Block, since: u64) -> Result<()> {
    let Some(head) = &block.head else {
        return Ok(());
    };
    let revision = if since == 0 {
        "?3"
    } else {
        "max(revision, ?3)"
    };
    let sql = format!(
        "UPDATE study SET revision = {revision} WHERE tenant = ?1 AND uid = ?2 RETURNING id"
    );
    let (study, series) = (&head.study, &head.series);
    let row: Option<i64> = tx
        .prepare_cached(&sql)?
        .query_row(
            params![tenant, study.uid, study.row.revision + since],
            |row| row.get(0),
        )
        .optional()?;
    let sql = format!("UPDATE series SET revision = {revision} WHERE study = ?1 AND uid = ?2");
    tx.prepare_cached(&sql)?
        .execute(params![row, series.uid, series.row.revision + since])?;
    Ok(())
}

/// The row of an object that packs refer to: live, whatever is in it besides.
pub(crate) fn refer(
    tx: &Transaction<'_>,
    tenant: i64,
    name: &[u8; 16],
    (kind, bytes): (Kind, u64),
    at: i64,
) -> Result<()> {
    let row = objects::reserve_as(tx, tenant, name, at)?;
    if objects::state_of(tx, row)? == Some(state::RESERVED) {
        let name = objects::Name { row, name: *name };
        objects::settle(tx, &name, state::LIVE, (kind, bytes), at)?;
    }
    Ok(())
}

/// An object that a pack refers to lives on, also when its own segments told
/// of nothing new.
pub(crate) fn keep_referred(db: &Connection, row: i64, kind: Kind, bytes: u64) -> Result<()> {
    db.prepare_cached(
        "UPDATE object SET state = ?2, kind = ?3, bytes = ?4 WHERE id = ?1
         AND EXISTS (SELECT 1 FROM pack_object WHERE object = ?1)",
    )?
    .execute(params![row, state::LIVE, kind.code(), bytes])?;
    Ok(())
}

/// Where only contenders are left under a UID, the first of them is served.
/// What was published and is not whole may be published again.
pub(crate) fn settle(db: &Connection, packs: &Packs) -> Result<()> {
    let mut contested =
        db.prepare("SELECT tenant, uid, min(id) FROM instance WHERE standing = 2 GROUP BY 1, 2")?;
    let contested = contested
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<crate::db::Result<Vec<(i64, String, i64)>>>()?;
    for (tenant, uid, first) in contested {
        if !leads(db, packs, tenant, &uid)? {
            let series = db.query_row(
                "UPDATE instance SET standing = 0 WHERE id = ?1 RETURNING series",
                [first],
                |row| row.get(0),
            )?;
            db.execute("DELETE FROM comparison WHERE instance = ?1", [first])?;
            recount(db, series)?;
        }
    }
    let mut published = db.prepare("SELECT tenant, key FROM publication")?;
    let published = published
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<crate::db::Result<Vec<(i64, String)>>>()?;
    for (tenant, key) in published {
        for uid in query::published(db, tenant, &key)?.unwrap_or_default() {
            if !is_known(db, packs, tenant, &uid)? {
                db.execute(
                    "DELETE FROM publication WHERE tenant = ?1 AND key = ?2",
                    params![tenant, key],
                )?;
            }
        }
    }
    Ok(())
}

/// Whether something under a UID is what others contend with.
fn leads(db: &Connection, packs: &Packs, tenant: i64, uid: &str) -> Result<bool> {
    let row = db
        .prepare_cached(
            "SELECT 1 FROM instance WHERE tenant = ?1 AND uid = ?2 AND standing NOT IN (1, 2, 3)",
        )?
        .exists(params![tenant, uid])?;
    if row {
        return Ok(true);
    }
    for (packed, ordinal) in packs.find(db, tenant, uid)? {
        let standing = packed.standing(ordinal)?;
        if !matches!(
            standing,
            Standing::Variant | Standing::Conflict | Standing::Superseded
        ) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_known(db: &Connection, packs: &Packs, tenant: i64, uid: &str) -> Result<bool> {
    let row = db
        .prepare_cached("SELECT 1 FROM instance WHERE tenant = ?1 AND uid = ?2")?
        .exists(params![tenant, uid])?;
    Ok(row || !packs.find(db, tenant, uid)?.is_empty())
}
