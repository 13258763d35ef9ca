//! The statement itself, and how it is kept where anybody may read: under a name and a
//! seal that both come from what was shown, so that nobody finds or opens it who does
//! not show the same. What is shown are secrets of 256 random bits: no search leads
//! back from the name.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hilum_contracts::identity::Admitted;
use hilum_contracts::ids::TenantId;
use hilum_contracts::scope::{Acting, Principal};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Signed, Signer};
use crate::cipher::Cipher;

/// What a pass is signed as.
pub(super) const WHAT: &str = "pass";

/// Who showed something, in which tenant, and by which right.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pass {
    /// The name of what was shown.
    shown: String,
    /// The tenant that they act in.
    pub tenant: TenantId,
    /// Who acts, and by which right.
    pub acting: Acting,
    /// The moment up to which Identity knew what had ended, in milliseconds since 1970.
    pub issued: i64,
    /// It holds no more from then on.
    pub until: i64,
}

impl Pass {
    /// That `admitted` showed `shown`.
    #[must_use]
    pub fn new(shown: &Shown, admitted: &Admitted, issued: i64, until: i64) -> Self {
        Self {
            shown: shown.written(),
            tenant: admitted.tenant.clone(),
            acting: Acting {
                from: None,
                ..admitted.acting.clone()
            },
            issued,
            until,
        }
    }

    /// The same, signed.
    #[must_use]
    pub fn signed(&self, signer: &Signer) -> String {
        let text = serde_json::to_string(self).unwrap_or_default();
        String::from_utf8(signer.sign(WHAT, text).written()).unwrap_or_default()
    }

    /// What Identity itself has just answered with: its word needs no signature.
    #[must_use]
    pub fn of_answer(signed: &str, shown: &Shown) -> Option<Self> {
        Self::read(Signed::read(signed.as_bytes())?.text(), shown)
    }

    /// The pass that a text is; nothing when it is for something else that was shown.
    pub(super) fn read(text: &str, shown: &Shown) -> Option<Self> {
        let pass: Self = serde_json::from_str(text).ok()?;
        (pass.shown == shown.written()).then_some(pass)
    }

    /// Who is let in by it.
    #[must_use]
    pub fn admitted(&self) -> Admitted {
        Admitted {
            tenant: self.tenant.clone(),
            acting: self.acting.clone(),
            pass: None,
        }
    }
}

/// What a pass of this principal ends with: their session or key. Others have none.
#[must_use]
pub fn subject(principal: &Principal) -> Option<String> {
    match principal {
        Principal::Person { session, .. } => Some(format!("session:{session}")),
        Principal::ApiKey(id) => Some(format!("key:{id}")),
        Principal::LocalOperator | Principal::Device(_) | Principal::Service(_) => None,
    }
}

/// What somebody showed at a door, as it is known without them.
pub struct Shown {
    name: [u8; 32],
    seal: Zeroizing<[u8; 32]>,
}

impl Shown {
    /// `text`, shown at `door`. What is shown at one door is nothing at the other.
    #[must_use]
    pub fn new(door: &str, text: &str) -> Self {
        Self {
            name: derived("name", door, text),
            seal: Zeroizing::new(derived("seal", door, text)),
        }
    }

    /// Its name, which says nothing of it.
    #[must_use]
    pub fn name(&self) -> &[u8; 32] {
        &self.name
    }

    /// The same as text.
    #[must_use]
    pub fn written(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.name)
    }

    /// Seals a pass, so that whoever shows the same opens it and nobody else.
    #[must_use]
    pub fn seal(&self, signed: &str) -> Option<Vec<u8>> {
        let cipher = Cipher::new(self.seal.as_slice()).ok()?;
        cipher.seal(signed.as_bytes(), WHAT.as_bytes()).ok()
    }

    pub(super) fn open(&self, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let cipher = Cipher::new(self.seal.as_slice()).ok()?;
        cipher.open(sealed, WHAT.as_bytes()).ok()
    }
}

/// SHA-256 of what was shown, for one use of it.
fn derived(of: &str, door: &str, text: &str) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in ["hilum pass v1", of, door] {
        context.update(part.as_bytes());
        context.update(&[0]);
    }
    context.update(text.as_bytes());
    let mut derived = [0; 32];
    derived.copy_from_slice(context.finish().as_ref());
    derived
}
