//! Erasure of a patient: every study under a Patient ID is deleted and its key
//! destroyed, quarantined items that name it go, and nothing of either stays
//! in free pages, in the write-ahead log or in object files.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use futures::TryStreamExt;
use hilum_platform::scope::TenantScope;

use crate::archive::{Archive, blocking};
use crate::descriptor::hex;
use crate::error::{ArchiveError, Result};
use crate::index::{erase, hold, sqlite, tombstone};
use crate::limits;
use crate::model::{Cause, Erased, ErasedPatient, ErasureRow, MetadataScope, NewDeletion, Page};
use crate::read::RangeReader;
use crate::steps;

/// A reader may hold the write-ahead log open for a moment.
const SCRUB_ATTEMPTS: u32 = 50;
const SCRUB_PAUSE: Duration = Duration::from_millis(100);

impl Archive {
    /// Destroys everything of a patient that the archive holds. What is asked
    /// first is whether all of it may go: one held study keeps them all.
    /// `elements`: how the Patient ID stands in bytes that could not be read,
    /// so that quarantined items of the patient are found.
    ///
    /// # Errors
    /// [`ArchiveError::NotFound`] when there is nothing under this Patient ID,
    /// [`ArchiveError::Held`]; of the disk, and then asked again it goes on.
    pub async fn erase(
        &self,
        scope: &TenantScope,
        patient: ErasedPatient,
        elements: &[Vec<u8>],
        by: &str,
    ) -> Result<Erased> {
        let tenant = self.engine.tenant(scope).await?;
        let (of, now) = (patient.clone(), self.engine.clock.now_millis());
        let studies = self
            .ask(scope, Vec::new(), move |db, tenant| {
                erase::studies(db, tenant, &of)
            })
            .await?;
        let held = studies.clone();
        self.ask(scope, (), move |db, tenant| {
            held.iter().try_for_each(|uid| {
                let study = tombstone::study_row(db, tenant, uid)?;
                hold::may_delete(db, tenant, study, now)
            })
        })
        .await?;
        let mut erased = Erased::default();
        for study in &studies {
            let label = study.clone();
            let engine = Arc::clone(&self.engine);
            let owner = Arc::clone(&tenant);
            let key = blocking(move || engine.keys.id_of(owner.id.as_str(), &label)).await?;
            let deletion = NewDeletion {
                of: MetadataScope::Study(study.clone()),
                cause: Cause::Erased,
                reason: String::new(),
                by: by.to_owned(),
            };
            let engine = Arc::clone(&self.engine);
            let owner = Arc::clone(&tenant);
            let deleted = blocking(move || engine.delete(&owner, deletion)).await?;
            erased.instances += deleted.instances;
            erased.objects += deleted.objects;
            erased.keys.extend(key.map(|id| hex::encode(&id)));
            steps::at("erase.keys");
        }
        erased.quarantined = self.erase_quarantined(scope, elements).await?;
        if studies.is_empty() && erased.quarantined == 0 {
            return Err(ArchiveError::NotFound);
        }
        erased.studies = studies;
        self.forget_events(scope, &erased.studies).await?;
        steps::at("erase.rows");
        self.scrub().await?;
        steps::at("erase.done");
        Ok(erased)
    }

    /// Deletes quarantined items in whose bytes one of `elements` stands.
    /// Nothing else is known of what could not be read.
    async fn erase_quarantined(&self, scope: &TenantScope, elements: &[Vec<u8>]) -> Result<u64> {
        let mut erased = 0;
        let items = self
            .quarantined(scope, Page::first(limits::PAGE_ROWS))
            .await?;
        for item in items {
            let reader = self
                .read_quarantined(scope, item.id, 0..item.length)
                .await?;
            if holds(reader, elements).await? {
                self.delete_quarantined(scope, item.id).await?;
                erased += 1;
            }
        }
        Ok(erased)
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

    /// Removes dead objects, and what is left of deleted rows in free pages and
    /// write-ahead logs.
    ///
    /// # Errors
    /// When the disk or the index fails; ask again.
    pub async fn scrub(&self) -> Result<()> {
        self.engine.sweep().await?;
        self.engine
            .writer
            .run(|db, _| {
                db.execute_batch("VACUUM")?;
                Ok(())
            })
            .await?;
        let mut attempts = 0;
        while !self
            .engine
            .writer
            .run(|db, _| sqlite::truncate_log(db))
            .await?
        {
            attempts += 1;
            if attempts == SCRUB_ATTEMPTS {
                let text = "a reader keeps the write-ahead log".to_owned();
                return Err(ArchiveError::Index(text));
            }
            tokio::time::sleep(SCRUB_PAUSE).await;
        }
        let engine = Arc::clone(&self.engine);
        blocking(move || engine.keys.scrub()).await
    }

    /// Keeps the certificate of an erasure.
    ///
    /// # Errors
    /// When the index does not answer.
    pub async fn keep_certificate(&self, scope: &TenantScope, certificate: String) -> Result<i64> {
        let tenant = self.engine.tenant(scope).await?;
        self.engine
            .writer
            .run(move |db, context| {
                erase::keep_certificate(db, tenant.row, context.clock.now_millis(), &certificate)
            })
            .await
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
