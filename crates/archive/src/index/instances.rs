//! Questions about instances. Each is answered from rows and packs together,
//! on one snapshot; whoever asks can't tell where an instance is.

use super::answer::{self, INSTANCE, INSTANCE_COLUMNS, INSTANCE_FROM, INSTANCE_ID};
use super::condition::Conditions;
use super::schema::NO_NUMBER;
use crate::db::{Connection, OptionalExtension, Value, params, params_from_iter};
use crate::descriptor::decompress;
use crate::error::{ArchiveError, Result};
use crate::limits;
use crate::model::{
    InstanceAttributes, InstanceFilter, InstanceLayout, InstanceRow, Page, Standing,
};
use crate::pack::{OrderKey, Packs};

/// Column of `i.series` in [`INSTANCE`].
const INSTANCE_SERIES: usize = INSTANCE_ID + 1;

/// An instance with what answers are sorted by.
pub(super) struct Placed {
    series: i64,
    pub key: OrderKey,
    pub row: InstanceRow,
}

pub(super) fn placed(row: crate::db::Row<'_>) -> Result<Placed> {
    let series = row.get(INSTANCE_SERIES)?;
    let id = row.get(INSTANCE_ID)?;
    let row = answer::instance(row)?;
    Ok(Placed {
        series,
        key: (row.attributes.number.unwrap_or(NO_NUMBER), id),
        row,
    })
}

pub(crate) fn served(
    db: &Connection,
    packs: &Packs,
    tenant: i64,
    uid: &str,
) -> Result<Option<InstanceRow>> {
    Ok(find_served(db, packs, tenant, uid)?.map(|placed| placed.row))
}

fn find_served(db: &Connection, packs: &Packs, tenant: i64, uid: &str) -> Result<Option<Placed>> {
    let sql = format!(
        "SELECT {INSTANCE} FROM {INSTANCE_FROM} WHERE i.tenant = ?1 AND i.uid = ?2 AND i.standing = 0"
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(params![tenant, uid])?;
    if let Some(row) = rows.next()? {
        return placed(row).map(Some);
    }
    for (packed, ordinal) in packs.find(db, tenant, uid)? {
        if packed.standing(ordinal)? == Standing::Served {
            return Ok(Some(Placed {
                series: packed.row.series,
                key: packed.entry(ordinal)?.key(),
                row: packed.instance(ordinal)?,
            }));
        }
    }
    Ok(None)
}

/// A row with its layout.
pub(crate) fn with_layout(db: &Connection, id: i64) -> Result<InstanceLayout> {
    let sql = format!(
        "SELECT {INSTANCE}, b.layout FROM {INSTANCE_FROM}
         JOIN instance_block b ON b.instance = i.id WHERE i.id = ?1"
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query([id])?;
    let row = rows.next()?.ok_or(ArchiveError::NotFound)?;
    let layout: Vec<u8> = row.get(INSTANCE_COLUMNS)?;
    Ok(InstanceLayout {
        row: answer::instance(row)?,
        layout: decompress(&layout, limits::LAYOUT_BYTES)?.into(),
    })
}

/// What is served under a UID, with its layout.
pub(crate) fn served_with_layout(
    db: &Connection,
    packs: &Packs,
    tenant: i64,
    uid: &str,
) -> Result<Option<InstanceLayout>> {
    let row: Option<i64> = db
        .prepare_cached("SELECT id FROM instance WHERE tenant = ?1 AND uid = ?2 AND standing = 0")?
        .query_row(params![tenant, uid], |row| row.get(0))
        .optional()?;
    if let Some(id) = row {
        return with_layout(db, id).map(Some);
    }
    for (packed, ordinal) in packs.find(db, tenant, uid)? {
        if packed.standing(ordinal)? == Standing::Served {
            let found = packs.metadata(&packed, ordinal)?;
            return Ok(Some(InstanceLayout {
                row: found.row,
                layout: found.layout,
            }));
        }
    }
    Ok(None)
}

/// The instance of exactly these bytes, whatever its standing.
pub(crate) fn exact(
    db: &Connection,
    packs: &Packs,
    tenant: i64,
    uid: &str,
    sha256: &[u8; 32],
) -> Result<Option<InstanceRow>> {
    let sql = format!(
        "SELECT {INSTANCE} FROM {INSTANCE_FROM} WHERE i.tenant = ?1 AND i.uid = ?2 AND i.sha256 = ?3"
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(params![tenant, uid, sha256])?;
    if let Some(row) = rows.next()? {
        return answer::instance(row).map(Some);
    }
    for (packed, ordinal) in packs.find(db, tenant, uid)? {
        if packed.entry(ordinal)?.sha256 == *sha256 {
            return packed.instance(ordinal).map(Some);
        }
    }
    Ok(None)
}

/// Served instances that match, by series, then in the order of answers.
pub(crate) fn list(
    db: &Connection,
    packs: &Packs,
    tenant: i64,
    filter: &InstanceFilter,
    page: Page,
) -> Result<Vec<InstanceRow>> {
    let mut window = Window {
        skip: page.offset,
        left: page.limit.min(limits::PAGE_ROWS) as usize,
        rows: Vec::new(),
    };
    let mut conditions = Conditions::of_tenant("t.tenant", tenant);
    conditions.series(&filter.series)?;
    // Also checks its bounds.
    let mut own = Conditions::of_tenant("i.tenant", tenant);
    own.instance(filter)?;
    if !filter.uids.is_empty() {
        by_uid(db, packs, tenant, filter, &conditions, &mut window)?;
        return Ok(window.rows);
    }
    let sql = format!(
        "SELECT s.id, s.instances, p.id IS NOT NULL FROM series s JOIN study t ON t.id = s.study
            LEFT JOIN pack p ON p.series = s.id
         WHERE {} AND s.instances > 0 ORDER BY s.id",
        conditions.sql()
    );
    let every = !filter.is_of_instances();
    let mut query = db.prepare_planned(&sql)?;
    let mut rows = query.query(params_from_iter(conditions.values))?;
    while window.left > 0
        && let Some(row) = rows.next()?
    {
        let (series, instances, packed): (i64, u64, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if every && window.skip >= instances {
            window.skip -= instances;
        } else {
            of_series(db, packs, (series, packed), filter, &own, &mut window)?;
        }
    }
    Ok(window.rows)
}

/// What is still to be left out and taken.
struct Window {
    skip: u64,
    left: usize,
    rows: Vec<InstanceRow>,
}

impl Window {
    /// Whether the next row is wanted.
    fn wants(&mut self) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.left > 0
    }

    fn take(&mut self, row: InstanceRow) {
        self.left -= 1;
        self.rows.push(row);
    }
}

fn by_uid(
    db: &Connection,
    packs: &Packs,
    tenant: i64,
    filter: &InstanceFilter,
    of_series: &Conditions,
    window: &mut Window,
) -> Result<()> {
    let sql = format!(
        "SELECT 1 FROM series s JOIN study t ON t.id = s.study WHERE {} AND s.id = ?",
        of_series.sql()
    );
    let mut matching = db.prepare_planned(&sql)?;
    let uids: std::collections::BTreeSet<&String> = filter.uids.iter().collect();
    let mut found = Vec::new();
    for uid in uids {
        let Some(placed) = find_served(db, packs, tenant, uid)? else {
            continue;
        };
        let row = &placed.row;
        let values = of_series.values.iter().cloned();
        let values = values.chain([Value::Integer(placed.series)]);
        if filter.matches(&row.sop_class, &row.attributes)
            && matching.exists(params_from_iter(values))?
        {
            found.push(placed);
        }
    }
    found.sort_by_key(|placed| (placed.series, placed.key));
    for placed in found {
        if window.wants() {
            window.take(placed.row);
        }
    }
    Ok(())
}

fn of_series(
    db: &Connection,
    packs: &Packs,
    (series, packed): (i64, bool),
    filter: &InstanceFilter,
    conditions: &Conditions,
    window: &mut Window,
) -> Result<()> {
    let sql = format!(
        "SELECT {INSTANCE} FROM {INSTANCE_FROM}
         WHERE {} AND i.series = ? AND i.standing = 0 ORDER BY i.number, i.id",
        conditions.sql()
    );
    let values = conditions.values.iter().cloned();
    let mut query = db.prepare_planned(&sql)?;
    let mut rows = query.query(params_from_iter(values.chain([Value::Integer(series)])))?;
    let pack = if packed {
        packs.of_series(db, series)?
    } else {
        None
    };
    let mut settled = pack.iter().flat_map(|pack| {
        pack.served()
            .filter(|(_, entry)| filter.matches(&entry.sop_class, &entry.attributes))
            .map(move |(ordinal, entry)| (pack, ordinal, entry.key()))
    });
    let mut from_pack = settled.next();
    let mut row = rows.next()?;
    while window.left > 0 {
        let key = match row {
            Some(row) => Some((row.get::<i64>(INSTANCE_NUMBER)?, row.get(INSTANCE_ID)?)),
            None => None,
        };
        match (from_pack, key) {
            (Some((pack, ordinal, packed_key)), key)
                if key.is_none_or(|key: OrderKey| packed_key < key) =>
            {
                if window.wants() {
                    window.take(pack.instance(ordinal)?);
                }
                from_pack = settled.next();
            }
            (_, Some(_)) => {
                if window.wants()
                    && let Some(row) = row
                {
                    window.take(answer::instance(row)?);
                }
                row = rows.next()?;
            }
            (_, None) => break,
        }
    }
    Ok(())
}

/// Column of `i.number` in [`INSTANCE`].
const INSTANCE_NUMBER: usize = 5;

impl InstanceFilter {
    /// Whether it asks for anything that a series does not answer.
    fn is_of_instances(&self) -> bool {
        !self.uids.is_empty()
            || !self.sop_classes.is_empty()
            || self.number.is_some()
            || self.rows.is_some()
            || self.columns.is_some()
            || self.frames.is_some()
    }

    /// What `Conditions::instance` says of the instance itself, UIDs apart.
    fn matches(&self, sop_class: &str, of: &InstanceAttributes) -> bool {
        let equal = |asked: Option<u32>, is: Option<u32>| asked.is_none() || asked == is;
        (self.sop_classes.is_empty() || self.sop_classes.iter().any(|asked| asked == sop_class))
            && (self.number.is_none() || self.number == Some(of.number.unwrap_or(NO_NUMBER)))
            && equal(self.rows, of.rows)
            && equal(self.columns, of.columns)
            && equal(self.frames, of.frames)
    }
}
