//! The conditions by which an index finds studies, and how many each leaves.

use super::{Few, integer, parts};
use crate::db::{Connection, Value, params_from_iter};
use crate::error::Result;
use crate::index::condition::Conditions;
use crate::model::{DateRange, NamePattern, StudyFilter, TextPattern};

/// What a source is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Rows of studies, one by one.
    Rows,
    /// `name_part`.
    Part,
    /// `study_modality`.
    Modality,
    /// `study_by_date`.
    Date,
}

/// A condition by which an index finds studies.
pub(super) struct Source {
    pub(super) kind: Kind,
    /// Each selects `id`; a study may be in several.
    branches: Vec<Branch>,
    pub(super) few: u64,
}

#[derive(Default)]
pub(super) struct Branch {
    sql: String,
    values: Vec<Value>,
    /// Further conditions that the same index answers.
    more: Option<Conditions>,
}

impl Source {
    pub(super) fn new(kind: Kind, branches: Vec<Branch>, few: Few) -> Self {
        Self {
            kind,
            branches,
            few: few.looked_up,
        }
    }

    pub(super) fn count(&self, db: &Connection, bound: u64) -> Result<u64> {
        let sql: Vec<_> = self.branches.iter().map(|b| b.sql.as_str()).collect();
        let sql = format!(
            "SELECT count(*) FROM (SELECT 1 FROM ({}) LIMIT ?)",
            sql.join(" UNION ALL ")
        );
        let mut values: Vec<_> = self
            .branches
            .iter()
            .flat_map(|branch| branch.values.iter().cloned())
            .collect();
        values.push(integer(bound + 1));
        let mut query = db.prepare_planned(&sql)?;
        Ok(query.query_row(params_from_iter(values), |row| row.get(0))?)
    }

    /// Ids of what it finds, when that is few.
    pub(super) fn found(&self, db: &Connection) -> Result<Option<Vec<i64>>> {
        if self.branches.iter().any(|branch| branch.more.is_some()) {
            let is_few = self.count(db, self.few)? <= self.few;
            return is_few.then(|| self.all(db)).transpose();
        }
        // Counting them would find them: once is enough.
        let mut ids: Vec<i64> = Vec::new();
        for branch in &self.branches {
            let mut query = db.prepare_planned(&format!("{} LIMIT ?", branch.sql))?;
            let limit = [integer(self.few + 1)];
            let mut rows = query.query(params_from_iter(branch.values.iter().chain(&limit)))?;
            while let Some(row) = rows.next()? {
                ids.push(row.get(0)?);
            }
            if ids.len() as u64 > self.few {
                return Ok(None);
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(Some(ids))
    }

    /// Ids of all that it finds.
    pub(super) fn all(&self, db: &Connection) -> Result<Vec<i64>> {
        let filtered = self.branches.iter().map(Branch::filtered);
        let (sql, values): (Vec<_>, Vec<_>) = filtered.unzip();
        let sql = format!("SELECT DISTINCT id FROM ({})", sql.join(" UNION ALL "));
        let mut query = db.prepare_planned(&sql)?;
        let found = query.query_map(params_from_iter(values.concat()), |row| row.get(0))?;
        Ok(found.collect::<crate::db::Result<_>>()?)
    }
}

impl Branch {
    pub(super) fn new(sql: String, values: Vec<Value>) -> Self {
        Self {
            sql,
            values,
            more: None,
        }
    }

    /// With its further conditions.
    fn filtered(&self) -> (String, Vec<Value>) {
        match &self.more {
            None => (self.sql.clone(), self.values.clone()),
            Some(more) => {
                let sql = format!("{} AND {}", self.sql, more.sql());
                (sql, [&*self.values, &*more.values].concat())
            }
        }
    }
}

/// Those that leave the fewest first: names leave fewer than dates.
pub(super) fn sources(
    db: &Connection,
    tenant: i64,
    filter: &StudyFilter,
    few: Few,
) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut fetched = |branches: Vec<Branch>| {
        if !branches.is_empty() {
            sources.push(Source::new(Kind::Rows, branches, few));
        }
    };
    if !filter.uids.is_empty() {
        let mut uids = Conditions::of_tenant("tenant", tenant);
        uids.any_of("uid", &filter.uids)?;
        let sql = format!("SELECT id FROM study WHERE {}", uids.sql());
        fetched(vec![Branch::new(sql, uids.values)]);
    }
    for (index, column, pattern) in [
        ("study_by_accession", "accession", &filter.accession),
        ("study_by_patient", "patient_id", &filter.patient_id),
    ] {
        let branch = pattern
            .as_ref()
            .and_then(|pattern| beginning(tenant, index, column, pattern));
        fetched(branch.into_iter().collect());
    }
    if let Some(branches) = beginnings(tenant, filter)? {
        sources.push(Source::new(Kind::Rows, branches, few));
    }
    if let Some(branches) = parts::branches(db, tenant, filter)? {
        sources.push(Source::new(Kind::Part, branches, few));
    }
    let dates = filter.date.as_ref();
    if !filter.modalities.is_empty() {
        let mut branches = Vec::new();
        for modality in &filter.modalities {
            let mut range = Conditions::of_tenant("m.tenant", tenant);
            range.raw("m.modality = ?", [Value::Text(modality.clone())]);
            covered_dates(&mut range, "m.date", dates);
            let mut more = Conditions::any();
            more.name("m.patient_name", filter.patient_name.as_ref())?;
            branches.push(Branch {
                sql: format!(
                    "SELECT m.study AS id FROM study_modality m WHERE {}",
                    range.sql()
                ),
                values: range.values,
                more: Some(more),
            });
        }
        sources.push(Source {
            kind: Kind::Modality,
            branches,
            few: few.covered,
        });
    } else if dates.is_some_and(DateRange::is_bounded) {
        let mut range = Conditions::of_tenant("d.tenant", tenant);
        range.raw("d.instances > 0", []);
        range.dates("d.date", dates);
        let mut more = Conditions::any();
        more.name("d.patient_name", filter.patient_name.as_ref())?;
        let branches = vec![Branch {
            sql: format!(
                "SELECT d.id AS id FROM study d INDEXED BY study_by_date WHERE {}",
                range.sql()
            ),
            values: range.values,
            more: Some(more),
        }];
        sources.push(Source {
            kind: Kind::Date,
            branches,
            few: few.covered,
        });
    }
    Ok(sources)
}

/// A range of dates in a column where an absent one is empty.
pub(super) fn covered_dates(range: &mut Conditions, column: &str, dates: Option<&DateRange>) {
    range.dates(column, dates);
    let from = dates.and_then(|dates| dates.from.as_deref());
    if dates.is_some_and(DateRange::is_bounded) && from.unwrap_or_default().is_empty() {
        range.raw(&format!("{column} > ''"), []);
    }
}

/// Names by how they begin; `None` where a wild card does.
fn beginnings(tenant: i64, filter: &StudyFilter) -> Result<Option<Vec<Branch>>> {
    const GROUPS: [(&str, &str); 3] = [
        ("study_by_name", "patient_name_a"),
        ("study_by_name_i", "patient_name_i"),
        ("study_by_name_p", "patient_name_p"),
    ];
    let given: Vec<(usize, &TextPattern)> = match &filter.patient_name {
        None => return Ok(None),
        Some(NamePattern::AnyGroup(pattern)) => (0..3).map(|group| (group, pattern)).collect(),
        // Any one of them finds every candidate.
        Some(NamePattern::Groups(groups)) => groups
            .iter()
            .enumerate()
            .filter_map(|(group, pattern)| Some((group, pattern.as_ref()?)))
            .take(1)
            .collect(),
    };
    let begin: Option<Vec<Branch>> = given
        .iter()
        .map(|(group, pattern)| {
            let (index, column) = GROUPS.get(*group)?;
            beginning(tenant, index, column, pattern)
        })
        .collect();
    let Some(mut branches) = begin.filter(|branches| !branches.is_empty()) else {
        return Ok(None);
    };
    for branch in &mut branches {
        let mut more = Conditions::any();
        more.dates("date", filter.date.as_ref());
        more.modalities("modalities", &filter.modalities)?;
        branch.more = Some(more);
    }
    Ok(Some(branches))
}

/// Values that begin as the pattern does; `None` when it begins with a wild card.
fn beginning(tenant: i64, index: &str, column: &str, pattern: &TextPattern) -> Option<Branch> {
    let from = format!("SELECT id FROM study INDEXED BY {index} WHERE tenant = ? AND {column}");
    let tenant = Value::Integer(tenant);
    let text = &pattern.0;
    let Some(end) = text.find(['*', '?']) else {
        let values = vec![tenant, Value::Text(text.clone())];
        return Some(Branch::new(format!("{from} = ?"), values));
    };
    let begin = text.get(..end).filter(|begin| !begin.is_empty())?;
    // The last of all characters: what begins like this sorts before it.
    let after = format!("{begin}\u{10FFFF}");
    let values = vec![tenant, Value::Text(begin.to_owned()), Value::Text(after)];
    let sql = format!("{from} >= ? AND {column} <= ?");
    Some(Branch::new(sql, values))
}
