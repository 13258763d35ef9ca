//! Seals what is kept and must be read again: AES-256-GCM with a random nonce
//! in front, bound to a context that says what it is. Owns no key: whoever has
//! one derives it from the archive's.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

/// A key, ready for use.
#[derive(Debug)]
pub struct Cipher(RandomizedNonceKey);

/// The cipher refused its key or what it was given: it was sealed with another
/// key, as something else, or changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cipher refused")]
pub struct Refused;

impl Cipher {
    /// A cipher under this secret of 32 bytes.
    ///
    /// # Errors
    /// [`Refused`] when the secret has another length.
    pub fn new(secret: &[u8]) -> Result<Self, Refused> {
        RandomizedNonceKey::new(&AES_256_GCM, secret)
            .map(Self)
            .map_err(|_| Refused)
    }

    /// Nonce, sealed text and tag. `context`: what it is, which is not sealed.
    ///
    /// # Errors
    /// [`Refused`] when the system gives no random numbers.
    pub fn seal(&self, plain: &[u8], context: &[u8]) -> Result<Vec<u8>, Refused> {
        let mut sealed = plain.to_vec();
        let nonce = self
            .0
            .seal_in_place_append_tag(Aad::from(context), &mut sealed)
            .map_err(|_| Refused)?;
        Ok([nonce.as_ref().as_slice(), &sealed].concat())
    }

    /// What [`Cipher::seal`] sealed in the same context.
    ///
    /// # Errors
    /// [`Refused`] when it did not.
    pub fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Zeroizing<Vec<u8>>, Refused> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN).ok_or(Refused)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Refused)?;
        let mut plain = Zeroizing::new(rest.to_vec());
        let length = self
            .0
            .open_in_place(nonce, Aad::from(context), plain.as_mut_slice())
            .map_err(|_| Refused)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_with_its_key_in_its_context_only() {
        let (one, other) = (
            Cipher::new(&[1; 32]).unwrap(),
            Cipher::new(&[2; 32]).unwrap(),
        );
        let sealed = one.seal(b"words", b"a reason").unwrap();
        assert_eq!(*one.open(&sealed, b"a reason").unwrap(), b"words");
        assert_ne!(one.seal(b"words", b"a reason").unwrap(), sealed);
        assert_eq!(one.open(&sealed, b"a review"), Err(Refused));
        assert_eq!(other.open(&sealed, b"a reason"), Err(Refused));
        assert_eq!(one.open(&sealed[..20], b"a reason"), Err(Refused));
        assert_eq!(one.open(b"", b"a reason"), Err(Refused));
        assert!(Cipher::new(&[1; 31]).is_err());
    }
}
