//! A signed statement that the beginning of a chain was removed because it was
//! kept long enough. Without one, what is missing at the beginning was taken away.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use hilum_contracts::ids::TenantId;
use serde::{Deserialize, Serialize};

use super::seal::{SealFault, decode};

/// What is signed: one JSON object without white space. It begins with what it
/// is, so that no seal can stand for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Removal {
    /// Form of the statement: `removal-1`.
    pub(crate) kind: String,
    /// Whose trail.
    #[serde(deserialize_with = "TenantId::deserialize_stored")]
    pub(crate) tenant: TenantId,
    /// Whose chain.
    pub(crate) writer: String,
    /// The last entry that was removed: the last of a seal.
    pub(crate) position: u64,
    /// The chain's hash there, base64url: what it goes on from.
    pub(crate) hash: String,
    /// When that was sealed, in milliseconds since 1970.
    pub(crate) sealed_at: i64,
    /// When it was removed.
    pub(crate) at: i64,
}

/// The newest form.
pub(crate) const KIND: &str = "removal-1";

impl Removal {
    /// What a statement says, when it was signed with `key` (base64url).
    pub(crate) fn opened(content: &str, signature: &str, key: &str) -> Result<Self, SealFault> {
        let removal: Self = serde_json::from_str(content).map_err(|_| SealFault::Form)?;
        UnparsedPublicKey::new(&ED25519, decode(key)?)
            .verify(content.as_bytes(), &decode(signature)?)
            .map_err(|_| SealFault::Signature)?;
        match removal.kind == KIND {
            true => Ok(removal),
            false => Err(SealFault::Form),
        }
    }
}
