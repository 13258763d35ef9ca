//! What is bound to a statement, in the order of the numbers `?1`, `?2`.

use super::ToSql;

/// Values that are bound to a statement.
pub(crate) trait Params {
    /// As SQLite takes them.
    type Sqlite: rusqlite::Params;

    /// As SQLite takes them.
    fn for_sqlite(self) -> Self::Sqlite;
}

/// None.
impl Params for [&(dyn ToSql + Send + Sync); 0] {
    type Sqlite = Self;

    fn for_sqlite(self) -> Self {
        self
    }
}

/// What `params!` lists.
impl<'a> Params for &'a [&'a dyn ToSql] {
    type Sqlite = Self;

    fn for_sqlite(self) -> Self {
        self
    }
}

macro_rules! of_one_type {
    ($($count:literal)*) => {$(
        impl<T: ToSql> Params for [T; $count] {
            type Sqlite = Self;

            fn for_sqlite(self) -> Self {
                self
            }
        }
    )*};
}

of_one_type!(1 2 3);

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
}
