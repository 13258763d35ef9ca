//! What was deleted, by keyed hashes of its UIDs, and the keys that went with
//! it. Names nobody; asked for every instance that comes.

use crate::db::{Connection, OptionalExtension, params};
use crate::descriptor::Descriptor;
use crate::error::{ArchiveError, Result};
use crate::keys::KeyStore;

/// Level of a tombstone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Study,
    Series,
    Instance,
}

impl Level {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Study => "study",
            Self::Series => "series",
            Self::Instance => "instance",
        }
    }

    pub(crate) fn of(text: &str) -> Option<Self> {
        [Self::Study, Self::Series, Self::Instance]
            .into_iter()
            .find(|level| level.as_str() == text)
    }
}

/// Hashes under which an arriving instance could be buried: of its study, its
/// series in that study, and itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Marks(pub [[u8; 32]; 3]);

impl Marks {
    pub(crate) fn of(keys: &KeyStore, tenant: &str, of: &Descriptor, now: i64) -> Result<Self> {
        Ok(Self([
            mark(keys, tenant, Level::Study, &of.study, "", now)?,
            mark(keys, tenant, Level::Series, &of.series, &of.study, now)?,
            mark(keys, tenant, Level::Instance, &of.sop_instance, "", now)?,
        ]))
    }
}

/// The hash of something that can be deleted. A series is one of its study.
pub(crate) fn mark(
    keys: &KeyStore,
    tenant: &str,
    level: Level,
    uid: &str,
    within: &str,
    now: i64,
) -> Result<[u8; 32]> {
    keys.keyed_hash(tenant, &format!("{} {uid} {within}", level.as_str()), now)
}

/// Whether what bears one of `marks` was deleted.
pub(crate) fn stands(db: &Connection, tenant: i64, marks: &Marks) -> Result<bool> {
    let mut query =
        db.prepare_cached("SELECT 1 FROM tombstone WHERE tenant = ?1 AND mark IN (?2, ?3, ?4)")?;
    let [study, series, instance] = marks.0;
    Ok(query.exists(params![tenant, study, series, instance])?)
}

/// Forgets that it was deleted: it comes again and is taken.
pub(crate) fn lift(db: &Connection, tenant: i64, marks: &Marks) -> Result<()> {
    let [study, series, instance] = marks.0;
    db.prepare_cached("DELETE FROM tombstone WHERE tenant = ?1 AND mark IN (?2, ?3, ?4)")?
        .execute(params![tenant, study, series, instance])?;
    Ok(())
}

/// Remembers that something was deleted.
pub(crate) fn raise(db: &Connection, tenant: i64, mark: &[u8; 32], now: i64) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO tombstone (tenant, mark, deleted_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (tenant, mark) DO UPDATE SET deleted_at = excluded.deleted_at",
    )?
    .execute(params![tenant, mark, now])?;
    Ok(())
}

/// Has a key destroyed at the next opening.
pub(crate) fn doom(db: &Connection, tenant: i64, key: &[u8; 16]) -> Result<()> {
    db.prepare_cached("INSERT INTO dead_key (tenant, id) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![tenant, key])?;
    Ok(())
}

/// A key that is destroyed, or is about to be: what was sealed with it while
/// its study was being deleted can't become live.
pub(crate) fn is_dead_key(db: &Connection, tenant: i64, key: &[u8; 16]) -> Result<bool> {
    Ok(db
        .prepare_cached("SELECT 1 FROM dead_key WHERE tenant = ?1 AND id = ?2")?
        .exists(params![tenant, key])?)
}

/// Dead keys that may still be in the key store: tenant's row and name, id.
pub(crate) fn undestroyed(db: &Connection) -> Result<Vec<(i64, String, [u8; 16])>> {
    let mut query = db.prepare_cached(
        "SELECT d.tenant, t.name, d.id FROM dead_key d JOIN tenant t ON t.id = d.tenant
         WHERE d.destroyed = 0",
    )?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

pub(crate) fn destroyed(db: &Connection, tenant: i64, key: &[u8; 16]) -> Result<()> {
    db.execute(
        "UPDATE dead_key SET destroyed = 1 WHERE tenant = ?1 AND id = ?2",
        params![tenant, key],
    )?;
    Ok(())
}

/// Row of a study; `NotFound` when there is none.
pub(crate) fn study_row(db: &Connection, tenant: i64, uid: &str) -> Result<i64> {
    db.prepare_cached("SELECT id FROM study WHERE tenant = ?1 AND uid = ?2")?
        .query_row(params![tenant, uid], |row| row.get(0))
        .optional()?
        .ok_or(ArchiveError::NotFound)
}
