//! Questions to the index. Each takes the tenant's row and cannot be asked
//! without it.

use rusqlite::{Connection, OptionalExtension, params, params_from_iter, types::Value};

use super::answer::{self, INSTANCE, INSTANCE_COLUMNS, INSTANCE_FROM, INSTANCE_ID, SERIES, STUDY};
use super::condition::Conditions;
use super::route::{self, After, Asked, Marks};
use crate::descriptor::decompress;
use crate::error::Result;
use crate::limits;
use crate::model::{
    InstanceFilter, InstanceMetadata, InstanceRow, MetadataScope, Order, Page, SeriesFilter,
    SeriesRow, StorageReport, StudyFilter, StudyRow, WorklistCursor, WorklistPage,
};

fn window(values: &mut Vec<Value>, page: Page) {
    values.push(Value::Integer(page.limit.min(limits::PAGE_ROWS).into()));
    values.push(Value::Integer(
        i64::try_from(page.offset).unwrap_or(i64::MAX),
    ));
}

pub(crate) fn studies(
    db: &Connection,
    marks: &Marks,
    tenant: i64,
    filter: &StudyFilter,
    page: Page,
) -> Result<Vec<StudyRow>> {
    let asked = Asked {
        tenant,
        filter,
        order: filter.order,
        after: None,
        limit: page.limit.min(limits::PAGE_ROWS).into(),
        offset: page.offset,
    };
    let found = route::page(db, marks, &asked)?;
    Ok(found.into_iter().map(|(study, _)| study).collect())
}

pub(crate) fn worklist(
    db: &Connection,
    tenant: i64,
    filter: &StudyFilter,
    after: Option<WorklistCursor>,
    limit: u32,
) -> Result<WorklistPage> {
    let limit = limit.clamp(1, limits::PAGE_ROWS);
    let asked = Asked {
        tenant,
        filter,
        order: Order::Received,
        after: after.map(After::Received),
        // One more than asked says whether there is a next page.
        limit: u64::from(limit) + 1,
        offset: 0,
    };
    let mut found = route::studies(db, &asked)?;
    let more = found.len() as u64 > u64::from(limit);
    if more {
        found.pop();
    }
    let next = found
        .last()
        .filter(|_| more)
        .map(|(study, id)| WorklistCursor {
            last_received: hilum_platform::clock::to_millis(study.last_received),
            id: *id,
        });
    Ok(WorklistPage {
        studies: found.into_iter().map(|(study, _)| study).collect(),
        next,
    })
}

pub(crate) fn series(
    db: &Connection,
    tenant: i64,
    filter: &SeriesFilter,
    page: Page,
) -> Result<Vec<(SeriesRow, StudyRow)>> {
    let mut conditions = Conditions::of_tenant("t.tenant", tenant);
    conditions.series(filter)?;
    let (from, mut values) = match route::few(db, tenant, &filter.study)? {
        Some((ids, values)) => (
            format!(
                "({ids}) c CROSS JOIN study t ON t.id = c.id CROSS JOIN series s ON s.study = t.id"
            ),
            values,
        ),
        None => (
            "series s JOIN study t ON t.id = s.study".to_owned(),
            Vec::new(),
        ),
    };
    let sql = format!(
        "SELECT {SERIES}, {STUDY} FROM {from} WHERE {} AND s.instances > 0
         ORDER BY t.date DESC, t.time DESC, t.id DESC, s.number, s.uid LIMIT ? OFFSET ?",
        conditions.sql()
    );
    values.append(&mut conditions.values);
    window(&mut values, page);
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(answer::series(row)?);
    }
    Ok(found)
}

pub(crate) fn instances(
    db: &Connection,
    tenant: i64,
    filter: &InstanceFilter,
    page: Page,
) -> Result<Vec<InstanceRow>> {
    let mut conditions = Conditions::of_tenant("i.tenant", tenant);
    conditions.instance(filter)?;
    let sql = format!(
        "SELECT {INSTANCE} FROM {INSTANCE_FROM} WHERE {} AND i.standing = 0
         ORDER BY i.series, i.number, i.id LIMIT ? OFFSET ?",
        conditions.sql()
    );
    window(&mut conditions.values, page);
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(params_from_iter(conditions.values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(answer::instance(row)?);
    }
    Ok(found)
}

pub(crate) fn served(db: &Connection, tenant: i64, uid: &str) -> Result<Option<InstanceRow>> {
    let sql = format!(
        "SELECT {INSTANCE} FROM {INSTANCE_FROM} WHERE i.tenant = ?1 AND i.uid = ?2 AND i.standing = 0"
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(params![tenant, uid])?;
    rows.next()?.map(answer::instance).transpose()
}

/// The row of exactly these bytes, whatever its standing.
pub(crate) fn exact(
    db: &Connection,
    tenant: i64,
    uid: &str,
    sha256: &[u8; 32],
) -> Result<Option<InstanceRow>> {
    let sql = format!(
        "SELECT {INSTANCE} FROM {INSTANCE_FROM} WHERE i.tenant = ?1 AND i.uid = ?2 AND i.sha256 = ?3"
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(params![tenant, uid, sha256])?;
    rows.next()?.map(answer::instance).transpose()
}

/// Series rows of a metadata answer, in their order.
pub(crate) fn series_of(db: &Connection, tenant: i64, of: &MetadataScope) -> Result<Vec<i64>> {
    let (study, series) = match of {
        MetadataScope::Study(study) => (study, None),
        MetadataScope::Series { study, series } | MetadataScope::Instance { study, series, .. } => {
            (study, Some(series))
        }
    };
    let mut query = db.prepare_cached(
        "SELECT s.id FROM series s JOIN study t ON t.id = s.study
         WHERE t.tenant = ?1 AND t.uid = ?2 AND (?3 IS NULL OR s.uid = ?3) AND s.instances > 0
         ORDER BY s.number, s.uid",
    )?;
    let rows = query.query_map(params![tenant, study, series], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Rows of a series with their metadata, and where they ended.
pub(crate) type MetadataRows = (Vec<InstanceMetadata>, Option<(i64, i64)>);

/// The next rows of a series after (number, id).
pub(crate) fn metadata_after(
    db: &Connection,
    tenant: i64,
    series: i64,
    only: Option<&str>,
    after: (i64, i64),
    limit: usize,
) -> Result<MetadataRows> {
    let only_sql = if only.is_some() { "AND i.uid = ?6" } else { "" };
    let sql = format!(
        "SELECT {INSTANCE}, b.metadata, b.layout, i.number FROM {INSTANCE_FROM}
         JOIN instance_block b ON b.instance = i.id
         WHERE i.tenant = ?1 AND i.series = ?2 AND i.standing = 0 AND (i.number, i.id) > (?3, ?4)
         {only_sql} ORDER BY i.number, i.id LIMIT ?5"
    );
    let mut values = vec![
        Value::Integer(tenant),
        Value::Integer(series),
        Value::Integer(after.0),
        Value::Integer(after.1),
        Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)),
    ];
    values.extend(only.map(|uid| Value::Text(uid.to_owned())));
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(params_from_iter(values))?;
    let mut found = Vec::new();
    let mut last = None;
    while let Some(row) = rows.next()? {
        let metadata: Vec<u8> = row.get(INSTANCE_COLUMNS)?;
        let layout: Vec<u8> = row.get(INSTANCE_COLUMNS + 1)?;
        last = Some((row.get(INSTANCE_COLUMNS + 2)?, row.get(INSTANCE_ID)?));
        found.push(InstanceMetadata {
            row: answer::instance(row)?,
            metadata: decompress(&metadata, limits::METADATA_BYTES)?.into(),
            layout: decompress(&layout, limits::LAYOUT_BYTES)?.into(),
        });
    }
    Ok((found, last))
}

/// SOP Instance UIDs published under a key.
pub(crate) fn published(db: &Connection, tenant: i64, key: &str) -> Result<Option<Vec<String>>> {
    let text: Option<String> = db
        .prepare_cached("SELECT instances FROM publication WHERE tenant = ?1 AND key = ?2")?
        .query_row(params![tenant, key], |row| row.get(0))
        .optional()?;
    Ok(text.map(|text| {
        text.split('\\')
            .filter(|uid| !uid.is_empty())
            .map(str::to_owned)
            .collect()
    }))
}

pub(crate) fn storage(db: &Connection, tenant: Option<i64>) -> Result<StorageReport> {
    let one = |sql: &str| -> Result<u64> {
        Ok(db
            .prepare_cached(sql)?
            .query_row([tenant], |row| row.get(0))?)
    };
    Ok(StorageReport {
        objects: one(
            "SELECT count(*) FROM object WHERE state = 1 AND (?1 IS NULL OR tenant = ?1)",
        )?,
        object_bytes: one(
            "SELECT coalesce(sum(bytes), 0) FROM object WHERE state = 1 AND (?1 IS NULL OR tenant = ?1)",
        )?,
        studies: one(
            "SELECT count(*) FROM study WHERE instances > 0 AND (?1 IS NULL OR tenant = ?1)",
        )?,
        series: one("SELECT coalesce(sum(series), 0) FROM study WHERE ?1 IS NULL OR tenant = ?1")?,
        instances: one(
            "SELECT coalesce(sum(instances), 0) FROM study WHERE ?1 IS NULL OR tenant = ?1",
        )?,
        conflicts: one(
            "SELECT count(*) FROM instance WHERE standing = 2 AND (?1 IS NULL OR tenant = ?1)",
        )?,
        quarantined: one("SELECT count(*) FROM quarantine WHERE ?1 IS NULL OR tenant = ?1")?,
        outbox: one("SELECT count(*) FROM outbox WHERE sent_at IS NULL AND (?1 IS NULL OR 1)")?,
    })
}
