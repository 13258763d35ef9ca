//! The metadata of a series' instances, from rows and packs together, in the
//! order of answers.

use super::answer::{INSTANCE, INSTANCE_COLUMNS, INSTANCE_FROM};
use super::instances::placed;
use crate::db::{Connection, Value, params, params_from_iter};
use crate::descriptor::decompress;
use crate::error::Result;
use crate::limits;
use crate::model::{InstanceMetadata, MetadataScope};
use crate::pack::{OrderKey, Packs};

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
         WHERE t.tenant = ?1 AND t.uid = ?2 AND (s.uid = ?3 OR ?3 IS NULL) AND s.instances > 0
         ORDER BY s.number NULLS FIRST, s.uid",
    )?;
    let rows = query.query_map(params![tenant, study, series], |row| row.get(0))?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

/// Instances of a series with their metadata, and where they ended.
pub(crate) type MetadataRows = (Vec<InstanceMetadata>, Option<OrderKey>);

/// The next instances of a series after a place in the order of answers.
pub(crate) fn metadata_after(
    db: &Connection,
    packs: &Packs,
    tenant: i64,
    series: i64,
    only: Option<&str>,
    after: OrderKey,
    limit: usize,
) -> Result<MetadataRows> {
    let mut found = loose_metadata_after(db, tenant, series, only, after, limit)?;
    if let Some(packed) = packs.of_series(db, series)? {
        let next: Vec<_> = packed
            .served()
            .filter(|(_, entry)| entry.key() > after)
            .filter(|(_, entry)| only.is_none_or(|uid| *entry.sop_instance == *uid))
            .take(limit)
            .map(|(ordinal, entry)| (entry.key(), ordinal))
            .collect();
        // A text is read only when it is among the first of both.
        let worst = (found.len() + next.len() > limit)
            .then(|| {
                let mut keys: Vec<OrderKey> = found.iter().map(|(key, _)| *key).collect();
                keys.extend(next.iter().map(|(key, _)| *key));
                keys.sort_unstable();
                keys.get(limit.saturating_sub(1)).copied()
            })
            .flatten();
        for (key, ordinal) in next {
            if worst.is_none_or(|worst| key <= worst) {
                found.push((key, packs.metadata(&packed, ordinal)?));
            }
        }
        found.sort_by_key(|(key, _)| *key);
        found.truncate(limit);
    }
    let last = found.last().map(|(key, _)| *key);
    Ok((found.into_iter().map(|(_, row)| row).collect(), last))
}

fn loose_metadata_after(
    db: &Connection,
    tenant: i64,
    series: i64,
    only: Option<&str>,
    after: OrderKey,
    limit: usize,
) -> Result<Vec<(OrderKey, InstanceMetadata)>> {
    let only_sql = if only.is_some() { "AND i.uid = ?6" } else { "" };
    let sql = format!(
        "SELECT {INSTANCE}, b.metadata, b.layout FROM {INSTANCE_FROM}
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
    while let Some(row) = rows.next()? {
        let metadata: Vec<u8> = row.get(INSTANCE_COLUMNS)?;
        let layout: Vec<u8> = row.get(INSTANCE_COLUMNS + 1)?;
        let placed = placed(row)?;
        found.push((
            placed.key,
            InstanceMetadata {
                row: placed.row,
                metadata: decompress(&metadata, limits::METADATA_BYTES)?.into(),
                layout: decompress(&layout, limits::LAYOUT_BYTES)?.into(),
            },
        ));
    }
    Ok(found)
}
