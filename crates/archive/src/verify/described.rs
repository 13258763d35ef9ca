//! What a segment's descriptor says of an instance, or of a quarantined item,
//! and what its row says, as digests of the same fields in the same order, to
//! be compared. Pure, but for the questions to the index.

use std::collections::HashMap;

use aws_lc_rs::digest;

use crate::db::{Connection, ValueRef};
use crate::descriptor::{Blocks, Descriptor, QuarantineDescriptor, decompress};
use crate::error::Result;
use crate::index::row_digest::update;
use crate::index::schema::NO_NUMBER;
use crate::limits;

/// Digests of what is said of an instance or a quarantined item.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Described {
    row: [u8; 32],
    /// Of metadata and layout; `None` where they are kept elsewhere.
    texts: Option<[u8; 32]>,
}

impl Described {
    pub(crate) fn of(of: &Descriptor, blocks: Option<&Blocks>) -> Self {
        let attributes = &of.instance_attributes;
        let flags = of.flags.join(" ");
        let origin = serde_json::to_string(&of.origin).unwrap_or_default();
        let number = |value: Option<i64>| value.map_or(ValueRef::Null, ValueRef::Integer);
        let comparison = of.comparison.as_ref().map(|digest| &digest.0[..]);
        let placed = of.placed.as_ref().map(|placed| placed.overlay.as_bytes());
        let row = hash(&[
            text(&of.study),
            text(&of.series),
            text(&of.sop_class),
            text(&of.sop_instance),
            text(&of.transfer_syntax),
            ValueRef::Integer(attributes.number.unwrap_or(NO_NUMBER)),
            number(attributes.rows.map(i64::from)),
            number(attributes.columns.map(i64::from)),
            number(attributes.bits_allocated.map(i64::from)),
            number(attributes.frames.map(i64::from)),
            text(&flags),
            text(&origin),
            ValueRef::Integer(of.received_at),
            comparison.map_or(ValueRef::Null, ValueRef::Blob),
            placed.map_or(ValueRef::Null, ValueRef::Text),
        ]);
        let texts = blocks.and_then(|blocks| texts(&blocks.metadata, &blocks.layout).ok());
        Self { row, texts }
    }

    pub(crate) fn of_quarantined(of: &QuarantineDescriptor) -> Self {
        let origin = serde_json::to_string(&of.origin).unwrap_or_default();
        let correlation = of.correlation.to_string();
        let row = hash(&[
            text(&of.reason),
            text(&of.detail),
            of.transfer_syntax.as_deref().map_or(ValueRef::Null, text),
            text(&origin),
            text(&correlation),
            ValueRef::Integer(of.received_at),
        ]);
        Self { row, texts: None }
    }

    /// Whether a row says the same.
    pub(crate) fn agrees(&self, row: &Self) -> bool {
        self.row == row.row && (self.texts.is_none() || self.texts == row.texts)
    }
}

/// What the rows of what an object holds say, by segment.
pub(crate) fn rows(db: &Connection, object: i64) -> Result<HashMap<u32, Described>> {
    let mut found = instances(db, object)?;
    if let Some(item) = quarantined(db, object)? {
        found.insert(0, item);
    }
    Ok(found)
}

/// The one item of an object of the quarantine.
fn quarantined(db: &Connection, object: i64) -> Result<Option<Described>> {
    const COLUMNS: usize = 6;
    let mut query = db.prepare_cached(
        "SELECT reason, detail, transfer_syntax, origin, correlation, received_at
         FROM quarantine WHERE object = ?1",
    )?;
    let mut rows = query.query([object])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let fields: Vec<ValueRef<'_>> = (0..COLUMNS)
        .map(|at| row.get_ref(at))
        .collect::<crate::db::Result<_>>()?;
    Ok(Some(Described {
        row: hash(&fields),
        texts: None,
    }))
}

fn instances(db: &Connection, object: i64) -> Result<HashMap<u32, Described>> {
    const COLUMNS: usize = 15;
    let mut query = db.prepare_cached(
        "SELECT t.uid, s.uid, i.sop_class, i.uid, i.transfer_syntax, i.number, i.rows, i.columns,
            i.bits, i.frames, i.flags, i.origin, i.received_at, i.comparison, p.overlay,
            i.segment, b.metadata, b.layout
         FROM instance i LEFT JOIN series s ON s.id = i.series LEFT JOIN study t ON t.id = s.study
         LEFT JOIN placement p ON p.id = i.placement
         LEFT JOIN instance_block b ON b.instance = i.id WHERE i.object = ?1",
    )?;
    let mut rows = query.query([object])?;
    let mut found = HashMap::new();
    while let Some(row) = rows.next()? {
        let fields: Vec<ValueRef<'_>> = (0..COLUMNS)
            .map(|at| row.get_ref(at))
            .collect::<crate::db::Result<_>>()?;
        let blob = |at: usize| {
            row.get_ref(at)
                .map(|value| value.as_blob().unwrap_or_default())
        };
        let described = Described {
            row: hash(&fields),
            texts: texts(blob(16)?, blob(17)?).ok(),
        };
        found.insert(row.get(15)?, described);
    }
    Ok(found)
}

/// Of the texts in the clear: how they are compressed may change.
fn texts(metadata: &[u8], layout: &[u8]) -> Result<[u8; 32]> {
    let metadata = decompress(metadata, limits::METADATA_BYTES)?;
    let layout = decompress(layout, limits::LAYOUT_BYTES)?;
    Ok(hash(&[ValueRef::Blob(&metadata), ValueRef::Blob(&layout)]))
}

fn text(value: &str) -> ValueRef<'_> {
    ValueRef::Text(value.as_bytes())
}

fn hash(values: &[ValueRef<'_>]) -> [u8; 32] {
    let mut hash = digest::Context::new(&digest::SHA256);
    for value in values {
        update(&mut hash, *value);
    }
    let mut found = [0; 32];
    found.copy_from_slice(hash.finish().as_ref());
    found
}
