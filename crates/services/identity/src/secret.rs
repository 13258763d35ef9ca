//! Secrets that this service makes: tokens of 256 random bits. What is stored
//! is their SHA-256: nothing shorter than a search of 2²⁵⁶ leads back.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::ApiKeyId;
use zeroize::Zeroizing;

/// What is stored of a secret.
pub(crate) type Hash = [u8; 32];

/// A token that is told once.
pub(crate) struct Token(Zeroizing<String>);

impl Token {
    /// A new one.
    pub(crate) fn new() -> Result<Self, ServiceError> {
        let mut bytes = Zeroizing::new([0_u8; 32]);
        SystemRandom::new()
            .fill(bytes.as_mut_slice())
            .map_err(|_| ServiceError::internal("The machine gave no random numbers."))?;
        let text = URL_SAFE_NO_PAD.encode(bytes.as_slice());
        Ok(Self(Zeroizing::new(text)))
    }

    /// What is stored of it.
    pub(crate) fn hash(&self) -> Hash {
        hash(&self.0)
    }

    /// The token, for who it was made for.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

/// What would be stored of a token that somebody shows.
pub(crate) fn hash(token: &str) -> Hash {
    hash_of(&[token.as_bytes()])
}

/// SHA-256 over parts that can't be mistaken for each other.
pub(crate) fn hash_of(parts: &[&[u8]]) -> Hash {
    let mut all = Zeroizing::new(Vec::new());
    if let [one] = parts {
        all.extend_from_slice(one);
    } else {
        for part in parts {
            all.extend_from_slice(&(part.len() as u64).to_be_bytes());
            all.extend_from_slice(part);
        }
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, &all).as_ref());
    hash
}

/// Compares in a time that does not depend on where they differ.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    verify_slices_are_equal(a, b).is_ok()
}

/// What a program sends: `hk_<id>_<secret>`.
pub(crate) fn bearer_of(id: ApiKeyId, secret: &Token) -> String {
    format!("hk_{}_{}", id.0.simple(), secret.reveal())
}

/// The key's id, and what would be stored of its secret.
pub(crate) fn parse_bearer(bearer: &str) -> Option<(ApiKeyId, Hash)> {
    let (id, secret) = bearer.strip_prefix("hk_")?.split_once('_')?;
    let written = id.len() == 32 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !written || secret.len() != 43 {
        return None;
    }
    Some((id.parse().ok()?, hash(secret)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_leads_to_its_key_and_nothing_else_does() {
        let (id, secret) = (ApiKeyId::new(), Token::new().unwrap());
        let bearer = bearer_of(id, &secret);
        assert_eq!(parse_bearer(&bearer), Some((id, secret.hash())));
        for wrong in ["", "hk_", "hk__", "hk_x_y", &bearer[1..], &bearer[..70]] {
            assert!(parse_bearer(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn parts_of_a_hash_can_t_be_moved_between_them() {
        assert_ne!(hash_of(&[b"ab", b"c"]), hash_of(&[b"a", b"bc"]));
    }
}
