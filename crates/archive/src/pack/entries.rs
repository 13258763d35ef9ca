//! The columns of a block's entries (docs/formats/object-v1.md), both ways.

use std::sync::Arc;

use serde::Serialize;

use crate::descriptor::Digest;
use crate::error::{ArchiveError, Result};
use crate::model::{InstanceAttributes, Standing};

use super::block::{Entry, Place};
use super::column::{Columns, Reader};
use super::head::Publication;

/// Writes everything of the entries but what was published.
pub(super) fn write(columns: &mut Columns, entries: &[Entry]) -> Result<()> {
    let mut objects: Vec<[u8; 16]> = Vec::new();
    let mut of_object = Vec::with_capacity(entries.len());
    for entry in entries {
        of_object.push(match entry.place.elsewhere {
            None => 0,
            Some(object) => match objects.iter().position(|known| *known == object) {
                Some(index) => index as u64 + 1,
                None => {
                    objects.push(object);
                    objects.len() as u64
                }
            },
        });
    }
    columns.size(objects.len());
    columns.0.extend(objects.iter().flatten());
    columns.numbers(of_object.into_iter());
    columns.deltas(entries.iter().map(|of| i64::from(of.place.segment)));
    columns.deltas(entries.iter().map(|of| of.place.offset.cast_signed()));
    columns.deltas(entries.iter().map(|of| of.length.cast_signed()));
    columns.deltas(entries.iter().map(|of| of.id));
    columns.deltas(entries.iter().map(|of| of.received_at));
    columns.numbers(entries.iter().map(|of| of.standing.code().cast_unsigned()));
    let number = |of: &Entry| of.attributes.number;
    columns.numbers(entries.iter().map(|of| u64::from(number(of).is_some())));
    columns.deltas(entries.iter().map(|of| number(of).unwrap_or(0)));
    let optional = |value: Option<u32>| value.map_or(0, |value| u64::from(value) + 1);
    columns.numbers(entries.iter().map(|of| optional(of.attributes.rows)));
    columns.numbers(entries.iter().map(|of| optional(of.attributes.columns)));
    columns.numbers(
        entries
            .iter()
            .map(|of| optional(of.attributes.bits_allocated)),
    );
    columns.numbers(entries.iter().map(|of| optional(of.attributes.frames)));
    let texts = |text: fn(&Entry) -> &str| entries.iter().map(text).collect::<Vec<_>>();
    columns.dictionary(&texts(|of| &of.sop_class));
    columns.dictionary(&texts(|of| &of.transfer_syntax));
    let mut column = |value: &dyn Fn(&Entry) -> Result<Vec<u8>>| -> Result<()> {
        let values = entries.iter().map(value).collect::<Result<Vec<_>>>()?;
        columns.dictionary(&values);
        Ok(())
    };
    column(&|of| json_of(&of.flags[..]))?;
    column(&|of| json_of(&*of.origin))?;
    column(&|of| json_of(&*of.correlation))?;
    column(&|of| json_of(&*of.above))?;
    columns.front_coded(entries.iter().map(|of| &*of.sop_instance));
    columns.numbers(entries.iter().map(|of| u64::from(of.comparison.is_some())));
    columns.0.extend(entries.iter().flat_map(|of| of.sha256));
    let compared = entries.iter().filter_map(|of| of.comparison);
    columns.0.extend(compared.flat_map(|digest| digest.0));
    Ok(())
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<Vec<Entry>> {
    let count = reader.count()?;
    let objects = (0..count)
        .map(|_| reader.array::<16>())
        .collect::<Result<Vec<_>>>()?;
    let of_object = reader.numbers()?;
    let segments = reader.deltas()?;
    let offsets = reader.deltas()?;
    let lengths = reader.deltas()?;
    let ids = reader.deltas()?;
    let received = reader.deltas()?;
    let standings = reader.numbers()?;
    let numbered = reader.numbers()?;
    let numbers = reader.deltas()?;
    let rows = reader.numbers()?;
    let columns = reader.numbers()?;
    let bits = reader.numbers()?;
    let frames = reader.numbers()?;
    let sop_classes = reader.dictionary(text)?;
    let transfer_syntaxes = reader.dictionary(text)?;
    let flags = reader.dictionary(|bytes| json::<Vec<String>>(bytes).map(Arc::from))?;
    let origins = reader.dictionary(|bytes| json(bytes).map(Arc::new))?;
    let correlations = reader.dictionary(|bytes| json(bytes).map(Arc::new))?;
    let above = reader.dictionary(|bytes| json(bytes).map(Arc::new))?;
    let uids = reader.front_coded()?;
    let compared = reader.numbers()?;
    let digests = (0..reader.rows)
        .map(|_| reader.array::<32>())
        .collect::<Result<Vec<_>>>()?;
    let mut uids = uids.into_iter();
    let mut flags = flags.into_iter();
    let mut entries = Vec::with_capacity(reader.rows);
    for row in 0..reader.rows {
        let number_of = at(&numbers, row)?;
        let elsewhere = match at(&of_object, row)? {
            0 => None,
            index => {
                let index = usize::try_from(index - 1).map_err(|_| ArchiveError::Corrupt)?;
                Some(at(&objects, index)?)
            }
        };
        entries.push(Entry {
            id: at(&ids, row)?,
            sop_class: at(&sop_classes, row)?,
            sop_instance: uids.next().ok_or(ArchiveError::Corrupt)?,
            transfer_syntax: at(&transfer_syntaxes, row)?,
            above: at(&above, row)?,
            attributes: InstanceAttributes {
                number: (at(&numbered, row)? != 0).then_some(number_of),
                rows: optional(at(&rows, row)?)?,
                columns: optional(at(&columns, row)?)?,
                bits_allocated: optional(at(&bits, row)?)?,
                frames: optional(at(&frames, row)?)?,
            },
            flags: flags.next().ok_or(ArchiveError::Corrupt)?,
            origin: at(&origins, row)?,
            correlation: at(&correlations, row)?,
            received_at: at(&received, row)?,
            standing: Standing::of_code(at(&standings, row)?.cast_signed())?,
            sha256: at(&digests, row)?,
            comparison: match at(&compared, row)? {
                0 => None,
                _ => Some(Digest(reader.array()?)),
            },
            length: at(&lengths, row)?.cast_unsigned(),
            place: Place {
                elsewhere,
                segment: u32::try_from(at(&segments, row)?).map_err(|_| ArchiveError::Corrupt)?,
                offset: at(&offsets, row)?.cast_unsigned(),
            },
            publication: None,
        });
    }
    Ok(entries)
}

/// No text: it was in no result set.
pub(super) fn write_publications(columns: &mut Columns, entries: &[Entry]) -> Result<()> {
    let texts = entries
        .iter()
        .map(|of| of.publication.as_deref().map_or(Ok(Vec::new()), json_of))
        .collect::<Result<Vec<_>>>()?;
    columns.dictionary(&texts);
    Ok(())
}

pub(super) fn read_publications(reader: &mut Reader<'_>, entries: &mut [Entry]) -> Result<()> {
    let published = reader.dictionary(|bytes| match bytes {
        [] => Ok(Arc::new(None)),
        text => Ok(Arc::new(Some(Arc::new(json::<Publication>(text)?)))),
    })?;
    for (entry, publication) in entries.iter_mut().zip(published) {
        entry.publication.clone_from(&publication);
    }
    Ok(())
}

fn at<T: Clone>(column: &[T], row: usize) -> Result<T> {
    column.get(row).cloned().ok_or(ArchiveError::Corrupt)
}

fn optional(value: u64) -> Result<Option<u32>> {
    value
        .checked_sub(1)
        .map(|value| u32::try_from(value).map_err(|_| ArchiveError::Corrupt))
        .transpose()
}

fn text(bytes: &[u8]) -> Result<Arc<str>> {
    let text = std::str::from_utf8(bytes).map_err(|_| ArchiveError::Corrupt)?;
    Ok(text.into())
}

pub(super) fn json<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|_| ArchiveError::Corrupt)
}

pub(super) fn json_of<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|_| ArchiveError::Invalid("an entry cannot be written"))
}
