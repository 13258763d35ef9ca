//! The tables on PostgreSQL, for who brings them up to date before an archive opens.

use hilum_platform::db::{DbError, Server, Step};

use super::Archive;
use crate::index::schema;
use crate::keys;

impl Archive {
    /// Brings the tables of index and keys on `server` up to date, and nothing else: as
    /// a step of its own, while the version before may have the archive open. The steps
    /// that were taken.
    ///
    /// # Errors
    /// When nobody says who owns them, the server can't be reached or a migration
    /// fails; then nothing of that schema's is changed.
    pub async fn migrate(server: &Server) -> Result<Vec<Step>, DbError> {
        let mut taken = Vec::new();
        for tables in [&schema::TABLES, &keys::TABLES] {
            let steps = server.migrate(tables.service, tables.owners, tables.held);
            taken.extend(steps.await?);
        }
        Ok(taken)
    }
}
