//! Signatures: Ed25519 (RFC 8032) over a text and what it is.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::cipher::Refused;

/// Who signs.
#[derive(Debug)]
pub struct Signer {
    pair: Ed25519KeyPair,
    public: String,
}

impl Signer {
    /// A new one, and its private key (PKCS#8), to be kept sealed.
    ///
    /// # Errors
    /// [`Refused`] when the system gives no random numbers.
    pub fn new() -> Result<(Self, Zeroizing<Vec<u8>>), Refused> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| Refused)?;
        let private = Zeroizing::new(document.as_ref().to_vec());
        Ok((Self::of(&private)?, private))
    }

    /// The one of a private key.
    ///
    /// # Errors
    /// [`Refused`] when it is none.
    pub fn of(private: &[u8]) -> Result<Self, Refused> {
        let pair = Ed25519KeyPair::from_pkcs8(private).map_err(|_| Refused)?;
        let public = STANDARD_NO_PAD.encode(pair.public_key());
        Ok(Self { pair, public })
    }

    /// Its public key, by which it is known.
    #[must_use]
    pub fn public(&self) -> &str {
        &self.public
    }

    /// Signs a text as `what` it is: it is nothing else.
    #[must_use]
    pub fn sign(&self, what: &str, text: String) -> Signed {
        let signature = self.pair.sign(&message(what, &text));
        Signed {
            by: self.public.clone(),
            signature: STANDARD_NO_PAD.encode(signature),
            text,
        }
    }
}

/// A text, and who signed it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Signed {
    by: String,
    text: String,
    signature: String,
}

impl Signed {
    /// As it is kept.
    #[must_use]
    pub fn written(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// What was kept; nothing when it is something else.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The public key of who says to have signed it.
    #[must_use]
    pub fn by(&self) -> &str {
        &self.by
    }

    /// The text as its sender wrote it: it proves nothing.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The text, where it was signed as `what`, by whom it says.
    #[must_use]
    pub fn verified(self, what: &str) -> Option<String> {
        let public = STANDARD_NO_PAD.decode(&self.by).ok()?;
        let signature = STANDARD_NO_PAD.decode(&self.signature).ok()?;
        let key = UnparsedPublicKey::new(&ED25519, public);
        key.verify(&message(what, &self.text), &signature).ok()?;
        Some(self.text)
    }
}

fn message(what: &str, text: &str) -> Vec<u8> {
    [b"hilum ", what.as_bytes(), b" v1\0", text.as_bytes()].concat()
}
