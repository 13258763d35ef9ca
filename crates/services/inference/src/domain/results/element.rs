//! Building data elements. Owns how text, numbers, dates and sequences become valid values of
//! their VR (PS3.5 §6.2); it never decides which attributes an object has.

use dicom_core::value::{DataSetSequence, PrimitiveValue, Value};
use dicom_core::{DataElement, Tag, VR};
use dicom_object::InMemDicomObject;
use time::OffsetDateTime;

use super::received;

/// A data set under construction.
#[derive(Debug)]
pub(super) struct Item(InMemDicomObject);

impl Item {
    pub(super) fn new() -> Self {
        Self(InMemDicomObject::new_empty())
    }

    pub(super) fn build(self) -> InMemDicomObject {
        self.0
    }

    fn put(mut self, tag: Tag, vr: VR, value: PrimitiveValue) -> Self {
        self.0.put(DataElement::new(tag, vr, value));
        self
    }

    /// One text value, made to fit its VR; empty text leaves an element of zero length.
    pub(super) fn text(self, tag: Tag, vr: VR, text: &str) -> Self {
        let text = fit(vr, text);
        if text.is_empty() {
            return self.empty(tag, vr);
        }
        self.put(tag, vr, PrimitiveValue::from(text))
    }

    /// One text value if there is one.
    pub(super) fn optional_text(self, tag: Tag, vr: VR, text: &str) -> Self {
        if fit(vr, text).is_empty() {
            self
        } else {
            self.text(tag, vr, text)
        }
    }

    /// Several values, written as they are: the caller knows that they are valid.
    pub(super) fn values<S: AsRef<str>>(self, tag: Tag, vr: VR, values: &[S]) -> Self {
        let values = values.iter().map(|v| v.as_ref().to_owned()).collect();
        self.put(tag, vr, PrimitiveValue::Strs(values))
    }

    /// An element of zero length: "unknown" (PS3.5 §7.4.3).
    pub(super) fn empty(self, tag: Tag, vr: VR) -> Self {
        if vr == VR::SQ {
            self.sequence(tag, Vec::new())
        } else {
            self.put(tag, vr, PrimitiveValue::Empty)
        }
    }

    pub(super) fn us(self, tag: Tag, value: u16) -> Self {
        self.put(tag, VR::US, PrimitiveValue::from(value))
    }

    pub(super) fn us_values(self, tag: Tag, values: &[u16]) -> Self {
        self.put(
            tag,
            VR::US,
            PrimitiveValue::U16(values.iter().copied().collect()),
        )
    }

    pub(super) fn ul_values(self, tag: Tag, values: &[u32]) -> Self {
        self.put(
            tag,
            VR::UL,
            PrimitiveValue::U32(values.iter().copied().collect()),
        )
    }

    pub(super) fn fd(self, tag: Tag, value: f64) -> Self {
        self.put(tag, VR::FD, PrimitiveValue::from(value))
    }

    /// An attribute tag as a value (VR AT).
    pub(super) fn at(self, tag: Tag, value: Tag) -> Self {
        self.put(tag, VR::AT, PrimitiveValue::Tags(vec![value].into()))
    }

    pub(super) fn bytes(self, tag: Tag, vr: VR, bytes: Vec<u8>) -> Self {
        self.put(tag, vr, PrimitiveValue::U8(bytes.into()))
    }

    pub(super) fn sequence(mut self, tag: Tag, items: Vec<InMemDicomObject>) -> Self {
        self.0.put(DataElement::new(
            tag,
            VR::SQ,
            Value::Sequence(DataSetSequence::from(items)),
        ));
        self
    }

    /// An attribute of `source` taken over ([`received::copied`]); nothing where the source has no
    /// usable value.
    pub(super) fn copy(mut self, source: &InMemDicomObject, tag: Tag) -> Self {
        if let Some(element) = received::copied(source, tag) {
            self.0.put(element);
        }
        self
    }

    /// A type 2 or identifying attribute of `source` as it was received, valid or not: of zero
    /// length where the source has none.
    pub(super) fn copy_or_empty(mut self, source: &InMemDicomObject, tag: Tag) -> Self {
        match received::verbatim(source, tag) {
            Some(element) => {
                self.0.put(element);
                self
            }
            None => self.empty(tag, received::vr_of(tag).unwrap_or(VR::LO)),
        }
    }

    /// An identifying attribute of `source` as it was received, if it is there.
    pub(super) fn copy_verbatim(mut self, source: &InMemDicomObject, tag: Tag) -> Self {
        if let Some(element) = received::verbatim(source, tag) {
            self.0.put(element);
        }
        self
    }

    /// All elements of `other`.
    pub(super) fn extend(mut self, other: InMemDicomObject) -> Self {
        for element in other {
            self.0.put(element);
        }
        self
    }
}

/// Longest value of a VR in characters (PS3.5 table 6.2-1), where text may be cut to it: a UID or
/// a name that is cut is another one.
pub(super) fn max_chars(vr: VR) -> Option<usize> {
    match vr {
        VR::SH | VR::CS | VR::AE | VR::DS => Some(16),
        VR::IS => Some(12),
        VR::LO => Some(64),
        VR::ST => Some(1024),
        VR::LT => Some(10_240),
        _ => None,
    }
}

/// Free text made into one value of `vr`: control characters and, where it would separate
/// values, the backslash become spaces; cut to the length that the VR allows.
pub(super) fn fit(vr: VR, text: &str) -> String {
    let block = matches!(vr, VR::ST | VR::LT | VR::UT);
    let clean: String = text
        .chars()
        .filter(|c| c.is_ascii() || received::has_character_set(vr))
        .map(|c| match c {
            '\n' | '\r' | '\t' | '\u{c}' if block => c,
            '\\' if !block && vr != VR::UC => ' ',
            c if c.is_control() => ' ',
            c => c,
        })
        .collect();
    let clean = clean.trim();
    let cut: String = match max_chars(vr) {
        Some(max) => clean.chars().take(max).collect(),
        None => clean.to_owned(),
    };
    cut.trim_end().to_owned()
}

/// A finite number as a decimal string of at most 16 characters (PS3.5 §6.2, DS): the shortest
/// text that reads back as the same number, or the most precise that fits.
pub(super) fn decimal_string(value: f64) -> String {
    const MAX: usize = 16;
    // -0 and 0 are one number.
    let value = if value == 0.0 { 0.0 } else { value };
    let plain = value.to_string();
    if plain.len() <= MAX {
        return plain;
    }
    let mut best = format!("{value:.0e}");
    for digits in 0..MAX {
        for text in [format!("{value:.digits$}"), format!("{value:.digits$e}")] {
            let better = distance(&text, value) < distance(&best, value);
            if text.len() <= MAX && better {
                best = text;
            }
        }
    }
    best
}

fn distance(text: &str, value: f64) -> f64 {
    text.parse::<f64>()
        .map_or(f64::INFINITY, |parsed| (parsed - value).abs())
}

/// Date (DA) of an instant in its own offset.
pub(super) fn date(at: OffsetDateTime) -> String {
    format!("{:04}{:02}{:02}", at.year(), u8::from(at.month()), at.day())
}

/// Time (TM) of an instant in its own offset, to the millisecond.
pub(super) fn time_of_day(at: OffsetDateTime) -> String {
    format!(
        "{:02}{:02}{:02}.{:03}",
        at.hour(),
        at.minute(),
        at.second(),
        at.millisecond()
    )
}

/// Date and time (DT) of an instant, offset included.
pub(super) fn date_time(at: OffsetDateTime) -> String {
    format!("{}{}{}", date(at), time_of_day(at), offset(at))
}

/// Offset from UTC as `&ZZXX` (PS3.5 §6.2, DT).
fn offset(at: OffsetDateTime) -> String {
    let minutes = i32::from(at.offset().whole_minutes());
    let sign = if minutes < 0 { '-' } else { '+' };
    format!("{sign}{:02}{:02}", minutes.abs() / 60, minutes.abs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_string_fits_and_reads_back() {
        for (value, text) in [
            (1292.5, "1292.5"),
            (0.0, "0"),
            (-0.0, "0"),
            (5.0, "5"),
            (-110.5, "-110.5"),
            (6.842_105_263_157_895, "6.84210526315789"),
            (-6.842_105_263_157_895, "-6.8421052631579"),
            (1e300, "1e300"),
            (1.234_567_890_123_45e-9, "1.2345678901e-09"),
        ] {
            let written = decimal_string(value);
            assert!(written.len() <= 16, "{written}");
            let error = (written.parse::<f64>().unwrap() - value).abs();
            assert!(error <= value.abs() * 1e-9, "{written} for {text}");
        }
        assert_eq!(decimal_string(1292.5), "1292.5");
        assert_eq!(decimal_string(-0.0), "0");
    }

    #[test]
    fn text_fits_its_value_representation() {
        assert_eq!(fit(VR::LO, " a\\b\u{7} "), "a b");
        assert_eq!(fit(VR::UT, "a\\b\nc"), "a\\b\nc");
        assert_eq!(fit(VR::SH, &"ü".repeat(20)), "ü".repeat(16));
    }

    #[test]
    fn instants_are_written_in_their_own_offset() {
        let at = time::macros::datetime!(2026-11-05 09:07:03.045 -03:30);
        assert_eq!(date_time(at), "20261105090703.045-0330");
    }
}
