//! The value of a matching parameter as a condition (PS3.4 §C.2.2.2).

use super::attribute::{Attribute, Kind};
use super::check_count;
use crate::Refusal;

/// `YYYYMMDD` to `YYYYMMDD`, both inclusive; an open end is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DateRange {
    /// First day.
    pub from: Option<String>,
    /// Last day.
    pub to: Option<String>,
}

/// `HHMMSS` to `HHMMSS.FFFFFF`, both inclusive and filled up: `10` begins at
/// `100000` and ends at `105959.999999`. An open end is `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// First moment.
    pub from: Option<String>,
    /// Last moment.
    pub to: Option<String>,
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Text in which `*` and `?` are wild cards.
    Text(String),
    /// Exactly this.
    Exact(String),
    /// Any of these.
    AnyOf(Vec<String>),
    /// A day of the range.
    Date(DateRange),
    /// A moment of the range.
    Time(TimeRange),
    /// This number.
    Number(i64),
}

impl Condition {
    /// `None` is universal matching: no condition.
    pub(super) fn parse(attribute: Attribute, value: &str) -> Result<Option<Self>, Refusal> {
        let refuse = |what: &str| Refusal::bad(format!("`{}` {what}", attribute.keyword()));
        // Spaces around a value mean nothing in any of these VRs (PS3.5 §6.2).
        let value = value.trim();
        if value.is_empty() {
            return Ok(None);
        }
        if value.contains(|c: char| c.is_control()) {
            return Err(refuse("has a control character in its value"));
        }
        let has_wild_card = value.contains(['*', '?']);
        let condition = match attribute.kind() {
            Kind::Text if value.bytes().all(|b| b == b'*') => return Ok(None),
            Kind::Text | Kind::Exact if value.contains('\\') => {
                return Err(refuse("takes one value, not a list"));
            }
            Kind::Text => Self::Text(value.to_owned()),
            Kind::Exact | Kind::Codes if has_wild_card => {
                return Err(refuse("takes no wild cards"));
            }
            Kind::Exact => Self::Exact(value.to_owned()),
            Kind::Codes => Self::AnyOf(list(value)?),
            Kind::Uids => {
                let uids = list(value)?;
                if !uids.iter().all(|uid| is_uid(uid)) {
                    return Err(refuse("takes UIDs, separated by commas"));
                }
                Self::AnyOf(uids)
            }
            Kind::Date => Self::Date(
                date_range(value).ok_or_else(|| refuse("takes YYYYMMDD or a range of them"))?,
            ),
            Kind::Time => Self::Time(
                time_range(value)
                    .ok_or_else(|| refuse("takes HHMMSS.FFFFFF or a range of them"))?,
            ),
            Kind::Number => Self::Number(
                value
                    .parse()
                    .map_err(|_| refuse("takes one whole number"))?,
            ),
        };
        match &condition {
            Self::AnyOf(values) if values.is_empty() => Ok(None),
            _ => Ok(Some(condition)),
        }
    }
}

/// PS3.18 §8.3.4.1 has commas between UIDs, PS3.4 §C.2.2.2.2 backslashes;
/// neither can be part of one.
fn list(value: &str) -> Result<Vec<String>, Refusal> {
    let values: Vec<String> = value
        .split([',', '\\'])
        .map(str::trim)
        .filter(|value| !value.is_empty())
        .map(str::to_owned)
        .collect();
    check_count(values.len())?;
    Ok(values)
}

/// Lenient about leading zeros, which real UIDs have; never longer than 64.
fn is_uid(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// Splits `a-b`, `a-`, `-b`; a lone value is both ends. `-` alone is nothing.
fn ends(value: &str) -> Option<(Option<&str>, Option<&str>)> {
    let (from, to) = match value.split_once('-') {
        None => return Some((Some(value), Some(value))),
        Some((from, to)) => (from.trim(), to.trim()),
    };
    let end = |text: &'_ str| !text.is_empty();
    match (end(from), end(to)) {
        (false, false) => None,
        (has_from, has_to) => Some((has_from.then_some(from), has_to.then_some(to))),
    }
}

fn date_range(value: &str) -> Option<DateRange> {
    let day = |text: Option<&str>| match text {
        None => Some(None),
        Some(text) => is_day(text).then(|| Some(text.to_owned())),
    };
    let (from, to) = ends(value)?;
    Some(DateRange {
        from: day(from)?,
        to: day(to)?,
    })
}

fn is_day(text: &str) -> bool {
    let number = |range| {
        text.get(range)
            .filter(|digits: &&str| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse::<u32>().ok())
    };
    text.len() == 8
        && number(0..4).is_some()
        && number(4..6).is_some_and(|month| (1..=12).contains(&month))
        && number(6..8).is_some_and(|day| (1..=31).contains(&day))
}

fn time_range(value: &str) -> Option<TimeRange> {
    let fill = |text: Option<&str>, filler: &str| match text {
        None => Some(None),
        Some(text) => fill_time(text, filler).map(Some),
    };
    let (from, to) = ends(value)?;
    Some(TimeRange {
        from: fill(from, "000000")?,
        to: fill(to, "235959.999999")?,
    })
}

fn fill_time(text: &str, filler: &str) -> Option<String> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let whole_ok = matches!(whole.len(), 2 | 4 | 6) && digits(whole);
    let fraction_ok = fraction.is_none_or(|fraction| {
        whole.len() == 6 && (1..=6).contains(&fraction.len()) && digits(fraction)
    });
    let below = |range, limit: u32| {
        whole
            .get(range)
            .is_none_or(|part: &str| part.parse::<u32>().is_ok_and(|part| part < limit))
    };
    // 60 is a leap second (PS3.5 §6.2).
    if !(whole_ok && fraction_ok && below(0..2, 24) && below(2..4, 60) && below(4..6, 61)) {
        return None;
    }
    let mut filled = text.to_owned();
    // Fractions are filled up like the rest: `.5` ends at `.599999`.
    if filled.len() < filler.len() {
        let mut rest: &str = filler.get(filled.len()..).unwrap_or_default();
        if fraction.is_some() && filler.contains('.') {
            rest = "999999"
                .get(..filler.len() - filled.len())
                .unwrap_or_default();
        }
        filled.push_str(rest);
    }
    Some(filled)
}
