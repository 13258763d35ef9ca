//! Where the services' own databases are, when they are not files.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::limits::{PG_CONNECTIONS, SHARD_NUMBERS};

/// A database of PostgreSQL (15 or later) that has a schema for each service, for the
/// archive's index and for its keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// The file that holds the address: `postgres://hilum:…@db.example.org/hilum`.
    /// Its role owns nothing; the address may be a pooler's.
    pub url_file: PathBuf,
    /// The file that holds the address of the role that owns the schemas and brings
    /// them up to date, of the server itself. None: they are made elsewhere, and a
    /// start with older ones is refused.
    #[serde(default)]
    pub owner_url_file: Option<PathBuf>,
    /// The file that holds the address of a hot standby of it, for the same role. What
    /// need not be of this moment is read there.
    #[serde(default)]
    pub replica_url_file: Option<PathBuf>,
    /// What the name of each schema begins with.
    #[serde(default = "prefix")]
    pub schema_prefix: String,
    /// Connections that each service holds at most.
    #[serde(default = "connections")]
    pub connections: u32,
    /// Where this is one of several shards: which. Every number that its tables give
    /// out is of a range of its own, so that no row of a tenant that comes from another
    /// shard has the number of one that is here. Bound to the database when its tables
    /// are made, and never changed.
    #[serde(default)]
    pub shard_number: u32,
}

fn prefix() -> String {
    "hilum_".to_owned()
}

const fn connections() -> u32 {
    PG_CONNECTIONS
}

impl Database {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let invalid = |text: &str| Err(ConfigError::Invalid(text.to_owned()));
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        // A name of PostgreSQL is at most 63 bytes, and the service's comes behind.
        if self.schema_prefix.len() > 40 || !self.schema_prefix.bytes().all(allowed) {
            return invalid("database.schema_prefix is at most 40 of a-z, 0-9 and _");
        }
        if self.connections < 2 {
            return invalid("database.connections is at least 2");
        }
        if self.shard_number > SHARD_NUMBERS {
            return invalid(&format!("database.shard_number is at most {SHARD_NUMBERS}"));
        }
        Ok(())
    }
}
