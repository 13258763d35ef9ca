//! The page of a question whose candidates are known: of most of them an index
//! tells that they come after the page, and their rows are not read.

use super::period::{MINUTE_MS, is_told, quarter};
use super::{After, Asked, Few, STUDY, conditions, order, rows};
use crate::db::{Connection, Value, params_from_iter};
use crate::error::Result;
use crate::model::{Order, StudyRow};

/// Ids as a list that SQLite reads.
pub(super) fn listed(ids: &[i64]) -> (String, Vec<Value>) {
    let ids: Vec<_> = ids.iter().map(i64::to_string).collect();
    let list = Value::Text(format!("[{}]", ids.join(",")));
    (
        "SELECT value AS id FROM json_each(?)".to_owned(),
        vec![list],
    )
}

/// The page, when all of it is among these many.
pub(super) fn page(
    db: &Connection,
    asked: &Asked<'_>,
    few: Few,
    candidates: &[i64],
) -> Result<Vec<(StudyRow, i64)>> {
    let wanted = asked.limit.saturating_add(asked.offset);
    if candidates.len() as u64 <= few.read {
        return read(db, asked, candidates);
    }
    let all = Asked {
        offset: 0,
        limit: wanted,
        after: asked.after.clone(),
        ..*asked
    };
    let mut left = in_order(db, asked, candidates)?.into_iter().peekable();
    let mut found = Vec::new();
    while left.peek().is_some() && (found.len() as u64) < wanted {
        let some = few.read.max(wanted.saturating_sub(found.len() as u64));
        let (mut ids, mut last) = (Vec::new(), None);
        // What the index tells no order of is read together.
        while let Some((when, id)) =
            left.next_if(|(when, _)| (ids.len() as u64) < some || last.as_ref() == Some(when))
        {
            ids.push(id);
            last = Some(when);
        }
        found.extend(read(db, &all, &ids)?);
    }
    let skipped = usize::try_from(asked.offset).unwrap_or(usize::MAX);
    let most = usize::try_from(asked.limit).unwrap_or(usize::MAX);
    Ok(found.into_iter().skip(skipped).take(most).collect())
}

const OF_PERIOD: &str = "study_period p INDEXED BY study_period_of_study ON p.study = c.id
    WHERE p.tenant = ? AND p.facet = ''";

/// Those that are not before the page, in its order as far as an index tells that
/// holds little of each study: its day, quarter or minute.
fn in_order(db: &Connection, asked: &Asked<'_>, ids: &[i64]) -> Result<Vec<(Value, i64)>> {
    let (list, mut values) = listed(ids);
    let tenant = Value::Integer(asked.tenant);
    let of_day = match (asked.order, asked.filter.modalities.as_slice()) {
        (Order::StudyDate, [one]) if is_told(one) => Some(one),
        _ => None,
    };
    let (when, from) = match (of_day, asked.order) {
        (Some(_), _) => (
            "m.date",
            "study_modality m INDEXED BY study_modality_of_study ON m.study = c.id
             WHERE m.tenant = ? AND m.modality = ?",
        ),
        (None, Order::Received) => ("p.minute", OF_PERIOD),
        (None, Order::StudyDate) => ("p.period", OF_PERIOD),
    };
    let mut sql = format!("SELECT {when} AS place, c.id FROM ({list}) c CROSS JOIN {from}");
    values.push(tenant);
    values.extend(of_day.cloned().map(Value::Text));
    if let Some(after) = &asked.after {
        sql.push_str(&format!(" AND {when} <= ?"));
        values.push(match after {
            After::Received(after) => Value::Integer(after.last_received / MINUTE_MS),
            After::Date(after) if of_day.is_some() => Value::Text(after.date.clone()),
            After::Date(after) => Value::Text(quarter(&after.date)),
        });
    }
    sql.push_str(" ORDER BY place DESC");
    let mut query = db.prepare_planned(&sql)?;
    let found = query.query_map(params_from_iter(values), |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(found.collect::<crate::db::Result<_>>()?)
}

/// The page, when all of it is among these few.
pub(super) fn read(
    db: &Connection,
    asked: &Asked<'_>,
    ids: &[i64],
) -> Result<Vec<(StudyRow, i64)>> {
    let conditions = conditions(asked)?;
    let (list, mut values) = listed(ids);
    // What is sorted is small: the rest is read for what is on the page only.
    let order = order(asked.order);
    let sql = format!(
        "SELECT {STUDY} FROM (SELECT t.id AS id FROM ({list}) c CROSS JOIN study t ON t.id = c.id
            WHERE {} ORDER BY {order} LIMIT ? OFFSET ?) p
         CROSS JOIN study t ON t.id = p.id ORDER BY {order}",
        conditions.sql(),
    );
    values.extend(conditions.values);
    rows(db, &sql, values, asked)
}
