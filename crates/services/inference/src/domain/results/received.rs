//! Attributes as they were received. Owns reading text out of a received data set and taking an
//! attribute over into a new one: identity unchanged, anything else only where it is valid, so
//! that a scanner's mistake does not become ours.

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::header::Header;
use dicom_core::value::{DataSetSequence, PrimitiveValue, Value};
use dicom_core::{DataElement, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use dicom_object::InMemDicomObject;

use super::charset;
use super::element::max_chars;
use super::limits::COPIED_SEQUENCE_DEPTH;

type Element = DataElement<InMemDicomObject>;

/// The VR that PS3.6 gives the attribute, whatever the sender wrote.
pub(super) fn vr_of(tag: Tag) -> Option<VR> {
    StandardDataDictionary
        .by_tag(tag)
        .map(|entry| entry.vr().relaxed())
}

/// The text values of an attribute, without padding; empty where there is none.
pub(super) fn texts(source: &InMemDicomObject, tag: Tag) -> Vec<String> {
    let Some(element) = source.get(tag) else {
        return Vec::new();
    };
    let Value::Primitive(value) = element.value() else {
        return Vec::new();
    };
    let values = match value {
        // An attribute that was sent as UN or OB keeps its bytes: only plain text is taken.
        PrimitiveValue::U8(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => text.split('\\').map(str::to_owned).collect(),
            Err(_) => Vec::new(),
        },
        value => value.to_multi_str().to_vec(),
    };
    let mut values: Vec<String> = values
        .iter()
        .map(|v| v.trim_matches(['\0', ' ']).to_owned())
        .collect();
    while values.last().is_some_and(String::is_empty) {
        values.pop();
    }
    values
}

/// The first text value of an attribute, if it holds something.
pub(super) fn first_text(source: &InMemDicomObject, tag: Tag) -> Option<String> {
    texts(source, tag)
        .into_iter()
        .next()
        .filter(|text| !text.is_empty())
}

/// The defined terms of Specific Character Set (0008,0005).
fn character_set(source: &InMemDicomObject) -> Vec<String> {
    texts(source, tags::SPECIFIC_CHARACTER_SET)
}

/// [`texts`] of an attribute that Specific Character Set holds for, decoded by all of it.
fn decoded_texts(source: &InMemDicomObject, tag: Tag, vr: VR, terms: &[String]) -> Vec<String> {
    let values = texts(source, tag);
    if has_character_set(vr) {
        charset::redecoded(terms, values)
    } else {
        values
    }
}

/// A text attribute with the values that were received, but for what no text may hold: control
/// characters and bytes that could not be decoded.
pub(super) fn verbatim(source: &InMemDicomObject, tag: Tag) -> Option<Element> {
    let vr = vr_of(tag).filter(|vr| is_text(*vr))?;
    text_element(
        tag,
        vr,
        decoded_texts(source, tag, vr, &character_set(source)),
    )
}

/// An attribute taken over: texts cut to what their VR allows; dates, numbers, codes and UIDs
/// only where they are valid.
pub(super) fn copied(source: &InMemDicomObject, tag: Tag) -> Option<Element> {
    nested(source, tag, 0, &character_set(source))
}

fn nested(source: &InMemDicomObject, tag: Tag, depth: usize, terms: &[String]) -> Option<Element> {
    let element = source.get(tag)?;
    let vr = vr_of(tag)?;
    match element.value() {
        Value::Sequence(sequence) if vr == VR::SQ && depth < COPIED_SEQUENCE_DEPTH => {
            let items: Vec<_> = sequence
                .items()
                .iter()
                .map(|item| nested_item(item, depth + 1, terms))
                .filter(|item| item.iter().next().is_some())
                .collect();
            let value = Value::Sequence(DataSetSequence::from(items));
            (value.multiplicity() > 0).then(|| DataElement::new(tag, vr, value))
        }
        Value::Primitive(_) if is_text(vr) => {
            let values = decoded_texts(source, tag, vr, terms);
            if !values.iter().all(|value| is_valid(vr, value)) {
                return None;
            }
            let max = max_chars(vr).unwrap_or(usize::MAX);
            let cut = |v: String| v.chars().take(max).collect::<String>();
            text_element(tag, vr, values.into_iter().map(cut).collect())
        }
        Value::Primitive(value) if element.vr() == vr => {
            Some(DataElement::new(tag, vr, value.clone()))
        }
        _ => None,
    }
}

fn nested_item(source: &InMemDicomObject, depth: usize, outer: &[String]) -> InMemDicomObject {
    let own = character_set(source);
    let terms = if own.is_empty() { outer } else { &own };
    let mut item = InMemDicomObject::new_empty();
    for element in source.iter() {
        let tag = element.tag();
        // The whole object is UTF-8; private elements mean nothing without their creator.
        if tag == tags::SPECIFIC_CHARACTER_SET || tag.group() % 2 == 1 {
            continue;
        }
        if let Some(element) = nested(source, tag, depth, terms) {
            item.put(element);
        }
    }
    item
}

fn text_element(tag: Tag, vr: VR, values: Vec<String>) -> Option<Element> {
    let values: Vec<String> = values.iter().map(|v| printable(vr, v)).collect();
    if values.iter().all(String::is_empty) {
        return None;
    }
    Some(DataElement::new(
        tag,
        vr,
        PrimitiveValue::Strs(values.into()),
    ))
}

fn is_text(vr: VR) -> bool {
    use VR::{AE, AS, CS, DA, DS, DT, IS, LO, LT, PN, SH, ST, TM, UC, UI, UR, UT};
    matches!(
        vr,
        AE | AS | CS | DA | DS | DT | IS | LO | LT | PN | SH | ST | TM | UC | UI | UR | UT
    )
}

/// Whether Specific Character Set holds for a VR; the others are ASCII (PS3.5 §6.1.2.2).
pub(super) fn has_character_set(vr: VR) -> bool {
    use VR::{LO, LT, PN, SH, ST, UC, UT};
    matches!(vr, LO | LT | PN | SH | ST | UC | UT)
}

/// Without control characters (PS3.5 §6.1.3) and what the VR has no characters for. Bytes that the declared character set has no
/// character for come from the reader as a backslash with three octal digits: they become U+FFFD,
/// because a backslash would split the value.
fn printable(vr: VR, value: &str) -> String {
    let block = matches!(vr, VR::ST | VR::LT | VR::UT);
    let kept = |c: char| {
        (has_character_set(vr) || c.is_ascii())
            && (!c.is_control() || block && matches!(c, '\n' | '\r' | '\t' | '\u{c}'))
    };
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        if c == '\\' && !block {
            let octal = after
                .get(..3)
                .filter(|digits| digits.bytes().all(|b| matches!(b, b'0'..=b'7')));
            if kept('\u{fffd}') {
                text.push('\u{fffd}');
            }
            rest = octal.map_or(after, |_| after.get(3..).unwrap_or_default());
            continue;
        }
        if kept(c) {
            text.push(c);
        }
        rest = after;
    }
    text.trim_end().to_owned()
}

/// Whether a value has the form of its VR (PS3.5 table 6.2-1). Free text always has.
fn is_valid(vr: VR, value: &str) -> bool {
    let bytes = value.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes
            .get(range)
            .is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    if value.is_empty() {
        return true;
    }
    match vr {
        VR::DA => bytes.len() == 8 && digits(0..8) && value.parse::<u32>().is_ok_and(is_date),
        VR::TM => {
            let (clock, fraction) = value.split_once('.').unwrap_or((value, "0"));
            matches!(clock.len(), 2 | 4 | 6)
                && clock.bytes().all(|b| b.is_ascii_digit())
                && matches!(fraction.len(), 1..=6)
                && fraction.bytes().all(|b| b.is_ascii_digit())
        }
        VR::AS => {
            bytes.len() == 4
                && digits(0..3)
                && matches!(bytes.last(), Some(b'D' | b'W' | b'M' | b'Y'))
        }
        VR::CS => {
            bytes.len() <= 16
                && bytes
                    .iter()
                    .all(|b| matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b' ' | b'_'))
        }
        VR::DS => {
            bytes.len() <= 16
                && bytes
                    .iter()
                    .all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
                && value.parse::<f64>().is_ok_and(f64::is_finite)
        }
        VR::IS => bytes.len() <= 12 && value.parse::<i32>().is_ok(),
        VR::UI => {
            bytes.len() <= 64
                && value.split('.').all(|part| {
                    !part.is_empty()
                        && part.bytes().all(|b| b.is_ascii_digit())
                        && (part == "0" || !part.starts_with('0'))
                })
        }
        VR::DT => digits(0..4) && bytes.len() <= 26,
        _ => true,
    }
}

fn is_date(number: u32) -> bool {
    let (month, day) = (number / 100 % 100, number % 100);
    (1..=12).contains(&month) && (1..=31).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holding(tag: Tag, vr: VR, text: &str) -> InMemDicomObject {
        let mut source = InMemDicomObject::new_empty();
        source.put(DataElement::new(tag, vr, PrimitiveValue::from(text)));
        source
    }

    fn text_of(element: Option<Element>) -> Option<String> {
        element.map(|e| e.value().to_str().unwrap().into_owned())
    }

    #[test]
    fn padding_is_not_a_value() {
        let source = holding(tags::PATIENT_NAME, VR::PN, "\0\0  ");
        assert!(verbatim(&source, tags::PATIENT_NAME).is_none());
    }

    #[test]
    fn identity_is_taken_over_unchanged_however_long() {
        let id = "x".repeat(200);
        let source = holding(tags::PATIENT_ID, VR::LO, &id);
        assert_eq!(text_of(verbatim(&source, tags::PATIENT_ID)), Some(id));
    }

    #[test]
    fn what_could_not_be_decoded_does_not_split_a_name() {
        let source = holding(tags::PATIENT_NAME, VR::PN, "M\\374ller^\u{1b}A");
        assert_eq!(
            text_of(verbatim(&source, tags::PATIENT_NAME)).as_deref(),
            Some("M\u{fffd}ller^A")
        );
    }

    #[test]
    fn a_scanners_mistake_is_not_repeated() {
        for (tag, vr, bad) in [
            (tags::PATIENT_AGE, VR::AS, "28"),
            (tags::PATIENT_BIRTH_TIME, VR::TM, "09:30"),
            (tags::PATIENT_WEIGHT, VR::DS, "61,5"),
            (tags::PATIENT_IDENTITY_REMOVED, VR::CS, "yes"),
            (tags::SERIES_DATE, VR::DA, "20261301"),
            (tags::NUMBER_OF_FRAMES, VR::IS, "1.5"),
            (tags::FRAME_OF_REFERENCE_UID, VR::UI, "1..2"),
        ] {
            assert!(copied(&holding(tag, vr, bad), tag).is_none(), "{bad}");
        }
        let long = holding(tags::STUDY_DESCRIPTION, VR::LO, &"ä".repeat(70));
        assert_eq!(
            text_of(copied(&long, tags::STUDY_DESCRIPTION)),
            Some("ä".repeat(64))
        );
    }

    #[test]
    fn the_dictionary_decides_the_vr_not_the_sender() {
        let source = holding(tags::STUDY_DESCRIPTION, VR::UN, "Head");
        assert_eq!(
            copied(&source, tags::STUDY_DESCRIPTION).unwrap().vr(),
            VR::LO
        );
    }
}
