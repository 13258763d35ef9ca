//! One key under another: AES-256-GCM with a nonce of its own, bound to what the
//! key is for.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand;
use zeroize::Zeroizing;

use crate::error::{ArchiveError, Result};

pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| ArchiveError::Disk(std::io::ErrorKind::Other))?;
    Ok(bytes)
}

pub(super) fn tenant_context(tenant: &str) -> Vec<u8> {
    [b"hilum tenant key v1 ".as_slice(), tenant.as_bytes()].concat()
}

pub(super) fn study_context(tenant: &str, id: &[u8; 16]) -> Vec<u8> {
    [b"hilum study key v1 ".as_slice(), id, tenant.as_bytes()].concat()
}

pub(super) fn wrapping_key(secret: &[u8; 32]) -> Result<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, secret)
        .map(LessSafeKey::new)
        .map_err(|_| ArchiveError::WrongKey)
}

pub(super) fn wrap(by: &LessSafeKey, secret: &[u8; 32], context: &[u8]) -> Result<Vec<u8>> {
    let nonce: [u8; 12] = random()?;
    let mut sealed = Zeroizing::new(*secret);
    let tag = by
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(context),
            sealed.as_mut_slice(),
        )
        .map_err(|_| ArchiveError::WrongKey)?;
    Ok([nonce.as_slice(), sealed.as_slice(), tag.as_ref()].concat())
}

pub(super) fn unwrap(
    by: &LessSafeKey,
    wrapped: &[u8],
    context: &[u8],
) -> Result<Zeroizing<[u8; 32]>> {
    let (nonce, sealed) = wrapped
        .split_first_chunk::<12>()
        .ok_or(ArchiveError::Corrupt)?;
    let mut sealed = Zeroizing::new(sealed.to_vec());
    let plain = by
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(context),
            sealed.as_mut_slice(),
        )
        .map_err(|_| ArchiveError::Corrupt)?;
    let plain: &[u8] = plain;
    let secret = <[u8; 32]>::try_from(plain).map_err(|_| ArchiveError::Corrupt)?;
    Ok(Zeroizing::new(secret))
}
