//! A statement, and the rows that it gives.

use super::error::{Error, Result};
use super::params::Params;
use super::{FromSql, ValueRef};

/// A statement.
pub(crate) struct Statement<'c>(Prepared<'c>);

enum Prepared<'c> {
    Kept(rusqlite::CachedStatement<'c>),
    Once(rusqlite::Statement<'c>),
}

/// Rows that a statement gives, one after the other.
pub(crate) struct Rows<'s>(rusqlite::Rows<'s>);

/// The same as what each is read as.
pub(crate) struct Mapped<'s, F> {
    rows: Rows<'s>,
    map: F,
}

/// A row.
#[derive(Clone, Copy)]
pub(crate) struct Row<'r>(&'r rusqlite::Row<'r>);

impl<'c> Statement<'c> {
    pub(super) fn kept(statement: rusqlite::CachedStatement<'c>) -> Self {
        Self(Prepared::Kept(statement))
    }

    pub(super) fn once(statement: rusqlite::Statement<'c>) -> Self {
        Self(Prepared::Once(statement))
    }

    fn prepared(&mut self) -> &mut rusqlite::Statement<'c> {
        match &mut self.0 {
            Prepared::Kept(statement) => statement,
            Prepared::Once(statement) => statement,
        }
    }

    /// Does it; how many rows it added, changed or removed.
    pub(crate) fn execute(&mut self, params: impl Params) -> Result<usize> {
        Ok(self.prepared().execute(params.for_sqlite())?)
    }

    /// Adds one row; its number.
    pub(crate) fn insert(&mut self, params: impl Params) -> Result<i64> {
        Ok(self.prepared().insert(params.for_sqlite())?)
    }

    /// Whether it gives a row.
    pub(crate) fn exists(&mut self, params: impl Params) -> Result<bool> {
        Ok(self.query(params)?.next()?.is_some())
    }

    /// Its rows.
    pub(crate) fn query(&mut self, params: impl Params) -> Result<Rows<'_>> {
        Ok(Rows(self.prepared().query(params.for_sqlite())?))
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

impl Rows<'_> {
    /// The next one.
    pub(crate) fn next(&mut self) -> Result<Option<Row<'_>>> {
        Ok(self.0.next()?.map(Row))
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
        Ok(self.0.get(at)?)
    }

    /// The same as it stands there.
    pub(crate) fn get_ref(&self, at: usize) -> Result<ValueRef<'_>> {
        Ok(self.0.get_ref(at)?)
    }

    /// How many columns there are.
    pub(crate) fn columns(&self) -> usize {
        self.0.as_ref().column_count()
    }
}
