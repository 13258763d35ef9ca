//! Reads an object from end to end by its own headers. Asks the keys and never
//! the index.

use std::collections::HashMap;

use aws_lc_rs::digest;

use super::described::Described;
use crate::descriptor::{Descriptor, NoteDescriptor, QuarantineDescriptor};
use crate::error::{ArchiveError, Result};
use crate::format::{
    BLOCK_SEGMENT, Kind, ObjectHeader, SEGMENT_HEADER, SegmentHeader, Shape, TAG, Trailer,
    sealed_len,
};
use crate::index::objects::{LiveObject, Member};
use crate::keys::KeyStore;
use crate::objects::Object;
use crate::pack::Block;
use crate::read::read_header;
use crate::seal::{Part, SegmentKeys};

/// Bytes decrypted at a time.
const READ: u64 = 1 << 20;

/// What is wrong with an object, and where.
#[derive(Clone, Copy)]
pub(crate) struct Damage(pub(crate) Option<u32>);

/// What an object holds, by segment.
#[derive(Default)]
pub(crate) struct Walked {
    pub members: HashMap<u32, Member>,
    /// Of instances and quarantined items.
    pub described: HashMap<u32, Described>,
}

/// Reads an object from end to end by its own headers. Damage in one segment
/// does not hide the others as long as the headers can be followed.
pub(crate) fn walk(
    stored: &Object,
    live: &LiveObject,
    keys: &KeyStore,
    found: &mut Walked,
) -> std::result::Result<(), Damage> {
    let whole = |_| Damage(None);
    let length = stored.length().map_err(|_| Damage(None))?;
    let (header, encoded) = read_header(stored).map_err(whole)?;
    if header.tenant != live.tenant || header.object != live.name || length != live.bytes {
        return Err(Damage(None));
    }
    let mut damage = None;
    let shape = header.shape();
    segments(stored, &encoded, |segment, head, at| {
        let opened = keys
            .by_id(&live.tenant, &segment.key)
            .and_then(|key| SegmentKeys::derive(&key.secret, &header.salt, &encoded, head, shape))
            .and_then(|keys| open(stored, &keys, (header.kind, shape), segment, at));
        match opened {
            Ok((sha256, described)) => {
                let member = Member {
                    segment: segment.ordinal,
                    offset: at,
                    length: segment.body,
                    sha256,
                };
                found.members.insert(segment.ordinal, member);
                if let Some(described) = described {
                    found.described.insert(segment.ordinal, described);
                }
            }
            // Its key was destroyed: it was deleted, and no row may name it.
            Err(ArchiveError::NotFound) => {}
            Err(_) => damage = damage.or(Some(Damage(Some(segment.ordinal)))),
        }
    })?;
    let Some(key) = header.key else {
        return damage.map_or(Ok(()), Err);
    };
    // Its segments have no headers: its block says where they are.
    let at = |segment| Damage(Some(segment));
    let Some(block) = found.members.get(&BLOCK_SEGMENT) else {
        // Its key was destroyed.
        return damage.map_or(Ok(()), Err);
    };
    let secret = keys
        .by_id(&live.tenant, &key)
        .map_err(|_| at(BLOCK_SEGMENT))?;
    let sealed = |segment: u32, length: u64| {
        let head = SegmentHeader::bare(segment, key, length).encode();
        SegmentKeys::derive(&secret.secret, &header.salt, &encoded, &head, shape)
    };
    let (body_at, length) = (block.offset + SEGMENT_HEADER as u64, block.length);
    let mut text = Vec::new();
    let block = sealed(BLOCK_SEGMENT, length)
        .and_then(|keys| {
            opened(stored, &keys, shape, (body_at, length), |plain| {
                text.extend_from_slice(plain);
            })
        })
        .and_then(|()| Block::decode(&text))
        .map_err(|_| at(BLOCK_SEGMENT))?;
    for entry in &block.entries {
        if entry.place.elsewhere.is_some() {
            continue;
        }
        let described = Described::of(&entry.clone().descriptor(), None);
        found.described.insert(entry.place.segment, described);
        let (segment, offset) = (entry.place.segment, entry.place.offset);
        match sealed(segment, entry.length)
            .and_then(|keys| hash(stored, &keys, shape, (offset, entry.length)))
        {
            Ok(sha256) => {
                let member = Member {
                    segment,
                    offset,
                    length: entry.length,
                    sha256,
                };
                found.members.insert(segment, member);
            }
            Err(_) => damage = damage.or(Some(at(segment))),
        }
    }
    damage.map_or(Ok(()), Err)
}

/// Follows an object's segment headers from the first to the trailer, which
/// must be that of a whole object; `each` gets a header, its bytes and place.
/// A pack of version 2 has only that of its block. How many segments there are.
pub(crate) fn segments(
    stored: &Object,
    encoded: &[u8],
    mut each: impl FnMut(&SegmentHeader, &[u8; SEGMENT_HEADER], u64),
) -> std::result::Result<u32, Damage> {
    let whole = |_| Damage(None);
    let length = stored.length().map_err(|_| Damage(None))?;
    let mut headers = digest::Context::new(&digest::SHA256);
    headers.update(encoded);
    let (header, _) = ObjectHeader::decode(encoded).map_err(whole)?;
    let shape = header.shape();
    let end = length.saturating_sub(shape.trailer() as u64);
    let mut trailer = vec![0; shape.trailer()];
    stored.read_exact(&mut trailer, end).map_err(whole)?;
    let trailer = Trailer::decode(shape, &trailer).map_err(whole)?;
    let mut at = trailer.block_at.unwrap_or(encoded.len() as u64);
    let mut count = 0_u32;
    while at < end {
        let mut head = [0; SEGMENT_HEADER];
        stored.read_exact(&mut head, at).map_err(whole)?;
        let segment = SegmentHeader::decode(&head).map_err(whole)?;
        headers.update(&head);
        count += 1;
        let next = shape
            .stored_len(&segment)
            .ok()
            .and_then(|stored| at.checked_add(stored))
            .filter(|next| *next <= end)
            .ok_or(Damage(Some(segment.ordinal)))?;
        each(&segment, &head, at);
        at = next;
    }
    let counts = match shape {
        Shape::Described => trailer.segments == count,
        Shape::Packed => trailer.segments >= count && count == 1,
    };
    let whole_there =
        counts && trailer.length == length && trailer.digest == headers.finish().as_ref();
    if whole_there {
        Ok(trailer.segments)
    } else {
        Err(Damage(None))
    }
}

/// Decrypts a segment and hashes its body, which must be what the descriptor says.
fn open(
    stored: &Object,
    keys: &SegmentKeys,
    (kind, shape): (Kind, Shape),
    segment: &SegmentHeader,
    at: u64,
) -> Result<([u8; 32], Option<Described>)> {
    if shape == Shape::Packed {
        let body_at = at + shape.body_offset(segment);
        return Ok((hash(stored, keys, shape, (body_at, segment.body))?, None));
    }
    let mut described = None;
    let descriptor_len = sealed_len(u64::from(segment.descriptor));
    let mut text = vec![0; usize::try_from(descriptor_len).map_err(|_| ArchiveError::Corrupt)?];
    stored.read_exact(&mut text, at + SEGMENT_HEADER as u64)?;
    let plain = keys.open_run(Part::Descriptor, 0, true, &mut text)?;
    text.truncate(plain);
    let (length, sha256) = match kind {
        Kind::Bundle | Kind::Streamed | Kind::Moved => {
            let (descriptor, blocks) = Descriptor::decode(&text)?;
            described = Some(Described::of(&descriptor, Some(&blocks)));
            (descriptor.length, Some(descriptor.sha256))
        }
        Kind::Quarantine => {
            let descriptor = QuarantineDescriptor::decode(&text)?;
            described = Some(Described::of_quarantined(&descriptor));
            (descriptor.length, Some(descriptor.sha256))
        }
        // A pack describes its segments in its block.
        Kind::Pack => (segment.body, None),
        Kind::Note => {
            let descriptor = NoteDescriptor::decode(&text)?;
            (descriptor.length, Some(descriptor.sha256))
        }
    };
    let body_at = at + shape.body_offset(segment);
    let found = hash(stored, keys, shape, (body_at, segment.body))?;
    if length != segment.body || sha256.is_some_and(|sha256| sha256 != found) {
        return Err(ArchiveError::Corrupt);
    }
    Ok((found, described))
}

/// Decrypts a body and hashes it.
fn hash(stored: &Object, keys: &SegmentKeys, shape: Shape, body: (u64, u64)) -> Result<[u8; 32]> {
    let mut hash = digest::Context::new(&digest::SHA256);
    opened(stored, keys, shape, body, |plain| hash.update(plain))?;
    let mut found = [0; 32];
    found.copy_from_slice(hash.finish().as_ref());
    Ok(found)
}

/// Decrypts a body, given by its place and length, run by run.
fn opened(
    stored: &Object,
    keys: &SegmentKeys,
    shape: Shape,
    (body_at, length): (u64, u64),
    mut each: impl FnMut(&[u8]),
) -> Result<()> {
    let chunk = shape.chunk() as u64;
    let chunks = length.div_ceil(chunk).max(1);
    let mut first = 0;
    let mut buffer = Vec::new();
    while first < chunks {
        let after = chunks.min(first + (READ / chunk).max(1));
        let plain_end = length.min(after * chunk);
        let sealed = plain_end - first * chunk + (after - first) * TAG as u64;
        buffer.resize(
            usize::try_from(sealed).map_err(|_| ArchiveError::Corrupt)?,
            0,
        );
        stored.read_exact(&mut buffer, body_at + first * (chunk + TAG as u64))?;
        let index = u32::try_from(first).map_err(|_| ArchiveError::Corrupt)?;
        let plain = keys.open_run(Part::Body, index, after == chunks, &mut buffer)?;
        each(buffer.get(..plain).unwrap_or_default());
        first = after;
    }
    Ok(())
}
