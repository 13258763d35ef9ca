//! Byte layout of object files, versions 1 and 2 (docs/formats): headers and
//! trailer in clear. It reads and writes bytes in memory and knows no keys.

use aws_lc_rs::digest;

use crate::error::{ArchiveError, Result};

const CHUNK_LOG2: u8 = 16;
/// Plain bytes of a full chunk in version 1.
pub(crate) const CHUNK: usize = 1 << CHUNK_LOG2;
/// In version 2.
const PACK_CHUNK_LOG2: u8 = 20;
/// The ordinal of a pack's block among its segments.
pub(crate) const BLOCK_SEGMENT: u32 = u32::MAX;
/// AES-GCM tag after each chunk.
pub(crate) const TAG: usize = 16;
pub(crate) const SEGMENT_HEADER: usize = 44;
pub(crate) const TRAILER: usize = 52;
/// Also says where the block is.
const PACK_TRAILER: usize = 60;

const MAGIC: &[u8; 8] = b"HILUMOBJ";
const SEGMENT_MAGIC: &[u8; 4] = b"HSEG";
const END_MAGIC: &[u8; 8] = b"HILUMEND";
const VERSION: u16 = 1;
/// Packs, whose block describes their segments.
const PACK_VERSION: u16 = 2;
const CHECK: usize = 8;
/// Header bytes before the tenant's name.
pub(crate) const HEADER_FIXED: usize = 69;
/// Longest possible header: a tenant's name has at most 255 bytes.
pub(crate) const HEADER_MAX: usize = HEADER_FIXED + 255 + 16 + CHECK;

/// What an object is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Instances committed together.
    Bundle,
    /// One very large instance, or a result set.
    Streamed,
    /// Something refused.
    Quarantine,
    /// A settled series.
    Pack,
    /// What was decided about what is stored.
    Note,
    /// Instances that belong to another series or study than they were
    /// received for.
    Moved,
}

impl Kind {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Bundle => 1,
            Self::Streamed => 2,
            Self::Quarantine => 3,
            Self::Pack => 4,
            Self::Note => 5,
            Self::Moved => 6,
        }
    }

    fn from_code(code: u8) -> Result<Self> {
        match code {
            1 => Ok(Self::Bundle),
            2 => Ok(Self::Streamed),
            3 => Ok(Self::Quarantine),
            4 => Ok(Self::Pack),
            5 => Ok(Self::Note),
            6 => Ok(Self::Moved),
            _ => Err(ArchiveError::Corrupt),
        }
    }
}

/// The head of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectHeader {
    pub kind: Kind,
    pub object: [u8; 16],
    pub salt: [u8; 32],
    /// Unix milliseconds.
    pub created: i64,
    pub tenant: String,
    /// Of version 2: the key of every segment.
    pub key: Option<[u8; 16]>,
}

impl ObjectHeader {
    /// How its texts are cut.
    pub(crate) fn shape(&self) -> Shape {
        match self.key {
            None => Shape::Described,
            Some(_) => Shape::Packed,
        }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let tenant = u8::try_from(self.tenant.len())
            .map_err(|_| ArchiveError::Invalid("the tenant's name is too long"))?;
        let mut out = Vec::with_capacity(HEADER_MAX);
        let (version, chunk) = match self.shape() {
            Shape::Described => (VERSION, CHUNK_LOG2),
            Shape::Packed => (PACK_VERSION, PACK_CHUNK_LOG2),
        };
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&version.to_le_bytes());
        out.push(self.kind.code());
        out.push(chunk);
        out.extend_from_slice(&self.object);
        out.extend_from_slice(&self.salt);
        out.extend_from_slice(&self.created.to_le_bytes());
        out.push(tenant);
        out.extend_from_slice(self.tenant.as_bytes());
        out.extend(self.key.iter().flatten());
        let check = check(&out);
        out.extend_from_slice(&check);
        Ok(out)
    }

    /// Decodes from the first bytes of an object; also how long the header is.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, usize)> {
        let mut cursor = Cursor(bytes);
        let (magic, version) = (cursor.take::<8>()?, u16::from_le_bytes(cursor.take()?));
        if magic != *MAGIC || !matches!(version, VERSION | PACK_VERSION) {
            return Err(ArchiveError::Corrupt);
        }
        let [kind, chunk] = cursor.take()?;
        let object = cursor.take()?;
        let salt = cursor.take()?;
        let created = i64::from_le_bytes(cursor.take()?);
        let [tenant_len] = cursor.take()?;
        let tenant = cursor.slice(usize::from(tenant_len))?;
        let (key, log2, own) = match version {
            VERSION => (None, CHUNK_LOG2, 0),
            _ => (Some(cursor.take::<16>()?), PACK_CHUNK_LOG2, 16),
        };
        let checked = HEADER_FIXED + usize::from(tenant_len) + own;
        let sum: [u8; CHECK] = cursor.take()?;
        let misfit = chunk != log2 || (key.is_some() && kind != Kind::Pack.code());
        if misfit || check(bytes.get(..checked).unwrap_or_default()) != sum {
            return Err(ArchiveError::Corrupt);
        }
        let tenant = std::str::from_utf8(tenant).map_err(|_| ArchiveError::Corrupt)?;
        let header = Self {
            kind: Kind::from_code(kind)?,
            object,
            salt,
            created,
            tenant: tenant.to_owned(),
            key,
        };
        Ok((header, checked + CHECK))
    }
}

/// How an object's texts are cut and sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Version 1: every segment has its header and a descriptor.
    Described,
    /// Version 2: a pack's segments are bodies, and nothing has a descriptor.
    Packed,
}

impl Shape {
    /// Plain bytes of a full chunk.
    pub(crate) fn chunk(self) -> usize {
        match self {
            Self::Described => CHUNK,
            Self::Packed => 1 << PACK_CHUNK_LOG2,
        }
    }

    /// Bytes of the trailer.
    pub(crate) fn trailer(self) -> usize {
        match self {
            Self::Described => TRAILER,
            Self::Packed => PACK_TRAILER,
        }
    }

    /// Sealed length of a body; an empty one still has one, final, chunk.
    pub(crate) fn sealed(self, plain: u64) -> Option<u64> {
        let chunks = plain.div_ceil(self.chunk() as u64).max(1);
        chunks
            .checked_mul(TAG as u64)
            .and_then(|tags| plain.checked_add(tags))
    }

    /// Bytes of a segment that has its header, from there to its body.
    pub(crate) fn body_offset(self, of: &SegmentHeader) -> u64 {
        let descriptor = match self {
            Self::Described => sealed_len(u64::from(of.descriptor)),
            Self::Packed => 0,
        };
        SEGMENT_HEADER as u64 + descriptor
    }

    /// Bytes of a whole segment that has its header. One from a damaged file
    /// may claim any length.
    pub(crate) fn stored_len(self, of: &SegmentHeader) -> Result<u64> {
        self.sealed(of.body)
            .and_then(|body| body.checked_add(self.body_offset(of)))
            .ok_or(ArchiveError::Corrupt)
    }
}

/// The head of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub ordinal: u32,
    pub key: [u8; 16],
    /// Plain bytes of the descriptor.
    pub descriptor: u32,
    /// Plain bytes of the body.
    pub body: u64,
}

impl SegmentHeader {
    /// What a pack's segment is sealed under, in the place of a header of its own.
    pub(crate) fn bare(ordinal: u32, key: [u8; 16], body: u64) -> Self {
        Self {
            ordinal,
            key,
            descriptor: 0,
            body,
        }
    }

    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut plain = Vec::with_capacity(SEGMENT_HEADER);
        plain.extend_from_slice(SEGMENT_MAGIC);
        plain.extend_from_slice(&self.ordinal.to_le_bytes());
        plain.extend_from_slice(&self.key);
        plain.extend_from_slice(&self.descriptor.to_le_bytes());
        plain.extend_from_slice(&self.body.to_le_bytes());
        let sum = check(&plain);
        plain.extend_from_slice(&sum);
        let mut out = [0; SEGMENT_HEADER];
        out.copy_from_slice(&plain);
        out
    }

    pub(crate) fn decode(bytes: &[u8; SEGMENT_HEADER]) -> Result<Self> {
        let mut cursor = Cursor(bytes);
        let magic: [u8; 4] = cursor.take()?;
        let header = Self {
            ordinal: u32::from_le_bytes(cursor.take()?),
            key: cursor.take()?,
            descriptor: u32::from_le_bytes(cursor.take()?),
            body: u64::from_le_bytes(cursor.take()?),
        };
        if magic != *SEGMENT_MAGIC || header.encode() != *bytes {
            return Err(ArchiveError::Corrupt);
        }
        Ok(header)
    }
}

/// The end of an object: says that nothing of it is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trailer {
    pub segments: u32,
    /// Bytes of the object, this trailer included.
    pub length: u64,
    /// Of version 2: where the block's segment begins.
    pub block_at: Option<u64>,
    /// SHA-256 of the object header and every segment header in the file.
    pub digest: [u8; 32],
}

impl Trailer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(PACK_TRAILER);
        out.extend_from_slice(END_MAGIC);
        out.extend_from_slice(&self.segments.to_le_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
        out.extend(self.block_at.iter().flat_map(|at| at.to_le_bytes()));
        out.extend_from_slice(&self.digest);
        out
    }

    pub(crate) fn decode(shape: Shape, bytes: &[u8]) -> Result<Self> {
        let mut cursor = Cursor(bytes);
        if cursor.take::<8>()? != *END_MAGIC {
            return Err(ArchiveError::Corrupt);
        }
        Ok(Self {
            segments: u32::from_le_bytes(cursor.take()?),
            length: u64::from_le_bytes(cursor.take()?),
            block_at: match shape {
                Shape::Described => None,
                Shape::Packed => Some(u64::from_le_bytes(cursor.take()?)),
            },
            digest: cursor.take()?,
        })
    }
}

/// Sealed length of `plain` bytes in version 1; an empty text still has one,
/// final, chunk.
pub(crate) fn sealed_len(plain: u64) -> u64 {
    plain + plain.div_ceil(CHUNK as u64).max(1) * TAG as u64
}

fn check(bytes: &[u8]) -> [u8; CHECK] {
    let full = digest::digest(&digest::SHA256, bytes);
    let mut out = [0; CHECK];
    for (to, from) in out.iter_mut().zip(full.as_ref()) {
        *to = *from;
    }
    out
}

pub(crate) struct Cursor<'a>(pub &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk().ok_or(ArchiveError::Corrupt)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn slice(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(ArchiveError::Corrupt)?;
        self.0 = rest;
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_and_any_flipped_bit_is_noticed() {
        let header = ObjectHeader {
            kind: Kind::Bundle,
            object: [7; 16],
            salt: [9; 32],
            created: 1_700_000_000_000,
            tenant: "north".into(),
            key: None,
        };
        let pack = ObjectHeader {
            kind: Kind::Pack,
            key: Some([5; 16]),
            ..header.clone()
        };
        for header in [header, pack] {
            let bytes = header.encode().unwrap();
            assert_eq!(ObjectHeader::decode(&bytes).unwrap(), (header, bytes.len()));
            for bit in 0..bytes.len() * 8 {
                let mut changed = bytes.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(ObjectHeader::decode(&changed).is_err(), "bit {bit}");
            }
        }
        let segment = SegmentHeader {
            ordinal: 3,
            key: [1; 16],
            descriptor: 10,
            body: 70_000,
        };
        let bytes = segment.encode();
        assert_eq!(SegmentHeader::decode(&bytes).unwrap(), segment);
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&changed).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_length_that_overflows_is_an_error() {
        let segment = SegmentHeader {
            ordinal: 0,
            key: [0; 16],
            descriptor: 0,
            body: u64::MAX,
        };
        assert!(Shape::Described.stored_len(&segment).is_err());
        assert!(Shape::Packed.stored_len(&segment).is_err());
    }
}
