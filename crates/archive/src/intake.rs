//! From a new instance to a committed one: check, compress, seal, and either
//! join a bundle or stream an object of its own. Runs on threads that may
//! block; durability is the writer's business.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use aws_lc_rs::digest;
use hilum_contracts::Event;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::descriptor::{Blocks, Descriptor, QuarantineDescriptor, compress};
use crate::disk::ObjectFile;
use crate::engine::Engine;
use crate::error::{ArchiveError, Result};
use crate::format::{CHUNK, Kind, ObjectHeader, SegmentHeader, TRAILER, Trailer};
use crate::index::commit::{self, Committed, Publication, Record, Unit};
use crate::index::objects::Name;
use crate::index::quarantine::{self, Bounds};
use crate::index::query;
use crate::keys::random;
use crate::limits;
use crate::model::{
    Body, NewInstance, NewQuarantined, PublishOutcome, QuarantineOutcome, ResultKey, StoreOutcome,
};
use crate::seal::{Part, SegmentKeys, too_long};
use crate::tenant::Tenant;
use crate::writer::{self, Sealed};

/// Chunks sealed and written at a time when streaming: 1 MiB.
const CHUNKS_PER_WRITE: usize = 16;

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
        permit: OwnedSemaphorePermit,
    ) -> Result<Joined> {
        let descriptor = Descriptor::of(&instance)?;
        let Body::Memory(body) = &instance.body else {
            return Err(ArchiveError::Invalid("a spool file is not bundled"));
        };
        if let Some(known) = self.known(tenant, &descriptor)? {
            return Ok(Joined::Known(known));
        }
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
        )?;
        let header = SegmentHeader {
            ordinal: place.ordinal,
            key: key.id,
            descriptor: u32::try_from(text.len()).map_err(|_| too_long())?,
            body: body.len() as u64,
        };
        let encoded = header.encode();
        let keys = SegmentKeys::derive(&key.secret, &place.salt, &place.header, &encoded)?;
        let stored = usize::try_from(header.stored_len()?).map_err(|_| too_long())?;
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
        };
        place.fill(Sealed {
            bytes,
            record,
            reply,
            permit,
        });
        Ok(Joined::Waiting(answer))
    }

    /// `Duplicate` when these very bytes are durable already.
    fn known(&self, tenant: &Tenant, of: &Descriptor) -> Result<Option<StoreOutcome>> {
        let outcome = self.readers.read_here(|db| {
            commit::judge(db, tenant.row, &of.sop_instance, &of.sha256, of.comparison)
        })?;
        Ok((outcome == StoreOutcome::Duplicate).then_some(outcome))
    }

    /// Streams one instance into an object of its own. Blocks until committed.
    pub(crate) fn store_streamed(
        &self,
        tenant: &Arc<Tenant>,
        instance: &NewInstance,
    ) -> Result<StoreOutcome> {
        let descriptor = Descriptor::of(instance)?;
        if let Some(known) = self.known(tenant, &descriptor)? {
            return Ok(known);
        }
        match self.write_object(tenant, std::slice::from_ref(instance), None)? {
            Committed::Stored(outcomes) => outcomes.into_iter().next().ok_or(ArchiveError::Missing),
            Committed::AlreadyPublished(_) => Err(ArchiveError::Missing),
        }
    }

    /// Publishes a result set in one object and one transaction.
    pub(crate) fn publish_set(
        &self,
        tenant: &Arc<Tenant>,
        key: &ResultKey,
        instances: &[NewInstance],
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
        match self.write_object(tenant, instances, Some(publication))? {
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
        publication: Option<Publication>,
    ) -> Result<Committed> {
        let name = self.writer.take_name(tenant)?;
        let written = self.write_segments(tenant, name, instances);
        let (bytes, records) = match written {
            Ok(written) => written,
            Err(error) => {
                self.give_up(name);
                return Err(error);
            }
        };
        let owner = Arc::clone(tenant);
        self.writer.run_here(move |db, context| {
            let unit = Unit {
                tenant: owner.id.clone(),
                tenant_row: owner.row,
                name,
                kind: Kind::Streamed,
                bytes,
                records,
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
    ) -> Result<(u64, Vec<Record>)> {
        let mut object = ObjectWriter::create(self, tenant, name, Kind::Streamed)?;
        let mut records = Vec::with_capacity(instances.len());
        for (ordinal, instance) in instances.iter().enumerate() {
            let descriptor = Descriptor::of(instance)?;
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
            });
        }
        Ok((object.finish(self)?, records))
    }

    fn give_up(&self, name: Name) {
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
            quarantine::keep(db, row, name, &descriptor, (bytes, offset), bounds, now)
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

/// Streams segments into an object file; drops what it wrote when given up.
struct ObjectWriter {
    file: Box<dyn ObjectFile>,
    folder: std::path::PathBuf,
    header: ObjectHeader,
    encoded: Vec<u8>,
    headers: digest::Context,
    segments: u32,
    length: u64,
    finished: bool,
}

impl ObjectWriter {
    fn create(engine: &Engine, tenant: &Tenant, name: Name, kind: Kind) -> Result<Self> {
        let header = ObjectHeader {
            kind,
            object: name.name,
            salt: random()?,
            created: engine.clock.now_millis(),
            tenant: tenant.id.as_str().to_owned(),
        };
        let encoded = header.encode()?;
        let (folder, path) = tenant.path(&name.name);
        let mut headers = digest::Context::new(&digest::SHA256);
        headers.update(&encoded);
        let mut writer = Self {
            file: engine.disk.create(&path)?,
            folder,
            header,
            headers,
            segments: 0,
            length: encoded.len() as u64,
            encoded,
            finished: false,
        };
        writer.file.append(&[&writer.encoded])?;
        Ok(writer)
    }

    /// Appends one segment; where it begins.
    fn segment(
        &mut self,
        ordinal: u32,
        (id, secret): (&[u8; 16], &[u8; 32]),
        descriptor: &[u8],
        body: &Body,
        sha256: &[u8; 32],
    ) -> Result<u64> {
        let header = SegmentHeader {
            ordinal,
            key: *id,
            descriptor: u32::try_from(descriptor.len()).map_err(|_| too_long())?,
            body: body.len(),
        };
        let encoded = header.encode();
        let keys = SegmentKeys::derive(secret, &self.header.salt, &self.encoded, &encoded)?;
        let offset = self.length;
        let mut out = encoded.to_vec();
        keys.seal_all(Part::Descriptor, descriptor, &mut out)?;
        self.file.append(&[&out])?;
        self.headers.update(&encoded);
        match body {
            Body::Memory(bytes) => {
                self.body(&keys, bytes.len() as u64, sha256, &mut bytes.as_ref())?
            }
            Body::Spool { path, length } => {
                self.body(&keys, *length, sha256, &mut File::open(path)?)?;
            }
        }
        self.length += header.stored_len()?;
        self.segments += 1;
        Ok(offset)
    }

    /// Seals and writes the body piece by piece, and makes sure that it is what
    /// the caller hashed: a spool file could have changed since.
    fn body(
        &mut self,
        keys: &SegmentKeys,
        length: u64,
        sha256: &[u8; 32],
        from: &mut dyn Read,
    ) -> Result<()> {
        let chunks = u32::try_from(length.div_ceil(CHUNK as u64).max(1)).map_err(|_| too_long())?;
        let mut digest = digest::Context::new(&digest::SHA256);
        let mut plain = vec![0; CHUNK];
        let mut out = Vec::with_capacity((CHUNK + 32) * CHUNKS_PER_WRITE);
        let mut left = length;
        for index in 0..chunks {
            let take = usize::try_from(left.min(CHUNK as u64)).map_err(|_| too_long())?;
            let piece = plain.get_mut(..take).unwrap_or_default();
            from.read_exact(piece)?;
            digest.update(piece);
            keys.seal_chunk(Part::Body, index, index + 1 == chunks, piece, &mut out)?;
            left -= take as u64;
            if left == 0 || out.len() >= CHUNK * CHUNKS_PER_WRITE {
                self.file.append(&[&out])?;
                out.clear();
            }
        }
        if digest.finish().as_ref() != sha256 {
            return Err(ArchiveError::Invalid(
                "the body is not what its SHA-256 says",
            ));
        }
        Ok(())
    }

    /// Returns once the object is durable; its length.
    fn finish(mut self, engine: &Engine) -> Result<u64> {
        let length = self.length + TRAILER as u64;
        let mut headers = [0; 32];
        headers.copy_from_slice(self.headers.clone().finish().as_ref());
        let trailer = Trailer {
            segments: self.segments,
            length,
            digest: headers,
        };
        self.file.append(&[&trailer.encode()])?;
        self.file.sync()?;
        engine.disk.sync_dir(&self.folder)?;
        self.finished = true;
        Ok(length)
    }
}

impl Drop for ObjectWriter {
    fn drop(&mut self) {
        if !self.finished {
            self.file.release();
        }
    }
}
