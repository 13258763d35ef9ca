//! Studies by parts of names, from `name_part`: three characters in a row lead
//! to them, of a name as of the list of modalities. Of a part that has fewer, the
//! threes that begin with it are looked for first. Finds every study that a
//! question matches, and others.

use super::Few;
use super::source::{Branch, Kind, Source};
use crate::db::{Connection, OptionalExtension, Value};
use crate::error::Result;
use crate::model::{DateRange, NamePattern, StudyFilter, TextPattern};

/// Threes of one pattern that are looked up: more leave hardly fewer studies, and
/// each is read as often as it occurs.
const THREES: usize = 3;
/// Threes that a shorter part begins, when it is rare.
const THREES_OF_SHORT: usize = 64;

/// `None`: a question without a part of a name that has three characters.
pub(super) fn branches(
    db: &Connection,
    tenant: i64,
    filter: &StudyFilter,
) -> Result<Option<Vec<Branch>>> {
    let text = pattern(filter).map(threes).unwrap_or_default();
    if text.is_empty() || is_pending(db)? {
        return Ok(None);
    }
    Ok(Some(matching(tenant, filter, &text)))
}

/// Studies by a part of a name that has one or two characters; `None` where too
/// many threes begin with it.
pub(super) fn of_short(
    db: &Connection,
    tenant: i64,
    filter: &StudyFilter,
    few: Few,
) -> Result<Option<Source>> {
    let Some(pattern) = pattern(filter).filter(|pattern| threes(pattern).is_empty()) else {
        return Ok(None);
    };
    let begin = longest(pattern);
    if begin.is_empty() || is_pending(db)? {
        return Ok(None);
    }
    let mut next = db.prepare_cached(
        "SELECT term FROM name_part_term WHERE term >= ?1 AND term <= ?2 LIMIT 1",
    )?;
    // The last of all characters: what begins like this sorts before it.
    let last = format!("{begin}\u{10FFFF}\u{10FFFF}");
    let mut terms: Vec<String> = Vec::new();
    let mut from = begin.to_owned();
    while let Some(term) = next
        .query_row([&from, &last], |row| row.get::<String>(0))
        .optional()?
    {
        if terms.len() == THREES_OF_SHORT {
            return Ok(None);
        }
        // No term is between: all have three characters.
        from = format!("{term}\u{1}");
        terms.push(term);
    }
    let text: Vec<_> = terms.iter().map(|term| quoted(term)).collect();
    let branches = match text.is_empty() {
        true => vec![Branch::new(
            "SELECT NULL AS id WHERE FALSE".to_owned(),
            Vec::new(),
        )],
        false => matching(tenant, filter, &text.join(" OR ")),
    };
    Ok(Some(Source::new(Kind::Part, branches, few)))
}

/// Any one of several groups finds every candidate.
pub(super) fn pattern(filter: &StudyFilter) -> Option<&TextPattern> {
    match filter.patient_name.as_ref()? {
        NamePattern::AnyGroup(pattern) => Some(pattern),
        NamePattern::Groups(groups) => groups.iter().flatten().next(),
    }
}

/// A full-text query for studies of a range of dates and of modalities.
fn matching(tenant: i64, filter: &StudyFilter, text: &str) -> Vec<Branch> {
    let text = match facets(&filter.modalities) {
        None => text.to_owned(),
        Some(facets) => format!("({text}) AND ({facets})"),
    };
    let branch = |(first, last): (i64, i64)| {
        let sql = "SELECT rowid & 4294967295 AS id FROM name_part
            WHERE name_part MATCH ? AND rowid BETWEEN ? AND ?";
        let place = |day: i64| (tenant << 48) + (day << 32);
        let range = [place(first), place(last + 1) - 1].map(Value::Integer);
        let values = [Value::Text(text.clone())].into_iter().chain(range);
        Branch::new(sql.to_owned(), values.collect())
    };
    let days = days(filter.date.as_ref());
    days.into_iter().map(branch).collect()
}

/// Any of these modalities, as a full-text query: by the backslash before each and
/// two of its characters. `None` when one has fewer.
fn facets(modalities: &[String]) -> Option<String> {
    let facet = |modality: &String| {
        let mut characters = modality.chars();
        let (first, second) = (characters.next()?, characters.next()?);
        // SQLite matches up to a NUL.
        let is_text = first != '\0' && second != '\0';
        is_text.then(|| quoted(&format!("\\{first}{second}")))
    };
    let facets: Option<Vec<_>> = modalities.iter().map(facet).collect();
    facets
        .filter(|facets| !facets.is_empty())
        .map(|facets| facets.join(" OR "))
}

/// True while the index is not filled yet.
fn is_pending(db: &Connection) -> Result<bool> {
    let mut query = db.prepare_cached("SELECT EXISTS (SELECT 1 FROM name_part_pending)")?;
    Ok(query.query_row([], |row| row.get(0))?)
}

/// First and last days, as the index has them, of all dates in a range.
fn days(range: Option<&DateRange>) -> Vec<(i64, i64)> {
    /// Dates that are no days.
    const OTHERS: i64 = 0;
    const LATEST: i64 = 2;
    const ALL: i64 = (1 << 16) - 1;
    let Some(range) = range.filter(|range| range.is_bounded()) else {
        return vec![(OTHERS, ALL)];
    };
    let known = |date: &Option<String>| number(date.as_deref()?);
    let first = known(&range.to).map_or(LATEST, |number| ALL - number);
    let last = known(&range.from).map_or(ALL, |number| ALL - number);
    vec![(OTHERS, OTHERS), (first, last)]
}

/// About how many days a range has that begins and ends at one.
pub(super) fn days_in(range: &DateRange) -> Option<u64> {
    let (from, to) = (
        number(range.from.as_deref()?)?,
        number(range.to.as_deref()?)?,
    );
    u64::try_from(to - from + 1).ok()
}

/// A number of a day that grows with its date: every month has 31 in it.
fn number(date: &str) -> Option<i64> {
    let is_date = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
    let (year, rest) = date.split_at_checked(4).filter(|_| is_date)?;
    let (month, day) = rest.split_at_checked(2)?;
    let (year, month, day): (i64, i64, i64) =
        (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let is_day =
        (1900..=2075).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    is_day.then(|| 372 * (year - 1900) + 31 * (month - 1) + day - 1)
}

/// What must be there without a wild card between.
fn runs(pattern: &TextPattern) -> impl Iterator<Item = &str> {
    // SQLite matches up to a NUL.
    let text = pattern.0.split('\0').next().unwrap_or_default();
    text.split(['*', '?'])
}

/// Three characters in a row that must be there, as a full-text query.
fn threes(pattern: &TextPattern) -> String {
    let quoted: Vec<String> = threes_of(pattern).iter().map(|one| quoted(one)).collect();
    quoted.join(" AND ")
}

/// Three characters in a row that must be there: some of them.
pub(super) fn threes_of(pattern: &TextPattern) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for run in runs(pattern) {
        let characters: Vec<char> = run.chars().collect();
        for three in characters.windows(3) {
            let text: String = three.iter().collect();
            if !found.contains(&text) {
                found.push(text);
            }
        }
    }
    // The first, the last, and what is between them.
    let last = found.len().saturating_sub(1);
    let mut spread: Vec<String> = (0..THREES)
        .filter_map(|at| found.get(last * at / (THREES - 1)).cloned())
        .collect();
    spread.dedup();
    spread
}

pub(super) fn longest(pattern: &TextPattern) -> &str {
    runs(pattern)
        .max_by_key(|run| run.chars().count())
        .unwrap_or_default()
}

fn quoted(term: &str) -> String {
    format!("\"{}\"", term.replace('"', "\"\""))
}
