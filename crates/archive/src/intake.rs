//! From a new instance to a committed one: check, compress, seal, and either
//! join a bundle or stream an object of its own. Runs on threads that may
//! block; durability is the writer's business.

use std::sync::Arc;

use hilum_contracts::Event;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::descriptor::{Blocks, Descriptor, QuarantineDescriptor, compress};
use crate::engine::Engine;
use crate::error::{ArchiveError, Result};
use crate::format::{Kind, SegmentHeader, Shape};
use crate::index::audit::{By, Told};
use crate::index::commit::{Committed, Publication, Record, Unit};
use crate::index::history::{self, History};
use crate::index::known::Known;
use crate::index::objects::Name;
use crate::index::quarantine::{self, Bounds};
use crate::index::query;
use crate::index::tombstone::Marks;
use crate::limits;
use crate::model::{
    Body, NewInstance, NewQuarantined, PublishOutcome, QuarantineOutcome, ResultKey, StoreOutcome,
};
use crate::moving::Way;
use crate::seal::{Part, SegmentKeys, too_long};
use crate::stream::ObjectWriter;
use crate::tenant::Tenant;
use crate::writer::{self, Sealed};

/// Either known already, or on its way.
pub(crate) enum Joined {
    Known(StoreOutcome),
    Waiting(oneshot::Receiver<Result<StoreOutcome>>),
}

impl Engine {
    /// Seals an instance into the bundle that is being collected.
    pub(crate) fn join_bundle(
        &self,
        tenant: &Arc<Tenant>,
        instance: NewInstance,
        by: By,
        permit: OwnedSemaphorePermit,
    ) -> Result<Joined> {
        let mut descriptor = Descriptor::of(&instance)?;
        let (outcome, history) = self.meet(tenant, &mut descriptor)?;
        let Body::Memory(body) = &instance.body else {
            return Err(ArchiveError::Invalid("a spool file is not bundled"));
        };
        if outcome == StoreOutcome::Duplicate {
            self.stores.resent(&tenant.id, &descriptor, &by);
            return Ok(Joined::Known(outcome));
        }
        let marks = self.marks(tenant, &descriptor, history)?;
        let blocks = Blocks {
            metadata: compress(&instance.metadata)?,
            layout: compress(&instance.layout)?,
        };
        let text = descriptor.encode(&blocks)?;
        let now = self.clock.now_millis();
        let key = self
            .keys
            .for_label(tenant.id.as_str(), &descriptor.study, now)?;
        let place = self.writer.join(
            tenant,
            text.len().saturating_add(body.len()),
            now,
            &self.limits,
            self.takes_resends(tenant.id.as_str()),
        )?;
        let header = SegmentHeader {
            ordinal: place.ordinal,
            key: key.id,
            descriptor: u32::try_from(text.len()).map_err(|_| too_long())?,
            body: body.len() as u64,
        };
        let encoded = header.encode();
        let keys = SegmentKeys::derive(
            &key.secret,
            &place.salt,
            &place.header,
            &encoded,
            Shape::Described,
        )?;
        let stored =
            usize::try_from(Shape::Described.stored_len(&header)?).map_err(|_| too_long())?;
        let mut bytes = Vec::with_capacity(stored);
        bytes.extend_from_slice(&encoded);
        keys.seal_all(Part::Descriptor, &text, &mut bytes)?;
        keys.seal_all(Part::Body, body, &mut bytes)?;
        let (reply, answer) = oneshot::channel();
        let record = Record {
            segment: place.ordinal,
            offset: 0,
            descriptor,
            blocks,
            key: key.id,
            marks,
            by: Some(by),
        };
        place.fill(Sealed {
            bytes: bytes.into(),
            record,
            reply,
            permit,
        });
        Ok(Joined::Waiting(answer))
    }

    /// What comes beside what is there, as far as it is known before it is sealed; the
    /// commit looks again. What comes under UIDs that were moved belongs where these went.
    fn meet(&self, tenant: &Tenant, of: &mut Descriptor) -> Result<(StoreOutcome, History)> {
        let (way, outcome, history) = self.readers.read_again(|db| {
            let history = history::of(db, tenant.row)?;
            let way = match history.moved {
                true => Way::of(db, tenant.row, of)?,
                false => None,
            };
            let known = Known::of(db, &self.packs, tenant.row, &[&of.sop_instance])?;
            let outcome = known.judge(&of.sop_instance, &of.sha256, of.comparison);
            Ok((way, outcome, history))
        })?;
        tenant.has_moved(history.moved);
        if let Some(way) = way {
            way.lead(of);
        }
        Ok((outcome, history))
    }

    /// The marks of what comes; refused here when one of them stands.
    fn marks(&self, tenant: &Tenant, of: &Descriptor, history: History) -> Result<Marks> {
        let now = self.clock.now_millis();
        let marks = Marks::of(&self.keys, tenant.id.as_str(), of, now)?;
        if history.deleted {
            self.admit(tenant, &marks)?;
        }
        Ok(marks)
    }

    /// Streams one instance into an object of its own. Blocks until committed.
    pub(crate) fn store_streamed(
        &self,
        tenant: &Arc<Tenant>,
        instance: &NewInstance,
        by: &By,
    ) -> Result<StoreOutcome> {
        let mut descriptor = Descriptor::of(instance)?;
        let (outcome, _) = self.meet(tenant, &mut descriptor)?;
        if outcome == StoreOutcome::Duplicate {
            self.stores.resent(&tenant.id, &descriptor, by);
            return Ok(outcome);
        }
        match self.write_object(tenant, std::slice::from_ref(instance), by, None)? {
            Committed::Stored(outcomes) => {
                outcomes.into_iter().next().ok_or(ArchiveError::Missing)?
            }
            Committed::AlreadyPublished(_) => Err(ArchiveError::Missing),
        }
    }

    /// Publishes a result set in one object and one transaction.
    pub(crate) fn publish_set(
        &self,
        tenant: &Arc<Tenant>,
        key: &ResultKey,
        instances: &[NewInstance],
        by: &By,
        events: Vec<Event>,
    ) -> Result<PublishOutcome> {
        if instances.is_empty() || instances.len() > limits::RESULT_INSTANCES {
            return Err(ArchiveError::Invalid("a result set has 1 to 256 instances"));
        }
        let known = self
            .readers
            .read_here(|db| query::published(db, tenant.row, &key.0))?;
        if let Some(instances) = known {
            return Ok(PublishOutcome::AlreadyPublished { instances });
        }
        let publication = Publication {
            key: key.0.clone(),
            events,
        };
        match self.write_object(tenant, instances, by, Some(publication))? {
            Committed::Stored(_) => Ok(PublishOutcome::Published),
            Committed::AlreadyPublished(instances) => {
                Ok(PublishOutcome::AlreadyPublished { instances })
            }
        }
    }

    fn write_object(
        &self,
        tenant: &Arc<Tenant>,
        instances: &[NewInstance],
        by: &By,
        publication: Option<Publication>,
    ) -> Result<Committed> {
        let name = self.writer.take_name(tenant)?;
        let key = publication
            .as_ref()
            .map(|publication| publication.key.as_str());
        let written = self.write_segments(tenant, name, instances, by, key);
        let (bytes, records) = match written {
            Ok(written) => written,
            Err(error) => {
                self.give_up(name);
                return Err(error);
            }
        };
        let owner = Arc::clone(tenant);
        let takes_resends = self.takes_resends(tenant.id.as_str());
        self.writer.run_here(move |db, context| {
            let unit = Unit {
                tenant: owner.id.clone(),
                tenant_row: owner.row,
                name,
                kind: Kind::Streamed,
                bytes,
                records,
                takes_resends,
                as_it_was: false,
                publication,
            };
            writer::settle(db, context, &owner, &unit)
        })
    }

    fn write_segments(
        &self,
        tenant: &Tenant,
        name: Name,
        instances: &[NewInstance],
        by: &By,
        publication: Option<&str>,
    ) -> Result<(u64, Vec<Record>)> {
        let mut object = ObjectWriter::create(self, tenant, name, Kind::Streamed)?;
        let mut records = Vec::with_capacity(instances.len());
        for (ordinal, instance) in instances.iter().enumerate() {
            let mut descriptor = Descriptor::of(instance)?;
            descriptor.publication = publication.map(ToOwned::to_owned);
            let (_, history) = self.meet(tenant, &mut descriptor)?;
            let marks = self.marks(tenant, &descriptor, history)?;
            let blocks = Blocks {
                metadata: compress(&instance.metadata)?,
                layout: compress(&instance.layout)?,
            };
            let segment = u32::try_from(ordinal).map_err(|_| too_long())?;
            let text = descriptor.encode(&blocks)?;
            let key = self.keys.for_label(
                tenant.id.as_str(),
                &descriptor.study,
                self.clock.now_millis(),
            )?;
            let offset = object.segment(
                segment,
                (&key.id, &key.secret),
                &text,
                &instance.body,
                &instance.sha256,
            )?;
            records.push(Record {
                segment,
                offset,
                descriptor,
                blocks,
                key: key.id,
                marks,
                by: Some(by.clone()),
            });
        }
        Ok((object.finish(self)?, records))
    }

    pub(crate) fn give_up(&self, name: Name) {
        drop(self.writer.submit(move |db, context| {
            writer::abandon(db, context, name);
            Ok(())
        }));
    }

    /// Keeps something refused. Blocks until committed.
    pub(crate) fn quarantine_item(
        &self,
        tenant: &Arc<Tenant>,
        item: &NewQuarantined,
        told: Told,
    ) -> Result<QuarantineOutcome> {
        let bounds = Bounds {
            items: self.limits.quarantine_items,
            bytes: self.limits.quarantine_bytes,
        };
        let (row, sha256, length) = (tenant.row, item.sha256, item.body.len());
        let known = self
            .writer
            .run_here(move |db, _| quarantine::admit(db, row, &sha256, length, bounds))?;
        if let Some(outcome) = known {
            return Ok(outcome);
        }
        let descriptor = QuarantineDescriptor::of(item);
        let name = self.writer.take_name(tenant)?;
        let written = self.write_quarantined(tenant, name, item, &descriptor);
        let (bytes, offset) = match written {
            Ok(written) => written,
            Err(error) => {
                self.give_up(name);
                return Err(error);
            }
        };
        self.writer.run_here(move |db, context| {
            let now = context.clock.now_millis();
            let place = quarantine::Place {
                name,
                bytes,
                offset,
            };
            quarantine::keep(db, row, &place, &descriptor, bounds, Some(&told), now)
        })
    }

    fn write_quarantined(
        &self,
        tenant: &Tenant,
        name: Name,
        item: &NewQuarantined,
        descriptor: &QuarantineDescriptor,
    ) -> Result<(u64, u64)> {
        let mut object = ObjectWriter::create(self, tenant, name, Kind::Quarantine)?;
        // A key of its own: deleting the item destroys it.
        let key = self.keys.for_label(
            tenant.id.as_str(),
            &quarantine_label(&item.sha256),
            self.clock.now_millis(),
        )?;
        let text = descriptor.encode()?;
        let offset = object.segment(0, (&key.id, &key.secret), &text, &item.body, &item.sha256)?;
        Ok((object.finish(self)?, offset))
    }
}

/// The key label of a quarantined item; no study UID begins like this.
pub(crate) fn quarantine_label(sha256: &[u8; 32]) -> String {
    format!("quarantine:{}", crate::descriptor::hex::encode(sha256))
}
