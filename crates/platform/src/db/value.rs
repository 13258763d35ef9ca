//! What goes into a statement and what comes out of a row: the few types that
//! every engine stores, so that no store can use one that only one of them has.

use std::borrow::Cow;

use sqlx::error::UnexpectedNullError;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, Row as _, TypeInfo as _, ValueRef as _};

use super::DbError;

/// A value that is bound to a statement. `None`: NULL, of this type.
#[derive(Clone, Debug)]
pub enum Value<'q> {
    /// A whole number.
    Int(Option<i64>),
    /// Yes or no.
    Bool(Option<bool>),
    /// A number.
    Real(Option<f64>),
    /// A text.
    Text(Option<Cow<'q, str>>),
    /// Bytes.
    Bytes(Option<Cow<'q, [u8]>>),
}

impl Value<'_> {
    pub(super) fn add_to_sqlite(self, values: &mut SqliteArguments) -> Result<(), DbError> {
        match self {
            Self::Int(value) => values.add(value),
            Self::Bool(value) => values.add(value),
            Self::Real(value) => values.add(value),
            Self::Text(value) => values.add(value.map(Cow::into_owned)),
            Self::Bytes(value) => values.add(value.map(Cow::into_owned)),
        }
        .map_err(DbError::Encode)
    }

    pub(super) fn add_to_postgres(self, values: &mut PgArguments) -> Result<(), DbError> {
        match self {
            Self::Int(value) => values.add(value),
            Self::Bool(value) => values.add(value),
            Self::Real(value) => values.add(value),
            // A text of PostgreSQL has no NUL.
            Self::Text(Some(text)) if text.contains('\0') => {
                values.add(text.replace('\0', "\u{fffd}"))
            }
            Self::Text(value) => values.add(value.as_deref()),
            Self::Bytes(value) => values.add(value.as_deref()),
        }
        .map_err(DbError::Encode)
    }
}

/// What can be bound to a statement.
pub trait Bind<'q> {
    /// As the engine gets it.
    fn value(self) -> Value<'q>;
}

macro_rules! bind {
    ($($kind:ty => $variant:ident, $value:ident => $as_stored:expr;)*) => {$(
        impl<'q> Bind<'q> for $kind {
            fn value(self) -> Value<'q> {
                let $value = self;
                Value::$variant(Some($as_stored))
            }
        }
        impl<'q> Bind<'q> for Option<$kind> {
            fn value(self) -> Value<'q> {
                Value::$variant(self.map(|$value| $as_stored))
            }
        }
    )*};
}

bind! {
    i64 => Int, value => value;
    i32 => Int, value => value.into();
    u32 => Int, value => value.into();
    bool => Bool, value => value;
    f64 => Real, value => value;
    &'q i64 => Int, value => *value;
    &'q f64 => Real, value => *value;
    &'q str => Text, value => Cow::Borrowed(value);
    &'q String => Text, value => Cow::Borrowed(value.as_str());
    String => Text, value => Cow::Owned(value);
    Cow<'q, str> => Text, value => value;
    &'q [u8] => Bytes, value => Cow::Borrowed(value);
    &'q Vec<u8> => Bytes, value => Cow::Borrowed(value.as_slice());
    Vec<u8> => Bytes, value => Cow::Owned(value);
}

impl<'q, T> Bind<'q> for &'q Option<T>
where
    Option<&'q T>: Bind<'q>,
{
    fn value(self) -> Value<'q> {
        self.as_ref().value()
    }
}

impl<'q> Bind<'q> for Value<'q> {
    fn value(self) -> Value<'q> {
        self
    }
}

/// A row that a statement gave.
#[derive(Debug)]
pub struct Row(pub(super) Given);

#[derive(Debug)]
pub(super) enum Given {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    pub(super) fn of_sqlite(row: SqliteRow) -> Self {
        Self(Given::Sqlite(row))
    }

    pub(super) fn of_postgres(row: PgRow) -> Self {
        Self(Given::Postgres(row))
    }

    /// The value of a column, by its name or by its place from 0.
    ///
    /// # Errors
    /// When there is no such column, or it holds something else.
    pub fn try_get<T: Column, I: Index>(&self, at: I) -> Result<T, DbError> {
        T::of(self, at)
    }
}

/// A column's name, or its place.
pub trait Index: sqlx::ColumnIndex<SqliteRow> + sqlx::ColumnIndex<PgRow> + Copy {}

impl Index for &str {}
impl Index for usize {}

/// What a column can be read as.
pub trait Column: Sized {
    /// The value of the column at `at`.
    ///
    /// # Errors
    /// When there is no such column, or it holds something else.
    fn of(row: &Row, at: impl Index) -> Result<Self, DbError>;
}

macro_rules! column {
    ($($kind:ty),*) => {$(
        impl Column for $kind {
            fn of(row: &Row, at: impl Index) -> Result<Self, DbError> {
                match &row.0 {
                    Given::Sqlite(row) => row.try_get(at),
                    Given::Postgres(row) => row.try_get(at),
                }
            }
        }
    )*};
}

column!(bool, Option<bool>, f64, Option<f64>);
column!(String, Option<String>, Vec<u8>, Option<Vec<u8>>);

impl Column for Option<i64> {
    fn of(row: &Row, at: impl Index) -> Result<Self, DbError> {
        let row = match &row.0 {
            Given::Sqlite(row) => return row.try_get(at),
            Given::Postgres(row) => row,
        };
        // What is counted out in a statement is as narrow as PostgreSQL finds fit.
        let narrow = row.try_get_raw(at)?.type_info().name() == "INT4";
        match narrow {
            true => Ok(row.try_get::<Option<i32>, _>(at)?.map(i64::from)),
            false => row.try_get(at),
        }
    }
}

impl Column for i64 {
    fn of(row: &Row, at: impl Index) -> Result<Self, DbError> {
        let value: Option<Self> = row.try_get(at)?;
        value.ok_or_else(|| DbError::Decode(Box::new(UnexpectedNullError)))
    }
}

/// A count, which engines have no type of their own for.
impl Column for u32 {
    fn of(row: &Row, at: impl Index) -> Result<Self, DbError> {
        let count: i64 = row.try_get(at)?;
        Self::try_from(count).map_err(|error| DbError::Decode(Box::new(error)))
    }
}

/// A row as a tuple of its columns, in their order.
pub trait Columns: Sized {
    /// The values of the row.
    ///
    /// # Errors
    /// When a column holds something else.
    fn of(row: &Row) -> Result<Self, DbError>;
}

macro_rules! columns {
    ($(($($kind:ident $at:literal),*);)*) => {$(
        impl<$($kind: Column),*> Columns for ($($kind,)*) {
            fn of(row: &Row) -> Result<Self, DbError> {
                Ok(($(row.try_get::<$kind, _>($at)?,)*))
            }
        }
    )*};
}

columns! {
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, D 3);
}
