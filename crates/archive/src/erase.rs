//! Erasure of a patient: every study under a Patient ID is deleted and its key
//! destroyed, quarantined items that name it go, and nothing of either stays
//! in free pages, in the write-ahead log or in object files.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use futures::TryStreamExt;
use hilum_contracts::audit::{Act, Detail, Entry, Subject};
use hilum_platform::scope::TenantScope;

use crate::archive::keeping::label;
use crate::archive::{Archive, blocking};
use crate::descriptor::hex;
use crate::error::{ArchiveError, Result};
use crate::format::{SEGMENT_HEADER, SegmentHeader};
use crate::index::{erase, hold, tombstone};
use crate::limits;
use crate::lookup::Extent;
use crate::model::{Cause, Erased, ErasedPatient, ErasureRow, MetadataScope, NewDeletion, Page};
use crate::read::RangeReader;
use crate::steps;
use crate::tenant::Tenant;

/// A reader may hold the write-ahead log open for a moment.
const SCRUB_ATTEMPTS: u32 = 50;
const SCRUB_PAUSE: Duration = Duration::from_millis(100);

impl Archive {
    /// Destroys what the archive holds of a patient. What is asked first is
    /// whether all of it may go: one held study keeps them all. The erasure is
    /// over when it is certified ([`Archive::certify`]); until then, and after
    /// any crash, it counts as [unfinished](Archive::unfinished_erasures), and
    /// asked again it goes on, with the studies that are gone already.
    /// `elements`: how the Patient ID stands in bytes that could not be read,
    /// so that quarantined items of the patient are found.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when there is nothing under this Patient ID,
    /// also not of an erasure before; [`ArchiveError::Held`]; of the disk.
    pub async fn erase(
        &self,
        scope: &TenantScope,
        patient: ErasedPatient,
        elements: &[Vec<u8>],
        by: &str,
    ) -> Result<Erased> {
        let tenant = self.engine.tenant(scope).await?;
        let now = self.engine.clock.now_millis();
        let (of, row) = (patient.clone(), tenant.row);
        let (there, begun) = self
            .engine
            .readers
            .read(move |db| {
                let there = erase::studies(db, row, &of)?;
                for uid in &there {
                    let study = tombstone::study_row(db, row, uid)?;
                    hold::may_delete(db, row, study, now)?;
                }
                Ok((there, erase::begun(db, row, &of)?))
            })
            .await?;
        let items = self.quarantined_with(scope, elements).await?;
        if there.is_empty() && items.is_empty() && begun.is_none() {
            self.scrub_certified().await?;
            return Err(ArchiveError::NotFound);
        }
        let mut studies = begun.unwrap_or_default();
        studies.extend(there.iter().cloned());
        studies.sort_unstable();
        studies.dedup();
        let (all, asked, of) = (studies.clone(), by.to_owned(), patient.clone());
        let entry = Entry::new(Act::Erase)
            .about(whom(&patient))
            .with(Detail::Change, "begun");
        let told = self.told(&tenant, scope, entry).await?;
        self.engine
            .writer
            .run(move |db, _| erase::begin(db, row, &patient, &asked, &all, (&told, now)))
            .await?;
        steps::at("erase.begun");
        let mut erased = Erased {
            holds: self.erase_holds(&tenant, Some(&of), &studies).await?,
            ..Erased::default()
        };
        for study in there {
            let label = study.clone();
            let engine = Arc::clone(&self.engine);
            let owner = Arc::clone(&tenant);
            let (key, marks) = blocking(move || {
                let now = engine.clock.now_millis();
                let key = engine.keys.id_of(owner.id.as_str(), &label)?;
                let of = MetadataScope::Study(label);
                Ok((key, engine.marks_of_followers(&owner, &of, now)?.marks))
            })
            .await?;
            erased.marks.add(marks);
            let deletion = NewDeletion {
                of: MetadataScope::Study(study),
                cause: Cause::Erased,
                reason: String::new(),
                by: by.to_owned(),
            };
            let (engine, by) = (Arc::clone(&self.engine), scope.clone());
            let owner = Arc::clone(&tenant);
            let deleted = match blocking(move || engine.delete(&owner, &by, deletion)).await {
                // Somebody else deleted it in between.
                Err(ArchiveError::NotFound) => continue,
                deleted => deleted?,
            };
            erased.instances += deleted.instances;
            erased.objects += deleted.objects;
            erased.keys.extend(key.map(|id| hex::encode(&id)));
            steps::at("erase.keys");
        }
        for item in items {
            let mark = self.quarantined_mark(scope, item).await?;
            erased.marks.quarantined.extend(mark);
            match self.delete_quarantined(scope, item).await {
                // Somebody else deleted it in between.
                Err(ArchiveError::NotFound) => {}
                deleted => {
                    deleted?;
                    erased.quarantined += 1;
                }
            }
        }
        erased.studies = studies;
        let gone = erased.studies.iter().map(|uid| Subject::study(&**uid));
        let gone: Vec<_> = gone.chain([whom(&of)]).collect();
        self.forget_audited(scope, &gone).await?;
        self.forget_events(scope, &erased.studies).await?;
        let (engine, row) = (Arc::clone(&self.engine), tenant.row);
        blocking(move || engine.merge_lookup(row, Extent::Everything)).await?;
        steps::at("erase.rows");
        Ok(erased)
    }

    /// Forgets lifted holds that name the patient or the studies, with their
    /// notes and keys; how many.
    pub(crate) async fn erase_holds(
        &self,
        tenant: &Arc<Tenant>,
        patient: Option<&ErasedPatient>,
        studies: &[String],
    ) -> Result<u64> {
        let engine = Arc::clone(&self.engine);
        let (tenant, patient) = (Arc::clone(tenant), patient.cloned());
        let studies = studies.to_vec();
        blocking(move || {
            let (holds, notes) = engine.readers.read_here(|db| {
                let holds = hold::lifted(db, tenant.row, patient.as_ref(), &studies)?;
                let notes = match holds.is_empty() {
                    true => Vec::new(),
                    false => hold::unexplained(db, tenant.row)?,
                };
                Ok((holds, notes))
            })?;
            if holds.is_empty() {
                return Ok(0);
            }
            let name = tenant.id.as_str();
            let mut keys = Vec::new();
            for hold in &holds {
                keys.extend(engine.keys.id_of(name, &label(&hold.on))?);
            }
            let mut gone: Vec<i64> = holds.iter().map(|hold| hold.note).collect();
            for (note, object, offset) in notes {
                // Only its key says what a lifting's note is about.
                let mut head = [0; SEGMENT_HEADER];
                engine
                    .objects
                    .get(name, &object)?
                    .read_exact(&mut head, offset)?;
                if keys.contains(&SegmentHeader::decode(&head)?.key) {
                    gone.push(note);
                }
            }
            let rows: Vec<i64> = holds.iter().map(|hold| hold.id).collect();
            let count = rows.len() as u64;
            engine.writer.run_here(move |db, context| {
                let now = context.clock.now_millis();
                hold::forget(db, tenant.row, &rows, &gone, &keys, now)
            })?;
            engine.destroy_dead_keys()?;
            Ok(count)
        })
        .await
    }

    /// Quarantined items in whose bytes one of `elements` stands. Nothing else
    /// is known of what could not be read.
    pub(crate) async fn quarantined_with(
        &self,
        scope: &TenantScope,
        elements: &[Vec<u8>],
    ) -> Result<Vec<i64>> {
        let mut found = Vec::new();
        let items = self
            .quarantined(scope, Page::first(limits::PAGE_ROWS))
            .await?;
        for item in items {
            let holds = match self.read_quarantined(scope, item.id, 0..item.length).await {
                Ok(reader) => holds(reader, elements).await,
                Err(error) => Err(error),
            };
            match holds {
                Ok(true) => found.push(item.id),
                Ok(false) => {}
                Err(error) => {
                    // What was deleted while it was read holds nothing of anybody.
                    if self.quarantined_item(scope, item.id).await?.is_some() {
                        return Err(error);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Removes from the outbox what names these studies.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn forget_events(&self, scope: &TenantScope, studies: &[String]) -> Result<()> {
        let (tenant, studies) = (scope.tenant().clone(), studies.to_vec());
        self.engine
            .writer
            .run(move |db, _| erase::forget_events(db, tenant.as_str(), &studies))
            .await
    }

    /// Erasures that were begun and are not certified, and who asked for them.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn unfinished_erasures(
        &self,
        scope: &TenantScope,
    ) -> Result<Vec<(ErasedPatient, String)>> {
        self.ask(scope, Vec::new(), erase::unfinished).await
    }

    /// Ends the erasure of a patient: keeps its certificate, forgets whom it was
    /// about, and leaves nothing readable in dead objects, free pages and
    /// write-ahead logs. The certificate's number.
    ///
    /// # Errors
    /// When the disk or the index fails. The certificate may be kept then, and
    /// what it is about still stand in a log: erase the patient again.
    pub async fn certify(
        &self,
        scope: &TenantScope,
        patient: ErasedPatient,
        certificate: String,
    ) -> Result<i64> {
        let tenant = self.engine.tenant(scope).await?;
        let entry = Entry::new(Act::Erase).with(Detail::Change, "certified");
        let told = self.told(&tenant, scope, entry).await?;
        let id = self
            .engine
            .writer
            .run(move |db, context| {
                let now = context.clock.now_millis();
                erase::certify(db, tenant.row, &patient, now, &certificate, &told)
            })
            .await?;
        steps::at("erase.certified");
        self.scrub_certified().await?;
        steps::at("erase.done");
        Ok(id)
    }

    /// Scrubs when something was certified and not scrubbed since.
    ///
    /// # Errors
    /// When the disk or the index fails; ask again.
    pub async fn scrub_certified(&self) -> Result<()> {
        let certified = self.engine.readers.read(erase::unscrubbed).await?;
        if !certified.is_empty() {
            self.scrub().await?;
            // Not what was certified since.
            self.engine
                .writer
                .run(move |db, _| erase::scrubbed(db, &certified))
                .await?;
        }
        Ok(())
    }

    /// Removes dead objects, and what is left of deleted rows in free pages and
    /// write-ahead logs. Objects that a backup reads go at its end: their keys
    /// are gone, and a backup may take hours.
    pub(crate) async fn scrub(&self) -> Result<()> {
        if !self.engine.sweep_or_leave(limits::ERASURE_WAITS).await? {
            tracing::info!("files of erased objects go when the backup that runs has ended");
        }
        self.engine.writer.run(|db, _| Ok(db.rewrite()?)).await?;
        let mut attempts = 0;
        while !self.engine.writer.run(|db, _| db.empty_log()).await? {
            attempts += 1;
            if attempts == SCRUB_ATTEMPTS {
                let text = "a reader keeps the write-ahead log".to_owned();
                return Err(ArchiveError::Index(text));
            }
            tokio::time::sleep(SCRUB_PAUSE).await;
            // A backup that copies the index is the one reader that takes long.
            let engine = Arc::clone(&self.engine);
            blocking(move || {
                drop(
                    engine
                        .snapshot
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner),
                );
                Ok(())
            })
            .await?;
        }
        let engine = Arc::clone(&self.engine);
        blocking(move || engine.keys.scrub()).await
    }

    /// The certificates of a tenant, the newest first.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn certificates(&self, scope: &TenantScope, limit: u32) -> Result<Vec<ErasureRow>> {
        self.ask(scope, Vec::new(), move |db, tenant| {
            erase::certificates(db, tenant, limit)
        })
        .await
    }
}

/// The patient, as the trail names them.
pub(crate) fn whom(patient: &ErasedPatient) -> Subject {
    Subject::patient(&*patient.id, patient.issuer.as_deref())
}

/// Whether one of `needles` stands in what `reader` gives.
async fn holds(mut reader: RangeReader, needles: &[Vec<u8>]) -> Result<bool> {
    let longest = needles.iter().map(Vec::len).max().unwrap_or(0);
    let mut window: Vec<u8> = Vec::new();
    while let Some(piece) = reader.try_next().await? {
        window.extend_from_slice(&piece);
        let found = needles.iter().any(|needle| {
            !needle.is_empty() && window.windows(needle.len()).any(|part| part == needle)
        });
        if found {
            return Ok(true);
        }
        // What may stand across two pieces.
        window.drain(..window.len().saturating_sub(longest));
    }
    Ok(false)
}

/// SHA-256 in hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes).as_ref())
}
