//! How a settled series becomes a pack: what it has is read once more, each
//! body checked against its SHA-256 on the way, written in slice order, synced,
//! and only then put in the place of its rows. Until that transaction nothing
//! of it counts; a crash before leaves a reserved object for the sweep.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;

use crate::engine::Engine;
use crate::error::{ArchiveError, Result};
use crate::format::BLOCK_SEGMENT;
use crate::index::head;
use crate::index::objects::{self, Name};
use crate::index::packs::{self, Candidate, NewPack};
use crate::index::schema::state;
use crate::index::{placement, reject};
use crate::limits::{self, PACK_INSTANCES};
use crate::lookup::Extent;
use crate::model::{Body, PackReport, Standing};
use crate::seal::too_long;
use crate::steps;
use crate::stream::{ObjectWriter, SegmentSource};
use crate::tenant::Tenant;
use crate::writer;

use super::block::{BlockWriter, Entry, Place};
use super::copied::Copied;
use super::drafts::Draft;
use super::head::Head;
use super::order::{Plane, along_normal};
use super::pace::Pace;

/// A pack's segments are described in its block, and nowhere else.
const DESCRIPTOR: &[u8] = &[];
/// Series listed at a time.
const BATCH: u32 = 64;

/// What became of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Packed {
        instances: u64,
        bytes: u64,
    },
    /// It changed meanwhile.
    Changed,
}

impl Engine {
    /// Packs what has been settled for `settled_for`, oldest first, once each.
    pub(crate) async fn pack_settled(
        self: &Arc<Self>,
        settled_for: Duration,
    ) -> Result<PackReport> {
        let wait = i64::try_from(settled_for.as_millis()).unwrap_or(i64::MAX);
        let until = self.clock.now_millis().saturating_sub(wait);
        let mut report = PackReport::default();
        let mut after = (i64::MIN, i64::MIN);
        let mut tenants = BTreeSet::new();
        loop {
            let batch = self
                .readers
                .read(move |db| packs::settled(db, until, after, BATCH))
                .await?;
            let Some(last) = batch.last() else { break };
            after = (last.since, last.series);
            for candidate in batch {
                // The last look of verification must not find instances on the
                // move.
                let _moving = self.moving.lock().await;
                let engine = Arc::clone(self);
                let outcome = crate::archive::blocking(move || engine.pack(&candidate, wait)).await;
                match outcome {
                    Ok((tenant, Some(Outcome::Packed { instances, bytes }))) => {
                        tenants.insert(tenant);
                        report.series += 1;
                        report.instances += instances;
                        report.bytes += bytes;
                    }
                    Ok((_, Some(Outcome::Changed))) => {}
                    Ok((_, None)) => report.skipped += 1,
                    Err(error @ (ArchiveError::OutOfSpace | ArchiveError::Closed)) => {
                        return Err(error);
                    }
                    Err(error) => {
                        report.skipped += 1;
                        tracing::error!(%error, "a settled series was not packed; it stays as it is");
                    }
                }
                self.count_backlog(until).await?;
            }
        }
        self.count_backlog(until).await?;
        for tenant in tenants {
            let engine = Arc::clone(self);
            crate::archive::blocking(move || engine.merge_lookup(tenant, Extent::Due)).await?;
        }
        Ok(report)
    }

    async fn count_backlog(&self, until: i64) -> Result<()> {
        let backlog = self
            .readers
            .read(move |db| packs::backlog(db, until))
            .await?;
        let series = u32::try_from(backlog).unwrap_or(u32::MAX);
        metrics::gauge!("archive_pack_backlog_series").set(f64::from(series));
        Ok(())
    }

    /// Whether there was anything to do. Blocks.
    pub(crate) fn merge_lookup(&self, tenant: i64, extent: Extent) -> Result<bool> {
        let alive = |ids| self.readers.read_here(|db| packs::alive(db, ids));
        let (readers, writer) = (&self.readers, &self.writer);
        self.packs
            .lookup
            .merge(readers, writer, tenant, extent, alive)
    }

    /// Packs one series; `None`: not now. Also its tenant's row. Blocks.
    fn pack(&self, candidate: &Candidate, settled_for: i64) -> Result<(i64, Option<Outcome>)> {
        let tenant = self.tenant_here(&candidate.tenant)?;
        let series = candidate.series;
        let started = Instant::now();
        let settled = candidate.since.saturating_add(settled_for);
        let waited = self.clock.now_millis().saturating_sub(settled);
        let waited = Duration::from_millis(u64::try_from(waited).unwrap_or(0));
        let outcome = self.pack_series(&tenant, series, waited);
        let now = self.clock.now_millis();
        let again = match &outcome {
            Ok(_) | Err(ArchiveError::OutOfSpace | ArchiveError::Closed) => {
                metrics::histogram!("archive_pack_seconds").record(started.elapsed().as_secs_f64());
                return Ok((tenant.row, Some(outcome?)));
            }
            // It is as settled as it gets: until something new arrives.
            Err(ArchiveError::Invalid(_)) => None,
            Err(_) => Some(now),
        };
        self.writer
            .run_here(move |db, _| packs::postpone(db, series, again))?;
        match outcome {
            Err(ArchiveError::Invalid(_)) => Ok((tenant.row, None)),
            other => Ok((tenant.row, Some(other?))),
        }
    }

    fn pack_series(&self, tenant: &Arc<Tenant>, series: i64, waited: Duration) -> Result<Outcome> {
        steps::at("pack.begin");
        let (rows, replaced, head) = self.readers.read_again(|db| {
            let rows = packs::loose(db, series, PACK_INSTANCES + 1)?;
            let head = head::of_series(db, series)?;
            Ok((rows, self.packs.of_series(db, series)?, head))
        })?;
        let packed = replaced.as_ref().map_or(0, |old| old.block.entries.len());
        if rows.len() + packed > PACK_INSTANCES {
            return Err(ArchiveError::Invalid("the series is too long for a pack"));
        }
        let stays = self.readers.read_here(|db| {
            Ok(reject::has_note(db, tenant.row, series)? || placement::is_in(db, series)?)
        })?;
        if stays {
            // Their descriptors say what they reject, and what lies over what
            // was moved: a block does not.
            return Err(ArchiveError::Invalid(
                "the series has a rejection note or moved instances",
            ));
        }
        let undecided = rows.iter().any(|row| row.standing == Standing::Conflict);
        if undecided || (rows.is_empty() && replaced.is_none()) {
            return Ok(Outcome::Changed);
        }
        let mut pace = Pace::new(self, waited);
        let mut drafts = self.drafts(tenant, &rows, replaced.as_ref(), &mut pace)?;
        self.publications(tenant.row, &mut drafts)?;
        drafts.sort_by_key(|draft| {
            let aside = draft.entry.standing != Standing::Served;
            (aside, draft.entry.key())
        });
        let block = self.texts(&drafts, replaced.as_ref(), &mut pace)?;
        let name = self.writer.take_name(tenant)?;
        let written = self.write_pack(tenant, name, &mut drafts, (&head, block), &mut pace);
        let (bytes, block_at, block_length) = match written {
            Ok(written) => written,
            Err(error) => {
                self.give_up(name);
                return Err(error);
            }
        };
        steps::at("pack.synced");
        let owner = self
            .readers
            .read_here(|db| self.packs.lookup.owner(db, tenant.row))?
            .ok_or(ArchiveError::NotFound)?;
        let served = |draft: &&Draft| draft.entry.standing == Standing::Served;
        let new = NewPack {
            tenant: tenant.row,
            series,
            name,
            bytes,
            block_at,
            block_length,
            rows: rows.iter().map(|row| (row.id, row.standing)).collect(),
            served: drafts.iter().filter(served).count() as u64,
            objects: drafts
                .iter()
                .filter_map(|draft| draft.entry.place.elsewhere)
                .collect(),
            hashes: drafts
                .iter()
                .map(|draft| owner.hash(&draft.entry.sop_instance))
                .collect(),
            replaces: replaced
                .as_ref()
                .map(|old| (old.row.id, old.overrides.clone())),
        };
        let done = self.commit_pack(new)?;
        steps::at("pack.committed");
        if let Some(old) = &replaced {
            self.packs.forget(old.row.id);
        }
        Ok(if done {
            let instances = drafts.len() as u64;
            metrics::counter!("archive_packed_instances_total").increment(instances);
            metrics::counter!("archive_packed_bytes_total").increment(bytes);
            Outcome::Packed { instances, bytes }
        } else {
            Outcome::Changed
        })
    }

    /// When COMMIT's own answer is unclear, the state is read, never guessed.
    fn commit_pack(&self, new: NewPack) -> Result<bool> {
        self.writer.run_here(move |db, context| {
            let now = context.clock.now_millis();
            let started = Instant::now();
            let committed = packs::commit(db, &new, now);
            metrics::histogram!("archive_pack_commit_seconds")
                .record(started.elapsed().as_secs_f64());
            let error = match committed {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            db.abandon();
            if objects::state_of(db, new.name.row)? == Some(state::LIVE) {
                return Ok(true);
            }
            writer::abandon(db, context, new.name);
            Err(error)
        })
    }

    /// Writes the object; its length, and where its block is.
    fn write_pack(
        &self,
        tenant: &Tenant,
        name: Name,
        drafts: &mut [Draft],
        (head, block): (&Head, BlockWriter),
        pace: &mut Pace<'_>,
    ) -> Result<(u64, u64, u64)> {
        let study = drafts.first().map(|draft| draft.entry.above.study.clone());
        let key = self.keys.for_label(
            tenant.id.as_str(),
            &study.unwrap_or_default(),
            self.clock.now_millis(),
        )?;
        let key = (&key.id, &*key.secret);
        let mut object = ObjectWriter::pack(self, tenant, name, *key.0)?;
        let mut unsynced = 0_u64;
        let mut ordinal = 0_u32;
        for index in slice_order(drafts) {
            let Some(draft) = drafts.get_mut(index) else {
                continue;
            };
            let length = draft.entry.length;
            if length > self.limits.bundled_instance_bytes {
                // Read where it is: a frame of it touches only its own bytes.
                draft.entry.place.elsewhere = Some(draft.object);
                continue;
            }
            let segment = self
                .open_body(tenant, &draft.object, draft.segment, draft.offset, length)?
                .once();
            let sha256 = draft.entry.sha256;
            let mut source = Copied::new(segment, length);
            let offset = object
                .segment_of(
                    ordinal,
                    key,
                    DESCRIPTOR,
                    SegmentSource {
                        length,
                        sha256: &sha256,
                        from: &mut source,
                    },
                )
                .map_err(|error| match error {
                    // What was stored is not what its hash says.
                    ArchiveError::Invalid(_)
                    | ArchiveError::Disk(std::io::ErrorKind::InvalidData) => ArchiveError::Corrupt,
                    other => other,
                })?;
            draft.entry.place = Place {
                elsewhere: None,
                segment: ordinal,
                offset,
            };
            ordinal = ordinal.checked_add(1).ok_or_else(too_long)?;
            steps::at("pack.segment");
            unsynced = unsynced.saturating_add(length);
            if unsynced >= limits::PACK_SYNC_BYTES {
                object.flush()?;
                unsynced = 0;
            }
            pace.rest();
        }
        let entries: Vec<Entry> = drafts.iter().map(|draft| draft.entry.clone()).collect();
        let block = block.finish(head, &entries)?;
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest::digest(&digest::SHA256, &block).as_ref());
        let length = block.len() as u64;
        let body = Body::Memory(block.into());
        let at = object.segment(BLOCK_SEGMENT, key, DESCRIPTOR, &body, &sha256)?;
        steps::at("pack.written");
        Ok((object.finish(self)?, at, length))
    }
}

/// Indexes in the order in which the segments are written.
fn slice_order(drafts: &[Draft]) -> Vec<usize> {
    let planes: Vec<Option<Plane>> = drafts.iter().map(|draft| draft.plane).collect();
    let mut order: Vec<usize> = (0..drafts.len()).collect();
    // Without planes that can be compared the drafts are in order already: by
    // instance number.
    if let Some(along) = along_normal(&planes) {
        order.sort_by(|a, b| {
            let at = |index: &usize| along.get(*index).copied().unwrap_or(0.0);
            at(a).total_cmp(&at(b)).then(a.cmp(b))
        });
    }
    order
}
