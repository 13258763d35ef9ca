//! The end of a tenant: its key goes with all that it wraps, in the transaction
//! that remembers its name, so that no key is ever made under that name again.

use std::sync::PoisonError;

use aws_lc_rs::digest;

use super::KeyStore;
use crate::db::{OptionalExtension, Whose, params};
use crate::descriptor::hex;
use crate::error::Result;
use crate::steps;

impl KeyStore {
    /// How many study keys a tenant has, and the SHA-256 of their ids, one after
    /// the other in ascending order. Blocks.
    pub(crate) fn inventory(&self, tenant: &str) -> Result<(u64, String)> {
        let db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        let mut query = db.prepare("SELECT id FROM study_key WHERE tenant = ?1 ORDER BY id")?;
        let mut rows = query.query([tenant])?;
        let (mut count, mut ids) = (0, digest::Context::new(&digest::SHA256));
        while let Some(row) = rows.next()? {
            let id: [u8; 16] = row.get(0)?;
            ids.update(&id);
            count += 1;
        }
        Ok((count, hex::encode(ids.finish().as_ref())))
    }

    /// Destroys a tenant's key and those under it: what they sealed can never
    /// be read again. Asked again, it does no harm. Blocks.
    pub(crate) fn destroy_tenant(&self, tenant: &str, now: i64) -> Result<()> {
        let mut db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        let tx = db.begin(Whose::Every)?;
        tx.execute(
            "INSERT INTO ended_tenant (name, ended_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            params![tenant, now],
        )?;
        tx.execute("DELETE FROM tenant_key WHERE tenant = ?1", [tenant])?;
        tx.execute("DELETE FROM study_key WHERE tenant = ?1", [tenant])?;
        let destroyed = tx.commit();
        steps::at("end.keys-destroyed");
        // Behind the lock that whoever reads a tenant's key holds as well, and also when
        // nobody knows whether they are gone.
        let mut cache = self.cache();
        cache.tenants.remove(tenant);
        cache.by_id.clear();
        cache.by_label.clear();
        destroyed?;
        Ok(())
    }

    /// Whether a tenant of this name was ended. Blocks.
    pub(crate) fn is_ended(&self, tenant: &str) -> Result<bool> {
        let db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        let found = db
            .prepare_cached("SELECT 1 FROM ended_tenant WHERE name = ?1")?
            .query_row([tenant], |_| Ok(()))
            .optional()?;
        Ok(found.is_some())
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::error::ArchiveError;
    use crate::keys::MasterKey;

    fn open(dir: &std::path::Path) -> KeyStore {
        KeyStore::open(dir, &MasterKey::Given(Zeroizing::new([1; 32])), 8).unwrap()
    }

    #[test]
    fn a_tenant_that_was_ended_has_no_key_and_never_gets_another() {
        let dir = tempfile::tempdir().unwrap();
        let keys = open(dir.path());
        let id = keys.for_label("a", "1.2", 0).unwrap().id;
        keys.for_label("b", "1.2", 0).unwrap();
        assert_eq!(keys.inventory("a").unwrap().0, 1);
        keys.destroy_tenant("a", 0).unwrap();
        keys.destroy_tenant("a", 0).unwrap();
        for keys in [keys, open(dir.path())] {
            assert!(keys.is_ended("a").unwrap());
            assert_eq!(keys.by_id("a", &id).err(), Some(ArchiveError::NotFound));
            let made = keys.for_label("a", "1.2", 0).err();
            assert_eq!(made, Some(ArchiveError::NotFound));
            let derived = keys.derived_secret("a", "any", 0).err();
            assert_eq!(derived, Some(ArchiveError::NotFound));
            assert_eq!(keys.inventory("a").unwrap().0, 0);
            assert!(!keys.is_ended("b").unwrap());
            assert_eq!(keys.inventory("b").unwrap().0, 1);
        }
    }
}
