//! What an erasure leaves so that no backup brings the patient back: a record
//! of keyed hashes in the ledger of erasures, which every backup is told of,
//! and which a restored one carries out before it is served. A record names
//! nobody; never is one made before its patient is destroyed.

mod again;
pub(crate) mod copies;
pub(crate) mod ledger;

use std::sync::{Arc, PoisonError};

use aws_lc_rs::hmac;
use hilum_platform::scope::TenantScope;

use crate::archive::{Archive, blocking};
use crate::descriptor::{Digest, hex};
use crate::engine::Engine;
use crate::error::{ArchiveError, Result};
use crate::index::tombstone::{Level, mark};
use crate::intake::quarantine_label;
use crate::keys::{KeyStore, random};
use crate::model::{BackupCopy, Erased, ErasedMarks, ErasedPatient, ErasureRecord};
use crate::steps;

use self::ledger::LEDGER;

/// For what the key is that records are authenticated with.
const PURPOSE: &str = "hilum erasure record v1";

impl Archive {
    /// Writes down what was erased, durably, and tells every known backup of
    /// it. The record, and what became of each backup.
    ///
    /// # Errors
    /// When the disk fails; erase the patient again.
    pub async fn record_erasure(
        &self,
        scope: &TenantScope,
        patient: &ErasedPatient,
        erased: &Erased,
    ) -> Result<(ErasureRecord, Vec<BackupCopy>)> {
        let engine = Arc::clone(&self.engine);
        let tenant = scope.tenant().as_str().to_owned();
        let (patient, erased) = (patient.clone(), erased.clone());
        blocking(move || {
            let now = engine.clock.now_millis();
            let keys = &engine.keys;
            let mut marks = erased.marks;
            for study in &erased.studies {
                let mark = Digest(mark(keys, &tenant, Level::Study, study, "", now)?);
                if !marks.studies.contains(&mark) {
                    marks.studies.push(mark);
                }
            }
            let mut record = ErasureRecord {
                id: hex::encode(&random::<16>()?),
                at: now,
                patient: Digest(patient_mark(keys, &tenant, &patient, now)?),
                marks,
                keys: erased.keys,
                whole_tenant: false,
                mac: Digest([0; 32]),
                tenant,
            };
            let key = keys.derived(&record.tenant, PURPOSE)?;
            let key = key.ok_or(ArchiveError::NotFound)?;
            record.mac = Digest(mac(&key, &record)?);
            let told = engine.keep_record(record.clone())?;
            steps::at("erase.recorded");
            Ok((record, told))
        })
        .await
    }
}

impl Archive {
    /// Writes down that a tenant is ended, durably, before its key is destroyed,
    /// and tells every known backup of it. Asked again, it is the same record.
    ///
    /// # Errors
    /// When the disk fails; ask again.
    pub async fn record_ending(
        &self,
        scope: &TenantScope,
    ) -> Result<(ErasureRecord, Vec<BackupCopy>)> {
        let engine = Arc::clone(&self.engine);
        let tenant = scope.tenant().as_str().to_owned();
        blocking(move || {
            if let Some(record) = engine.record_of_ending(&tenant)? {
                let told = engine.tell_backups()?;
                return Ok((record, told));
            }
            let mut record = ErasureRecord {
                id: hex::encode(&random::<16>()?),
                at: engine.clock.now_millis(),
                patient: Digest([0; 32]),
                marks: ErasedMarks::default(),
                keys: Vec::new(),
                whole_tenant: true,
                mac: Digest([0; 32]),
                tenant,
            };
            // One that never had a key has nothing that a backup could hold.
            if let Some(key) = engine.keys.derived(&record.tenant, PURPOSE)? {
                record.mac = Digest(mac(&key, &record)?);
            }
            let told = engine.keep_record(record.clone())?;
            steps::at("end.recorded");
            Ok((record, told))
        })
        .await
    }

    /// Whether a record that ends a tenant was made with that tenant's key;
    /// `false` where there is no such key, and so nothing to destroy.
    ///
    /// # Errors
    /// [`ArchiveError::Invalid`] when it was changed, or is of another
    /// installation.
    pub async fn is_ending_known(&self, record: &ErasureRecord) -> Result<bool> {
        let (engine, record) = (Arc::clone(&self.engine), record.clone());
        blocking(move || engine.authentic(&record)).await
    }

    /// Under which hash a quarantined item that is about to go is remembered.
    pub(crate) async fn quarantined_mark(
        &self,
        scope: &TenantScope,
        item: i64,
    ) -> Result<Option<Digest>> {
        let Some(item) = self.quarantined_item(scope, item).await? else {
            return Ok(None);
        };
        let (engine, tenant) = (Arc::clone(&self.engine), scope.tenant().clone());
        blocking(move || {
            let label = quarantine_label(&item.sha256);
            let now = engine.clock.now_millis();
            let mark = engine.keys.keyed_hash(tenant.as_str(), &label, now)?;
            Ok(Some(Digest(mark)))
        })
        .await
    }
}

impl Engine {
    fn keep_record(&self, record: ErasureRecord) -> Result<Vec<BackupCopy>> {
        let _one = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.dir.join(LEDGER);
        let mut all = ledger::read(&path)?;
        all.push(record);
        ledger::write(&path, &all)?;
        copies::tell(&self.dir, &all)
    }

    /// Tells backups of what they could not be told when it happened; what
    /// became of each.
    pub(crate) fn tell_backups(&self) -> Result<Vec<BackupCopy>> {
        let _one = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        copies::tell(&self.dir, &ledger::read(&self.dir.join(LEDGER))?)
    }

    /// The record of a tenant's end, if it was made.
    fn record_of_ending(&self, tenant: &str) -> Result<Option<ErasureRecord>> {
        let _one = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let known = ledger::read(&self.dir.join(LEDGER))?;
        let mut known = known.into_iter();
        Ok(known.find(|record| record.whole_tenant && record.tenant == tenant))
    }
}

/// A hash of whom a patient is that only the tenant's key makes.
fn patient_mark(
    keys: &KeyStore,
    tenant: &str,
    patient: &ErasedPatient,
    now: i64,
) -> Result<[u8; 32]> {
    let whom = serde_json::to_string(&(&patient.id, &patient.issuer))
        .map_err(|_| ArchiveError::Corrupt)?;
    keys.keyed_hash(tenant, &format!("patient {whom}"), now)
}

fn mac(key: &hmac::Key, record: &ErasureRecord) -> Result<[u8; 32]> {
    let unsigned = ErasureRecord {
        mac: Digest([0; 32]),
        ..record.clone()
    };
    let text = serde_json::to_vec(&unsigned).map_err(|_| ArchiveError::Corrupt)?;
    let mut found = [0; 32];
    found.copy_from_slice(hmac::sign(key, &text).as_ref());
    Ok(found)
}
