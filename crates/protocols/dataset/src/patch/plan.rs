//! What the corrections come to on one data set: the values that its attributes
//! end with, what they were before each correction, and whether the declared
//! character set can hold all of it.

use std::collections::{BTreeMap, BTreeSet};

use dicom_core::{Tag, VR};

use super::change::Correction;
use crate::encoding::Encoding;
use crate::error::{Flags, Place, Refusal, ScanError, to_u32};
use crate::limits::INLINE_TEXT;
use crate::source::{ByteSource, Cursor};
use crate::text::CharacterSet;
use crate::value::{self, Class};
use crate::walk::{Element, Event, Walker, is_pixels, read_tag};

pub(super) const CHARACTER_SET: u32 = 0x0008_0005;
pub(super) const ORIGINAL_ATTRIBUTES: u32 = 0x0400_0561;

/// What the source holds of the attributes that are to change.
pub(super) struct Survey {
    /// Attributes found, with their text; `None`: not short text.
    pub(super) found: BTreeMap<u32, Option<String>>,
    /// The set that its text is read in.
    pub(super) charset: CharacterSet,
    /// The set that it declares; `None`: it has no such attribute.
    pub(super) declared: Option<CharacterSet>,
    /// The encoding of the top level as it was found to be.
    pub(super) encoding: Encoding,
}

/// Reads the attributes that `corrections` name.
pub(super) fn survey<S: ByteSource + ?Sized>(
    source: &S,
    encoding: Encoding,
    corrections: &[Correction],
    fallback: Option<CharacterSet>,
) -> Result<Survey, ScanError> {
    let wanted: BTreeSet<u32> = corrections
        .iter()
        .flat_map(|correction| correction.changes.iter().map(super::Change::tag))
        .collect();
    let mut walker = Walker::new(source, encoding);
    let mut flags = Flags::default();
    let mut raw: BTreeMap<u32, Option<(Element, Vec<u8>)>> = BTreeMap::new();
    let mut charset = None;
    let mut depth = 0_usize;
    loop {
        match walker.next(&mut flags)? {
            Event::End => break,
            Event::SequenceStart { tag, .. } => {
                if depth == 0 && wanted.contains(&to_u32(tag)) {
                    raw.entry(to_u32(tag)).or_insert(None);
                }
                depth += 1;
            }
            Event::SequenceEnd => depth = depth.saturating_sub(1),
            Event::ItemStart | Event::ItemEnd => {}
            Event::Fragments { tag, .. } if depth == 0 && is_pixels(tag) => break,
            Event::Fragments { encoding, .. } => pass_fragments(&mut walker.cursor, encoding)?,
            Event::Element(element) => {
                let tag = to_u32(element.tag);
                if depth == 0 && is_pixels(element.tag) {
                    break;
                }
                let known = depth == 0 && (tag == CHARACTER_SET || wanted.contains(&tag));
                let first = !raw.contains_key(&tag) && (tag != CHARACTER_SET || charset.is_none());
                if !known || !first {
                    walker.cursor.skip(element.length.into(), Place::Value)?;
                    continue;
                }
                let value = take(&mut walker.cursor, element.length)?;
                if tag == CHARACTER_SET {
                    let text = String::from_utf8_lossy(value.as_deref().unwrap_or_default());
                    charset = Some(CharacterSet::parse(value::trim(VR::CS, &text)));
                } else {
                    raw.insert(tag, value.map(|value| (element, value)));
                }
            }
        }
    }
    // A set that is not known holds ASCII at least.
    let declared = charset.map(Option::unwrap_or_default);
    let charset = effective(declared.unwrap_or_default(), fallback);
    let found = raw
        .into_iter()
        .map(|(tag, value)| {
            (
                tag,
                value.map(|(element, bytes)| decode(charset, element.vr, &bytes)),
            )
        })
        .collect();
    Ok(Survey {
        found,
        charset,
        declared,
        encoding: walker.encoding(),
    })
}

/// The set of text whose set is not declared is the device's.
pub(super) fn effective(declared: CharacterSet, fallback: Option<CharacterSet>) -> CharacterSet {
    match fallback {
        Some(fallback) if declared.is_undeclared() => fallback,
        _ => declared,
    }
}

/// Text without padding.
pub(super) fn decode(charset: CharacterSet, vr: VR, bytes: &[u8]) -> String {
    let text = if uses_charset(vr) {
        charset.decode(bytes, vr == VR::PN).text
    } else {
        String::from_utf8_lossy(bytes)
    };
    value::trim(vr, &text).to_owned()
}

pub(super) fn uses_charset(vr: VR) -> bool {
    matches!(
        value::class_of(vr),
        Class::Name | Class::Text { charset: true, .. }
    )
}

fn take<S: ByteSource>(cursor: &mut Cursor<S>, length: u32) -> Result<Option<Vec<u8>>, ScanError> {
    if length > INLINE_TEXT {
        cursor.skip(length.into(), Place::Value)?;
        return Ok(None);
    }
    let count = usize::try_from(length).unwrap_or(usize::MAX);
    Ok(Some(cursor.take(count, Place::Value)?.to_vec()))
}

/// Passes the items of encapsulated data and their delimiter (PS3.5 §A.4).
pub(super) fn pass_fragments<S: ByteSource>(
    cursor: &mut Cursor<S>,
    encoding: Encoding,
) -> Result<(), ScanError> {
    loop {
        let at = cursor.position();
        let header = cursor.take(8, Place::PixelData)?;
        let item = read_tag(header, encoding);
        let length = encoding.u32(header.get(4..).unwrap_or_default());
        match item {
            Tag(0xFFFE, 0xE0DD) => return Ok(()),
            Tag(0xFFFE, 0xE000) if length != u32::MAX => {
                cursor.skip(length.into(), Place::PixelData)?;
            }
            _ => {
                let tag = to_u32(item);
                return Err(Refusal::Broken { at, tag }.into());
            }
        }
    }
}

/// A value at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// There is no such attribute.
    Absent,
    /// As in the source.
    Source,
    /// A value that a correction gave.
    Given(VR, String),
}

/// One item of the Original Attributes Sequence.
pub(super) struct Item<'c> {
    pub(super) correction: &'c Correction,
    /// What each attribute was before.
    pub(super) before: BTreeMap<u32, (VR, State)>,
}

/// What is to be written.
pub(super) struct Plan<'c> {
    /// Attributes whose value is not the source's any more.
    pub(super) after: BTreeMap<u32, State>,
    pub(super) items: Vec<Item<'c>>,
    /// The set to write text in: the declared one, or UTF-8 for everything.
    pub(super) charset: CharacterSet,
    /// All text is written anew, in UTF-8.
    pub(super) converts: bool,
}

impl<'c> Plan<'c> {
    /// Works the corrections out, the oldest first. One that changes nothing
    /// here leaves no trace.
    pub(super) fn of(survey: &Survey, corrections: &'c [Correction]) -> Self {
        let (after, items) = replay(corrections, |tag| survey.found.get(&tag).cloned());
        let texts = after
            .values()
            .chain(
                items
                    .iter()
                    .flat_map(|item| item.before.values().map(|(_, state)| state)),
            )
            .filter_map(|state| match state {
                State::Given(vr, text) if uses_charset(*vr) => Some(text.as_str()),
                _ => None,
            })
            .chain(items.iter().flat_map(|item| {
                [
                    item.correction.system.as_str(),
                    item.correction.source.as_str(),
                ]
            }));
        let declared = survey.declared.unwrap_or_default();
        let converts = texts
            .into_iter()
            .any(|text| declared.encode(text).is_none());
        Self {
            after,
            items,
            charset: if converts {
                CharacterSet::UTF_8
            } else {
                declared
            },
            converts,
        }
    }
}

type Replayed<'c> = (BTreeMap<u32, State>, Vec<Item<'c>>);

/// Applies `corrections` to what `source` says it has: `None`, no such
/// attribute; `Some(None)`, one whose value can't be compared.
pub(super) fn replay(
    corrections: &[Correction],
    source: impl Fn(u32) -> Option<Option<String>>,
) -> Replayed<'_> {
    let mut after: BTreeMap<u32, State> = BTreeMap::new();
    let mut items = Vec::new();
    for correction in corrections {
        let last: BTreeMap<u32, &super::Change> = correction
            .changes
            .iter()
            .map(|change| (change.tag(), change))
            .collect();
        let mut before = BTreeMap::new();
        for (tag, change) in last {
            let now = after.get(&tag).cloned().unwrap_or(match source(tag) {
                None => State::Absent,
                Some(_) => State::Source,
            });
            let same = match (&now, change.value()) {
                (State::Absent, None) => true,
                (State::Given(_, text), Some(value)) => text == value,
                (State::Source, Some(value)) => {
                    source(tag).flatten().is_some_and(|text| text == value)
                }
                _ => false,
            };
            if same {
                continue;
            }
            let next = match change.value() {
                Some(value) => State::Given(change.vr(), value.to_owned()),
                None => State::Absent,
            };
            after.insert(tag, next);
            before.insert(tag, (change.vr(), now));
        }
        if !before.is_empty() {
            items.push(Item { correction, before });
        }
    }
    (after, items)
}
