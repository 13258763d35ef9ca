//! The only SQL of this service. What belongs to a tenant is reached with its
//! scope. People, their sessions and browsers belong to no tenant: they are
//! reached by the person's id, or by the hash of what only its holder knows.
//! Each row is found by a whole key, so that no list of either can leak.

pub(crate) mod attempts;
pub(crate) mod break_glass;
pub(crate) mod devices;
pub(crate) mod ended;
pub(crate) mod invitations;
pub(crate) mod keys;
pub(crate) mod mails;
pub(crate) mod members;
pub(crate) mod new_addresses;
pub(crate) mod passes;
pub(crate) mod people;
pub(crate) mod providers;
pub(crate) mod sessions;
pub(crate) mod tenants;
pub(crate) mod tokens;

use std::str::FromStr;

use hilum_contracts::ids::TenantId;
use hilum_platform::db::{Across, Db, DbError, Row, Tx};

/// The service's rows.
#[derive(Clone, Debug)]
pub(crate) struct Store(Db);

impl Store {
    pub(crate) fn new(db: Db) -> Self {
        Self(db)
    }

    pub(crate) fn db(&self) -> &Db {
        &self.0
    }

    /// Begins a transaction about people, who may belong to several tenants.
    pub(crate) async fn begin(&self) -> Result<Tx, DbError> {
        self.0.begin(Across::People).await
    }
}

/// A column whose text has a type of ours.
fn parsed<T>(row: &Row, column: &str) -> Result<T, DbError>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text: String = row.try_get(column)?;
    text.parse().map_err(|error| DbError::ColumnDecode {
        index: column.to_owned(),
        source: Box::new(error),
    })
}

fn tenant_of(row: &Row, column: &str) -> Result<TenantId, DbError> {
    let text: String = row.try_get(column)?;
    TenantId::new(text).map_err(|error| DbError::ColumnDecode {
        index: column.to_owned(),
        source: Box::new(error),
    })
}

fn json_of<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<T, DbError> {
    let text: String = row.try_get(column)?;
    serde_json::from_str(&text).map_err(|error| DbError::ColumnDecode {
        index: column.to_owned(),
        source: Box::new(error),
    })
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, DbError> {
    serde_json::to_string(value).map_err(|error| DbError::Encode(Box::new(error)))
}
