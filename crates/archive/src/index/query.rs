//! Questions to the index. Each takes the tenant's row and cannot be asked
//! without it.

use super::answer::{self, SERIES, STUDY};
use super::condition::Conditions;
use super::route::{self, After, Asked, Marks};
use crate::db::{Connection, OptionalExtension, Value, params, params_from_iter};
use crate::error::Result;
use crate::limits;
use crate::model::{
    Order, Page, SeriesFilter, SeriesRow, StorageReport, StudyFilter, StudyRow, WorklistCursor,
    WorklistPage,
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
    route::narrow(db, &mut conditions, tenant, &filter.study);
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
         ORDER BY {} LIMIT ? OFFSET ?",
        conditions.sql(),
        db.each(
            "t.date DESC, t.time DESC, t.id DESC, s.number, s.uid",
            "t.date DESC NULLS LAST, t.time DESC NULLS LAST, t.id DESC,
                s.number NULLS FIRST, s.uid"
        )
    );
    values.append(&mut conditions.values);
    window(&mut values, page);
    let mut query = db.prepare_planned(&sql)?;
    let mut rows = query.query(params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(answer::series(row)?);
    }
    Ok(found)
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

/// What a tenant holds, or with `None` all of them.
pub(crate) fn storage(db: &Connection, tenant: Option<i64>) -> Result<StorageReport> {
    let one = |sql: &str| -> Result<u64> {
        Ok(db
            .prepare_cached(sql)?
            .query_row([tenant], |row| row.get(0))?)
    };
    let tally = |column: &str| {
        one(&format!(
            "SELECT coalesce(sum({column}), 0) FROM tally WHERE tenant = ?1 OR ?1 IS NULL"
        ))
    };
    Ok(StorageReport {
        objects: tally("objects")?,
        object_bytes: tally("object_bytes")?,
        bundles: tally("bundles")?,
        packs: tally("packs")?,
        studies: tally("studies")?,
        series: tally("series")?,
        instances: tally("instances")?,
        conflicts: one(
            "SELECT count(*) FROM instance WHERE standing = 2 AND (tenant = ?1 OR ?1 IS NULL)",
        )?,
        quarantined: one("SELECT count(*) FROM quarantine WHERE tenant = ?1 OR ?1 IS NULL")?,
        quarantined_bytes: one(
            "SELECT coalesce(sum(length), 0) FROM quarantine WHERE tenant = ?1 OR ?1 IS NULL",
        )?,
        outbox: db
            .prepare_cached("SELECT count(*) FROM outbox")?
            .query_row([], |row| row.get(0))?,
    })
}
