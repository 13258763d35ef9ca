//! How whom an entry is about is sealed and found: AES-256-GCM under a key of
//! the subject's own, wrapped by one of the tenant's, and an HMAC under another
//! of the tenant's. Without the subject's row its entries name nobody.

use aws_lc_rs::{hmac, rand};
use hilum_contracts::audit::Subject;
use hilum_contracts::ids::TenantId;
use zeroize::Zeroizing;

use super::keyring::KeyError;
use crate::cipher::Cipher;

/// A tenant's keys for the trail.
pub struct Keys {
    tenant: TenantId,
    lookup: hmac::Key,
    wrapping: Cipher,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.tenant)
    }
}

/// What the table of subjects holds of one: whoever deletes it leaves entries
/// that name nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectRow {
    /// What entries call it.
    pub handle: [u8; 16],
    /// Its key, wrapped by the tenant's.
    pub wrapped: Vec<u8>,
}

impl Keys {
    /// The keys that come from what was derived for the trail.
    ///
    /// # Errors
    /// [`KeyError::Cipher`] when the cipher refuses the key.
    pub fn new(tenant: &TenantId, secret: &[u8; 32]) -> Result<Self, KeyError> {
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let lookup = hmac::sign(&root, b"hilum audit lookup v1");
        let wrapping = hmac::sign(&root, b"hilum audit wrapping v1");
        Ok(Self {
            tenant: tenant.clone(),
            lookup: hmac::Key::new(hmac::HMAC_SHA256, lookup.as_ref()),
            wrapping: Cipher::new(wrapping.as_ref())?,
        })
    }

    /// By which hash a subject is found.
    #[must_use]
    pub fn lookup(&self, subject: &Subject) -> [u8; 32] {
        match subject {
            Subject::Patient { id, issuer: None } => self.mac(&["patient", id]),
            Subject::Patient {
                id,
                issuer: Some(issuer),
            } => self.mac(&["patient", id, issuer]),
            Subject::Study(uid) => self.mac(&["study", uid]),
            Subject::Query(text) => self.mac(&["query", text]),
            Subject::Reason(text) => self.mac(&["reason", text]),
            Subject::Account(address) => self.mac(&["account", address]),
        }
    }

    /// By which hash a Patient ID is found, whoever issued it.
    #[must_use]
    pub fn patient_id(&self, id: &str) -> [u8; 32] {
        self.mac(&["patient id", id])
    }

    /// [`Keys::patient_id`] of a subject that is a patient.
    #[must_use]
    pub fn broad(&self, subject: &Subject) -> Option<[u8; 32]> {
        match subject {
            Subject::Patient { id, .. } => Some(self.patient_id(id)),
            _ => None,
        }
    }

    /// The row of a subject that is not known yet.
    ///
    /// # Errors
    /// [`KeyError::Cipher`].
    pub fn new_subject(&self) -> Result<SubjectRow, KeyError> {
        let (handle, secret) = (random::<16>()?, Zeroizing::new(random::<32>()?));
        let context = self.wrapped_for(&handle);
        let wrapped = self.wrapping.seal(secret.as_slice(), &context)?;
        Ok(SubjectRow { handle, wrapped })
    }

    /// Seals a subject under the key of its row.
    ///
    /// # Errors
    /// [`KeyError::Cipher`], also when the row is of another tenant.
    pub fn seal(&self, row: &SubjectRow, subject: &Subject) -> Result<Vec<u8>, KeyError> {
        let text = serde_json::to_vec(subject).map_err(|_| KeyError::Cipher)?;
        let context = self.sealed_for(&row.handle);
        Ok(self.key_of(row)?.seal(&text, &context)?)
    }

    /// What was sealed.
    ///
    /// # Errors
    /// [`KeyError::Cipher`] when it is not what [`Keys::seal`] made.
    pub fn open(&self, row: &SubjectRow, sealed: &[u8]) -> Result<Subject, KeyError> {
        let context = self.sealed_for(&row.handle);
        let text = self.key_of(row)?.open(sealed, &context)?;
        serde_json::from_slice(&text).map_err(|_| KeyError::Cipher)
    }

    fn key_of(&self, row: &SubjectRow) -> Result<Cipher, KeyError> {
        let context = self.wrapped_for(&row.handle);
        Ok(Cipher::new(&self.wrapping.open(&row.wrapped, &context)?)?)
    }

    fn wrapped_for(&self, handle: &[u8; 16]) -> Vec<u8> {
        let tenant = self.tenant.as_str().as_bytes();
        [b"hilum audit key v1 ".as_slice(), handle, tenant].concat()
    }

    fn sealed_for(&self, handle: &[u8; 16]) -> Vec<u8> {
        let tenant = self.tenant.as_str().as_bytes();
        [b"hilum audit subject v1 ".as_slice(), handle, tenant].concat()
    }

    /// Over the parts and their lengths, so that none runs into the next.
    fn mac(&self, parts: &[&str]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.lookup);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut mac = [0; 32];
        mac.copy_from_slice(context.sign().as_ref());
        mac
    }
}

fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| KeyError::Cipher)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(tenant: &str, secret: u8) -> Keys {
        Keys::new(&TenantId::new(tenant).unwrap(), &[secret; 32]).unwrap()
    }

    #[test]
    fn what_was_sealed_opens_with_its_row_only() {
        let keys = keys("a", 1);
        let (row, other) = (keys.new_subject().unwrap(), keys.new_subject().unwrap());
        let subject = Subject::patient("4711", Some("St. Mary"));
        let sealed = keys.seal(&row, &subject).unwrap();
        assert_eq!(keys.open(&row, &sealed).unwrap(), subject);
        assert!(keys.open(&other, &sealed).is_err());
        let swapped = SubjectRow {
            handle: row.handle,
            wrapped: other.wrapped,
        };
        assert!(keys.open(&swapped, &sealed).is_err());
    }

    #[test]
    fn another_tenant_finds_and_opens_nothing() {
        let (a, b) = (keys("a", 1), keys("b", 2));
        let subject = Subject::study("1.2.3");
        let row = a.new_subject().unwrap();
        let sealed = a.seal(&row, &subject).unwrap();
        assert!(b.open(&row, &sealed).is_err());
        assert_ne!(a.lookup(&subject), b.lookup(&subject));
    }

    #[test]
    fn subjects_of_one_text_and_several_kinds_are_several() {
        let keys = keys("a", 1);
        let all = [
            Subject::patient("1", None),
            Subject::patient("1", Some("x")),
            Subject::study("1"),
            Subject::query("1"),
            Subject::patient("1x", None),
        ]
        .map(|subject| keys.lookup(&subject));
        for (index, one) in all.iter().enumerate() {
            assert!(!all[index + 1..].contains(one));
        }
    }
}
