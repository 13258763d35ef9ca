//! Writes an object segment by segment, each body piece by piece: for what is
//! too large to be held in memory, and for result sets. Memory is bounded by
//! one write, whatever the length.

use std::fs::File;
use std::io::Read;

use aws_lc_rs::digest;

use crate::engine::Engine;
use crate::error::{ArchiveError, Result};
use crate::format::{BLOCK_SEGMENT, Kind, ObjectHeader, SegmentHeader, Shape, Trailer};
use crate::index::objects::Name;
use crate::keys::random;
use crate::model::Body;
use crate::objects::Writing;
use crate::seal::{Part, SegmentKeys, too_long};
use crate::steps;
use crate::tenant::Tenant;

/// Bytes sealed and written at a time.
const WRITE: usize = 1 << 20;

/// The body of a segment that is to be written.
pub(crate) struct SegmentSource<'a> {
    pub length: u64,
    pub sha256: &'a [u8; 32],
    pub from: &'a mut dyn Read,
}

/// Streams segments into an object file; drops what it wrote when given up.
pub(crate) struct ObjectWriter {
    writing: Writing,
    header: ObjectHeader,
    encoded: Vec<u8>,
    headers: digest::Context,
    segments: u32,
    length: u64,
    block_at: Option<u64>,
    finished: bool,
}

impl ObjectWriter {
    pub(crate) fn create(engine: &Engine, tenant: &Tenant, name: Name, kind: Kind) -> Result<Self> {
        Self::begin(engine, tenant, name, kind, None)
    }

    /// A pack, all of it sealed under the key of this id. Its segments are
    /// bodies alone; the last one is its block.
    pub(crate) fn pack(
        engine: &Engine,
        tenant: &Tenant,
        name: Name,
        key: [u8; 16],
    ) -> Result<Self> {
        Self::begin(engine, tenant, name, Kind::Pack, Some(key))
    }

    fn begin(
        engine: &Engine,
        tenant: &Tenant,
        name: Name,
        kind: Kind,
        key: Option<[u8; 16]>,
    ) -> Result<Self> {
        let header = ObjectHeader {
            kind,
            key,
            object: name.name,
            salt: random()?,
            created: engine.clock.now_millis(),
            tenant: tenant.id.as_str().to_owned(),
        };
        let encoded = header.encode()?;
        let mut headers = digest::Context::new(&digest::SHA256);
        headers.update(&encoded);
        let mut writer = Self {
            writing: engine.objects.create(tenant.id.as_str(), &name.name)?,
            header,
            headers,
            segments: 0,
            block_at: None,
            length: encoded.len() as u64,
            encoded,
            finished: false,
        };
        steps::at("stream.created");
        writer.writing.append(&[&writer.encoded])?;
        Ok(writer)
    }

    /// Appends one segment; where it begins.
    pub(crate) fn segment(
        &mut self,
        ordinal: u32,
        (id, secret): (&[u8; 16], &[u8; 32]),
        descriptor: &[u8],
        body: &Body,
        sha256: &[u8; 32],
    ) -> Result<u64> {
        let (length, mut memory, mut file);
        let from: &mut dyn Read = match body {
            Body::Memory(bytes) => {
                (length, memory) = (bytes.len() as u64, bytes.as_ref());
                &mut memory
            }
            Body::Spool { path, length: of } => {
                (length, file) = (*of, File::open(path)?);
                &mut file
            }
        };
        let source = SegmentSource {
            length,
            sha256,
            from,
        };
        let offset = self.segment_of(ordinal, (id, secret), descriptor, source)?;
        steps::at("stream.segment");
        Ok(offset)
    }

    /// The same with its body from anywhere.
    pub(crate) fn segment_of(
        &mut self,
        ordinal: u32,
        (id, secret): (&[u8; 16], &[u8; 32]),
        descriptor: &[u8],
        source: SegmentSource<'_>,
    ) -> Result<u64> {
        let shape = self.header.shape();
        let header = match shape {
            Shape::Described => SegmentHeader {
                ordinal,
                key: *id,
                descriptor: u32::try_from(descriptor.len()).map_err(|_| too_long())?,
                body: source.length,
            },
            Shape::Packed => SegmentHeader::bare(ordinal, *id, source.length),
        };
        let encoded = header.encode();
        let (salt, offset) = (&self.header.salt, self.length);
        let keys = SegmentKeys::derive(secret, salt, &self.encoded, &encoded, shape)?;
        let mut before = Vec::new();
        match shape {
            Shape::Described => {
                before.extend_from_slice(&encoded);
                keys.seal_all(Part::Descriptor, descriptor, &mut before)?;
            }
            Shape::Packed if ordinal == BLOCK_SEGMENT => {
                before.extend_from_slice(&encoded);
                self.block_at = Some(offset);
            }
            Shape::Packed if self.header.key != Some(*id) => {
                return Err(ArchiveError::Invalid("a pack has one key"));
            }
            Shape::Packed => {}
        }
        if !before.is_empty() {
            self.writing.append(&[&before])?;
            self.headers.update(&encoded);
        }
        self.body(&keys, source.length, source.sha256, source.from)?;
        let body = shape.sealed(source.length).ok_or_else(too_long)?;
        self.length += before.len() as u64 + body;
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
        let chunk = self.header.shape().chunk() as u64;
        let chunks = u32::try_from(length.div_ceil(chunk).max(1)).map_err(|_| too_long())?;
        let mut digest = digest::Context::new(&digest::SHA256);
        let most = |bytes: u64| usize::try_from(bytes.min(length)).map_err(|_| too_long());
        let mut plain = vec![0; most(chunk)?];
        let mut out = Vec::with_capacity(most(2 * WRITE as u64)? + 32);
        let mut left = length;
        for index in 0..chunks {
            let take = usize::try_from(left.min(chunk)).map_err(|_| too_long())?;
            let piece = plain.get_mut(..take).unwrap_or_default();
            from.read_exact(piece)?;
            digest.update(piece);
            keys.seal_chunk(Part::Body, index, index + 1 == chunks, piece, &mut out)?;
            left -= take as u64;
            if left == 0 || out.len() >= WRITE {
                self.writing.append(&[&out])?;
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

    /// Sends on what waits, so that the end does not take long.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.writing.flush()
    }

    /// Returns once the object is durable; its length.
    pub(crate) fn finish(mut self, engine: &Engine) -> Result<u64> {
        let length = self.length + self.header.shape().trailer() as u64;
        let mut headers = [0; 32];
        headers.copy_from_slice(self.headers.clone().finish().as_ref());
        let trailer = Trailer {
            segments: self.segments,
            length,
            block_at: self.block_at,
            digest: headers,
        };
        self.writing.append(&[&trailer.encode()])?;
        steps::at("stream.written");
        self.writing.finish()?;
        steps::at("stream.synced");
        let name = (self.header.tenant.as_str(), &self.header.object);
        engine.objects.settle([name])?;
        steps::at("stream.folder-synced");
        self.finished = true;
        Ok(length)
    }
}

impl Drop for ObjectWriter {
    fn drop(&mut self) {
        if !self.finished {
            self.writing.release();
        }
    }
}
