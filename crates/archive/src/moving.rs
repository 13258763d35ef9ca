//! Moves: what is moved is sealed anew under the key of the study that it goes
//! to, for a key never covers two studies, and one transaction gives the rows
//! their new place. Bodies are copied as they are, each checked against its
//! SHA-256 on the way.

use hilum_contracts::audit::{self, Act, Subject};
use hilum_platform::scope::TenantScope;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::db::Connection;
use crate::descriptor::{Blocks, Descriptor, Placed};
use crate::engine::Engine;
use crate::error::{ArchiveError, Result};
use crate::format::Kind;
use crate::index::moving::{self, Source};
use crate::index::objects::Name;
use crate::index::placement::{self, Redirect};
use crate::index::relocate::{self, Sealed, Unit};
use crate::index::schema::state;
use crate::index::tombstone::Marks;
use crate::index::{objects, packs};
use crate::limits;
use crate::model::{Followed, Moved, NewMove, StudyRow};
use crate::note::Note;
use crate::pack::{Copied, Entry};
use crate::seal::too_long;
use crate::steps;
use crate::stream::{ObjectWriter, SegmentSource};
use crate::tenant::Tenant;

/// What was sealed anew.
struct Written {
    sealed: Vec<Sealed>,
    bytes: u64,
    key: [u8; 16],
    marks: Marks,
}

impl Engine {
    /// Makes a move. Nothing else may move instances meanwhile (see `moving`).
    /// Blocks until it is durable.
    pub(crate) fn relocate(
        &self,
        tenant: &Arc<Tenant>,
        scope: &TenantScope,
        asked: NewMove,
    ) -> Result<Moved> {
        steps::at("move.begin");
        let row = tenant.row;
        self.readers
            .read_here(|db| moving::admits(db, (row, &asked), None))?;
        let unpack = asked.clone();
        self.writer.run_here(move |db, context| {
            let now = context.clock.now_millis();
            let of = (row, unpack.study.as_str(), &unpack.of);
            moving::unpack(db, &context.packs, of, now)
        })?;
        let sources = self
            .readers
            .read_here(|db| moving::sources(db, row, &asked.study, &asked.of))?;
        if sources.is_empty() {
            return Err(ArchiveError::NotFound);
        }
        let name = self.writer.take_name(tenant)?;
        let written = self
            .seal_anew(tenant, name, &asked, &sources)
            .inspect_err(|_| self.give_up(name))?;
        steps::at("move.sealed");
        let series: BTreeSet<&String> = sources.iter().map(|one| &one.series_uid).collect();
        let note = Note::Moved {
            from_study: asked.study.clone(),
            series: series.into_iter().cloned().collect(),
            study: asked.to.study.clone(),
            to_series: asked.to.series.clone(),
            of: asked.of.clone(),
            overlay: asked.overlays.first().map(|(_, after)| after.clone()),
            object: crate::descriptor::hex::encode(&name.name),
            detail: asked.detail.clone(),
            reason: asked.reason.clone(),
            by: asked.by.clone(),
            at: self.clock.now_millis(),
        };
        let note = self
            .write_note(tenant, &asked.to.study, &note)
            .inspect_err(|_| self.give_up(name))?;
        let entry = audit::Entry::new(Act::Move)
            .about(Subject::study(&*asked.study))
            .about(Subject::study(&*asked.to.study));
        let unit = Unit {
            tenant: tenant.id.clone(),
            tenant_row: row,
            told: self.told(tenant, scope, entry)?,
            asked,
            sources,
            sealed: written.sealed,
            name,
            bytes: written.bytes,
            key: written.key,
            marks: written.marks,
            note,
        };
        let moved = self.carry_out(tenant, unit.note.name, move |db, context| {
            let now = context.clock.now_millis();
            let error = match relocate::relocate(db, &unit, now) {
                Ok(moved) => {
                    context.bell.notify_one();
                    return Ok(moved);
                }
                Err(error) => error,
            };
            db.abandon();
            // When COMMIT's own answer is unclear, the state is read.
            if objects::state_of(db, unit.name.row)? == Some(state::LIVE) {
                context.bell.notify_one();
                let instances = unit.sources.len() as u64;
                return Ok(Moved { instances });
            }
            crate::writer::abandon(db, context, unit.name);
            Err(error)
        })?;
        steps::at("move.committed");
        self.quotas.recount();
        Ok(moved)
    }

    fn seal_anew(
        &self,
        tenant: &Arc<Tenant>,
        name: Name,
        asked: &NewMove,
        sources: &[Source],
    ) -> Result<Written> {
        let owner = tenant.id.as_str();
        let to = &asked.to;
        let key = self
            .keys
            .for_label(owner, &to.study, self.clock.now_millis())?;
        let mut object = ObjectWriter::create(self, tenant, name, Kind::Moved)?;
        let mut sealed = Vec::with_capacity(sources.len());
        let mut marks = None;
        for (source, ordinal) in sources.iter().zip(0_u32..) {
            let (overlay, _) = asked
                .overlays
                .iter()
                .find(|(before, _)| *before == source.overlay)
                .map(|(_, after)| (after, ()))
                .ok_or(ArchiveError::Outdated)?;
            let row = self
                .readers
                .read_here(|db| packs::loose_row(db, source.id))?
                .ok_or(ArchiveError::Outdated)?;
            let mut descriptor = self.descriptor_of(tenant, &row)?;
            let (metadata, layout) = self.readers.read_here(|db| packs::texts(db, row.id))?;
            let placed = Placed {
                study: std::mem::replace(&mut descriptor.study, to.study.clone()),
                series: descriptor.series.clone(),
                overlay: overlay.clone(),
            };
            descriptor.series = to
                .series
                .clone()
                .unwrap_or_else(|| source.series_uid.clone());
            // Where it was received stays said when it moves again.
            descriptor.placed = Some(match descriptor.placed.take() {
                Some(first) => Placed {
                    overlay: placed.overlay,
                    ..first
                },
                None => placed,
            });
            descriptor.patient = to.patient.clone();
            descriptor.study_attributes = to.study_attributes.clone();
            if marks.is_none() {
                let now = self.clock.now_millis();
                marks = Some(Marks::of(&self.keys, owner, &descriptor, now)?);
            }
            let text = descriptor.encode(&Blocks { metadata, layout })?;
            let at = (&row.object, row.segment, row.offset, row.length);
            let body = self.open_body(tenant, at.0, at.1, at.2, at.3)?;
            let offset = object.segment_of(
                ordinal,
                (&key.id, &key.secret),
                &text,
                SegmentSource {
                    length: row.length,
                    sha256: &row.sha256,
                    from: &mut Copied::new(body, row.length),
                },
            )?;
            steps::at("move.segment");
            sealed.push(Sealed {
                segment: ordinal,
                offset,
            });
        }
        Ok(Written {
            sealed,
            bytes: object.finish(self)?,
            key: key.id,
            marks: marks.ok_or_else(too_long)?,
        })
    }

    /// What a row's descriptor says, also of one that was in a pack before.
    fn descriptor_of(&self, tenant: &Tenant, row: &packs::LooseRow) -> Result<Descriptor> {
        if let Some(entry) = self.remaining_entry(tenant, row)? {
            return Ok(Entry::descriptor(entry));
        }
        let segment = self.open_body(tenant, &row.object, row.segment, row.offset, row.length)?;
        let (descriptor, _) = Descriptor::decode(&segment.descriptor()?)?;
        Ok(descriptor)
    }

    /// Where what is received under these UIDs is.
    pub(crate) fn followed(
        &self,
        tenant: &Tenant,
        study: &str,
        series: &str,
    ) -> Result<Option<Followed>> {
        if tenant.has_nothing_moved() {
            return Ok(None);
        }
        let found = self
            .readers
            .read_here(|db| placement::of(db, tenant.row, study, series))?;
        Ok(found.map(|to| Followed {
            study: to.study,
            series: to.series,
        }))
    }
}

/// The way to where what comes belongs, and the study there.
pub(crate) struct Way {
    to: Redirect,
    study: Option<StudyRow>,
}

impl Way {
    pub(crate) fn of(db: &Connection, tenant: i64, of: &Descriptor) -> Result<Option<Self>> {
        let Some(to) = placement::of(db, tenant, &of.study, &of.series)? else {
            return Ok(None);
        };
        let study = placement::study(db, tenant, &to.study)?;
        Ok(Some(Self { to, study }))
    }

    pub(crate) fn lead(self, of: &mut Descriptor) {
        of.placed = Some(Placed {
            study: std::mem::replace(&mut of.study, self.to.study),
            series: std::mem::replace(&mut of.series, self.to.series),
            overlay: self.to.overlay,
        });
        if let Some(study) = self.study {
            of.patient = study.patient;
            of.study_attributes = study.attributes;
        }
    }
}

/// Bounds of what a person may say about a move.
pub(crate) fn check(asked: &NewMove) -> Result<()> {
    let uids = [Some(&asked.to.study), asked.to.series.as_ref()];
    let bad_uid = uids
        .into_iter()
        .flatten()
        .any(|uid| uid.is_empty() || uid.len() > limits::UID_BYTES);
    let long = asked.reason.len() > limits::REASON_BYTES
        || asked.by.len() > limits::REASON_BYTES
        || asked.detail.len() > limits::OVERLAY_BYTES
        || asked
            .overlays
            .iter()
            .any(|(_, after)| after.len() > limits::OVERLAY_BYTES);
    if bad_uid || long {
        return Err(ArchiveError::Invalid("the move says too much"));
    }
    Ok(())
}
