//! An entry as it is kept: its canonical bytes, and its place in the chain.

use std::collections::BTreeMap;
use std::net::IpAddr;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hilum_contracts::audit::{Act, Detail, Entry, Outcome};
use hilum_contracts::ids::{CorrelationId, TenantId};
use hilum_contracts::scope::{Principal, Right, TenantScope};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::keyring::KeyError;

/// What the first entry of a chain goes on from.
pub const ZERO: [u8; 32] = [0; 32];

/// The newest form of a record.
const VERSION: u8 = 1;

/// An entry as its canonical bytes hold it. Members are added at the end and
/// never taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Form of the record.
    pub version: u8,
    /// Whose trail it stands in.
    #[serde(deserialize_with = "TenantId::deserialize_stored")]
    pub tenant: TenantId,
    /// The service that wrote it.
    pub writer: String,
    /// Its place in the chain, from 1.
    pub position: u64,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Who.
    pub principal: Principal,
    /// By which right.
    pub right: Right,
    /// From where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
    /// What.
    pub act: Act,
    /// How it ended.
    pub outcome: Outcome,
    /// How often, or how many instances.
    pub count: u64,
    /// Whose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<SealedSubject>,
    /// What else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<Detail, String>,
    /// The work it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<CorrelationId>,
}

/// A subject as an entry names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedSubject {
    /// What the subject's row calls it.
    #[serde(serialize_with = "write_bytes", deserialize_with = "read_handle")]
    pub handle: [u8; 16],
    /// Whom it names, sealed under the key in that row.
    #[serde(serialize_with = "write_bytes", deserialize_with = "read_bytes")]
    pub sealed: Vec<u8>,
}

/// Where a chain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Of the last entry; 0 when there is none.
    pub position: u64,
    /// Its hash.
    pub hash: [u8; 32],
    /// Of the last entry that was removed because it was kept long enough.
    pub removed: u64,
    /// Its hash: what the first entry that is there goes on from.
    pub anchor: [u8; 32],
}

impl Default for Head {
    fn default() -> Self {
        Self {
            position: 0,
            hash: ZERO,
            removed: 0,
            anchor: ZERO,
        }
    }
}

/// An entry as its row holds it. What is beside `body` and `hash` is there to
/// be searched by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raw {
    /// Its place in the chain.
    pub position: u64,
    /// When.
    pub at: i64,
    /// What.
    pub act: String,
    /// How it ended.
    pub outcome: String,
    /// Who.
    pub who: String,
    /// Its canonical bytes.
    #[serde(serialize_with = "write_bytes", deserialize_with = "read_bytes")]
    pub body: Vec<u8>,
    /// The chain's hash with it.
    #[serde(serialize_with = "write_bytes", deserialize_with = "read_bytes")]
    pub hash: Vec<u8>,
}

/// The next entry of a chain, about to be written.
#[derive(Debug)]
pub struct Draft {
    /// Its row.
    pub raw: Raw,
    /// The chain with it.
    pub head: Head,
}

impl Draft {
    /// What follows `head` in the chain of `writer`. `subjects`: those of
    /// `entry`, sealed.
    ///
    /// # Errors
    /// [`KeyError::Cipher`] when the record can't be written; none can't.
    pub fn new(
        head: &Head,
        writer: &str,
        scope: &TenantScope,
        at: i64,
        entry: &Entry,
        subjects: Vec<SealedSubject>,
    ) -> Result<Self, KeyError> {
        let record = Record {
            version: VERSION,
            tenant: scope.tenant().clone(),
            writer: writer.to_owned(),
            position: head.position.saturating_add(1),
            at,
            principal: scope.principal().clone(),
            right: scope.right(),
            from: entry.from.or(scope.from()),
            act: entry.act,
            outcome: entry.outcome,
            count: entry.count,
            subjects,
            details: entry.details.clone(),
            correlation: entry.correlation,
        };
        let body = serde_json::to_vec(&record).map_err(|_| KeyError::Cipher)?;
        let hash = link(&head.hash, &body);
        Ok(Self {
            head: Head {
                position: record.position,
                hash,
                ..*head
            },
            raw: Raw {
                position: record.position,
                at,
                act: record.act.name().to_owned(),
                outcome: record.outcome.name().to_owned(),
                who: record.principal.to_string(),
                body,
                hash: hash.to_vec(),
            },
        })
    }
}

/// The chain's hash with `body` after `before`.
#[must_use]
pub fn link(before: &[u8; 32], body: &[u8]) -> [u8; 32] {
    sha256(&[before, body])
}

/// The hash of an entry as a leaf of a Merkle tree (RFC 9162 §2.1.1).
#[must_use]
pub fn leaf(body: &[u8]) -> [u8; 32] {
    sha256(&[&[0], body])
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

fn write_bytes<S: Serializer>(bytes: &impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&URL_SAFE_NO_PAD.encode(bytes))
}

fn read_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = URL_SAFE_NO_PAD.decode(text);
    bytes.map_err(|_| serde::de::Error::custom("bytes are written as base64url"))
}

fn read_handle<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 16], D::Error> {
    let bytes = read_bytes(deserializer)?;
    let handle = <[u8; 16]>::try_from(bytes.as_slice());
    handle.map_err(|_| serde::de::Error::custom("a handle has 16 bytes"))
}
