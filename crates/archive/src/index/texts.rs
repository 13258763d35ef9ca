//! Metadata of many instances at once: a whole pack, or the next instances of
//! rows and packs together, with no more of each than an answer needs.

use std::sync::Arc;

use super::answer::{self, INSTANCE, INSTANCE_COLUMNS, INSTANCE_FROM};
use crate::db::{Connection, OptionalExtension, Value, params, params_from_iter};
use crate::descriptor::decompress;
use crate::error::{ArchiveError, Result};
use crate::limits::{LAYOUT_BYTES, METADATA_BATCH_BYTES, METADATA_BYTES};
use crate::model::{InstanceLayout, MetadataPiece, MetadataScope, Origin, Overlay, PieceInstance};
use crate::pack::{OpenTexts, OrderKey, Packed, Packs};

/// The revision of a study, or of a series in it, that serves anything.
pub(crate) fn revision(db: &Connection, tenant: i64, of: &MetadataScope) -> Result<Option<u64>> {
    let found = match of {
        MetadataScope::Study(study) => db
            .prepare_cached(
                "SELECT revision FROM study WHERE tenant = ?1 AND uid = ?2 AND instances > 0",
            )?
            .query_row(params![tenant, study], |row| row.get(0)),
        MetadataScope::Series { study, series } => db
            .prepare_cached(
                "SELECT s.revision FROM series s JOIN study t ON t.id = s.study
                 WHERE t.tenant = ?1 AND t.uid = ?2 AND s.uid = ?3 AND s.instances > 0",
            )?
            .query_row(params![tenant, study, series], |row| row.get(0)),
        // A rejected one may be given at its address where nothing else is.
        MetadataScope::Instance { study, series, .. } => db
            .prepare_cached(
                "SELECT s.revision FROM series s JOIN study t ON t.id = s.study
                 WHERE t.tenant = ?1 AND t.uid = ?2 AND s.uid = ?3",
            )?
            .query_row(params![tenant, study, series], |row| row.get(0)),
    };
    Ok(found.optional()?)
}

/// What is served under an address, with its layout.
pub(crate) fn located(
    db: &Connection,
    packs: &Packs,
    tenant: i64,
    (study, series, uid): (&str, &str, &str),
) -> Result<Option<InstanceLayout>> {
    let sql = format!(
        "SELECT {INSTANCE}, b.layout FROM {INSTANCE_FROM}
         JOIN instance_block b ON b.instance = i.id
         WHERE i.tenant = ?1 AND i.uid = ?2 AND i.standing = 0 AND t.uid = ?3 AND s.uid = ?4"
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(params![tenant, uid, study, series])?;
    if let Some(row) = rows.next()? {
        let layout: Vec<u8> = row.get(INSTANCE_COLUMNS)?;
        return Ok(Some(InstanceLayout {
            row: answer::instance(row)?,
            layout: decompress(&layout, LAYOUT_BYTES)?.into(),
        }));
    }
    let of = MetadataScope::Series {
        study: study.to_owned(),
        series: series.to_owned(),
    };
    for series in super::series_metadata::series_of(db, tenant, &of)? {
        let Some(packed) = packs.of_series(db, series)? else {
            continue;
        };
        let found = packed
            .served()
            .find(|(_, entry)| *entry.sop_instance == *uid)
            .map(|(ordinal, _)| ordinal);
        if let Some(ordinal) = found {
            return Ok(Some(InstanceLayout {
                row: packed.instance(ordinal)?,
                layout: packs.layout_text(&packed, ordinal)?,
            }));
        }
    }
    Ok(None)
}

/// What all instances of a series share.
pub(crate) struct Head {
    id: i64,
    study: Arc<str>,
    series: Arc<str>,
    overlay: Option<Overlay>,
}

pub(crate) fn head(db: &Connection, series: i64) -> Result<Option<Head>> {
    let head = db
        .prepare_cached(
            "SELECT t.uid, s.uid, t.overlay, s.overlay
             FROM series s JOIN study t ON t.id = s.study WHERE s.id = ?1",
        )?
        .query_row([series], |row| {
            Ok(Head {
                id: series,
                study: row.get(0)?,
                series: row.get(1)?,
                overlay: answer::overlay(row.get(2)?, row.get(3)?, None),
            })
        });
    Ok(head.optional()?)
}

/// The pack of a series, when it has everything that is served and nothing else.
pub(crate) fn whole(db: &Connection, packs: &Packs, of: &Head) -> Result<Option<OpenTexts>> {
    let loose = db
        .prepare_cached("SELECT 1 FROM instance WHERE series = ?1 AND standing = 0")?
        .exists([of.id])?;
    if loose {
        return Ok(None);
    }
    let packed = packs.of_series(db, of.id)?;
    Ok(packed
        .filter(|packed| packed.overrides.is_empty())
        .map(OpenTexts::new))
}

/// The next instances of a series after a place in the order of answers, and
/// where they end; `None` for that: nothing follows.
pub(crate) fn after(
    db: &Connection,
    packs: &Packs,
    of: &Head,
    only: Option<&str>,
    after: OrderKey,
    limit: usize,
) -> Result<(MetadataPiece, Option<OrderKey>)> {
    let mut next = loose(db, of, only, after, limit)?;
    let packed = packs.of_series(db, of.id)?;
    if let Some(packed) = &packed {
        next.extend(settled(packed, of, only, after, limit));
        next.sort_by_key(|found| found.key);
        next.truncate(limit);
    }
    let full = next.len() == limit;
    let mut text = Vec::new();
    let mut instances = Vec::with_capacity(next.len());
    let mut last = None;
    let mut cut = false;
    for found in next {
        if text.len() >= METADATA_BATCH_BYTES {
            cut = true;
            break;
        }
        if !text.is_empty() {
            text.push(b',');
        }
        let start = text.len();
        match (found.text, &packed) {
            (Text::Row(stored), _) => text.extend(decompress(&stored, METADATA_BYTES)?),
            (Text::Packed(ordinal), Some(packed)) => {
                text.extend_from_slice(&packs.metadata_text(packed, ordinal)?);
            }
            (Text::Packed(_), None) => return Err(ArchiveError::Corrupt),
        }
        instances.push(PieceInstance {
            sop_instance: found.sop_instance,
            sha256: found.sha256,
            within: start..text.len(),
            origin: found.origin,
            placed: found.placed,
        });
        last = Some(found.key);
    }
    let piece = MetadataPiece {
        study: Arc::clone(&of.study),
        series: Arc::clone(&of.series),
        overlay: of.overlay.clone(),
        text: text.into(),
        instances,
    };
    Ok((piece, last.filter(|_| full || cut)))
}

/// An instance whose text is not read yet.
struct Found {
    key: OrderKey,
    sop_instance: String,
    sha256: [u8; 32],
    origin: Option<Origin>,
    placed: Option<Arc<str>>,
    text: Text,
}

enum Text {
    Row(Vec<u8>),
    Packed(u32),
}

fn loose(
    db: &Connection,
    of: &Head,
    only: Option<&str>,
    after: OrderKey,
    limit: usize,
) -> Result<Vec<Found>> {
    let only_sql = if only.is_some() { "AND i.uid = ?5" } else { "" };
    let sql = format!(
        "SELECT i.number, i.id, i.uid, i.sha256, i.origin, b.metadata,
            (SELECT p.overlay FROM placement p WHERE p.id = i.placement)
         FROM instance i JOIN instance_block b ON b.instance = i.id
         WHERE i.series = ?1 AND i.standing = 0 AND (i.number, i.id) > (?2, ?3)
         {only_sql} ORDER BY i.number, i.id LIMIT ?4"
    );
    let mut values = vec![
        Value::Integer(of.id),
        Value::Integer(after.0),
        Value::Integer(after.1),
        Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)),
    ];
    values.extend(only.map(|uid| Value::Text(uid.to_owned())));
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let placed: Option<String> = row.get(6)?;
        let origin = match of.overlay.is_some() || placed.is_some() {
            false => None,
            true => {
                let origin: String = row.get(4)?;
                Some(serde_json::from_str(&origin).map_err(|_| ArchiveError::Corrupt)?)
            }
        };
        found.push(Found {
            key: (row.get(0)?, row.get(1)?),
            sop_instance: row.get(2)?,
            sha256: row.get(3)?,
            origin,
            placed: placed.map(Into::into),
            text: Text::Row(row.get(5)?),
        });
    }
    Ok(found)
}

fn settled(
    packed: &Packed,
    of: &Head,
    only: Option<&str>,
    after: OrderKey,
    limit: usize,
) -> Vec<Found> {
    let overlaid = of.overlay.is_some();
    packed
        .served()
        .filter(|(_, entry)| entry.key() > after)
        .filter(|(_, entry)| only.is_none_or(|uid| *entry.sop_instance == *uid))
        .take(limit)
        .map(|(ordinal, entry)| Found {
            key: entry.key(),
            sop_instance: entry.sop_instance.to_string(),
            sha256: entry.sha256,
            origin: overlaid.then(|| entry.origin.as_ref().clone()),
            placed: None,
            text: Text::Packed(ordinal),
        })
        .collect()
}
