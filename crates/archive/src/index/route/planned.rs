//! Studies on PostgreSQL, whose planner knows what is bound and how often it occurs:
//! it is told by which tables parts of names and modalities are found, and chooses.
//! All conditions are checked on the rows that are answered, as on every way.

use super::parts::{longest, pattern, threes_of};
use super::period::is_told;
use super::{Asked, conditions, rows};
use crate::db::{Connection, Value};
use crate::error::Result;
use crate::index::answer::STUDY;
use crate::index::condition::Conditions;
use crate::model::{Order, StudyFilter, StudyRow};

/// The page, each study with its row id.
pub(super) fn studies(db: &Connection, asked: &Asked<'_>) -> Result<Vec<(StudyRow, i64)>> {
    let mut conditions = conditions(asked)?;
    narrow(db, &mut conditions, asked.tenant, asked.filter);
    let order = match asked.order {
        Order::StudyDate => "t.date DESC NULLS LAST, t.time DESC NULLS LAST, t.id DESC",
        Order::Received => "t.last_received DESC, t.id DESC",
    };
    let sql = format!(
        "SELECT {STUDY} FROM study t WHERE {} ORDER BY {order} LIMIT ? OFFSET ?",
        conditions.sql()
    );
    rows(db, &sql, conditions.values, asked)
}

/// Says of `t` by which tables it is found; nothing where SQLite is asked.
pub(crate) fn narrow(
    db: &Connection,
    conditions: &mut Conditions,
    tenant: i64,
    filter: &StudyFilter,
) {
    if db.sqlite().is_some() {
        return;
    }
    let tenant = || Value::Integer(tenant);
    if let Some(pattern) = pattern(filter) {
        let threes = threes_of(pattern);
        let begin = longest(pattern);
        if threes.is_empty() && !begin.is_empty() {
            // The last of all characters: what begins like this sorts before it.
            let last = format!("{begin}\u{10FFFF}\u{10FFFF}");
            conditions.raw(
                "t.id IN (SELECT study FROM name_part
                    WHERE tenant = ? AND three >= ? AND three <= ?)",
                [tenant(), Value::Text(begin.to_owned()), Value::Text(last)],
            );
        }
        for three in threes {
            conditions.raw(
                "t.id IN (SELECT study FROM name_part WHERE tenant = ? AND three = ?)",
                [tenant(), Value::Text(three)],
            );
        }
    }
    let modalities = &filter.modalities;
    if !modalities.is_empty() && modalities.iter().all(|one| is_told(one)) {
        let marks = vec!["?"; modalities.len()].join(", ");
        let values = modalities.iter().cloned().map(Value::Text);
        conditions.raw(
            &format!(
                "t.id IN (SELECT study FROM study_modality WHERE tenant = ? AND modality IN ({marks}))"
            ),
            [tenant()].into_iter().chain(values),
        );
    }
}
