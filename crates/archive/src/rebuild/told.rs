//! What one object tells: its headers followed, its descriptors opened.

use crate::descriptor::{Descriptor, NoteDescriptor, QuarantineDescriptor, hex};
use crate::error::{ArchiveError, Result};
use crate::format::{Kind, SEGMENT_HEADER, SegmentHeader, sealed_len};
use crate::index::commit::Record;
use crate::index::objects::Name;
use crate::index::tombstone::Marks;
use crate::keys::KeyStore;
use crate::model::ObjectFault;
use crate::note::{Note, Written};
use crate::objects::Object;
use crate::read::{Whereabouts, read_header};
use crate::seal::{Part, SegmentKeys};
use crate::verify::segments;

use super::found::Found;

/// Longest note that is read.
const NOTE_BYTES: u64 = 1 << 20;

/// What an object tells.
pub(super) struct Told {
    pub found: Found,
    pub kind: Kind,
    pub bytes: u64,
    pub instances: Vec<Record>,
    pub quarantined: Option<(QuarantineDescriptor, u64)>,
    pub note: Option<(Note, Written)>,
    /// Segments whose key was destroyed.
    pub erased: u64,
    /// Segments that do not open although their key is there, or the whole
    /// object when its headers can't be followed.
    pub faults: Vec<ObjectFault>,
}

/// Reads what an object tells. Blocks.
pub(super) fn tell(found: Found, keys: &KeyStore) -> Told {
    let mut told = Told {
        kind: Kind::Bundle,
        bytes: 0,
        instances: Vec::new(),
        quarantined: None,
        note: None,
        erased: 0,
        faults: Vec::new(),
        found,
    };
    if told.found.kind == Kind::Pack {
        // It tells of its segments in its block.
        return told;
    }
    if let Err(segment) = read(&mut told, keys) {
        let fault = ObjectFault::Corrupt {
            tenant: told.found.tenant.clone(),
            object: hex::encode(&told.found.name),
            segment,
        };
        told.faults.push(fault);
    }
    told
}

fn read(told: &mut Told, keys: &KeyStore) -> std::result::Result<(), Option<u32>> {
    let object = told.found.open().map_err(|_| None)?;
    let (header, encoded) = read_header(&object).map_err(|_| None)?;
    told.kind = header.kind;
    told.bytes = object.length().map_err(|_| None)?;
    let mut damaged = None;
    let tenant = told.found.tenant.clone();
    let followed = segments(&object, &encoded, |segment, head, at| {
        let opened = keys
            .by_id(&tenant, &segment.key)
            .and_then(|key| {
                SegmentKeys::derive(&key.secret, &header.salt, &encoded, head, header.shape())
            })
            .and_then(|segment_keys| {
                let text = descriptor(&object, &segment_keys, segment, at)?;
                take(told, keys, segment, at, &text)
            });
        match opened {
            Ok(()) => {}
            Err(ArchiveError::NotFound) => told.erased += 1,
            Err(_) => damaged = damaged.or(Some(segment.ordinal)),
        }
    });
    if let Err(damage) = followed {
        // Never acknowledged, or cut off since: what is whole of it counts only
        // when the object is.
        told.instances.clear();
        told.quarantined = None;
        return Err(damage.0);
    }
    damaged.map_or(Ok(()), |segment| Err(Some(segment)))
}

fn descriptor(
    object: &Object,
    keys: &SegmentKeys,
    segment: &SegmentHeader,
    at: u64,
) -> Result<Vec<u8>> {
    let sealed = sealed_len(u64::from(segment.descriptor));
    let mut text = vec![0; usize::try_from(sealed).map_err(|_| ArchiveError::Corrupt)?];
    object.read_exact(&mut text, at + SEGMENT_HEADER as u64)?;
    let plain = keys.open_run(Part::Descriptor, 0, true, &mut text)?;
    text.truncate(plain);
    Ok(text)
}

fn take(
    told: &mut Told,
    keys: &KeyStore,
    segment: &SegmentHeader,
    at: u64,
    text: &[u8],
) -> Result<()> {
    let tenant = told.found.tenant.as_str();
    match told.kind {
        Kind::Bundle | Kind::Streamed | Kind::Moved => {
            let (descriptor, blocks) = Descriptor::decode(text)?;
            if descriptor.length != segment.body {
                return Err(ArchiveError::Corrupt);
            }
            let marks = Marks::of(keys, tenant, &descriptor, told.found.created)?;
            told.instances.push(Record {
                segment: segment.ordinal,
                offset: at,
                descriptor,
                blocks,
                key: segment.key,
                marks,
                by: None,
            });
            Ok(())
        }
        Kind::Quarantine => {
            told.quarantined = Some((QuarantineDescriptor::decode(text)?, at));
            Ok(())
        }
        Kind::Note => {
            let descriptor = NoteDescriptor::decode(text)?;
            let place = Whereabouts {
                tenant,
                object: &told.found.name,
                offset: at,
                segment: segment.ordinal,
                length: segment.body,
            };
            if segment.body > NOTE_BYTES {
                return Err(ArchiveError::Corrupt);
            }
            let body = told.found.segment(keys, place)?.read(0..segment.body)?;
            let note = serde_json::from_slice(&body).map_err(|_| ArchiveError::Corrupt)?;
            let written = Written {
                // Its row is made when it is replayed.
                name: Name {
                    row: 0,
                    name: told.found.name,
                },
                bytes: told.bytes,
                offset: at,
                length: descriptor.length,
                sha256: descriptor.sha256,
            };
            told.note = Some((note, written));
            Ok(())
        }
        Kind::Pack => Err(ArchiveError::Corrupt),
    }
}
