//! What a segment's descriptor says: everything that the index holds about an
//! instance, so that an index can be made again from objects and keys alone.
//! Fields are only ever added.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};
use zstd::bulk::Decompressor;

use crate::error::{ArchiveError, Result};
use crate::format::Cursor;
use crate::limits;
use crate::model::{
    InstanceAttributes, NewInstance, NewQuarantined, Origin, PatientIdentity, Rejection,
    SeriesAttributes, StudyAttributes,
};
use hilum_contracts::ids::CorrelationId;
use hilum_platform::clock::to_millis;

/// An instance as its descriptor and the index know it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Descriptor {
    pub sop_class: String,
    pub sop_instance: String,
    pub series: String,
    pub study: String,
    pub transfer_syntax: String,
    pub length: u64,
    #[serde(with = "hex")]
    pub sha256: [u8; 32],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Digest>,
    pub patient: PatientIdentity,
    pub study_attributes: StudyAttributes,
    pub series_attributes: SeriesAttributes,
    pub instance_attributes: InstanceAttributes,
    #[serde(default)]
    pub flags: Vec<String>,
    pub origin: Origin,
    pub correlation: CorrelationId,
    /// Unix milliseconds.
    pub received_at: i64,
    /// The result set that it was published in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publication: Option<String>,
    /// Where it was received, when it belongs elsewhere since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placed: Option<Placed>,
    /// What it rejects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejects: Option<Rejection>,
}

/// Where a moved instance was received, and what is laid over it since; study
/// and series of its descriptor are those that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Placed {
    pub study: String,
    pub series: String,
    pub overlay: String,
}

/// A refused stream as its descriptor knows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct QuarantineDescriptor {
    #[serde(with = "hex")]
    pub sha256: [u8; 32],
    pub length: u64,
    pub reason: String,
    pub detail: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_syntax: Option<String>,
    pub origin: Origin,
    pub correlation: CorrelationId,
    pub received_at: i64,
}

/// A note as its descriptor knows it; its body tells the rest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NoteDescriptor {
    #[serde(with = "hex")]
    pub sha256: [u8; 32],
    pub length: u64,
    /// Unix milliseconds.
    pub written_at: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Digest(#[serde(with = "hex")] pub [u8; 32]);

/// A descriptor with its compressed blocks.
pub(crate) struct Blocks {
    pub metadata: Vec<u8>,
    pub layout: Vec<u8>,
}

impl Descriptor {
    /// Checks the bounds and takes what is described out of `instance`.
    pub(crate) fn of(instance: &NewInstance) -> Result<Self> {
        for uid in [
            &instance.sop_class,
            &instance.sop_instance,
            &instance.series,
            &instance.study,
        ] {
            if uid.is_empty() || uid.len() > limits::UID_BYTES {
                return Err(ArchiveError::Invalid(
                    "SOP class, SOP instance, series and study need a UID of at most 128 bytes",
                ));
            }
        }
        if instance.metadata.len() > limits::METADATA_BYTES
            || instance.layout.len() > limits::LAYOUT_BYTES
        {
            return Err(ArchiveError::Invalid("metadata or layout is too long"));
        }
        if instance.flags.len() > limits::FLAGS
            || instance
                .flags
                .iter()
                .any(|flag| flag.len() > limits::FLAG_BYTES)
        {
            return Err(ArchiveError::Invalid("too many flags, or one too long"));
        }
        if let Some(rejection) = &instance.rejects
            && (rejection.instances.len() > limits::REJECTED_INSTANCES
                || rejection
                    .instances
                    .iter()
                    .any(|uid| uid.len() > limits::UID_BYTES))
        {
            return Err(ArchiveError::Invalid("a rejection note names too much"));
        }
        Ok(Self {
            sop_class: instance.sop_class.clone(),
            sop_instance: instance.sop_instance.clone(),
            series: instance.series.clone(),
            study: instance.study.clone(),
            transfer_syntax: instance.transfer_syntax.clone(),
            length: instance.body.len(),
            sha256: instance.sha256,
            comparison: instance.comparison.map(Digest),
            patient: instance.patient.clone(),
            study_attributes: instance.study_attributes.clone(),
            series_attributes: instance.series_attributes.clone(),
            instance_attributes: instance.instance_attributes.clone(),
            flags: instance.flags.clone(),
            origin: instance.origin.clone(),
            correlation: instance.correlation,
            received_at: to_millis(instance.received_at),
            publication: None,
            placed: None,
            rejects: instance.rejects.clone(),
        })
    }

    /// The descriptor's bytes: version, then head, metadata and layout, each
    /// with its length before it; the last two compressed (zstd).
    pub(crate) fn encode(&self, blocks: &Blocks) -> Result<Vec<u8>> {
        let head = serde_json::to_vec(self)
            .map_err(|_| ArchiveError::Invalid("the descriptor cannot be written"))?;
        encode(&[&head, &blocks.metadata, &blocks.layout])
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, Blocks)> {
        let [head, metadata, layout] = decode(bytes)?;
        let head = serde_json::from_slice(head).map_err(|_| ArchiveError::Corrupt)?;
        let blocks = Blocks {
            metadata: metadata.to_vec(),
            layout: layout.to_vec(),
        };
        Ok((head, blocks))
    }
}

impl QuarantineDescriptor {
    pub(crate) fn of(item: &NewQuarantined) -> Self {
        Self {
            sha256: item.sha256,
            length: item.body.len(),
            reason: shorten(&item.reason, 64),
            detail: shorten(&item.detail, 1_024),
            transfer_syntax: item
                .transfer_syntax
                .as_ref()
                .map(|uid| shorten(uid, limits::UID_BYTES)),
            origin: item.origin.clone(),
            correlation: item.correlation,
            received_at: to_millis(item.received_at),
        }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let head = serde_json::to_vec(self)
            .map_err(|_| ArchiveError::Invalid("the descriptor cannot be written"))?;
        encode(&[&head, &[], &[]])
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let [head, _, _] = decode(bytes)?;
        serde_json::from_slice(head).map_err(|_| ArchiveError::Corrupt)
    }
}

impl NoteDescriptor {
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        let head = serde_json::to_vec(self)
            .map_err(|_| ArchiveError::Invalid("the descriptor cannot be written"))?;
        encode(&[&head, &[], &[]])
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let [head, _, _] = decode(bytes)?;
        serde_json::from_slice(head).map_err(|_| ArchiveError::Corrupt)
    }
}

const VERSION: u8 = 1;

fn encode(parts: &[&[u8]; 3]) -> Result<Vec<u8>> {
    let mut out = vec![VERSION];
    for part in parts {
        let len = u32::try_from(part.len())
            .map_err(|_| ArchiveError::Invalid("the descriptor is too long"))?;
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(part);
    }
    Ok(out)
}

fn decode(bytes: &[u8]) -> Result<[&[u8]; 3]> {
    let mut cursor = Cursor(bytes);
    let [version] = cursor.take()?;
    if version != VERSION {
        return Err(ArchiveError::Corrupt);
    }
    let mut part = || {
        let len = u32::from_le_bytes(cursor.take()?);
        cursor.slice(usize::try_from(len).map_err(|_| ArchiveError::Corrupt)?)
    };
    Ok([part()?, part()?, part()?])
}

/// Level 3 is zstd's knee: higher ones cost intake more than they save.
const LEVEL: i32 = 3;

pub(crate) fn compress(plain: &[u8]) -> Result<Vec<u8>> {
    Ok(zstd::bulk::compress(plain, LEVEL)?)
}

thread_local! {
    /// Its tables take longer to set up than a text takes to open.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

pub(crate) fn decompress(bytes: &[u8], limit: usize) -> Result<Vec<u8>> {
    // Ours always tell it; without, room for the most would be taken each time.
    let size = match zstd::zstd_safe::get_frame_content_size(bytes) {
        Ok(Some(told)) => usize::try_from(told).map_or(limit, |told| told.min(limit)),
        _ => limit,
    };
    DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(Decompressor::new()?),
        };
        decompressor
            .decompress(bytes, size)
            .map_err(|_| ArchiveError::Corrupt)
    })
}

fn shorten(text: &str, bytes: usize) -> String {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

pub(crate) mod hex {
    //! Digests in JSON.
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn encode(bytes: &[u8]) -> String {
        use std::fmt::Write;
        bytes.iter().fold(String::new(), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
    }

    pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
        let mut out = [0; N];
        if text.len() != N * 2 || !text.is_ascii() {
            return None;
        }
        for (index, byte) in out.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
        }
        Some(out)
    }

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(from)?;
        decode(&text).ok_or_else(|| D::Error::custom("not a SHA-256 in hexadecimal"))
    }
}
