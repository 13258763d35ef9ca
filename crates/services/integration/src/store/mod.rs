//! The only SQL of this service. Every function takes the scope whose rows it
//! may touch.

pub(crate) mod destinations;
pub(crate) mod erasure;
mod lists;
pub(crate) mod planning;
pub(crate) mod progress;

use hilum_contracts::ids::TenantId;
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

/// The kind of job that a destination's own worker takes. By the same text deliveries
/// name their destination: the name of one of the configuration, the id of one that a
/// tenant made, which no later namesake has.
pub(crate) fn job_kind(tenant: &TenantId, destination: &str) -> String {
    format!("delivery/{tenant}/{destination}")
}
