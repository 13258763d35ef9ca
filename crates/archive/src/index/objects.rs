//! Object names: reserved before use, live, dead, gone. A name is used once.

use std::collections::BTreeSet;

use super::schema::state;
use crate::db::{Connection, OptionalExtension, ToSql, Transaction, params, params_from_iter};
use crate::error::{ArchiveError, Result};
use crate::format::Kind;
use crate::keys::random;
use crate::limits;

/// A reserved name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    pub row: i64,
    pub name: [u8; 16],
}

/// An object that verify and backup must find.
#[derive(Debug, Clone)]
pub(crate) struct LiveObject {
    pub row: i64,
    pub tenant: String,
    pub name: [u8; 16],
    pub bytes: u64,
}

/// An instance, or a quarantined item, as the index places it in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub segment: u32,
    pub offset: u64,
    pub length: u64,
    pub sha256: [u8; 32],
}

/// The row of a tenant, made when there is none; `NotFound` for one that was
/// ended.
pub(crate) fn tenant_row(tx: &Transaction<'_>, name: &str) -> Result<i64> {
    tx.prepare_cached("INSERT INTO tenant (name) VALUES (?1) ON CONFLICT DO NOTHING")?
        .execute([name])?;
    tx.prepare_cached("SELECT id FROM tenant WHERE name = ?1 AND ended_at IS NULL")?
        .query_row([name], |row| row.get(0))
        .optional()?
        .ok_or(ArchiveError::NotFound)
}

pub(crate) fn find_tenant(db: &Connection, name: &str) -> Result<Option<i64>> {
    Ok(db
        .prepare_cached("SELECT id FROM tenant WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}

/// Every tenant: row and name.
pub(crate) fn tenants(db: &Connection) -> Result<Vec<(i64, String)>> {
    let mut query = db.prepare_cached("SELECT id, name FROM tenant")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

pub(crate) fn tenant_names(db: &Connection, rows: &BTreeSet<i64>) -> Result<Vec<String>> {
    let mut query = db.prepare_cached("SELECT name FROM tenant WHERE id = ?1")?;
    rows.iter()
        .map(|row| Ok(query.query_row([row], |row| row.get(0))?))
        .collect()
}

/// Starts a run of the program; names of earlier ones are dead from now on.
pub(crate) fn begin_opening(db: &Connection, now: i64) -> Result<i64> {
    Ok(db
        .prepare("INSERT INTO opening (opened_at) VALUES (?1)")?
        .insert([now])?)
}

pub(crate) fn reserve(
    tx: &Transaction<'_>,
    tenant: i64,
    opening: i64,
    now: i64,
    count: usize,
) -> Result<Vec<Name>> {
    let names = (0..count)
        .map(|_| random())
        .collect::<Result<Vec<[u8; 16]>>>()?;
    let mut reserved = Vec::with_capacity(count);
    for some in names.chunks(tx.together()) {
        let each: Vec<String> = (4..)
            .take(some.len())
            .map(|at| format!("(?1, ?{at}, ?2, ?3)"))
            .collect();
        let sql = format!(
            "INSERT INTO object (tenant, name, opening, changed_at) VALUES {} RETURNING id, name",
            each.join(", ")
        );
        let of: [&dyn ToSql; 3] = [&tenant, &opening, &now];
        let values = of.into_iter().chain(some.iter().map(|name| name as _));
        let mut insert = tx.prepare_for(some.len(), &sql)?;
        let rows = insert.query_map(params_from_iter(values), |row| {
            Ok(Name {
                row: row.get(0)?,
                name: row.get(1)?,
            })
        })?;
        for name in rows {
            reserved.push(name?);
        }
    }
    Ok(reserved)
}

/// The row of a name that an object file bears already, once more `reserved`
/// when it is there.
pub(crate) fn reserve_as(
    tx: &Transaction<'_>,
    tenant: i64,
    name: &[u8; 16],
    now: i64,
) -> Result<i64> {
    Ok(tx
        .prepare_cached(
            "INSERT INTO object (tenant, name, opening, changed_at) VALUES (?1, ?2, 0, ?3)
             ON CONFLICT (name) DO UPDATE SET state = 0 RETURNING id",
        )?
        .query_row(params![tenant, name, now], |row| row.get(0))?)
}

/// Moves one object between states; how many rows changed (0 or 1).
pub(crate) fn transition(db: &Connection, row: i64, from: i64, to: i64, now: i64) -> Result<usize> {
    Ok(db
        .prepare_cached(
            "UPDATE object SET state = ?3, changed_at = ?4 WHERE id = ?1 AND state = ?2",
        )?
        .execute(params![row, from, to, now])?)
}

/// The one step by which a durable object begins to exist: `reserved → to`,
/// which is `live`, or `dead` for one that holds nothing new. When somebody
/// buried the name meanwhile, or the row is another name's in a database that was put
/// back, the transaction must not go on.
pub(crate) fn settle(
    tx: &Connection,
    name: &Name,
    to: i64,
    (kind, bytes): (Kind, u64),
    now: i64,
) -> Result<()> {
    let changed = tx
        .prepare_cached(
            "UPDATE object SET state = ?2, kind = ?3, bytes = ?4, changed_at = ?5
             WHERE id = ?1 AND state = ?6 AND name = ?7",
        )?
        .execute(params![
            name.row,
            to,
            kind.code(),
            bytes,
            now,
            state::RESERVED,
            name.name
        ])?;
    if changed != 1 {
        return Err(ArchiveError::Index("the reserved name was lost".to_owned()));
    }
    Ok(())
}

pub(crate) fn state_of(db: &Connection, row: i64) -> Result<Option<i64>> {
    Ok(db
        .prepare_cached("SELECT state FROM object WHERE id = ?1")?
        .query_row([row], |row| row.get(0))
        .optional()?)
}

/// `reserved → dead` for what earlier runs of the program reserved.
pub(crate) fn bury_reserved(db: &Connection, opening: i64, now: i64) -> Result<u64> {
    // The state is written out: a bound one would not find the index of the few
    // that are reserved, and every object would be read.
    let buried = db.execute(
        "UPDATE object SET state = ?1, changed_at = ?2 WHERE state = 0 AND opening < ?3",
        params![state::DEAD, now, opening],
    )?;
    Ok(buried as u64)
}

/// `live → dead` for those of `rows` that nothing is in any more; how many.
pub(crate) fn bury_unused(
    tx: &Connection,
    rows: impl IntoIterator<Item = i64>,
    now: i64,
) -> Result<u64> {
    let mut bury = tx.prepare_cached(
        "UPDATE object SET state = ?2, changed_at = ?3 WHERE id = ?1 AND state = ?4
         AND NOT EXISTS (SELECT 1 FROM instance WHERE instance.object = ?1)
         AND NOT EXISTS (SELECT 1 FROM pack WHERE pack.object = ?1 AND pack.series IS NOT NULL)
         AND NOT EXISTS (SELECT 1 FROM pack_object WHERE pack_object.object = ?1)
         AND NOT EXISTS (SELECT 1 FROM quarantine WHERE quarantine.object = ?1)",
    )?;
    let mut forget = tx.prepare_cached("DELETE FROM pack WHERE object = ?1 AND series IS NULL")?;
    let mut buried = 0;
    for row in rows {
        if bury.execute(params![row, state::DEAD, now, state::LIVE])? == 1 {
            forget.execute([row])?;
            buried += 1;
        }
    }
    Ok(buried)
}

/// Objects that died by `before` and may still be there: row, tenant, name.
pub(crate) fn dead(
    db: &Connection,
    before: i64,
    limit: u32,
) -> Result<Vec<(i64, String, [u8; 16])>> {
    let mut query = db.prepare_cached(
        "SELECT object.id, tenant.name, object.name FROM object JOIN tenant ON tenant.id = object.tenant
         WHERE state = 2 AND changed_at <= ?1 LIMIT ?2",
    )?;
    let rows = query.query_map(params![before, limit], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

/// Names of earlier openings that are neither live nor gone: row, tenant, name.
pub(crate) fn unsettled_before(
    db: &Connection,
    opening: i64,
) -> Result<Vec<(i64, String, [u8; 16])>> {
    let mut query = db.prepare(
        "SELECT object.id, tenant.name, object.name FROM object JOIN tenant ON tenant.id = object.tenant
         WHERE state = 0 AND opening < ?1
         UNION ALL
         SELECT object.id, tenant.name, object.name FROM object JOIN tenant ON tenant.id = object.tenant
         WHERE state = 2 AND kind = 0 AND opening < ?1",
    )?;
    let rows = query.query_map([opening], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

/// A dead object whose file is gone, and its folder synced: nothing is left to
/// remember, for names are random. The highest row stays, so that no row's
/// number is given twice.
pub(crate) fn forget(tx: &Connection, row: i64, now: i64) -> Result<()> {
    let deleted = tx
        .prepare_cached(
            "DELETE FROM object WHERE id = ?1 AND state = ?2
             AND id < (SELECT max(id) FROM object)
             AND NOT EXISTS (SELECT 1 FROM note WHERE note.object = ?1)
             AND NOT EXISTS (SELECT 1 FROM pack WHERE pack.object = ?1)",
        )?
        .execute([row, state::DEAD])?;
    if deleted == 0 {
        transition(tx, row, state::DEAD, state::GONE, now)?;
    }
    Ok(())
}

/// Rows of gone objects that nothing refers to, but the highest.
pub(crate) fn gone(db: &Connection) -> Result<Vec<i64>> {
    let mut query = db.prepare_cached(
        "SELECT id FROM object WHERE state = ?1 AND id < (SELECT max(id) FROM object)
         AND NOT EXISTS (SELECT 1 FROM note WHERE note.object = object.id)
         AND NOT EXISTS (SELECT 1 FROM pack WHERE pack.object = object.id) LIMIT ?2",
    )?;
    let rows = query.query_map(params![state::GONE, limits::GONE_ROWS_DELETED], |row| {
        row.get(0)
    })?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

/// Live objects after row `after`, in order.
pub(crate) fn live_after(db: &Connection, after: i64, limit: u32) -> Result<Vec<LiveObject>> {
    let mut query = db.prepare_cached(
        "SELECT object.id, tenant.name, object.name, object.bytes
         FROM object JOIN tenant ON tenant.id = object.tenant
         WHERE object.id > ?1 AND state = 1 ORDER BY object.id LIMIT ?2",
    )?;
    let rows = query.query_map(params![after, limit], |row| {
        Ok(LiveObject {
            row: row.get(0)?,
            tenant: row.get(1)?,
            name: row.get(2)?,
            bytes: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

pub(crate) fn count_live(db: &Connection) -> Result<u64> {
    Ok(
        db.query_row("SELECT count(*) FROM object WHERE state = 1", [], |row| {
            row.get(0)
        })?,
    )
}

/// What the index holds of an object.
pub(crate) fn members(db: &Connection, object: i64) -> Result<Vec<Member>> {
    let mut query = db.prepare_cached(
        "SELECT i.segment, i.offset, i.length, i.sha256 FROM instance i WHERE i.object = ?1
         UNION ALL SELECT 0, q.offset, q.length, q.sha256 FROM quarantine q WHERE q.object = ?1
         UNION ALL SELECT 0, n.offset, n.length, n.sha256 FROM note n WHERE n.object = ?1",
    )?;
    let rows = query.query_map([object], |row| {
        Ok(Member {
            segment: row.get(0)?,
            offset: row.get(1)?,
            length: row.get(2)?,
            sha256: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

/// The state of the object of that name.
pub(crate) fn state_by_name(db: &Connection, name: &[u8; 16]) -> Result<Option<i64>> {
    Ok(db
        .prepare_cached("SELECT state FROM object WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?)
}
