//! Statements. Every one of a service goes through here, so that none names an
//! engine or takes a connection past the transaction that it belongs to.

use std::marker::PhantomData;

pub use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Executor as _, SqlSafeStr, SqlStr};

use super::DbError;
use super::connection::{On, Reached};
use super::postgres::prepared;
use super::value::{Bind, Column, Columns, Row, Value};

/// A statement's text.
#[derive(Clone, Debug)]
pub struct Text(Spelt);

#[derive(Clone, Debug)]
enum Spelt {
    Same(SqlStr),
    Each {
        sqlite: &'static str,
        postgres: &'static str,
    },
}

/// A statement that the engines spell differently.
#[must_use]
pub const fn each(sqlite: &'static str, postgres: &'static str) -> Text {
    Text(Spelt::Each { sqlite, postgres })
}

impl<T: SqlSafeStr> From<T> for Text {
    fn from(text: T) -> Self {
        Self(Spelt::Same(text.into_sql_str()))
    }
}

impl Text {
    pub(super) fn for_sqlite(self) -> SqlStr {
        match self.0 {
            Spelt::Same(text) => text,
            Spelt::Each { sqlite, .. } => SqlStr::from_static(sqlite),
        }
    }

    pub(super) fn for_postgres(self) -> SqlStr {
        match self.0 {
            Spelt::Same(text) => text,
            Spelt::Each { postgres, .. } => SqlStr::from_static(postgres),
        }
    }
}

/// A statement, and what is bound to it, in the order of the numbers `$1`, `$2`.
#[derive(Debug)]
pub struct Query<'q> {
    text: Text,
    values: Vec<Value<'q>>,
}

/// A statement whose rows are tuples.
#[derive(Debug)]
pub struct As<'q, T> {
    query: Query<'q>,
    kind: PhantomData<fn() -> T>,
}

/// A statement of whose rows only the first column is wanted.
#[derive(Debug)]
pub struct Scalar<'q, T> {
    query: Query<'q>,
    kind: PhantomData<fn() -> T>,
}

/// What a statement has done.
#[derive(Clone, Copy, Debug)]
pub struct Done(u64);

impl Done {
    /// How many rows it added, changed or removed.
    #[must_use]
    pub fn rows_affected(self) -> u64 {
        self.0
    }
}

/// A statement.
#[must_use]
pub fn query<'q>(text: impl Into<Text>) -> Query<'q> {
    Query {
        text: text.into(),
        values: Vec::new(),
    }
}

/// A statement whose rows are tuples.
#[must_use]
pub fn query_as<'q, T: Columns>(text: impl Into<Text>) -> As<'q, T> {
    As {
        query: query(text),
        kind: PhantomData,
    }
}

/// A statement of whose rows only the first column is wanted.
#[must_use]
pub fn query_scalar<'q, T: Column>(text: impl Into<Text>) -> Scalar<'q, T> {
    Scalar {
        query: query(text),
        kind: PhantomData,
    }
}

impl<'q> Query<'q> {
    /// Binds the next value.
    #[must_use]
    pub fn bind(mut self, value: impl Bind<'q>) -> Self {
        self.values.push(value.value());
        self
    }

    /// Has it done.
    ///
    /// # Errors
    /// When the database does not answer, or refuses.
    pub async fn execute<'c>(self, on: impl Into<On<'c>>) -> Result<Done, DbError> {
        let on = on.into();
        match on.0 {
            Reached::Writer(connection) => {
                let done = connection.execute(self.of_sqlite()?).await?;
                Ok(Done(done.rows_affected()))
            }
            Reached::Readers(pool) => {
                let done = pool.execute(self.of_sqlite()?).await?;
                Ok(Done(done.rows_affected()))
            }
            Reached::Transaction(connection) => {
                let done = connection
                    .execute(prepared(self.text, self.values)?)
                    .await?;
                Ok(Done(done.rows_affected()))
            }
            Reached::Schema(schema, whose, _) => {
                let mut tx = schema.begin(whose).await?;
                let done = tx.execute(prepared(self.text, self.values)?).await?;
                tx.commit().await?;
                Ok(Done(done.rows_affected()))
            }
        }
    }

    /// Its rows.
    ///
    /// # Errors
    /// When the database does not answer, or refuses.
    pub async fn fetch_all<'c>(self, on: impl Into<On<'c>>) -> Result<Vec<Row>, DbError> {
        let on = on.into();
        match on.0 {
            Reached::Writer(connection) => {
                let rows = connection.fetch_all(self.of_sqlite()?).await?;
                Ok(rows.into_iter().map(Row::of_sqlite).collect())
            }
            Reached::Readers(pool) => {
                let rows = pool.fetch_all(self.of_sqlite()?).await?;
                Ok(rows.into_iter().map(Row::of_sqlite).collect())
            }
            Reached::Transaction(connection) => {
                let rows = connection
                    .fetch_all(prepared(self.text, self.values)?)
                    .await?;
                Ok(rows.into_iter().map(Row::of_postgres).collect())
            }
            Reached::Schema(schema, whose, stale) => {
                let mut tx = schema.begin_reading(whose, stale).await?;
                let rows = tx.fetch_all(prepared(self.text, self.values)?).await?;
                tx.commit().await?;
                Ok(rows.into_iter().map(Row::of_postgres).collect())
            }
        }
    }

    /// Its first row, if there is one.
    ///
    /// # Errors
    /// When the database does not answer, or refuses.
    pub async fn fetch_optional<'c>(self, on: impl Into<On<'c>>) -> Result<Option<Row>, DbError> {
        let on = on.into();
        match on.0 {
            Reached::Writer(connection) => {
                let row = connection.fetch_optional(self.of_sqlite()?).await?;
                Ok(row.map(Row::of_sqlite))
            }
            Reached::Readers(pool) => {
                let row = pool.fetch_optional(self.of_sqlite()?).await?;
                Ok(row.map(Row::of_sqlite))
            }
            Reached::Transaction(connection) => {
                let row = connection
                    .fetch_optional(prepared(self.text, self.values)?)
                    .await?;
                Ok(row.map(Row::of_postgres))
            }
            Reached::Schema(schema, whose, stale) => {
                let mut tx = schema.begin_reading(whose, stale).await?;
                let row = tx.fetch_optional(prepared(self.text, self.values)?).await?;
                tx.commit().await?;
                Ok(row.map(Row::of_postgres))
            }
        }
    }

    /// Its first row.
    ///
    /// # Errors
    /// When there is none, or the database does not answer, or refuses.
    pub async fn fetch_one<'c>(self, on: impl Into<On<'c>>) -> Result<Row, DbError> {
        let row = self.fetch_optional(on).await?;
        row.ok_or(DbError::RowNotFound)
    }

    fn of_sqlite(
        self,
    ) -> Result<sqlx::query::Query<'static, sqlx::Sqlite, SqliteArguments>, DbError> {
        let mut values = SqliteArguments::default();
        for value in self.values {
            value.add_to_sqlite(&mut values)?;
        }
        Ok(sqlx::query_with(self.text.for_sqlite(), values))
    }
}

impl<'q, T: Columns> As<'q, T> {
    /// Binds the next value.
    #[must_use]
    pub fn bind(mut self, value: impl Bind<'q>) -> Self {
        self.query = self.query.bind(value);
        self
    }

    /// Its rows.
    ///
    /// # Errors
    /// When the database does not answer, or refuses.
    pub async fn fetch_all<'c>(self, on: impl Into<On<'c>>) -> Result<Vec<T>, DbError> {
        let rows = self.query.fetch_all(on).await?;
        rows.iter().map(T::of).collect()
    }

    /// Its first row, if there is one.
    ///
    /// # Errors
    /// When the database does not answer, or refuses.
    pub async fn fetch_optional<'c>(self, on: impl Into<On<'c>>) -> Result<Option<T>, DbError> {
        let row = self.query.fetch_optional(on).await?;
        row.as_ref().map(T::of).transpose()
    }

    /// Its first row.
    ///
    /// # Errors
    /// When there is none, or the database does not answer, or refuses.
    pub async fn fetch_one<'c>(self, on: impl Into<On<'c>>) -> Result<T, DbError> {
        T::of(&self.query.fetch_one(on).await?)
    }
}

impl<'q, T: Column> Scalar<'q, T> {
    /// Binds the next value.
    #[must_use]
    pub fn bind(mut self, value: impl Bind<'q>) -> Self {
        self.query = self.query.bind(value);
        self
    }

    /// The value of each row.
    ///
    /// # Errors
    /// When the database does not answer, or refuses.
    pub async fn fetch_all<'c>(self, on: impl Into<On<'c>>) -> Result<Vec<T>, DbError> {
        let rows = self.query.fetch_all(on).await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    }

    /// The value of the first row, if there is one.
    ///
    /// # Errors
    /// When the database does not answer, or refuses.
    pub async fn fetch_optional<'c>(self, on: impl Into<On<'c>>) -> Result<Option<T>, DbError> {
        let row = self.query.fetch_optional(on).await?;
        row.as_ref().map(|row| row.try_get(0)).transpose()
    }

    /// The value of the first row.
    ///
    /// # Errors
    /// When there is none, or the database does not answer, or refuses.
    pub async fn fetch_one<'c>(self, on: impl Into<On<'c>>) -> Result<T, DbError> {
        self.query.fetch_one(on).await?.try_get(0)
    }
}
