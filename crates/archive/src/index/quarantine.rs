//! Rows of the quarantine.

use super::audit::Told;
use hilum_contracts::audit::Detail;
use hilum_platform::clock::from_millis;

use super::objects::{self, Name};
use super::schema::state;
use super::tombstone;
use crate::db::{Connection, OptionalExtension, Row, params};
use crate::descriptor::QuarantineDescriptor;
use crate::error::{ArchiveError, Result};
use crate::format::Kind;
use crate::limits;
use crate::model::{Page, QuarantineItem, QuarantineOutcome};
use crate::steps;

/// What a tenant may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub items: u64,
    pub bytes: u64,
}

/// Whether there is a place; counts a repeat of what is held already.
pub(crate) fn admit(
    db: &Connection,
    tenant: i64,
    sha256: &[u8; 32],
    length: u64,
    bounds: Bounds,
) -> Result<Option<QuarantineOutcome>> {
    let held: Option<i64> = db
        .query_row(
            "UPDATE quarantine SET times = times + 1 WHERE tenant = ?1 AND sha256 = ?2 RETURNING id",
            params![tenant, sha256],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(id) = held {
        return Ok(Some(QuarantineOutcome::AlreadyHeld(id)));
    }
    let (items, bytes): (u64, u64) = db.query_row(
        "SELECT count(*), coalesce(sum(length), 0) FROM quarantine WHERE tenant = ?1",
        [tenant],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    let full = items >= bounds.items || bytes.saturating_add(length) > bounds.bytes;
    Ok(full.then_some(QuarantineOutcome::Full))
}

/// What is held: row and SHA-256.
pub(crate) fn digests(db: &Connection, tenant: i64) -> Result<Vec<(i64, [u8; 32])>> {
    let mut query = db.prepare("SELECT id, sha256 FROM quarantine WHERE tenant = ?1")?;
    let rows = query.query_map([tenant], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

/// Where an item was written.
pub(crate) struct Place {
    /// The object.
    pub(crate) name: Name,
    /// All of the object's bytes.
    pub(crate) bytes: u64,
    /// Where in it the item begins.
    pub(crate) offset: u64,
}

/// `reserved → live` together with the row; or, when another came first,
/// `reserved → dead`.
pub(crate) fn keep(
    db: &mut Connection,
    tenant: i64,
    place: &Place,
    of: &QuarantineDescriptor,
    bounds: Bounds,
    told: Option<&Told>,
    now: i64,
) -> Result<QuarantineOutcome> {
    let tx = db.begin(tenant)?;
    let outcome = match admit(&tx, tenant, &of.sha256, of.length, bounds)? {
        Some(outcome) => {
            objects::transition(&tx, place.name.row, state::RESERVED, state::DEAD, now)?;
            outcome
        }
        None => {
            objects::settle(
                &tx,
                &place.name,
                state::LIVE,
                (Kind::Quarantine, place.bytes),
                now,
            )?;
            let origin = serde_json::to_string(&of.origin)
                .map_err(|_| ArchiveError::Invalid("the origin cannot be written"))?;
            let id = tx
                .prepare(
                    "INSERT INTO quarantine (tenant, sha256, length, reason, detail, transfer_syntax,
                    origin, correlation, received_at, object, \"offset\")
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                )?
                .insert(params![
                    tenant,
                    of.sha256,
                    of.length,
                    of.reason,
                    of.detail,
                    of.transfer_syntax,
                    origin,
                    of.correlation.to_string(),
                    of.received_at,
                    place.name.row,
                    place.offset
                ])?;
            if let Some(mut told) = told.cloned() {
                told.entry = told.entry.with(Detail::Item, id);
                told.keep(&tx, now)?;
            }
            QuarantineOutcome::Kept(id)
        }
    };
    steps::at("quarantine.indexed");
    tx.commit()?;
    steps::at("quarantine.committed");
    Ok(outcome)
}

const COLUMNS: &str = "q.id, q.length, q.sha256, q.reason, q.detail, q.transfer_syntax, q.origin,
    q.correlation, q.received_at, q.times, o.name, q.offset";

fn item(row: Row<'_>) -> Result<QuarantineItem> {
    let origin: String = row.get(6)?;
    let correlation: String = row.get(7)?;
    Ok(QuarantineItem {
        id: row.get(0)?,
        length: row.get(1)?,
        sha256: row.get(2)?,
        reason: row.get(3)?,
        detail: row.get(4)?,
        transfer_syntax: row.get(5)?,
        origin: serde_json::from_str(&origin).map_err(|_| ArchiveError::Corrupt)?,
        correlation: correlation.parse().map_err(|_| ArchiveError::Corrupt)?,
        received_at: from_millis(row.get(8)?),
        times: row.get(9)?,
        object: row.get(10)?,
        offset: row.get(11)?,
    })
}

pub(crate) fn list(db: &Connection, tenant: i64, page: Page) -> Result<Vec<QuarantineItem>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM quarantine q JOIN object o ON o.id = q.object WHERE q.tenant = ?1
         ORDER BY q.id DESC LIMIT ?2 OFFSET ?3"
    );
    let mut query = db.prepare_cached(&sql)?;
    let offset = i64::try_from(page.offset).unwrap_or(i64::MAX);
    let mut rows = query.query(params![tenant, page.limit.min(limits::PAGE_ROWS), offset])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(item(row)?);
    }
    Ok(found)
}

pub(crate) fn get(db: &Connection, tenant: i64, id: i64) -> Result<Option<QuarantineItem>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM quarantine q JOIN object o ON o.id = q.object
         WHERE q.tenant = ?1 AND q.id = ?2"
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(params![tenant, id])?;
    rows.next()?.map(item).transpose()
}

/// Removes the row, buries its object and dooms its key.
pub(crate) fn delete(
    db: &mut Connection,
    tenant: i64,
    id: i64,
    key: Option<[u8; 16]>,
    told: &Told,
    now: i64,
) -> Result<()> {
    let tx = db.begin(tenant)?;
    let object: i64 = tx
        .query_row(
            "DELETE FROM quarantine WHERE tenant = ?1 AND id = ?2 RETURNING object",
            params![tenant, id],
            |row| row.get(0),
        )
        .optional()?
        .ok_or(ArchiveError::NotFound)?;
    if let Some(key) = key {
        tombstone::doom(&tx, tenant, &key)?;
    }
    objects::transition(&tx, object, state::LIVE, state::DEAD, now)?;
    told.keep(&tx, now)?;
    steps::at("delete.indexed");
    tx.commit()?;
    steps::at("delete.committed");
    Ok(())
}
