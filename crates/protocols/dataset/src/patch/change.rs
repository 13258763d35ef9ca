//! What a correction changes: attributes of text VRs at the top level, checked
//! against their VR (PS3.5 §6.2) before anything is written.

use dicom_core::VR;
use dicom_core::dictionary::VirtualVr;
use serde::{Deserialize, Serialize};

use crate::dictionary;
use crate::error::{from_u32, to_u32};
use crate::limits::MAX_UID;

/// Why a value can't be given to an attribute. Says nothing of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unchangeable {
    /// Not an attribute of the standard that holds text.
    #[error("only attributes of the standard that hold text can be corrected")]
    NotText,
    /// It says what the object is or how it is encoded.
    #[error("this attribute says what the instance is and can't be corrected")]
    Structural,
    /// The value is not one of its VR.
    #[error("the value is not valid for a value of VR {0}")]
    Value(&'static str),
}

/// One attribute and the value that it gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stated", into = "Stated")]
pub struct Change {
    tag: u32,
    vr: VR,
    value: Option<String>,
}

/// As it is written down.
#[derive(Serialize, Deserialize)]
struct Stated {
    tag: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

impl TryFrom<Stated> for Change {
    type Error = Unchangeable;

    fn try_from(stated: Stated) -> Result<Self, Unchangeable> {
        let digits = stated.tag.len() == 8 && stated.tag.bytes().all(|b| b.is_ascii_hexdigit());
        let tag = u32::from_str_radix(&stated.tag, 16);
        match tag {
            Ok(tag) if digits => Self::new(tag, stated.value),
            _ => Err(Unchangeable::NotText),
        }
    }
}

impl From<Change> for Stated {
    fn from(change: Change) -> Self {
        Self {
            tag: format!("{:08X}", change.tag),
            value: change.value,
        }
    }
}

impl Change {
    /// `tag` (`GGGGEEEE`) gets `value`, an empty one included; `None` removes
    /// it.
    ///
    /// # Errors
    /// When the attribute can't be corrected or the value is not of its VR.
    pub fn new(tag: u32, value: Option<String>) -> Result<Self, Unchangeable> {
        let known = from_u32(tag);
        if known.0 % 2 == 1 || known.0 < 8 || known.0 >= 0x0400 {
            return Err(Unchangeable::NotText);
        }
        // The last: Instance Number and UIDs of series and study may move.
        let structural = matches!(
            tag,
            0x0008_0001 | 0x0008_0005 | 0x0008_0008 | 0x0008_0016 | 0x0008_0018
        ) || known.0 == 0x0028;
        if structural {
            return Err(Unchangeable::Structural);
        }
        let vr = match dictionary::vr_of(known) {
            // What is removed may be a sequence.
            Some(VirtualVr::Exact(VR::SQ)) if value.is_none() => VR::SQ,
            Some(VirtualVr::Exact(vr)) if label(vr).is_some() && known.1 != 0 => vr,
            _ => return Err(Unchangeable::NotText),
        };
        if let Some(value) = &value
            && !value.is_empty()
            && !is_valid(vr, value)
        {
            return Err(Unchangeable::Value(label(vr).unwrap_or("UN")));
        }
        Ok(Self {
            tag: to_u32(known),
            vr,
            value,
        })
    }

    /// The attribute.
    #[must_use]
    pub fn tag(&self) -> u32 {
        self.tag
    }

    /// Its VR.
    pub(crate) fn vr(&self) -> VR {
        self.vr
    }

    /// What it gets; `None`: it is removed.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }
}

/// Attributes changed together, and what the Original Attributes Sequence says
/// about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    /// Attribute Modification DateTime (0400,0562): a DT value.
    pub at: String,
    /// Modifying System (0400,0563).
    pub system: String,
    /// Source of Previous Values (0400,0564); may be empty.
    #[serde(default)]
    pub source: String,
    /// The changes; of several of one attribute the last counts.
    pub changes: Vec<Change>,
}

/// The text VRs that are corrected.
fn label(vr: VR) -> Option<&'static str> {
    Some(match vr {
        VR::AE => "AE",
        VR::AS => "AS",
        VR::CS => "CS",
        VR::DA => "DA",
        VR::DS => "DS",
        VR::DT => "DT",
        VR::IS => "IS",
        VR::LO => "LO",
        VR::LT => "LT",
        VR::PN => "PN",
        VR::SH => "SH",
        VR::ST => "ST",
        VR::TM => "TM",
        VR::UI => "UI",
        _ => return None,
    })
}

fn is_valid(vr: VR, value: &str) -> bool {
    let long = matches!(vr, VR::LT | VR::ST);
    let plain = !value
        .chars()
        .any(|c| c.is_control() && !(long && matches!(c, '\r' | '\n' | '\t')));
    let count = value.chars().count();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let single = plain && !value.contains('\\');
    match vr {
        VR::LT => plain && count <= 10_240,
        VR::ST => plain && count <= 1_024,
        VR::LO => single && count <= 64,
        VR::SH => single && count <= 16,
        VR::AE => single && value.is_ascii() && count <= 16,
        VR::CS => {
            single
                && count <= 16
                && value
                    .bytes()
                    .all(|b| matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b' ' | b'_'))
        }
        VR::PN => {
            single
                && value.split('=').count() <= 3
                && value
                    .split('=')
                    .all(|group| group.chars().count() <= 64 && group.split('^').count() <= 5)
        }
        VR::DA => is_date(value),
        VR::TM => is_time(value),
        VR::DT => {
            let (head, zone) = match value.find(['+', '-']) {
                Some(at) => value.split_at(at),
                None => (value, ""),
            };
            let (date, time) = head.split_at_checked(8).unwrap_or((head, ""));
            single
                && is_date(date)
                && (time.is_empty() || is_time(time))
                && (zone.is_empty() || (zone.len() == 5 && digits(zone.get(1..).unwrap_or(""))))
        }
        VR::AS => match value.split_at_checked(3) {
            Some((number, unit)) => digits(number) && matches!(unit, "D" | "W" | "M" | "Y"),
            None => false,
        },
        VR::IS => value.len() <= 12 && value.parse::<i32>().is_ok(),
        VR::DS => {
            let numeric = value
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
            numeric && value.len() <= 16 && value.parse::<f64>().is_ok_and(f64::is_finite)
        }
        VR::UI => {
            value.len() <= MAX_UID
                && value
                    .split('.')
                    .all(|part| digits(part) && (part == "0" || !part.starts_with('0')))
        }
        _ => false,
    }
}

/// `YYYYMMDD` of a day that there is.
fn is_date(text: &str) -> bool {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u32>().ok();
    if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(4..6), number(6..8)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => 0,
    };
    (1..=last).contains(&day)
}

/// `HH[MM[SS[.F…]]]`, a leap second included.
fn is_time(text: &str) -> bool {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !matches!(whole.len(), 2 | 4 | 6) || !digits(whole) {
        return false;
    }
    if let Some(fraction) = fraction
        && (whole.len() != 6 || !(1..=6).contains(&fraction.len()) || !digits(fraction))
    {
        return false;
    }
    [(0, 23), (2, 59), (4, 60)].into_iter().all(|(at, most)| {
        whole
            .get(at..at + 2)
            .is_none_or(|pair| pair.parse::<u32>().is_ok_and(|number| number <= most))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tag: u32, value: &str) -> Result<Change, Unchangeable> {
        Change::new(tag, Some(value.to_owned()))
    }

    #[test]
    fn values_are_held_against_their_vr() {
        for (tag, value) in [
            (0x0010_0010, "Müller^Jürgen=山田^太郎=やまだ^たろう"),
            (0x0010_0030, "20240229"),
            (0x0008_0030, "235960.123456"),
            (0x0008_0050, "A-2026/17"),
            (0x0010_0040, "O"),
            (0x0010_1010, "045Y"),
            (0x0020_000D, "1.2.840.0.1"),
            (0x0010_0020, ""),
        ] {
            assert!(check(tag, value).is_ok(), "{tag:08X}");
        }
        for (tag, value) in [
            (0x0010_0010, "a=b=c=d"),
            (0x0010_0010, "a\\b"),
            (0x0010_0010, "a\u{1b}$B"),
            (0x0010_0030, "20250229"),
            (0x0008_0030, "246000"),
            (0x0008_0050, "longer than 16 chars"),
            (0x0010_0040, "f"),
            (0x0020_000D, "1..2"),
            (0x0020_000D, "1.02"),
        ] {
            assert!(
                matches!(check(tag, value), Err(Unchangeable::Value(_))),
                "{tag:08X}"
            );
        }
    }

    #[test]
    fn what_the_instance_is_and_what_holds_no_text_stays() {
        for tag in [0x0008_0018, 0x0008_0016, 0x0008_0005, 0x0028_0004] {
            assert_eq!(check(tag, "1"), Err(Unchangeable::Structural));
        }
        for tag in [
            0x7FE0_0010,
            0x0009_0010,
            0x0002_0010,
            0x0400_0561,
            0x0010_2002,
        ] {
            assert_eq!(check(tag, "1"), Err(Unchangeable::NotText), "{tag:08X}");
        }
        assert!(
            Change::new(0x0040_0275, None).is_ok(),
            "a sequence is removed"
        );
    }

    #[test]
    fn a_correction_comes_back_from_its_json_and_a_wrong_one_does_not() {
        let correction = Correction {
            at: "20261121071000".into(),
            system: "HILUM".into(),
            source: String::new(),
            changes: vec![
                check(0x0010_0020, "P1").unwrap(),
                Change::new(0x0010_1000, None).unwrap(),
            ],
        };
        let text = serde_json::to_string(&correction).unwrap();
        assert_eq!(
            serde_json::from_str::<Correction>(&text).unwrap(),
            correction
        );
        let wrong = r#"{"tag":"00080018","value":"1.2"}"#;
        assert!(serde_json::from_str::<Change>(wrong).is_err());
    }
}
