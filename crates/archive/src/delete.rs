//! Deletion: a note of it first, then one transaction, then the key. A crash in
//! between leaves either everything or a key that the next start destroys.

use std::sync::{Arc, PoisonError};

use hilum_contracts::audit::{Act, Detail, Entry, Subject};
use hilum_platform::scope::TenantScope;

use crate::db::Connection;
use crate::descriptor::Digest;
use crate::engine::Engine;
use crate::error::{ArchiveError, Result};
use crate::index::delete::{self, Unit};
use crate::index::tombstone::{self, Level, Marks, mark};
use crate::index::{hold, placement};
use crate::limits;
use crate::model::{Cause, Deleted, ErasedMarks, MetadataScope, NewDeletion};
use crate::note::Note;
use crate::steps;
use crate::tenant::Tenant;

impl Engine {
    /// Deletes what `deletion` names. Blocks until it is durable.
    pub(crate) fn delete(
        &self,
        tenant: &Arc<Tenant>,
        scope: &TenantScope,
        deletion: NewDeletion,
    ) -> Result<Deleted> {
        if deletion.reason.len() > limits::REASON_BYTES || deletion.by.len() > limits::REASON_BYTES
        {
            return Err(ArchiveError::Invalid("the reason is too long"));
        }
        let now = self.clock.now_millis();
        let name = tenant.id.as_str();
        let (level, uid, within) = match &deletion.of {
            MetadataScope::Study(study) => (Level::Study, study, ""),
            MetadataScope::Series { study, series } => (Level::Series, series, study.as_str()),
            MetadataScope::Instance { instance, .. } => (Level::Instance, instance, ""),
        };
        // Nothing is written about what is not there.
        self.readers.read_here(|db| {
            let study = tombstone::study_row(db, tenant.row, deletion.of.study())?;
            // Asked again in the transaction; here so that no note tells of a
            // deletion that is refused.
            match deletion.cause {
                Cause::ErasedAgain => Ok(()),
                _ => hold::may_delete(db, tenant.row, study, now),
            }
        })?;
        steps::at("delete.begin");
        let mark = mark(&self.keys, name, level, uid, within, now)?;
        let also = self.marks_of_followers(tenant, &deletion.of, now)?;
        let note = Note::Deleted {
            level: level.as_str().to_owned(),
            mark,
            also: also.all().collect(),
            cause: deletion.cause,
            reason: deletion.reason.clone(),
            by: deletion.by.clone(),
            at: now,
        };
        let note = self.write_note(tenant, NOTES, &note)?;
        let others = also.all().map(|Digest(mark)| mark);
        let marks = std::iter::once(mark).chain(others).collect();
        let entry = Entry::new(Act::Delete)
            .about(Subject::study(deletion.of.study()))
            .with(Detail::Change, level.as_str())
            .with(Detail::Reason, deletion.cause.as_str());
        let unit = Unit {
            tenant: tenant.id.clone(),
            tenant_row: tenant.row,
            keys: match level {
                Level::Study => {
                    let own = self.keys.id_of(name, deletion.of.study())?;
                    own.into_iter().chain(also.keys).collect()
                }
                Level::Series | Level::Instance => Vec::new(),
            },
            told: self.told(tenant, scope, entry)?,
            deletion,
            level,
            marks,
            note,
        };
        let deleted = self.carry_out(tenant, unit.note.name, move |db, context| {
            let now = context.clock.now_millis();
            let deleted = delete::delete(db, &context.packs, &unit, now)?;
            context.bell.notify_one();
            Ok(deleted)
        })?;
        steps::at("delete.committed");
        self.quotas.recount();
        self.destroy_dead_keys()?;
        Ok(deleted)
    }

    /// Under which other marks, and sealed with which other keys, what is to be
    /// deleted was received before it was moved there.
    pub(crate) fn marks_of_followers(
        &self,
        tenant: &Tenant,
        of: &MetadataScope,
        now: i64,
    ) -> Result<OfFollowers> {
        let series = match of {
            MetadataScope::Study(_) => None,
            MetadataScope::Series { series, .. } => Some(series.as_str()),
            // Its own mark is the same wherever it is.
            MetadataScope::Instance { .. } => return Ok(OfFollowers::default()),
        };
        let found = self
            .readers
            .read_here(|db| placement::followers(db, tenant.row, of.study(), series))?;
        let (keys, name) = (&self.keys, tenant.id.as_str());
        let mut all = OfFollowers::default();
        for study in &found.studies {
            all.marks
                .studies
                .push(Digest(mark(keys, name, Level::Study, study, "", now)?));
            all.keys.extend(keys.id_of(name, study)?);
        }
        for (study, series) in &found.series {
            all.marks
                .series
                .push(Digest(mark(keys, name, Level::Series, series, study, now)?));
        }
        for instance in &found.instances {
            all.marks.instances.push(Digest(mark(
                keys,
                name,
                Level::Instance,
                instance,
                "",
                now,
            )?));
        }
        Ok(all)
    }

    /// Destroys the keys of what was deleted, and forgets what is in memory.
    /// Also after a crash. Blocks.
    pub(crate) fn destroy_dead_keys(&self) -> Result<()> {
        let destroyed = self.destroy_each();
        self.hot.forget();
        destroyed
    }

    fn destroy_each(&self) -> Result<()> {
        // Not between the copies of index and keys that a backup makes: it would
        // have rows whose key it lacks.
        let _whole = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        for (row, tenant, id) in self.readers.read_here(tombstone::undestroyed)? {
            self.keys.destroy_id(&tenant, &id)?;
            self.writer
                .run_here(move |db, _| tombstone::destroyed(db, row, &id))?;
        }
        Ok(())
    }

    /// [`ArchiveError::Deleted`] when what comes was deleted here, and resends
    /// are refused.
    pub(crate) fn admit(&self, tenant: &Tenant, marks: &Marks) -> Result<()> {
        if self.takes_resends(tenant.id.as_str()) {
            return Ok(());
        }
        let stands = |db: &Connection| tombstone::stands(db, tenant.row, marks);
        if self.readers.read_here(stands)? {
            return Err(ArchiveError::Deleted);
        }
        Ok(())
    }
}

#[derive(Default)]
pub(crate) struct OfFollowers {
    pub(crate) marks: ErasedMarks,
    keys: Vec<[u8; 16]>,
}

impl OfFollowers {
    fn all(&self) -> impl Iterator<Item = Digest> {
        let marks = &self.marks;
        let levels = [&marks.studies, &marks.series, &marks.instances];
        levels.into_iter().flatten().copied()
    }
}

/// The key label of notes about what is there no more; no UID begins like this.
pub(crate) const NOTES: &str = "notes:deleted";
