//! The only SQL of this service. The archive keeps its own index; here stand
//! the input sets. Every function takes the scope whose rows it may touch.

pub(crate) mod arrivals;
pub(crate) mod changed;
pub(crate) mod erasure;
pub(crate) mod exports;
pub(crate) mod input_sets;
mod instance_list;
pub(crate) mod patient_merges;
pub(crate) mod readiness;

use hilum_platform::db::Db;

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
