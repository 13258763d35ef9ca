//! Studies by parts of names, from `name_part`: three characters in a row lead
//! to them. Of a part that has fewer, the threes that begin with it are looked
//! for first. Finds every study that a pattern matches, and others.

use rusqlite::types::Value;
use rusqlite::{Connection, params};

use super::Few;
use super::period::quarter;
use super::source::{Branch, Source};
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
    if text.is_empty() {
        return Ok(None);
    }
    if is_pending(db)? {
        let sql = "SELECT rowid AS id FROM study_name WHERE study_name MATCH ?";
        let branch = Branch::new(sql.to_owned(), vec![Value::Text(text)]);
        return Ok(Some(vec![branch]));
    }
    Ok(Some(matching(tenant, filter, &text)))
}

/// True for a part of a name that has one or two characters.
pub(super) fn is_short(filter: &StudyFilter) -> bool {
    pattern(filter)
        .is_some_and(|pattern| threes(pattern).is_empty() && !longest(pattern).is_empty())
}

/// Studies by such a part; `None` where it is in too many threes to be rare.
pub(super) fn of_short(
    db: &Connection,
    tenant: i64,
    filter: &StudyFilter,
    few: Few,
) -> Result<Option<Source>> {
    let begin = pattern(filter).map(longest).unwrap_or_default();
    if begin.is_empty() || is_pending(db)? {
        return Ok(None);
    }
    let mut query =
        db.prepare_cached("SELECT term FROM name_part_term WHERE term BETWEEN ?1 AND ?2 LIMIT ?3")?;
    // The last of all characters: what begins like this sorts before it.
    let last = format!("{begin}\u{10FFFF}\u{10FFFF}");
    let rows = query.query_map(params![begin, last, THREES_OF_SHORT + 1], |row| {
        row.get::<_, String>(0)
    })?;
    let terms: Vec<String> = rows.collect::<rusqlite::Result<_>>()?;
    if terms.len() > THREES_OF_SHORT {
        return Ok(None);
    }
    let text: Vec<_> = terms.iter().map(|term| quoted(term)).collect();
    let branches = match text.is_empty() {
        true => vec![Branch::new(
            "SELECT NULL AS id WHERE FALSE".to_owned(),
            Vec::new(),
        )],
        false => matching(tenant, filter, &text.join(" OR ")),
    };
    Ok(Some(Source::of_rows(branches, few)))
}

/// Any one of several groups finds every candidate.
fn pattern(filter: &StudyFilter) -> Option<&TextPattern> {
    match filter.patient_name.as_ref()? {
        NamePattern::AnyGroup(pattern) => Some(pattern),
        NamePattern::Groups(groups) => groups.iter().flatten().next(),
    }
}

/// A full-text query for studies of a range of dates.
fn matching(tenant: i64, filter: &StudyFilter, text: &str) -> Vec<Branch> {
    let branch = |(first, last): (i64, i64)| {
        let sql = "SELECT rowid & 4294967295 AS id FROM name_part
            WHERE name_part MATCH ? AND rowid BETWEEN ? AND ?";
        let place = |quarter: i64| (tenant << 46) + (quarter << 32);
        let range = [place(first), place(last + 1) - 1].map(Value::Integer);
        let values = [Value::Text(text.to_owned())].into_iter().chain(range);
        Branch::new(sql.to_owned(), values.collect())
    };
    let quarters = quarters(filter.date.as_ref());
    quarters.into_iter().map(branch).collect()
}

/// True while the index is not filled yet.
fn is_pending(db: &Connection) -> Result<bool> {
    let mut query = db.prepare_cached("SELECT EXISTS (SELECT 1 FROM name_part_pending)")?;
    Ok(query.query_row([], |row| row.get(0))?)
}

/// First and last quarters, as the index has them, of all dates in a range.
fn quarters(range: Option<&DateRange>) -> Vec<(i64, i64)> {
    /// Dates that are none.
    const OTHERS: i64 = 0;
    const LATEST: i64 = 2;
    const ALL: i64 = (1 << 14) - 1;
    let Some(range) = range.filter(|range| range.is_bounded()) else {
        return vec![(OTHERS, ALL)];
    };
    let known = |date: &Option<String>| number(&quarter(date.as_deref()?));
    let first = known(&range.to).map_or(LATEST, |number| ALL - number);
    let last = known(&range.from).map_or(ALL, |number| ALL - number);
    vec![(OTHERS, OTHERS), (first, last)]
}

/// Quarters since the year zero.
fn number(quarter: &str) -> Option<i64> {
    let is_one = quarter.len() == 5
        && quarter.bytes().all(|byte| byte.is_ascii_digit())
        && quarter.ends_with(['1', '2', '3', '4'])
        && quarter < "40952";
    let (year, of_year) = quarter.split_at_checked(4).filter(|_| is_one)?;
    Some(4 * year.parse::<i64>().ok()? + of_year.parse::<i64>().ok()?)
}

/// What must be there without a wild card between.
fn runs(pattern: &TextPattern) -> impl Iterator<Item = &str> {
    // SQLite matches up to a NUL.
    let text = pattern.0.split('\0').next().unwrap_or_default();
    text.split(['*', '?'])
}

/// Three characters in a row that must be there, as a full-text query.
fn threes(pattern: &TextPattern) -> String {
    let mut found: Vec<String> = Vec::new();
    for run in runs(pattern) {
        let characters: Vec<char> = run.chars().collect();
        for three in characters.windows(3) {
            let text = quoted(&three.iter().collect::<String>());
            if !found.contains(&text) {
                found.push(text);
            }
        }
    }
    // The first, the last, and what is between them.
    let last = found.len().saturating_sub(1);
    let mut spread: Vec<&str> = (0..THREES)
        .filter_map(|at| found.get(last * at / (THREES - 1)))
        .map(String::as_str)
        .collect();
    spread.dedup();
    spread.join(" AND ")
}

fn longest(pattern: &TextPattern) -> &str {
    runs(pattern)
        .max_by_key(|run| run.chars().count())
        .unwrap_or_default()
}

fn quoted(term: &str) -> String {
    format!("\"{}\"", term.replace('"', "\"\""))
}
