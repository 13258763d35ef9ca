//! The only SQL of this service. Every function takes the scope whose rows it
//! may touch.

pub(crate) mod conflicts;
pub(crate) mod erasure;
pub(crate) mod identities;
mod lists;

use hilum_platform::db::Db;

pub(crate) use conflicts::{Decision, ResolveError};

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
}
