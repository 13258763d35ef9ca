//! A restored backup carries out the erasures that it does not know. Owns what
//! of the archive a record is about, by trying its hashes on everything that is
//! there; the services are asked by the caller, in between.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use aws_lc_rs::constant_time;
use hilum_contracts::audit::Subject;
use hilum_platform::scope::TenantScope;

use super::ledger::{self, DUE};
use super::{PURPOSE, mac, patient_mark};
use crate::archive::{Archive, blocking};
use crate::descriptor::{Digest, hex};
use crate::engine::Engine;
use crate::erase::whom;
use crate::error::{ArchiveError, Result};
use crate::index::tombstone::{self, Level, mark};
use crate::index::{erase, hold, quarantine};
use crate::intake::quarantine_label;
use crate::lookup::Extent;
use crate::model::{Cause, ErasedPatient, ErasureRecord, MetadataScope, NewDeletion};
use crate::tenant::Tenant;

/// Who is said to have deleted it.
const BY: &str = "the ledger of erasures";

/// What of the archive a record is about.
#[derive(Default)]
struct Found {
    patients: Vec<ErasedPatient>,
    studies: Vec<String>,
    /// Study and series.
    series: Vec<(String, String)>,
    /// Study, series and instance.
    instances: Vec<(String, String, String)>,
    quarantined: Vec<i64>,
}

impl Archive {
    /// Erasures that the backup which this archive was restored from does not
    /// know. Carry them out before anything is served.
    ///
    /// # Errors
    /// When their list is damaged or can't be read: restore again.
    pub async fn due_erasures(&self) -> Result<Vec<ErasureRecord>> {
        let path = self.engine.dir.join(DUE);
        blocking(move || ledger::read(&path)).await
    }

    /// Destroys what `record` is about and is there again. No hold and no rule
    /// is asked: they were, the first time. `elements`: see [`Archive::erase`].
    /// The studies, for whoever keeps rows about them; the same ones when it is
    /// asked again after a crash.
    ///
    /// # Errors
    /// [`ArchiveError::Invalid`] when the record was changed or is of another
    /// installation; of the disk.
    pub async fn erase_again(
        &self,
        scope: &TenantScope,
        record: &ErasureRecord,
        elements: impl Fn(&str) -> Vec<Vec<u8>>,
    ) -> Result<Vec<String>> {
        let (engine, of) = (Arc::clone(&self.engine), record.clone());
        let is_known = blocking(move || engine.authentic(&of)).await?;
        if !is_known || scope.tenant().as_str() != record.tenant {
            // It came to be after the backup.
            return Ok(Vec::new());
        }
        let tenant = self.engine.tenant(scope).await?;
        let (engine, owner, of) = (
            Arc::clone(&self.engine),
            Arc::clone(&tenant),
            record.clone(),
        );
        let found = blocking(move || engine.find(&owner, &of)).await?;
        let (row, id, there) = (tenant.row, record.id.clone(), found.studies.clone());
        let studies = self
            .engine
            .writer
            .run(move |db, _| erase::begin_again(db, row, &id, &there))
            .await?;
        let (patients, of) = (found.patients.clone(), found.studies.clone());
        self.engine
            .writer
            .run(move |db, context| {
                let now = context.clock.now_millis();
                hold::lift_all(db, row, &patients, &of, BY, now)
            })
            .await?;
        self.erase_holds(&tenant, None, &found.studies).await?;
        for patient in &found.patients {
            self.erase_holds(&tenant, Some(patient), &[]).await?;
        }
        let mut items = found.quarantined.clone();
        for patient in &found.patients {
            let elements = elements(&patient.id);
            items.extend(self.quarantined_with(scope, &elements).await?);
        }
        for item in items.into_iter().collect::<HashSet<_>>() {
            self.delete_quarantined(scope, item).await?;
        }
        let (engine, owner, of) = (
            Arc::clone(&self.engine),
            Arc::clone(&tenant),
            record.clone(),
        );
        let by = scope.clone();
        blocking(move || {
            engine.delete_found(&owner, &by, found)?;
            engine.destroy_keys_of(&owner, &of)
        })
        .await?;
        self.forget_events(scope, &studies).await?;
        let engine = Arc::clone(&self.engine);
        blocking(move || engine.merge_lookup(row, Extent::Everything)).await?;
        Ok(studies)
    }

    /// Whom the trail calls what `record` is about, for whoever keeps a trail:
    /// ask before [`Archive::erase_again`], which leaves nothing to be found.
    ///
    /// # Errors
    /// As [`Archive::erase_again`].
    pub async fn audited_in(
        &self,
        scope: &TenantScope,
        record: &ErasureRecord,
    ) -> Result<Vec<Subject>> {
        let (engine, of) = (Arc::clone(&self.engine), record.clone());
        let is_known = blocking(move || engine.authentic(&of)).await?;
        if !is_known || scope.tenant().as_str() != record.tenant {
            return Ok(Vec::new());
        }
        let tenant = self.engine.tenant(scope).await?;
        let (engine, of) = (Arc::clone(&self.engine), record.clone());
        let found = blocking(move || engine.find(&tenant, &of)).await?;
        let studies = found.studies.iter().map(|uid| Subject::study(&**uid));
        Ok(studies.chain(found.patients.iter().map(whom)).collect())
    }

    /// Ends what [`Archive::erase_again`] began, when nobody keeps rows about
    /// its studies any more.
    ///
    /// # Errors
    /// When the disk or the index fails; it is due still then.
    pub async fn erased_again(&self, record: &ErasureRecord) -> Result<()> {
        let id = record.id.clone();
        self.engine
            .writer
            .run(move |db, _| erase::end_again(db, &id))
            .await?;
        self.scrub_certified().await?;
        let (engine, done) = (Arc::clone(&self.engine), record.clone());
        blocking(move || {
            let _one = engine.ledger.lock().unwrap_or_else(PoisonError::into_inner);
            let path = engine.dir.join(DUE);
            let left = ledger::without(ledger::read(&path)?, &[done]);
            match left.is_empty() {
                true => ledger::remove(&path),
                false => ledger::write(&path, &left),
            }
        })
        .await
    }
}

impl Engine {
    /// Whether the tenant of a record is here; an error when the record was not
    /// made with its key.
    pub(super) fn authentic(&self, record: &ErasureRecord) -> Result<bool> {
        let Some(key) = self.keys.derived(&record.tenant, PURPOSE)? else {
            return Ok(false);
        };
        let made = mac(&key, record)?;
        constant_time::verify_slices_are_equal(&made, &record.mac.0).map_err(|_| {
            ArchiveError::Invalid(
                "a record of an erasure was changed, or is of another installation: restore \
                 again, with the right one",
            )
        })?;
        Ok(true)
    }

    fn find(&self, tenant: &Tenant, record: &ErasureRecord) -> Result<Found> {
        let (keys, name, now) = (&self.keys, tenant.id.as_str(), self.clock.now_millis());
        let marked = |level: Level, uid: &str, within: &str, among: &[Digest]| {
            Ok::<_, ArchiveError>(
                !among.is_empty()
                    && among.contains(&Digest(mark(keys, name, level, uid, within, now)?)),
            )
        };
        let (marks, mut found) = (&record.marks, Found::default());
        self.readers.read_here(|db| {
            for patient in erase::patients(db, tenant.row)? {
                if patient_mark(keys, name, &patient, now)? == record.patient.0 {
                    found
                        .studies
                        .extend(erase::studies(db, tenant.row, &patient)?);
                    found.patients.push(patient);
                }
            }
            erase::each_study(db, tenant.row, |study| {
                if marked(Level::Study, &study, "", &marks.studies)?
                    && !found.studies.contains(&study)
                {
                    found.studies.push(study);
                }
                Ok(())
            })?;
            if !marks.series.is_empty() {
                erase::each_series(db, tenant.row, |study, series| {
                    if marked(Level::Series, &series, &study, &marks.series)? {
                        found.series.push((study, series));
                    }
                    Ok(())
                })?;
            }
            if !marks.instances.is_empty() {
                erase::each_instance(db, &self.packs, tenant.row, |study, series, uid| {
                    if marked(Level::Instance, uid, "", &marks.instances)? {
                        let place = (study.to_owned(), series.to_owned(), uid.to_owned());
                        found.instances.push(place);
                    }
                    Ok(())
                })?;
            }
            if !marks.quarantined.is_empty() {
                for (id, sha256) in quarantine::digests(db, tenant.row)? {
                    let of = Digest(keys.keyed_hash(name, &quarantine_label(&sha256), now)?);
                    if marks.quarantined.contains(&of) {
                        found.quarantined.push(id);
                    }
                }
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn delete_found(&self, tenant: &Arc<Tenant>, scope: &TenantScope, found: Found) -> Result<()> {
        let studies = found.studies.into_iter().map(MetadataScope::Study);
        let series = found
            .series
            .into_iter()
            .map(|(study, series)| MetadataScope::Series { study, series });
        let instances = found
            .instances
            .into_iter()
            .map(|(study, series, instance)| MetadataScope::Instance {
                study,
                series,
                instance,
            });
        for of in studies.chain(series).chain(instances) {
            let deletion = NewDeletion {
                of,
                cause: Cause::ErasedAgain,
                reason: String::new(),
                by: BY.to_owned(),
            };
            match self.delete(tenant, scope, deletion) {
                // It went with its study or its series.
                Err(ArchiveError::NotFound) => {}
                deleted => drop(deleted?),
            }
        }
        Ok(())
    }

    /// Destroys those keys of a record that are there still.
    fn destroy_keys_of(&self, tenant: &Tenant, record: &ErasureRecord) -> Result<()> {
        let (row, mut ids) = (tenant.row, Vec::new());
        for key in &record.keys {
            ids.push(hex::decode::<16>(key).ok_or(ArchiveError::Corrupt)?);
        }
        self.writer.run_here(move |db, _| {
            let tx = db.begin(row)?;
            for id in &ids {
                tombstone::doom(&tx, row, id)?;
            }
            Ok(tx.commit()?)
        })?;
        self.destroy_dead_keys()
    }
}
