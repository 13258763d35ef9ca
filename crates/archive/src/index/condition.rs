//! Typed filters as SQL conditions with bound values: text of callers never
//! becomes SQL.

use crate::db::Value;
use crate::error::{ArchiveError, Result};
use crate::limits;
use crate::model::{
    DateRange, InstanceFilter, NamePattern, SeriesFilter, StudyFilter, TextPattern, TimeRange,
};

/// Wild cards in one pattern: matching is polynomial in their number.
const WILD_CARDS: usize = 6;
/// Bytes of one pattern.
const PATTERN_BYTES: usize = 256;

/// A conjunction and the values it binds, in order.
#[derive(Clone)]
pub(crate) struct Conditions {
    sql: String,
    pub values: Vec<Value>,
}

impl Conditions {
    /// Starts with what no query can leave out.
    pub(crate) fn of_tenant(column: &str, tenant: i64) -> Self {
        Self {
            sql: format!("{column} = ?"),
            values: vec![Value::Integer(tenant)],
        }
    }

    /// Starts with nothing, for use beside another conjunction.
    pub(crate) fn any() -> Self {
        Self {
            sql: "TRUE".to_owned(),
            values: Vec::new(),
        }
    }

    pub(crate) fn sql(&self) -> &str {
        &self.sql
    }

    pub(crate) fn raw(&mut self, sql: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(sql);
        self.values.extend(values);
    }

    fn equal(&mut self, column: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.raw(&format!("{column} = ?"), [Value::Text(value.clone())]);
        }
    }

    fn integer(&mut self, column: &str, value: Option<i64>) {
        if let Some(value) = value {
            self.raw(&format!("{column} = ?"), [Value::Integer(value)]);
        }
    }

    pub(crate) fn any_of(&mut self, column: &str, values: &[String]) -> Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        if values.len() > limits::UIDS_PER_FILTER {
            return Err(ArchiveError::Invalid(
                "at most 1,000 values in one condition",
            ));
        }
        let marks = vec!["?"; values.len()].join(", ");
        self.raw(
            &format!("{column} IN ({marks})"),
            values.iter().cloned().map(Value::Text),
        );
        Ok(())
    }

    fn text(&mut self, column: &str, pattern: Option<&TextPattern>) -> Result<()> {
        if let Some(pattern) = pattern
            && let Some((sql, value)) = matching(column, pattern)?
        {
            self.raw(&sql, [value]);
        }
        Ok(())
    }

    pub(crate) fn name(&mut self, column: &str, pattern: Option<&NamePattern>) -> Result<()> {
        let groups = ["a", "i", "p"].map(|group| format!("{column}_{group}"));
        match pattern {
            None => {}
            Some(NamePattern::AnyGroup(pattern)) => {
                // Most names have one group: the others are looked at together.
                let [alphabetic, ideographic, phonetic] = &groups;
                if let Some((either, value)) = matching(alphabetic, pattern)?
                    && let Some((or, _)) = matching(ideographic, pattern)?
                    && let Some((or_else, _)) = matching(phonetic, pattern)?
                {
                    let sql = format!(
                        "({either} OR (coalesce({ideographic}, {phonetic}) IS NOT NULL
                            AND ({or} OR {or_else})))"
                    );
                    self.raw(&sql, [value.clone(), value.clone(), value]);
                }
            }
            Some(NamePattern::Groups(patterns)) => {
                for (column, pattern) in groups.iter().zip(patterns) {
                    self.text(column, pattern.as_ref())?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn dates(&mut self, column: &str, range: Option<&DateRange>) {
        if let Some(range) = range {
            self.range(column, range.from.as_ref(), range.to.as_ref());
        }
    }

    fn times(&mut self, column: &str, range: Option<&TimeRange>) {
        if let Some(range) = range {
            self.range(column, range.from.as_ref(), range.to.as_ref());
        }
    }

    fn range(&mut self, column: &str, from: Option<&String>, to: Option<&String>) {
        if let Some(from) = from {
            self.raw(&format!("{column} >= ?"), [Value::Text(from.clone())]);
        }
        if let Some(to) = to {
            self.raw(&format!("{column} <= ?"), [Value::Text(to.clone())]);
        }
    }

    /// Any of these in a list between backslashes.
    pub(crate) fn modalities(&mut self, column: &str, values: &[String]) -> Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        if values.len() > limits::UIDS_PER_FILTER {
            return Err(ArchiveError::Invalid(
                "at most 1,000 values in one condition",
            ));
        }
        let either = vec![format!("instr({column}, ?) > 0"); values.len()].join(" OR ");
        self.raw(
            &format!("({either})"),
            values
                .iter()
                .map(|modality| Value::Text(format!("\\{modality}\\"))),
        );
        Ok(())
    }

    pub(crate) fn study(&mut self, filter: &StudyFilter) -> Result<()> {
        self.any_of("t.uid", &filter.uids)?;
        self.text("t.patient_id", filter.patient_id.as_ref())?;
        self.equal("t.issuer", filter.issuer.as_ref());
        self.name("t.patient_name", filter.patient_name.as_ref())?;
        self.dates("t.birth_date", filter.birth_date.as_ref());
        self.equal("t.sex", filter.sex.as_ref());
        self.dates("t.date", filter.date.as_ref());
        if filter.combined_date_time {
            let part = |date: Option<&String>, time: Option<&String>| {
                date.map(|date| format!("{date}{}", time.map_or("", String::as_str)))
            };
            let (date, time) = (filter.date.as_ref(), filter.time.as_ref());
            let from = part(
                date.and_then(|d| d.from.as_ref()),
                time.and_then(|t| t.from.as_ref()),
            );
            // `~` sorts after every digit: a date alone means its whole day.
            let to = part(
                date.and_then(|d| d.to.as_ref()),
                time.and_then(|t| t.to.as_ref()),
            )
            .map(|text| text + "~");
            self.range(
                "(t.date || coalesce(t.time, ''))",
                from.as_ref(),
                to.as_ref(),
            );
        } else {
            self.times("t.time", filter.time.as_ref());
        }
        self.text("t.accession", filter.accession.as_ref())?;
        self.text("t.study_id", filter.study_id.as_ref())?;
        self.text("t.description_key", filter.description.as_ref())?;
        self.name("t.referring", filter.referring_physician.as_ref())?;
        self.modalities("t.modalities", &filter.modalities)?;
        if let Some(since) = filter.received_since {
            self.raw("t.last_received >= ?", [Value::Integer(since)]);
        }
        Ok(())
    }

    pub(crate) fn series(&mut self, filter: &SeriesFilter) -> Result<()> {
        self.study(&filter.study)?;
        self.any_of("s.uid", &filter.uids)?;
        self.any_of("s.modality", &filter.modalities)?;
        self.integer("s.number", filter.number);
        self.text("s.description_key", filter.description.as_ref())?;
        self.text("s.body_part", filter.body_part.as_ref())?;
        self.dates("s.performed_step_date", filter.performed_step_date.as_ref());
        self.times("s.performed_step_time", filter.performed_step_time.as_ref());
        self.text("s.scheduled_step_id", filter.scheduled_step_id.as_ref())?;
        self.text(
            "s.requested_procedure_id",
            filter.requested_procedure_id.as_ref(),
        )
    }

    pub(crate) fn instance(&mut self, filter: &InstanceFilter) -> Result<()> {
        self.series(&filter.series)?;
        self.any_of("i.uid", &filter.uids)?;
        self.any_of("i.sop_class", &filter.sop_classes)?;
        self.integer("i.number", filter.number);
        self.integer("i.rows", filter.rows.map(i64::from));
        self.integer("i.columns", filter.columns.map(i64::from));
        self.integer("i.frames", filter.frames.map(i64::from));
        Ok(())
    }
}

/// `None`: matches everything, absent values included (PS3.4 §C.2.2.2.3).
fn matching(column: &str, pattern: &TextPattern) -> Result<Option<(String, Value)>> {
    let text = &pattern.0;
    if text.len() > PATTERN_BYTES {
        return Err(ArchiveError::Invalid("a pattern has at most 256 bytes"));
    }
    if !text.contains(['*', '?']) {
        return Ok(Some((format!("{column} = ?"), Value::Text(text.clone()))));
    }
    // SQLite's `glob` is PS3.4's wild-card matching plus `[…]`, which is escaped;
    // PostgreSQL's is in `postgres.sql`.
    let mut glob = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '*' if glob.ends_with('*') => {}
            '[' => glob.push_str("[[]"),
            other => glob.push(other),
        }
    }
    if glob == "*" {
        return Ok(None);
    }
    if glob.matches('*').count() > WILD_CARDS {
        return Err(ArchiveError::Invalid("a pattern has at most 6 of `*`"));
    }
    Ok(Some((format!("glob(?, {column})"), Value::Text(glob))))
}
