//! What is bound to a statement, in the order of the numbers `?1`, `?2`.

use super::error::{Error, Result};
use super::{ToSql, ToSqlOutput, Value};

/// Values that are bound to a statement.
pub(crate) trait Params {
    /// As SQLite takes them.
    type Sqlite: rusqlite::Params;

    /// As SQLite takes them.
    fn for_sqlite(self) -> Self::Sqlite;

    /// Each by itself.
    fn values(self) -> Result<Vec<Value>>;
}

fn value(of: &dyn ToSql) -> Result<Value> {
    match of.to_sql()? {
        ToSqlOutput::Borrowed(value) => Value::try_from(value).map_err(|_| Error::Value),
        ToSqlOutput::Owned(value) => Ok(value),
        _ => Err(Error::Value),
    }
}

/// None.
impl Params for [&(dyn ToSql + Send + Sync); 0] {
    type Sqlite = Self;

    fn for_sqlite(self) -> Self {
        self
    }

    fn values(self) -> Result<Vec<Value>> {
        Ok(Vec::new())
    }
}

/// What `params!` lists.
impl<'a> Params for &'a [&'a dyn ToSql] {
    type Sqlite = Self;

    fn for_sqlite(self) -> Self {
        self
    }

    fn values(self) -> Result<Vec<Value>> {
        self.iter().map(|one| value(*one)).collect()
    }
}

macro_rules! of_one_type {
    ($($count:literal)*) => {$(
        impl<T: ToSql> Params for [T; $count] {
            type Sqlite = Self;

            fn for_sqlite(self) -> Self {
                self
            }

            fn values(self) -> Result<Vec<Value>> {
                self.iter().map(|one| value(one)).collect()
            }
        }
    )*};
}

of_one_type!(1 2 3);

/// The places of so many values, from the one of this number on: `?2, ?3, ?4`.
pub(crate) fn places(first: usize, count: usize) -> String {
    let mut places = String::new();
    for number in (first..).take(count) {
        let comma = if places.is_empty() { "" } else { ", " };
        places.push_str(&format!("{comma}?{number}"));
    }
    places
}

/// As many as an iterator gives.
pub(crate) struct FromIter<I>(I);

/// As many as an iterator gives.
pub(crate) fn params_from_iter<I>(values: I) -> FromIter<I>
where
    I: IntoIterator,
    I::Item: ToSql,
{
    FromIter(values)
}

impl<I> Params for FromIter<I>
where
    I: IntoIterator,
    I::Item: ToSql,
{
    type Sqlite = rusqlite::ParamsFromIter<I>;

    fn for_sqlite(self) -> Self::Sqlite {
        rusqlite::params_from_iter(self.0)
    }

    fn values(self) -> Result<Vec<Value>> {
        self.0.into_iter().map(|one| value(&one)).collect()
    }
}
