//! The audit trail of an index that is made again. Objects tell nothing of it:
//! it is taken over from the old index as far as that can be read, and where
//! it can't, new chains begin; either way an entry says so. What was sealed of a
//! trail that is gone still shows that it is gone.

use std::path::Path;
use std::sync::Arc;

use hilum_contracts::ids::TenantId;
use hilum_platform::audit::{Keys, PURPOSE};
use hilum_platform::auth;
use rusqlite::Connection;

use crate::error::{ArchiveError, Result};
use crate::index::audit::{self, By};
use crate::keys::KeyStore;

const TABLES: [&str; 4] = ["audit_head", "audit_entry", "audit_subject", "audit_about"];

/// Takes the trail over from the index in `dir`, or begins anew.
pub(super) fn take_over(dir: &Path, db: &mut Connection, keys: &KeyStore, now: i64) -> Result<()> {
    let old = dir.join("archive.sqlite");
    let is_taken = match old.is_file() {
        true => copy(db, &old),
        false => Ok(()),
    };
    if let Err(error) = is_taken {
        tracing::warn!(%error, "the audit trail of the old index can't be read: its chains begin anew");
    }
    let tenants: Vec<String> = {
        let mut query =
            db.prepare("SELECT name FROM tenant UNION SELECT tenant FROM audit_head")?;
        let rows = query.query_map([], |row| row.get(0))?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    for tenant in tenants {
        let tenant = TenantId::stored(tenant).map_err(|_| ArchiveError::Corrupt)?;
        let secret = match keys.derived_secret(tenant.as_str(), PURPOSE, now) {
            // It was ended: its last entry is its last.
            Err(ArchiveError::NotFound) => continue,
            secret => secret?,
        };
        let by = By {
            keys: Arc::new(Keys::new(&tenant, &secret).map_err(audit::no_key)?),
            scope: auth::local_operator(&tenant),
        };
        let old = audit::head(db, tenant.as_str())?;
        audit::begin_again(db, &by, &old, now)?;
    }
    Ok(())
}

/// All of it or nothing.
fn copy(db: &mut Connection, old: &Path) -> Result<()> {
    db.execute("ATTACH DATABASE ?1 AS old", [old.to_string_lossy()])?;
    let copied = (|| {
        let tx = db.transaction()?;
        for table in TABLES {
            tx.execute_batch(&format!(
                "INSERT INTO main.{table} SELECT * FROM old.{table}"
            ))?;
        }
        tx.commit()
    })();
    db.execute("DETACH DATABASE old", [])?;
    Ok(copied?)
}
