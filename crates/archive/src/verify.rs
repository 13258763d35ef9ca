//! Verification: every live object is read, every segment decrypted and
//! hashed, and what is found is held against the index. Reads only.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::sync::Arc;

use aws_lc_rs::digest;
use futures::{StreamExt, stream};

use crate::descriptor::{Descriptor, NoteDescriptor, QuarantineDescriptor, hex};
use crate::engine::Engine;
use crate::error::{ArchiveError, Result};
use crate::format::{
    BLOCK_SEGMENT, Kind, ObjectHeader, SEGMENT_HEADER, SegmentHeader, Shape, TAG, Trailer,
    sealed_len,
};
use crate::index::objects::{self, LiveObject, Member};
use crate::index::packs::{self, PackRow};
use crate::index::schema::state;
use crate::keys::KeyStore;
use crate::limits;
use crate::model::{ObjectFault, Progress, VerifyReport};
use crate::pack::Block;
use crate::read::{read_exact, read_header};
use crate::seal::{Part, SegmentKeys};
use crate::tenant::object_path;

/// Objects listed at a time.
const BATCH: u32 = 256;
/// Bytes decrypted at a time.
const READ: u64 = 1 << 20;

/// A pack's row, and its block as the disk has it.
type OwnPack = (PackRow, Result<Block>);

/// What is wrong with an object, and where.
#[derive(Clone, Copy)]
pub(crate) struct Damage(pub(crate) Option<u32>);

impl Engine {
    pub(crate) async fn verify(
        self: &Arc<Self>,
        progress: Option<Progress>,
    ) -> Result<VerifyReport> {
        let _gate = self.gate.read().await;
        // Nor does an instance move from what is still to be read to what was.
        let _moving = self.moving.lock().await;
        let total = self.readers.read(objects::count_live).await?;
        let parallel = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut report = VerifyReport::default();
        let mut astray = BTreeSet::new();
        let mut after = 0;
        loop {
            let batch = self
                .readers
                .read(move |db| objects::live_after(db, after, BATCH))
                .await?;
            let Some(last) = batch.last() else { break };
            after = last.row;
            let mut checks = stream::iter(batch)
                .map(|object| {
                    let engine = Arc::clone(self);
                    tokio::task::spawn_blocking(move || engine.check(&object))
                })
                .buffer_unordered(parallel);
            while let Some(check) = checks.next().await {
                let part = check.map_err(|_| ArchiveError::Closed)??;
                report.objects += 1;
                report.instances += part.instances;
                report.bytes += part.bytes;
                for fault in part.faults {
                    match fault {
                        // One of the tenant's packs finds it, or many.
                        ObjectFault::Lookup { tenant } => drop(astray.insert(tenant)),
                        other => note(&mut report, other),
                    }
                }
                if let Some(progress) = &progress {
                    progress(report.objects, total);
                }
            }
        }
        astray.extend(
            self.readers
                .read({
                    let packs = Arc::clone(&self.packs);
                    move |db| objects::tenant_names(db, &packs.lookup.verify(db)?)
                })
                .await?,
        );
        for tenant in astray {
            note(&mut report, ObjectFault::Lookup { tenant });
        }
        let engine = Arc::clone(self);
        let unknown = tokio::task::spawn_blocking(move || {
            let mut paths = Vec::new();
            let mut count = 0_u64;
            engine.walk_unknown(&mut |path| {
                count += 1;
                if paths.len() < limits::FAULTS_REPORTED {
                    paths.push(path);
                }
            })?;
            Ok::<_, ArchiveError>((paths, count))
        })
        .await
        .map_err(|_| ArchiveError::Closed)??;
        let listed = unknown.0.len() as u64;
        for path in unknown.0 {
            note(&mut report, ObjectFault::Unknown { path });
        }
        report.fault_count += unknown.1 - listed;
        Ok(report)
    }

    /// Checks one live object. Blocks.
    fn check(&self, live: &LiveObject) -> Result<VerifyReport> {
        let mut report = VerifyReport {
            bytes: live.bytes,
            ..VerifyReport::default()
        };
        let (members, pack) = self.members(live)?;
        let unread = pack.as_ref().map_or(0, |(row, block)| match block {
            Ok(_) => 0,
            Err(_) => row.instances,
        });
        let tenant = || live.tenant.clone();
        let object = || hex::encode(&live.name);
        let file = match File::open(object_path(&self.dir, &live.tenant, &live.name)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let now = self
                    .readers
                    .read_here(|db| objects::state_of(db, live.row))?;
                if now == Some(state::LIVE) {
                    let fault = ObjectFault::Missing {
                        tenant: tenant(),
                        object: object(),
                        instances: members.len() as u64 + unread,
                    };
                    note(&mut report, fault);
                }
                return Ok(report);
            }
            other => other?,
        };
        let mut found = HashMap::new();
        let walked = walk(&file, live, &self.keys, &mut found);
        let damage = match (walked, &pack) {
            // Its bytes are as written, and still they are no block.
            (Ok(()), Some((_, Err(_)))) => Err(Damage(Some(BLOCK_SEGMENT))),
            (walked, _) => walked,
        };
        if let Err(Damage(segment)) = damage {
            let fault = ObjectFault::Corrupt {
                tenant: tenant(),
                object: object(),
                segment,
            };
            note(&mut report, fault);
        }
        for member in members {
            if found.get(&member.segment) == Some(&member) {
                report.instances += 1;
            } else {
                let fault = ObjectFault::Disagrees {
                    tenant: tenant(),
                    object: object(),
                    segment: member.segment,
                };
                note(&mut report, fault);
            }
        }
        if let Some((row, Ok(block))) = pack {
            let leads = self
                .readers
                .read_here(|db| self.packs.leads_to(db, &row, &block));
            if !matches!(leads, Ok(true)) {
                note(&mut report, ObjectFault::Lookup { tenant: tenant() });
            }
        }
        Ok(report)
    }

    /// What rows and packs have in an object; and the pack that it is.
    fn members(&self, live: &LiveObject) -> Result<(Vec<Member>, Option<OwnPack>)> {
        let (mut members, packs) = self.readers.read_here(|db| {
            let packs = packs::in_object(db, live.row)?;
            Ok((objects::members(db, live.row)?, packs))
        })?;
        let mut own = None;
        for row in packs {
            let is_own = row.object == live.name;
            let block = match self.packs.check(&row) {
                Err(error @ (ArchiveError::Disk(_) | ArchiveError::Index(_))) => return Err(error),
                other => other,
            };
            for entry in block.iter().flat_map(|block| &block.entries) {
                if entry.place.elsewhere.unwrap_or(row.object) == live.name {
                    members.push(Member {
                        segment: entry.place.segment,
                        offset: entry.place.offset,
                        length: entry.length,
                        sha256: entry.sha256,
                    });
                }
            }
            if is_own {
                own = Some((row, block));
            }
        }
        Ok((members, own))
    }
}

fn note(report: &mut VerifyReport, fault: ObjectFault) {
    report.fault_count += 1;
    if report.faults.len() < limits::FAULTS_REPORTED {
        report.faults.push(fault);
    }
}

/// Reads an object from end to end by its own headers. Damage in one segment
/// does not hide the others as long as the headers can be followed.
pub(crate) fn walk(
    file: &File,
    live: &LiveObject,
    keys: &KeyStore,
    found: &mut HashMap<u32, Member>,
) -> std::result::Result<(), Damage> {
    let whole = |_| Damage(None);
    let length = file.metadata().map_err(|_| Damage(None))?.len();
    let (header, encoded) = read_header(file).map_err(whole)?;
    if header.tenant != live.tenant || header.object != live.name || length != live.bytes {
        return Err(Damage(None));
    }
    let mut damage = None;
    let shape = header.shape();
    segments(file, &encoded, |segment, head, at| {
        let opened = keys
            .by_id(&live.tenant, &segment.key)
            .and_then(|key| SegmentKeys::derive(&key.secret, &header.salt, &encoded, head, shape))
            .and_then(|keys| open(file, &keys, (header.kind, shape), segment, at));
        match opened {
            Ok(sha256) => {
                let member = Member {
                    segment: segment.ordinal,
                    offset: at,
                    length: segment.body,
                    sha256,
                };
                found.insert(segment.ordinal, member);
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
    let Some(block) = found.get(&BLOCK_SEGMENT) else {
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
            opened(file, &keys, shape, (body_at, length), |plain| {
                text.extend_from_slice(plain);
            })
        })
        .and_then(|()| Block::decode(&text))
        .map_err(|_| at(BLOCK_SEGMENT))?;
    for entry in &block.entries {
        if entry.place.elsewhere.is_some() {
            continue;
        }
        let (segment, offset) = (entry.place.segment, entry.place.offset);
        match sealed(segment, entry.length)
            .and_then(|keys| hash(file, &keys, shape, (offset, entry.length)))
        {
            Ok(sha256) => {
                let member = Member {
                    segment,
                    offset,
                    length: entry.length,
                    sha256,
                };
                found.insert(segment, member);
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
    file: &File,
    encoded: &[u8],
    mut each: impl FnMut(&SegmentHeader, &[u8; SEGMENT_HEADER], u64),
) -> std::result::Result<u32, Damage> {
    let whole = |_| Damage(None);
    let length = file.metadata().map_err(|_| Damage(None))?.len();
    let mut headers = digest::Context::new(&digest::SHA256);
    headers.update(encoded);
    let (header, _) = ObjectHeader::decode(encoded).map_err(whole)?;
    let shape = header.shape();
    let end = length.saturating_sub(shape.trailer() as u64);
    let mut trailer = vec![0; shape.trailer()];
    read_exact(file, &mut trailer, end).map_err(whole)?;
    let trailer = Trailer::decode(shape, &trailer).map_err(whole)?;
    let mut at = trailer.block_at.unwrap_or(encoded.len() as u64);
    let mut count = 0_u32;
    while at < end {
        let mut head = [0; SEGMENT_HEADER];
        read_exact(file, &mut head, at).map_err(whole)?;
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
    file: &File,
    keys: &SegmentKeys,
    (kind, shape): (Kind, Shape),
    segment: &SegmentHeader,
    at: u64,
) -> Result<[u8; 32]> {
    if shape == Shape::Packed {
        let body_at = at + shape.body_offset(segment);
        return hash(file, keys, shape, (body_at, segment.body));
    }
    let descriptor_len = sealed_len(u64::from(segment.descriptor));
    let mut text = vec![0; usize::try_from(descriptor_len).map_err(|_| ArchiveError::Corrupt)?];
    read_exact(file, &mut text, at + SEGMENT_HEADER as u64)?;
    let plain = keys.open_run(Part::Descriptor, 0, true, &mut text)?;
    text.truncate(plain);
    let (length, sha256) = match kind {
        Kind::Bundle | Kind::Streamed | Kind::Moved => {
            let (descriptor, _) = Descriptor::decode(&text)?;
            (descriptor.length, Some(descriptor.sha256))
        }
        Kind::Quarantine => {
            let descriptor = QuarantineDescriptor::decode(&text)?;
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
    let found = hash(file, keys, shape, (body_at, segment.body))?;
    if length != segment.body || sha256.is_some_and(|sha256| sha256 != found) {
        return Err(ArchiveError::Corrupt);
    }
    Ok(found)
}

/// Decrypts a body and hashes it.
fn hash(file: &File, keys: &SegmentKeys, shape: Shape, body: (u64, u64)) -> Result<[u8; 32]> {
    let mut hash = digest::Context::new(&digest::SHA256);
    opened(file, keys, shape, body, |plain| hash.update(plain))?;
    let mut found = [0; 32];
    found.copy_from_slice(hash.finish().as_ref());
    Ok(found)
}

/// Decrypts a body, given by its place and length, run by run.
fn opened(
    file: &File,
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
        read_exact(file, &mut buffer, body_at + first * (chunk + TAG as u64))?;
        let index = u32::try_from(first).map_err(|_| ArchiveError::Corrupt)?;
        let plain = keys.open_run(Part::Body, index, after == chunks, &mut buffer)?;
        each(buffer.get(..plain).unwrap_or_default());
        first = after;
    }
    Ok(())
}
