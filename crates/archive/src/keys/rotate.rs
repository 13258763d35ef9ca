//! Rotation of the master key: every tenant key is wrapped anew in one
//! transaction. Study keys and objects are not touched, so it costs a row per
//! tenant whatever the archive holds.

use std::sync::PoisonError;

use super::master::Secret;
use super::{KeyStore, MasterKey, PROOF, prove, tenant_context, unwrap, wrap, wrapping_key};
use crate::db::{Whose, params};
use crate::error::{ArchiveError, Result};
use crate::steps;

impl KeyStore {
    /// Makes `to` the master key. Before the transaction commits the old one
    /// opens the archive, afterwards the new one: never neither, never both.
    /// How many tenant keys were wrapped anew. Blocks.
    pub(crate) fn rotate(&self, to: &MasterKey) -> Result<u64> {
        let mut master = self.master.write().unwrap_or_else(PoisonError::into_inner);
        let mut db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        // The one before may have come about although nobody heard of it.
        let opens = |secret: &Secret| Ok(prove(&db, &wrapping_key(secret)?)? == Some(true));
        if let Some(secret) = self.file.begun(opens)? {
            *master = wrapping_key(&secret)?;
        }
        let secret = match to {
            MasterKey::Given(secret) => secret.clone(),
            MasterKey::File => self.file.draft()?,
        };
        let new = wrapping_key(&secret)?;
        let tx = db.begin(Whose::Every)?;
        if prove(&tx, &master)? != Some(true) {
            return Err(ArchiveError::WrongKey);
        }
        let wrapped: Vec<(String, Vec<u8>)> = tx
            .prepare("SELECT tenant, wrapped FROM tenant_key")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<crate::db::Result<_>>()?;
        for (tenant, old) in &wrapped {
            let context = tenant_context(tenant);
            let anew = wrap(&new, &*unwrap(&master, old, &context)?, &context)?;
            tx.execute(
                "UPDATE tenant_key SET wrapped = ?2 WHERE tenant = ?1",
                params![tenant, anew],
            )?;
        }
        let proof = wrap(&new, &[0; 32], PROOF)?;
        tx.execute("UPDATE master SET proof = ?1 WHERE id = 1", [proof])?;
        steps::at("keys.rewrapped");
        if let Err(error) = tx.commit() {
            // Kept or not: behind its lock the tables say so.
            if prove(&db, &new)? != Some(true) {
                return Err(error.into());
            }
        }
        steps::at("keys.rotated");
        *master = new;
        // What the old key opens leaves the file: the log is folded back, and
        // freed bytes are overwritten (secure_delete).
        db.fold_some()?;
        drop(db);
        match to {
            MasterKey::File => self.file.take_next()?,
            MasterKey::Given(_) => self.file.retire()?,
        }
        Ok(wrapped.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use zeroize::Zeroizing;

    use super::*;

    fn given(byte: u8) -> MasterKey {
        MasterKey::Given(Zeroizing::new([byte; 32]))
    }

    fn open(dir: &Path, master: &MasterKey) -> Result<KeyStore> {
        KeyStore::open(dir, master, 8)
    }

    fn study(keys: &KeyStore) -> [u8; 32] {
        *keys.for_label("a", "1.2", 0).unwrap().secret
    }

    #[test]
    fn study_keys_stay_and_only_the_new_master_key_opens_them() {
        let dir = tempfile::tempdir().unwrap();
        let keys = open(dir.path(), &given(1)).unwrap();
        let before = study(&keys);
        keys.for_label("b", "1.2", 0).unwrap();
        assert_eq!(keys.rotate(&given(2)).unwrap(), 2);
        // A tenant that comes now is wrapped with the new one.
        keys.for_label("c", "1.2", 0).unwrap();
        drop(keys);
        let refused = open(dir.path(), &given(1)).err();
        assert_eq!(refused, Some(ArchiveError::WrongKey));
        let keys = open(dir.path(), &given(2)).unwrap();
        assert_eq!(study(&keys), before);
        keys.for_label("c", "1.2", 0).unwrap();
    }

    #[test]
    fn the_file_takes_over_from_a_given_key_and_gives_way_to_one() {
        let dir = tempfile::tempdir().unwrap();
        let keys = open(dir.path(), &given(1)).unwrap();
        let before = study(&keys);
        keys.rotate(&MasterKey::File).unwrap();
        drop(keys);
        let keys = open(dir.path(), &MasterKey::File).unwrap();
        assert_eq!(study(&keys), before);
        keys.rotate(&MasterKey::File).unwrap();
        drop(keys);
        let keys = open(dir.path(), &MasterKey::File).unwrap();
        assert_eq!(study(&keys), before);
        keys.rotate(&given(3)).unwrap();
        drop(keys);
        assert!(!dir.path().join("keys/master.key").exists());
        assert_eq!(study(&open(dir.path(), &given(3)).unwrap()), before);
    }

    #[test]
    fn a_key_file_that_is_gone_is_said_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path(), &MasterKey::File).unwrap());
        std::fs::remove_file(dir.path().join("keys/master.key")).unwrap();
        let refused = open(dir.path(), &MasterKey::File).err();
        assert_eq!(refused, Some(ArchiveError::WrongKey));
        assert!(!dir.path().join("keys/master.key").exists());
    }

    #[test]
    fn nothing_that_the_old_key_opens_is_left_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let keys = open(dir.path(), &given(1)).unwrap();
        study(&keys);
        let old: Vec<u8> = keys
            .db
            .lock()
            .unwrap()
            .query_row("SELECT wrapped FROM tenant_key", [], |row| row.get(0))
            .unwrap();
        keys.rotate(&given(2)).unwrap();
        for name in ["keys.sqlite", "keys.sqlite-wal"] {
            let bytes = std::fs::read(dir.path().join(name)).unwrap_or_default();
            let found = bytes.windows(old.len()).any(|window| window == old);
            assert!(!found, "the old wrapping is in {name}");
        }
    }
}
