//! Rows of packs, and the one transaction in which a series' instances leave
//! their rows for a pack.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::answer;
use super::objects::{self, Name};
use super::schema::{NO_NUMBER, state};
use crate::db::{Connection, OptionalExtension, Row, Transaction, params};
use crate::descriptor::compress;
use crate::error::{ArchiveError, Result};
use crate::format::Kind;
use crate::limits;
use crate::lookup::{self, Lookup};
use crate::model::{Overlay, Standing};
use crate::pack::{Packed, Packs};
use crate::steps;

/// Where a pack is and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct PackRow {
    pub id: i64,
    pub tenant: i64,
    pub tenant_name: String,
    pub series: i64,
    pub series_uid: String,
    pub study_uid: String,
    pub object: [u8; 16],
    pub instances: u64,
    pub block_at: u64,
    pub block_length: u64,
    /// What is laid over its instances when they are read.
    pub overlay: Option<Overlay>,
}

/// What was decided about packed instances since they were packed.
pub(crate) type Overrides = BTreeMap<u32, Standing>;

const PACK: &str = "SELECT p.id, p.tenant, n.name, p.series, s.uid, t.uid, o.name, p.instances,
        p.block_at, p.block_length, t.overlay, s.overlay
    FROM pack p JOIN tenant n ON n.id = p.tenant JOIN series s ON s.id = p.series
    JOIN study t ON t.id = s.study JOIN object o ON o.id = p.object";

fn pack(row: Row<'_>) -> crate::db::Result<PackRow> {
    Ok(PackRow {
        id: row.get(0)?,
        tenant: row.get(1)?,
        tenant_name: row.get(2)?,
        series: row.get(3)?,
        series_uid: row.get(4)?,
        study_uid: row.get(5)?,
        object: row.get(6)?,
        instances: row.get(7)?,
        block_at: row.get(8)?,
        block_length: row.get(9)?,
        overlay: answer::overlay(row.get(10)?, row.get(11)?, None),
    })
}

pub(crate) fn by_id(db: &Connection, tenant: i64, id: i64) -> Result<Option<PackRow>> {
    Ok(db
        .prepare_cached(&format!("{PACK} WHERE p.id = ?1 AND p.tenant = ?2"))?
        .query_row([id, tenant], pack)
        .optional()?)
}

pub(crate) fn of_series(db: &Connection, series: i64) -> Result<Option<PackRow>> {
    Ok(db
        .prepare_cached(&format!("{PACK} WHERE p.series = ?1"))?
        .query_row([series], pack)
        .optional()?)
}

/// Packs after row `after`, in order.
pub(crate) fn after(db: &Connection, tenant: i64, after: i64, limit: u32) -> Result<Vec<PackRow>> {
    let mut query = db.prepare_cached(&format!(
        "{PACK} WHERE p.id > ?2 AND p.tenant = ?1 ORDER BY p.id LIMIT ?3"
    ))?;
    let rows = query.query_map(params![tenant, after, limit], pack)?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

/// Packs that have something in an object: its own, or those that refer to it.
pub(crate) fn in_object(db: &Connection, object: i64) -> Result<Vec<PackRow>> {
    let mut query = db.prepare_cached(&format!(
        "{PACK} WHERE p.object = ?1 OR p.id IN (SELECT pack FROM pack_object WHERE object = ?1)"
    ))?;
    let rows = query.query_map([object], pack)?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

/// Which of these ids are of packs that are served, in their order.
pub(crate) fn alive(db: &Connection, ids: Range<u64>) -> Result<Vec<u64>> {
    let mut query = db.prepare_cached(
        "SELECT id FROM pack WHERE id >= ?1 AND id < ?2 AND series IS NOT NULL ORDER BY id",
    )?;
    let rows = query.query_map([ids.start, ids.end], |row| row.get(0))?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

pub(crate) fn overrides(db: &Connection, pack: i64) -> Result<Overrides> {
    let mut query =
        db.prepare_cached("SELECT ordinal, standing FROM pack_override WHERE pack = ?1")?;
    let mut rows = query.query([pack])?;
    let mut found = Overrides::new();
    while let Some(row) = rows.next()? {
        found.insert(row.get(0)?, Standing::of_code(row.get(1)?)?);
    }
    Ok(found)
}

/// Gives a packed instance that is served another standing.
pub(crate) fn supersede(tx: &Connection, pack: &PackRow, ordinal: u32, by: Standing) -> Result<()> {
    tx.prepare_cached("INSERT INTO pack_override (pack, ordinal, standing) VALUES (?1, ?2, ?3)")?
        .execute(params![pack.id, ordinal, by.code()])?;
    tx.prepare_cached("UPDATE pack SET served = served - 1 WHERE id = ?1")?
        .execute([pack.id])?;
    Ok(())
}

/// Something of the series is not in its pack from now on.
pub(crate) fn unsettle(tx: &Connection, series: i64, now: i64) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO unsettled (series, since) VALUES (?1, ?2)
         ON CONFLICT (series) DO UPDATE SET since = excluded.since
            WHERE excluded.since >= unsettled.since + ?3",
    )?
    .execute([series, now, limits::UNSETTLED_STEP_MS])?;
    Ok(())
}

/// The block of a pack whose instances are rows again: where, how long, and of
/// how many instances.
pub(crate) fn remains(db: &Connection, object: &[u8; 16]) -> Result<Option<(u64, u64, u64)>> {
    Ok(db
        .prepare_cached(
            "SELECT p.block_at, p.block_length, p.instances FROM pack p
             JOIN object o ON o.id = p.object WHERE o.name = ?1 AND p.series IS NULL",
        )?
        .query_row([object], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?)
}

/// Makes rows of a pack's instances again, in the transaction that is about to
/// change some of them. Their segments stay where they are, until the series
/// has settled once more.
pub(crate) fn dissolve(tx: &Connection, packs: &Packs, row: PackRow, now: i64) -> Result<()> {
    let series = row.series;
    let packed = packs.open(tx, row)?;
    for ordinal in 0..u32::try_from(packed.block.entries.len()).unwrap_or(u32::MAX) {
        let texts = packs.metadata(&packed, ordinal)?;
        insert_row(tx, &packed, ordinal, &texts.metadata, &texts.layout)?;
    }
    tx.prepare_cached("UPDATE pack SET series = NULL WHERE id = ?1")?
        .execute([packed.row.id])?;
    for table in ["pack_object", "pack_override"] {
        tx.prepare_cached(&format!("DELETE FROM {table} WHERE pack = ?1"))?
            .execute([packed.row.id])?;
    }
    packs.forget(packed.row.id);
    unsettle(tx, series, now)
}

pub(crate) fn insert_row(
    tx: &Connection,
    packed: &Packed,
    ordinal: u32,
    metadata: &[u8],
    layout: &[u8],
) -> Result<()> {
    let of = packed.entry(ordinal)?;
    let origin = serde_json::to_string(&*of.origin)
        .map_err(|_| ArchiveError::Invalid("the origin cannot be written"))?;
    tx.prepare_cached(
        "INSERT INTO instance (id, tenant, series, sop_class, uid, transfer_syntax, number, rows,
            columns, bits, frames, flags, origin, received_at, standing, sha256, comparison,
            object, segment, \"offset\", length)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17,
            (SELECT id FROM object WHERE name = ?18), ?19, ?20, ?21)",
    )?
    .execute(params![
        of.id,
        packed.row.tenant,
        packed.row.series,
        of.sop_class,
        of.sop_instance,
        of.transfer_syntax,
        of.attributes.number.unwrap_or(NO_NUMBER),
        of.attributes.rows,
        of.attributes.columns,
        of.attributes.bits_allocated,
        of.attributes.frames,
        of.flags.join(" "),
        origin,
        of.received_at,
        packed.standing(ordinal)?.code(),
        of.sha256,
        of.comparison.map(|digest| digest.0),
        of.place.elsewhere.unwrap_or(packed.row.object),
        of.place.segment,
        of.place.offset,
        of.length,
    ])?;
    tx.prepare_cached(
        "INSERT INTO instance_block (instance, metadata, layout) VALUES (?1, ?2, ?3)",
    )?
    .execute(params![of.id, compress(metadata)?, compress(layout)?])?;
    Ok(())
}

/// A series that may be packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub series: i64,
    pub since: i64,
    pub tenant: String,
}

/// Series after (since, series) where nothing happened later than `until` and
/// that wait for nobody's decision.
pub(crate) fn settled(
    db: &Connection,
    until: i64,
    after: (i64, i64),
    limit: u32,
) -> Result<Vec<Candidate>> {
    let mut query = db.prepare_cached(
        "SELECT u.series, u.since, n.name FROM unsettled u JOIN series s ON s.id = u.series
            JOIN tenant n ON n.id = s.tenant
         WHERE u.since <= ?1 AND (u.since, u.series) > (?2, ?3) AND NOT EXISTS
            (SELECT 1 FROM instance i WHERE i.series = u.series AND i.standing <> 0 AND i.standing = 2)
         ORDER BY u.since, u.series LIMIT ?4",
    )?;
    let rows = query.query_map(params![until, after.0, after.1, limit], |row| {
        Ok(Candidate {
            series: row.get(0)?,
            since: row.get(1)?,
            tenant: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

/// How many series are settled and not packed.
pub(crate) fn backlog(db: &Connection, until: i64) -> Result<u64> {
    Ok(db
        .prepare_cached("SELECT count(*) FROM unsettled WHERE since <= ?1")?
        .query_row([until], |row| row.get(0))?)
}

/// Tries a series again later, or, with `None`, when something new arrives.
pub(crate) fn postpone(db: &Connection, series: i64, since: Option<i64>) -> Result<()> {
    match since {
        Some(since) => db
            .prepare_cached("UPDATE unsettled SET since = ?2 WHERE series = ?1")?
            .execute([series, since])?,
        None => db
            .prepare_cached("DELETE FROM unsettled WHERE series = ?1")?
            .execute([series])?,
    };
    Ok(())
}

/// An instance row as the packing worker takes it.
#[derive(Debug, Clone)]
pub(crate) struct LooseRow {
    pub id: i64,
    pub standing: Standing,
    pub uid: String,
    pub sha256: [u8; 32],
    pub object: [u8; 16],
    pub segment: u32,
    pub offset: u64,
    pub length: u64,
}

/// Rows of a series, whatever their standing; at most `limit`.
pub(crate) fn loose(db: &Connection, series: i64, limit: usize) -> Result<Vec<LooseRow>> {
    let columns = "SELECT i.id, i.standing, i.uid, i.sha256, o.name, i.segment, i.offset, i.length
        FROM instance i JOIN object o ON o.id = i.object WHERE i.series = ?1 AND i.standing";
    // Each half by its own partial index.
    let sql = format!("{columns} = 0 UNION ALL {columns} <> 0 ORDER BY 1 LIMIT ?2");
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(params![series, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(loose_of(row)?);
    }
    Ok(found)
}

/// One such row.
pub(crate) fn loose_row(db: &Connection, id: i64) -> Result<Option<LooseRow>> {
    let mut query = db.prepare_cached(
        "SELECT i.id, i.standing, i.uid, i.sha256, o.name, i.segment, i.offset, i.length
         FROM instance i JOIN object o ON o.id = i.object WHERE i.id = ?1",
    )?;
    let mut rows = query.query([id])?;
    rows.next()?.map(loose_of).transpose()
}

fn loose_of(row: Row<'_>) -> Result<LooseRow> {
    Ok(LooseRow {
        id: row.get(0)?,
        standing: Standing::of_code(row.get(1)?)?,
        uid: row.get(2)?,
        sha256: row.get(3)?,
        object: row.get(4)?,
        segment: row.get(5)?,
        offset: row.get(6)?,
        length: row.get(7)?,
    })
}

/// Compressed metadata and layout of a row.
pub(crate) fn texts(db: &Connection, instance: i64) -> Result<(Vec<u8>, Vec<u8>)> {
    db.prepare_cached("SELECT metadata, layout FROM instance_block WHERE instance = ?1")?
        .query_row([instance], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?
        .ok_or(ArchiveError::Missing)
}

/// A pack whose file is durable, about to stand for its series' rows.
pub(crate) struct NewPack {
    pub tenant: i64,
    pub series: i64,
    pub name: Name,
    pub bytes: u64,
    pub block_at: u64,
    pub block_length: u64,
    /// Rows that it was made of, with the standing they had, by id.
    pub rows: Vec<(i64, Standing)>,
    /// The pack that it replaces, and what was decided about that.
    pub replaces: Option<(i64, Overrides)>,
    pub served: u64,
    /// Objects that it refers to.
    pub objects: BTreeSet<[u8; 16]>,
    /// Of each instance's UID, in order.
    pub hashes: Vec<lookup::Hash>,
}

/// Runs the transaction. `false`: the series changed meanwhile, and nothing
/// was done but to bury the object.
pub(crate) fn commit(db: &mut Connection, new: &NewPack, now: i64) -> Result<bool> {
    let tx = db.begin(new.tenant)?;
    if !is_unchanged(&tx, new)? {
        objects::transition(&tx, new.name.row, state::RESERVED, state::DEAD, now)?;
        tx.commit()?;
        return Ok(false);
    }
    let holds = (Kind::Pack, new.bytes);
    objects::settle(&tx, &new.name, state::LIVE, holds, now)?;
    let left = objects_left(&tx, new)?;
    delete_replaced(&tx, new)?;
    let pack = insert(&tx, new)?;
    objects::bury_unused(&tx, left, now)?;
    let key = u64::try_from(pack).map_err(|_| ArchiveError::Corrupt)?;
    Lookup::add(
        &tx,
        new.tenant,
        new.hashes
            .iter()
            .zip(0_u32..)
            .map(|(hash, ordinal)| lookup::Entry {
                hash: *hash,
                pack: key,
                ordinal,
            }),
    )?;
    tx.prepare_cached("DELETE FROM unsettled WHERE series = ?1")?
        .execute([new.series])?;
    steps::at("pack.indexed");
    tx.commit()?;
    Ok(true)
}

fn is_unchanged(tx: &Transaction<'_>, new: &NewPack) -> Result<bool> {
    let mut query = tx.prepare_cached(
        "SELECT id, standing FROM instance WHERE series = ?1 AND standing = 0
         UNION ALL SELECT id, standing FROM instance WHERE series = ?1 AND standing <> 0
         ORDER BY 1",
    )?;
    let mut rows = query.query([new.series])?;
    let mut read = new.rows.iter();
    while let Some(row) = rows.next()? {
        let now = (row.get(0)?, Standing::of_code(row.get(1)?)?);
        if read.next() != Some(&now) {
            return Ok(false);
        }
    }
    let pack = of_series(tx, new.series)?.map(|pack| pack.id);
    let pack = pack.map(|id| Ok::<_, ArchiveError>((id, overrides(tx, id)?)));
    Ok(read.next().is_none() && pack.transpose()? == new.replaces)
}

/// Objects that the rows and the replaced pack are in.
fn objects_left(tx: &Transaction<'_>, new: &NewPack) -> Result<BTreeSet<i64>> {
    let replaced = new.replaces.as_ref().map(|(pack, _)| *pack);
    let mut query = tx.prepare_cached(
        "SELECT object FROM instance WHERE series = ?1 AND standing = 0
         UNION SELECT object FROM instance WHERE series = ?1 AND standing <> 0
         UNION SELECT object FROM pack WHERE id = ?2
         UNION SELECT object FROM pack_object WHERE pack = ?2",
    )?;
    let rows = query.query_map(params![new.series, replaced], |row| row.get(0))?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

fn delete_replaced(tx: &Transaction<'_>, new: &NewPack) -> Result<()> {
    if tx.sqlite().is_some() {
        tx.prepare_cached(
            "UPDATE instance_floor
             SET floor = max(floor, (SELECT coalesce(max(id), 0) FROM instance))",
        )?
        .execute([])?;
    }
    let mut deleted = 0;
    for standing in ["= 0", "<> 0"] {
        let sql = format!("DELETE FROM instance WHERE series = ?1 AND standing {standing}");
        deleted += tx.prepare_cached(&sql)?.execute([new.series])?;
    }
    if deleted != new.rows.len() {
        return Err(ArchiveError::Index("a row was lost".to_owned()));
    }
    if let Some((pack, _)) = &new.replaces {
        tx.prepare_cached("DELETE FROM pack WHERE id = ?1")?
            .execute([pack])?;
    }
    Ok(())
}

/// The rows of a pack and of what it refers to.
pub(crate) fn insert(tx: &Transaction<'_>, new: &NewPack) -> Result<i64> {
    let pack = tx
        .prepare_cached(
            "INSERT INTO pack (tenant, series, object, instances, served, block_at, block_length)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .insert(params![
            new.tenant,
            new.series,
            new.name.row,
            new.hashes.len(),
            new.served,
            new.block_at,
            new.block_length
        ])?;
    for object in &new.objects {
        let inserted = tx
            .prepare_cached(
                "INSERT INTO pack_object (pack, object) SELECT ?1, id FROM object
                 WHERE name = ?2 AND state = ?3",
            )?
            .execute(params![pack, object, state::LIVE])?;
        if inserted != 1 {
            return Err(ArchiveError::Index("an object was lost".to_owned()));
        }
    }
    Ok(pack)
}
