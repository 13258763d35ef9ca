//! Which way a question for studies goes through the index. What answers it is
//! the same on every way: all conditions are checked on the rows that are
//! answered.
//!
//! SQLite's planner is not asked, for it knows neither what is bound nor how
//! often that occurs. Instead: when a condition leaves only few candidates,
//! which counting them up to a bound tells, these are looked up (`candidates`);
//! parts of names have an index for that (`parts`). Otherwise studies are walked
//! in their order, on an index that holds what is mostly filtered by, until the
//! page is full; conditions that leave many fill it soon. In the order of reception
//! a range of dates or a modality may be far from what came last: there the orders
//! of its quarters are merged (`period`). When the walk takes too many steps
//! (`budget`), the condition that leaves the fewest is taken all the same.
//!
//! PostgreSQL's planner knows both, and is asked (`planned`).

mod budget;
mod candidates;
mod marks;
mod parts;
mod period;
mod planned;
mod source;
#[cfg(test)]
mod tests;

use super::answer::{self, STUDY};
use super::condition::Conditions;
use crate::db::{Connection, Value, params_from_iter};
use crate::error::Result;
use crate::model::{DateRange, Order, StudyFilter, StudyRow, WorklistCursor};
use candidates::listed;
use marks::Mark;
use period::periods;
use source::{Kind, Source, covered_dates, sources};

pub(crate) use marks::{Marks, page};
pub(crate) use planned::narrow;

/// How many studies are few.
#[derive(Debug, Clone, Copy)]
struct Few {
    /// Candidates that are looked up one by one: some microseconds each.
    looked_up: u64,
    /// Candidates whose rows are read at once: some microseconds each.
    read: u64,
    /// Candidates that are filtered by the index alone.
    covered: u64,
    /// Steps of SQLite's virtual machine that walking takes before another way
    /// is taken: some ten for a study, in twenty nanoseconds each.
    walked: u64,
    /// When no condition leaves few, candidates are counted up to here.
    counted: u64,
}

const FEW: Few = Few {
    looked_up: 300,
    read: 32,
    covered: 2_000,
    walked: 200_000,
    counted: 30_000,
};

impl Few {
    /// For studies of some days: a walk through them comes to the page the sooner the
    /// fewer there are, so with their root grows what is looked up as quickly.
    fn within(self, dates: Option<&DateRange>) -> Self {
        const OF_A_DAY: u64 = 12;
        let bound = dates.and_then(parts::days_in);
        let bound = bound.map_or(u64::MAX, |days| days.isqrt().saturating_mul(OF_A_DAY));
        Self {
            looked_up: self.looked_up.min(bound),
            ..self
        }
    }
}

/// Steps that a row of the page takes, and one that is skipped.
const STEPS_OF_ROW: u64 = 100;

/// A page of studies.
pub(crate) struct Asked<'a> {
    pub tenant: i64,
    pub filter: &'a StudyFilter,
    pub order: Order,
    pub after: Option<After>,
    pub limit: u64,
    pub offset: u64,
}

/// What a page comes after, in its own order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum After {
    Received(WorklistCursor),
    /// Studies without a date are left out.
    Date(Mark),
}

/// The page, each study with its row id.
pub(crate) fn studies(db: &Connection, asked: &Asked<'_>) -> Result<Vec<(StudyRow, i64)>> {
    match db.sqlite() {
        Some(_) => within(db, asked, FEW),
        None => planned::studies(db, asked),
    }
}

fn within(db: &Connection, asked: &Asked<'_>, few: Few) -> Result<Vec<(StudyRow, i64)>> {
    let walk = Walk::of(asked);
    if walk.is_filtered_by_nothing_else(asked.filter) {
        return walk.run(db, asked);
    }
    let few = few.within(asked.filter.date.as_ref());
    let sources = sources(db, asked.tenant, asked.filter, few)?;
    let short = parts::of_short(db, asked.tenant, asked.filter, few)?;
    // Parts of names are found within dates and modalities: counting those beside
    // them tells no more.
    let by_part = short.is_some() || sources.iter().any(|source| source.kind == Kind::Part);
    let is_tried = |source: &&Source| match source.kind {
        Kind::Modality | Kind::Date => !by_part && !walk.reads(source.kind),
        Kind::Rows | Kind::Part => true,
    };
    for source in short.iter().chain(&sources).filter(is_tried) {
        if let Some(found) = source.found(db)? {
            return candidates::page(db, asked, few, &found);
        }
    }
    let periods = periods(db, asked)?;
    let walked = || match &periods {
        Some(periods) => candidates::read(db, asked, &periods.walk(db)?),
        None => walk.run(db, asked),
    };
    if sources.is_empty() && short.is_none() {
        return walked();
    }
    let rows = asked.limit.saturating_add(asked.offset);
    let steps = few.walked.saturating_add(rows.saturating_mul(STEPS_OF_ROW));
    if let Some(found) = budget::within(db, steps, walked)? {
        return Ok(found);
    }
    let mut fewest = None;
    let mut least = few.counted;
    for source in short.iter().chain(&sources) {
        let count = source.count(db, least)?;
        if count <= least {
            (least, fewest) = (count, Some(source));
        }
    }
    match fewest {
        Some(source) => candidates::page(db, asked, few, &source.all(db)?),
        None => walked(),
    }
}

/// Ids of the studies that one condition leaves, when it leaves few.
pub(crate) fn few(
    db: &Connection,
    tenant: i64,
    filter: &StudyFilter,
) -> Result<Option<(String, Vec<Value>)>> {
    if db.sqlite().is_none() {
        return Ok(None);
    }
    // Nothing but their ids is read of these here.
    let few = Few {
        looked_up: 1_000,
        ..FEW
    };
    for source in sources(db, tenant, filter, few)? {
        if let Some(found) = source.found(db)? {
            return Ok(Some(listed(&found)));
        }
    }
    Ok(None)
}

/// All conditions, on `t`.
fn conditions(asked: &Asked<'_>) -> Result<Conditions> {
    let mut conditions = Conditions::of_tenant("t.tenant", asked.tenant);
    conditions.raw("t.instances > 0", []);
    conditions.study(asked.filter)?;
    match &asked.after {
        None => {}
        Some(After::Received(after)) => conditions.raw(
            "(t.last_received, t.id) < (?, ?)",
            [
                Value::Integer(after.last_received),
                Value::Integer(after.id),
            ],
        ),
        Some(After::Date(after)) => {
            conditions.raw("t.date <= ?", [Value::Text(after.date.clone())]);
            let order = "(t.date, coalesce(t.time, ''), t.id) < (?, ?, ?)";
            conditions.raw(order, after.values());
        }
    }
    Ok(conditions)
}

fn order(order: Order) -> &'static str {
    match order {
        Order::StudyDate => "t.date DESC, t.time DESC, t.id DESC",
        Order::Received => "t.last_received DESC, t.id DESC",
    }
}

/// Studies one after the other in the order asked for.
#[derive(Clone, Copy)]
enum Walk<'a> {
    ByDate,
    ByReception,
    /// Those of a modality by date, from `study_modality` alone.
    OfModality(&'a str),
}

impl<'a> Walk<'a> {
    fn of(asked: &Asked<'a>) -> Self {
        match (asked.order, asked.filter.modalities.as_slice()) {
            (Order::Received, _) => Self::ByReception,
            (Order::StudyDate, [modality]) if only_in_modality(asked.filter) => {
                Self::OfModality(modality)
            }
            (Order::StudyDate, _) => Self::ByDate,
        }
    }

    /// True when every study that is walked is answered.
    fn is_filtered_by_nothing_else(self, filter: &StudyFilter) -> bool {
        let rest = StudyFilter {
            date: match self {
                Self::ByReception => filter.date.clone(),
                Self::ByDate | Self::OfModality(_) => None,
            },
            modalities: match self {
                Self::OfModality(_) => Vec::new(),
                Self::ByDate | Self::ByReception => filter.modalities.clone(),
            },
            order: Order::default(),
            ..filter.clone()
        };
        rest == StudyFilter::default()
    }

    /// What is walked, its order, and the conditions that bound it.
    fn bounds(self, asked: &Asked<'_>) -> (&'static str, &'static str, Conditions) {
        let dates = asked.filter.date.as_ref();
        match self {
            Self::ByDate => {
                let mut range = Conditions::of_tenant("t.tenant", asked.tenant);
                range.raw("t.instances > 0", []);
                range.dates("t.date", dates);
                if let Some(After::Date(after)) = &asked.after {
                    range.raw("t.date <= ?", [Value::Text(after.date.clone())]);
                }
                let order = "t.date DESC, t.time DESC, t.id DESC";
                ("study t INDEXED BY study_by_date", order, range)
            }
            Self::ByReception => {
                let mut range = Conditions::of_tenant("t.tenant", asked.tenant);
                range.raw("t.instances > 0", []);
                if let Some(After::Received(after)) = &asked.after {
                    let latest = Value::Integer(after.last_received);
                    range.raw("t.last_received <= ?", [latest]);
                }
                let order = "t.last_received DESC, t.id DESC";
                ("study t INDEXED BY study_by_reception", order, range)
            }
            Self::OfModality(modality) => {
                let mut range = Conditions::of_tenant("m.tenant", asked.tenant);
                range.raw("m.modality = ?", [Value::Text(modality.to_owned())]);
                covered_dates(&mut range, "m.date", dates);
                if let Some(After::Date(after)) = &asked.after {
                    range.raw("m.date <= ?", [Value::Text(after.date.clone())]);
                    range.raw("(m.date, m.time, m.study) < (?, ?, ?)", after.values());
                }
                let order = "m.date DESC, m.time DESC, m.study DESC";
                ("study_modality m", order, range)
            }
        }
    }

    /// True when this walks what a source of this kind finds, and no more.
    fn reads(self, kind: Kind) -> bool {
        match self {
            Self::ByDate => kind == Kind::Date,
            Self::ByReception => false,
            Self::OfModality(_) => kind == Kind::Modality,
        }
    }

    fn run(self, db: &Connection, asked: &Asked<'_>) -> Result<Vec<(StudyRow, i64)>> {
        let (from, by, mut range) = self.bounds(asked);
        let id = match self {
            Self::OfModality(_) => {
                range.name("m.patient_name", asked.filter.patient_name.as_ref())?;
                "m.study"
            }
            Self::ByDate | Self::ByReception => {
                range = conditions(asked)?;
                "t.id"
            }
        };
        // The rows are fetched for what is on the page only.
        let sql = format!(
            "SELECT {STUDY} FROM (SELECT {id} AS id FROM {from} WHERE {}
                ORDER BY {by} LIMIT ? OFFSET ?) c CROSS JOIN study t ON t.id = c.id
             ORDER BY {}",
            range.sql(),
            order(asked.order)
        );
        rows(db, &sql, range.values, asked)
    }
}

/// True when `study_modality` holds everything that is filtered by.
fn only_in_modality(filter: &StudyFilter) -> bool {
    let rest = StudyFilter {
        date: None,
        modalities: Vec::new(),
        patient_name: None,
        order: Order::default(),
        ..filter.clone()
    };
    rest == StudyFilter::default()
}

fn rows(
    db: &Connection,
    sql: &str,
    mut values: Vec<Value>,
    asked: &Asked<'_>,
) -> Result<Vec<(StudyRow, i64)>> {
    values.extend([integer(asked.limit), integer(asked.offset)]);
    let mut query = db.prepare_planned(sql)?;
    let mut rows = query.query(params_from_iter(values))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(answer::study(row, 0)?);
    }
    Ok(found)
}

fn integer(value: u64) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}
