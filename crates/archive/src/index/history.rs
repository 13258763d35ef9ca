//! What a tenant did with its images that those which come must heed: most tenants
//! never did any of it, and need not be asked further.

use crate::db::Connection;
use crate::error::Result;

#[derive(Debug, Clone, Copy)]
pub(crate) struct History {
    /// Something was moved to another series or study.
    pub moved: bool,
    /// Something was deleted.
    pub deleted: bool,
    /// A rejection note came.
    pub rejected: bool,
}

pub(crate) fn of(db: &Connection, tenant: i64) -> Result<History> {
    Ok(db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM redirect WHERE tenant = ?1),
                EXISTS (SELECT 1 FROM tombstone WHERE tenant = ?1),
                EXISTS (SELECT 1 FROM rejection WHERE tenant = ?1)",
        )?
        .query_row([tenant], |row| {
            Ok(History {
                moved: row.get(0)?,
                deleted: row.get(1)?,
                rejected: row.get(2)?,
            })
        })?)
}
