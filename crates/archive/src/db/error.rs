//! Why a statement failed.

use hilum_platform::db::moving::is_moving_code;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::error::ArchiveError;

/// Why a statement failed.
#[derive(Debug)]
pub(crate) enum Error {
    /// One row was asked for, and there is none.
    NoRow,
    /// SQLite says so.
    Sqlite(rusqlite::Error),
    /// PostgreSQL says so, or does not answer.
    Postgres(sqlx::Error),
    /// A value is none that can be stored, or not what was asked for.
    Value,
    /// A statement before it in the same transaction failed.
    Failed,
}

/// Result of a statement.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Makes nothing of a row that is not there.
pub(crate) trait OptionalExtension<T> {
    /// `None` where there is no row.
    fn optional(self) -> Result<Option<T>>;
}

impl<T> OptionalExtension<T> for Result<T> {
    fn optional(self) -> Result<Option<T>> {
        match self {
            Ok(row) => Ok(Some(row)),
            Err(Error::NoRow) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::QueryReturnedNoRows => Self::NoRow,
            error => Self::Sqlite(error),
        }
    }
}

impl From<rusqlite::Error> for ArchiveError {
    fn from(error: rusqlite::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<Error> for ArchiveError {
    fn from(error: Error) -> Self {
        match error {
            Error::NoRow => Self::Index("a row is missing".to_owned()),
            Error::Sqlite(error) => of_sqlite(&error),
            Error::Postgres(error) => of_postgres(&error),
            Error::Value => Self::Index("a value does not convert".to_owned()),
            Error::Failed => Self::Index("its transaction failed".to_owned()),
        }
    }
}

fn of_sqlite(error: &rusqlite::Error) -> ArchiveError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => ArchiveError::OutOfSpace,
        // Only the code: SQLite's text can quote values.
        Some(code) => ArchiveError::Index(format!("{code:?}")),
        None => ArchiveError::Index(kind_of(error).to_owned()),
    }
}

fn kind_of(error: &rusqlite::Error) -> &'static str {
    match error {
        rusqlite::Error::InvalidColumnType(..) => "a column has an unexpected type",
        rusqlite::Error::FromSqlConversionFailure(..) => "a value does not convert",
        _ => "unexpected",
    }
}

fn of_postgres(error: &sqlx::Error) -> ArchiveError {
    let Some(said) = error.as_database_error() else {
        return ArchiveError::IndexAway("no connection".to_owned());
    };
    // Only the code: the text can quote values
    // (postgresql.org/docs/current/errcodes-appendix.html).
    let code = said.code().unwrap_or_default();
    match code.as_ref() {
        "53100" => ArchiveError::OutOfSpace,
        OWNED_ELSEWHERE => ArchiveError::InUse,
        code if is_moving_code(code) => ArchiveError::Moving,
        _ if is_lost(error) => ArchiveError::IndexAway(format!("PostgreSQL {code}")),
        _ => ArchiveError::Index(format!("PostgreSQL {code}")),
    }
}

/// `enter` says so (`index/postgres.sql`).
const OWNED_ELSEWHERE: &str = "HI001";

/// A statement that was prepared is not what it was: somebody else threw it away, or its
/// table was changed so that it gives other columns.
const STATEMENT_LOST: [&str; 3] = ["26000", "42P05", "0A000"];

/// Whether an error is the end of its connection: no answer, the last one, or that what
/// was prepared on it can't be relied upon.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    let Some(said) = error.as_database_error() else {
        return true;
    };
    let said = said.try_downcast_ref::<PgDatabaseError>();
    said.is_none_or(|said| {
        matches!(said.severity(), PgSeverity::Fatal | PgSeverity::Panic)
            || STATEMENT_LOST.contains(&said.code())
    })
}

/// Whether what an error says is that a call to the disk failed.
pub(crate) fn is_failure_of_disk(said: &str) -> bool {
    said == format!("{:?}", rusqlite::ErrorCode::SystemIoFailure)
}
