//! A statement, and the rows that it gives.

use super::error::{Error, Result};
use super::params::Params;
use super::postgres::{Answer, Session};
use super::{FromSql, Value, ValueRef};

/// A statement.
pub(crate) struct Statement<'c>(Prepared<'c>);

enum Prepared<'c> {
    Kept(rusqlite::CachedStatement<'c>),
    Once(rusqlite::Statement<'c>),
    Postgres {
        session: &'c Session,
        text: String,
        kept: bool,
    },
}

/// Rows that a statement gives, one after the other.
pub(crate) struct Rows<'s>(Given<'s>);

enum Given<'s> {
    Sqlite(rusqlite::Rows<'s>),
    /// All of them, and how many were taken.
    Postgres(Vec<Vec<Value>>, usize),
}

/// The same as what each is read as.
pub(crate) struct Mapped<'s, F> {
    rows: Rows<'s>,
    map: F,
}

/// A row.
#[derive(Clone, Copy)]
pub(crate) struct Row<'r>(Read<'r>);

#[derive(Clone, Copy)]
enum Read<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r [Value]),
}

impl<'c> Statement<'c> {
    pub(super) fn kept(statement: rusqlite::CachedStatement<'c>) -> Self {
        Self(Prepared::Kept(statement))
    }

    pub(super) fn once(statement: rusqlite::Statement<'c>) -> Self {
        Self(Prepared::Once(statement))
    }

    pub(super) fn of_postgres(session: &'c Session, text: &str, kept: bool) -> Self {
        let text = text.to_owned();
        Self(Prepared::Postgres {
            session,
            text,
            kept,
        })
    }

    fn on(&mut self) -> On<'_, 'c> {
        match &mut self.0 {
            Prepared::Kept(statement) => On::Sqlite(statement),
            Prepared::Once(statement) => On::Sqlite(statement),
            Prepared::Postgres {
                session,
                text,
                kept,
            } => On::Postgres(session, text, *kept),
        }
    }

    /// Does it; how many rows it added, changed or removed.
    pub(crate) fn execute(&mut self, params: impl Params) -> Result<usize> {
        match self.on() {
            On::Sqlite(statement) => Ok(statement.execute(params.for_sqlite())?),
            On::Postgres(session, text, kept) => {
                let Answer { changed, .. } = session.ask(text, params.values()?, kept)?;
                Ok(usize::try_from(changed).unwrap_or(usize::MAX))
            }
        }
    }

    /// Adds one row; its number.
    pub(crate) fn insert(&mut self, params: impl Params) -> Result<i64> {
        match self.on() {
            On::Sqlite(statement) => Ok(statement.insert(params.for_sqlite())?),
            On::Postgres(session, text, kept) => {
                let text = format!("{text} RETURNING id");
                let answer = session.ask(&text, params.values()?, kept)?;
                let mut rows = Rows(Given::Postgres(answer.rows, 0));
                rows.next()?.ok_or(Error::NoRow)?.get(0)
            }
        }
    }

    /// Whether it gives a row.
    pub(crate) fn exists(&mut self, params: impl Params) -> Result<bool> {
        Ok(self.query(params)?.next()?.is_some())
    }

    /// Its rows.
    pub(crate) fn query(&mut self, params: impl Params) -> Result<Rows<'_>> {
        Ok(Rows(match self.on() {
            On::Sqlite(statement) => Given::Sqlite(statement.query(params.for_sqlite())?),
            On::Postgres(session, text, kept) => {
                Given::Postgres(session.ask(text, params.values()?, kept)?.rows, 0)
            }
        }))
    }

    /// Its rows, as `map` reads each.
    pub(crate) fn query_map<T, F>(&mut self, params: impl Params, map: F) -> Result<Mapped<'_, F>>
    where
        F: FnMut(Row<'_>) -> Result<T>,
    {
        let rows = self.query(params)?;
        Ok(Mapped { rows, map })
    }

    /// Its first row, as `map` reads it.
    pub(crate) fn query_row<T>(
        &mut self,
        params: impl Params,
        map: impl FnOnce(Row<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut rows = self.query(params)?;
        rows.next()?.ok_or(Error::NoRow).and_then(map)
    }
}

enum On<'s, 'c> {
    Sqlite(&'s mut rusqlite::Statement<'c>),
    Postgres(&'c Session, &'s str, bool),
}

impl Rows<'_> {
    /// The next one.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'_>>> {
        match &mut self.0 {
            Given::Sqlite(rows) => Ok(rows.next()?.map(|row| Row(Read::Sqlite(row)))),
            Given::Postgres(rows, taken) => {
                let row = rows.get(*taken);
                *taken += 1;
                Ok(row.map(|row| Row(Read::Postgres(row))))
            }
        }
    }
}

impl<T, F> Iterator for Mapped<'_, F>
where
    F: FnMut(Row<'_>) -> Result<T>,
{
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.rows.next() {
            Ok(row) => row.map(&mut self.map),
            Err(error) => Some(Err(error)),
        }
    }
}

impl Row<'_> {
    /// The value of a column, by its place from 0.
    pub(crate) fn get<T: FromSql>(&self, at: usize) -> Result<T> {
        match self.0 {
            Read::Sqlite(row) => Ok(row.get(at)?),
            Read::Postgres(_) => T::column_result(self.get_ref(at)?).map_err(|_| Error::Value),
        }
    }

    /// The same as it stands there.
    pub(crate) fn get_ref(&self, at: usize) -> Result<ValueRef<'_>> {
        match self.0 {
            Read::Sqlite(row) => Ok(row.get_ref(at)?),
            Read::Postgres(row) => match row.get(at) {
                Some(value) => Ok(value.into()),
                None => Err(Error::Value),
            },
        }
    }

    /// How many columns there are.
    pub(crate) fn columns(&self) -> usize {
        match self.0 {
            Read::Sqlite(row) => row.as_ref().column_count(),
            Read::Postgres(row) => row.len(),
        }
    }
}
