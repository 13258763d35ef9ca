//! The audit trail and the certificates of erasures of an index that is made
//! again. Objects tell nothing of them: they are taken over from the old index as
//! far as that can be read. Where the trail can't, new chains begin; either way an
//! entry says so. What was sealed of a trail that is gone still shows that it is
//! gone.

use std::path::Path;
use std::sync::Arc;

use hilum_contracts::ids::TenantId;
use hilum_platform::audit::{Keys, PURPOSE};
use hilum_platform::auth;

use crate::db::{Connection, Whose};
use crate::error::{ArchiveError, Result};
use crate::index::audit::{self, By};
use crate::keys::KeyStore;

/// Everything about the trails.
const TRAIL: &str = "
INSERT INTO main.audit_head SELECT * FROM old.audit_head;
INSERT INTO main.audit_entry SELECT * FROM old.audit_entry;
INSERT INTO main.audit_subject SELECT * FROM old.audit_subject;
INSERT INTO main.audit_about SELECT * FROM old.audit_about;";

/// Certificates, also of a tenant that has nothing else.
const CERTIFICATES: &str = "
INSERT INTO main.tenant (name) SELECT name FROM old.tenant
    WHERE id IN (SELECT tenant FROM old.erasure) ON CONFLICT DO NOTHING;
INSERT INTO main.erasure (id, tenant, at, certificate)
    SELECT e.id, t.id, e.at, e.certificate FROM old.erasure e
    JOIN old.tenant o ON o.id = e.tenant JOIN main.tenant t ON t.name = o.name;";

/// Takes them over from the index in `dir`, or begins anew.
pub(super) fn take_over(dir: &Path, db: &mut Connection, keys: &KeyStore, now: i64) -> Result<()> {
    let old = dir.join("archive.sqlite");
    if old.is_file() {
        if let Err(error) = copy(db, &old, TRAIL) {
            tracing::warn!(%error, "the audit trail of the old index can't be read: its chains begin anew");
        }
        if let Err(error) = copy(db, &old, CERTIFICATES) {
            tracing::warn!(%error, "the certificates of erasures in the old index can't be read");
        }
    }
    let tenants: Vec<String> = {
        let mut query =
            db.prepare("SELECT name FROM tenant UNION SELECT tenant FROM audit_head")?;
        let rows = query.query_map([], |row| row.get(0))?;
        rows.collect::<crate::db::Result<_>>()?
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
fn copy(db: &mut Connection, old: &Path, statements: &str) -> Result<()> {
    db.execute("ATTACH DATABASE ?1 AS old", [old.to_string_lossy()])?;
    let copied = (|| {
        let tx = db.begin(Whose::Every)?;
        tx.execute_batch(statements)?;
        tx.commit()
    })();
    db.execute("DETACH DATABASE old", [])?;
    Ok(copied?)
}
