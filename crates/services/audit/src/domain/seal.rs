//! A seal: a signed statement of what a tenant's trails held at a time. Signed
//! is its `content`, one JSON object without white space, as it stands in the
//! seal; the leaves of its tree stand beside it, so that a changed entry can be
//! named, and are held by the root.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hilum_contracts::ids::TenantId;
use serde::{Deserialize, Serialize};

use super::merkle;

/// The newest form of a seal.
pub(crate) const VERSION: u8 = 1;

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Form of the seal.
    pub version: u8,
    /// Whose trails.
    #[serde(deserialize_with = "TenantId::deserialize_stored")]
    pub tenant: TenantId,
    /// From 1, without a gap.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// SHA-256 of the content of the seal before, base64url; empty for the first.
    pub previous: String,
    /// What each writer wrote since the seal before.
    pub writers: Vec<Range>,
    /// The root of the Merkle tree over all those entries, base64url.
    pub root: String,
}

/// Entries of one writer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Who wrote them.
    pub writer: String,
    /// Position of the first.
    pub first: u64,
    /// Position of the last.
    pub last: u64,
    /// The chain's hash with the last, base64url.
    pub head: String,
}

/// A seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// What is signed, as text.
    pub content: String,
    /// The installation's public key, base64url.
    pub key: String,
    /// Ed25519 over the content, base64url.
    pub signature: String,
    /// Hashes of the entries, in the order of the content's writers, base64url.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub leaves: String,
}

/// What is wrong with a seal itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealFault {
    /// It is no seal.
    #[error("it can't be read")]
    Form,
    /// It was not signed with this key.
    #[error("its signature is not the installation's")]
    Signature,
    /// The seal before is another one, or is not there.
    #[error("it does not follow the seal before")]
    Order,
    /// Its tree is not that of its leaves.
    #[error("its leaves are not those that were sealed")]
    Leaves,
}

impl Seal {
    /// What it says, when it is signed with `key` (base64url) and follows the
    /// content of the seal before.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn opened(&self, key: &str, before: Option<&Self>) -> Result<Content, SealFault> {
        let content: Content = serde_json::from_str(&self.content).map_err(|_| SealFault::Form)?;
        let (public, signature) = (decode(key)?, decode(&self.signature)?);
        UnparsedPublicKey::new(&ED25519, public)
            .verify(self.content.as_bytes(), &signature)
            .map_err(|_| SealFault::Signature)?;
        let (previous, number) = match before {
            Some(before) => {
                let content: Content =
                    serde_json::from_str(&before.content).map_err(|_| SealFault::Form)?;
                (before.hash(), content.number)
            }
            None => (String::new(), 0),
        };
        let follows = content.previous == previous && content.number == number.saturating_add(1);
        if !follows || content.version != VERSION {
            return Err(SealFault::Order);
        }
        Ok(content)
    }

    /// The hashes of its entries, when they are those that were sealed.
    ///
    /// # Errors
    /// [`SealFault::Leaves`].
    pub fn leaves_of(&self, content: &Content) -> Result<Vec<[u8; 32]>, SealFault> {
        let bytes = decode(&self.leaves).map_err(|_| SealFault::Leaves)?;
        let (leaves, rest) = bytes.as_chunks::<32>();
        let count: u64 = content
            .writers
            .iter()
            .map(|range| range.last.saturating_sub(range.first).saturating_add(1))
            .fold(0, u64::saturating_add);
        let is_whole = rest.is_empty() && leaves.len() as u64 == count;
        if !is_whole || encode(&merkle::root(leaves)) != content.root {
            return Err(SealFault::Leaves);
        }
        Ok(leaves.to_vec())
    }

    /// SHA-256 of its content, base64url: what the next seal follows.
    #[must_use]
    pub fn hash(&self) -> String {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.content.as_bytes());
        encode(hash.as_ref())
    }
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Result<Vec<u8>, SealFault> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| SealFault::Form)
}
