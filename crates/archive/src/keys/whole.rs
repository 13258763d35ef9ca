//! Whether the key store is as it was written: every key opens under the one
//! above it, and SQLite finds nothing wrong. Keys are only looked at.

use std::sync::PoisonError;

use super::{KeyStore, study_context, unwrap};
use crate::error::{ArchiveError, Result};

impl KeyStore {
    /// What is wrong; `None`: nothing. Blocks.
    pub(crate) fn damage(&self) -> Result<Option<String>> {
        let tenants: Vec<String> = {
            let db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(damage) = db.damage()? {
                return Ok(Some(damage));
            }
            let mut query = db.prepare("SELECT DISTINCT tenant FROM study_key")?;
            let rows = query.query_map([], |row| row.get(0))?;
            rows.collect::<crate::db::Result<_>>()?
        };
        for tenant in tenants {
            let owner = match self.existing_tenant_key(&tenant) {
                Ok(owner) => owner,
                Err(ArchiveError::Corrupt) => None,
                Err(error) => return Err(error),
            };
            let Some(owner) = owner else {
                return Ok(Some(format!("the key of tenant {tenant} does not open")));
            };
            let mut after: Vec<u8> = Vec::new();
            loop {
                // The lock is given back in between: intake needs keys.
                let db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
                let batch: Vec<(Vec<u8>, Vec<u8>)> = db
                    .prepare_cached(
                        "SELECT id, wrapped FROM study_key WHERE tenant = ?1 AND id > ?2
                         ORDER BY id LIMIT 256",
                    )?
                    .query_map(crate::db::params![tenant, after], |row| {
                        Ok((row.get(0)?, row.get(1)?))
                    })?
                    .collect::<crate::db::Result<_>>()?;
                drop(db);
                for (id, wrapped) in &batch {
                    let opens = <[u8; 16]>::try_from(id.as_slice()).is_ok_and(|id| {
                        let context = study_context(&tenant, &id);
                        unwrap(&owner.wrapping, wrapped, &context).is_ok()
                    });
                    if !opens {
                        return Ok(Some(format!("a key of tenant {tenant} does not open")));
                    }
                }
                match batch.into_iter().next_back() {
                    Some((last, _)) => after = last,
                    None => break,
                }
            }
        }
        Ok(None)
    }
}
