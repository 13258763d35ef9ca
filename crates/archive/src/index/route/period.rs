//! The latest received studies of a range of dates, or of a modality: each
//! quarter of a year has its studies in the order of their reception
//! (`study_period`), and these orders are merged until the page is full. Knows
//! the minute of a reception only: all of the last minute are candidates.

use std::collections::HashSet;

use super::source::covered_dates;
use super::{After, Asked, integer, only_in_modality};
use crate::db::{Connection, Value, params_from_iter};
use crate::error::Result;
use crate::index::condition::Conditions;
use crate::model::{DateRange, Order};

pub(super) const MINUTE_MS: i64 = 60_000;
/// Numbers of orders that are merged, as few as there are statements to keep
/// prepared; what is missing is filled up with none. More quarters than the
/// most are another way's.
const MERGED: [usize; 3] = [4, 16, 64];

/// Orders whose merger holds every study that is asked for.
pub(super) struct Periods<'a> {
    asked: &'a Asked<'a>,
    /// Facet and period.
    of: Vec<(String, String)>,
}

/// `None` when something is asked for that they can't tell.
pub(super) fn periods<'a>(db: &Connection, asked: &'a Asked<'a>) -> Result<Option<Periods<'a>>> {
    let filter = asked.filter;
    let dates = filter.date.as_ref().filter(|range| range.is_bounded());
    let is_narrowed = dates.is_some() || !filter.modalities.is_empty();
    if asked.order != Order::Received
        || !is_narrowed
        || !only_in_modality(filter)
        || !filter.modalities.iter().all(|one| is_told(one))
    {
        return Ok(None);
    }
    let mut facets = filter.modalities.clone();
    facets.sort_unstable();
    facets.dedup();
    if facets.is_empty() {
        facets.push(String::new());
    }
    let [.., most] = MERGED;
    let mut of = Vec::new();
    for facet in facets {
        for period in existing(db, asked.tenant, &facet, dates, most + 1)? {
            of.push((facet.clone(), period));
        }
        if of.len() > most {
            return Ok(None);
        }
    }
    Ok(Some(Periods { asked, of }))
}

/// Whether the tables have it by itself: it is one modality, and not an absent one.
pub(super) fn is_told(modality: &str) -> bool {
    !modality.is_empty() && !modality.contains('\\')
}

/// The quarter of a date, as the tables have it.
pub(super) fn quarter(date: &str) -> String {
    let after = date.char_indices().nth(4).map_or(date.len(), |(at, _)| at);
    let (year, rest) = date.split_at(after);
    let quarter = match rest {
        "" => "",
        rest if rest < "04" => "1",
        rest if rest < "07" => "2",
        rest if rest < "10" => "3",
        _ => "4",
    };
    format!("{year}{quarter}")
}

/// Quarters that there are studies of: each is looked up behind the one before.
fn existing(
    db: &Connection,
    tenant: i64,
    facet: &str,
    dates: Option<&DateRange>,
    most: usize,
) -> Result<Vec<String>> {
    let from = dates.and_then(|range| range.from.as_deref()).map(quarter);
    let to = dates.and_then(|range| range.to.as_deref()).map(quarter);
    let mut query = db.prepare_cached(
        "WITH RECURSIVE known (period) AS (
            SELECT min(period) FROM study_period WHERE tenant = ?1 AND facet = ?2 AND period >= ?3
            UNION ALL
            SELECT (SELECT min(p.period) FROM study_period p
                WHERE p.tenant = ?1 AND p.facet = ?2 AND p.period > known.period)
            FROM known WHERE known.period <= ?4)
         SELECT period FROM known WHERE period <= ?4 LIMIT ?5",
    )?;
    let rows = query.query_map(
        crate::db::params![
            tenant,
            facet,
            from.unwrap_or_default(),
            // The last of all characters: every quarter sorts before it.
            to.unwrap_or_else(|| '\u{10FFFF}'.to_string()),
            integer(most as u64)
        ],
        |row| row.get(0),
    )?;
    Ok(rows.collect::<crate::db::Result<_>>()?)
}

impl Periods<'_> {
    /// Ids of the studies that the page is among.
    pub(super) fn walk(&self, db: &Connection) -> Result<Vec<i64>> {
        let (sql, values) = self.merged()?;
        let mut query = db.prepare_planned(&sql)?;
        let mut rows = query.query(params_from_iter(values))?;
        let wanted = self.asked.limit.saturating_add(self.asked.offset);
        let mut before = 0;
        let mut last = None;
        let mut ids = HashSet::new();
        while let Some(row) = rows.next()? {
            let (minute, id): (i64, i64) = (row.get(0)?, row.get(1)?);
            if before >= wanted && last != Some(minute) {
                break;
            }
            // Of the minute in which the page begins, some were on the last one.
            if ids.insert(id) && self.begins().is_none_or(|begin| minute < begin) {
                before += 1;
            }
            last = Some(minute);
        }
        Ok(ids.into_iter().collect())
    }

    fn begins(&self) -> Option<i64> {
        match &self.asked.after {
            Some(After::Received(after)) => Some(after.last_received / MINUTE_MS),
            _ => None,
        }
    }

    fn merged(&self) -> Result<(String, Vec<Value>)> {
        let dates = self.asked.filter.date.as_ref();
        let mut sql = String::new();
        let mut values = Vec::new();
        let orders = MERGED
            .into_iter()
            .find(|orders| *orders >= self.of.len())
            .unwrap_or(self.of.len());
        let known = self.of.iter().map(|(facet, period)| {
            let text = |text: &String| Value::Text(text.clone());
            [text(facet), text(period)]
        });
        let none = std::iter::repeat([Value::Null, Value::Null]);
        for of in known.chain(none).take(orders) {
            let mut range = Conditions::of_tenant("p.tenant", self.asked.tenant);
            range.raw("p.facet = ? AND p.period = ?", of);
            if let Some(begin) = self.begins() {
                range.raw("p.minute <= ?", [Value::Integer(begin)]);
            }
            // SQLite tests in this order: a name leaves fewer than dates in its quarter.
            range.name("p.patient_name", self.asked.filter.patient_name.as_ref())?;
            covered_dates(&mut range, "p.date", dates);
            if !sql.is_empty() {
                sql.push_str(" UNION ALL ");
            }
            sql.push_str("SELECT p.minute AS minute, p.study AS study FROM study_period p WHERE ");
            sql.push_str(range.sql());
            values.append(&mut range.values);
        }
        sql.push_str(" ORDER BY minute DESC, study DESC");
        Ok((sql, values))
    }
}
