//! Sealing of one segment: AES-256-GCM in chunks. The nonce is the
//! chunk's counter with a final-chunk flag, the associated data is a digest of
//! the object's and the segment's headers (so of tenant, object and ordinal),
//! and the keys are derived from the study key and the object's random salt:
//! a nonce never meets the same key twice. It does no IO.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{digest, hkdf};

use crate::error::{ArchiveError, Result};
use crate::format::{SEGMENT_HEADER, Shape, TAG};

/// The two keys of one segment.
pub(crate) struct SegmentKeys {
    descriptor: LessSafeKey,
    body: LessSafeKey,
    binding: [u8; 32],
    /// Plain bytes of a full chunk.
    chunk: usize,
}

/// Which part of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Descriptor,
    Body,
}

impl SegmentKeys {
    /// `header` and `segment` are the encoded headers, as they are in the file.
    pub(crate) fn derive(
        study_key: &[u8; 32],
        salt: &[u8; 32],
        header: &[u8],
        segment: &[u8; SEGMENT_HEADER],
        shape: Shape,
    ) -> Result<Self> {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(header);
        context.update(segment);
        let mut binding = [0; 32];
        binding.copy_from_slice(context.finish().as_ref());
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(study_key);
        let key = |label: &[u8]| -> Result<LessSafeKey> {
            let info = [label, &binding];
            let okm = prk.expand(&info, &AES_256_GCM).map_err(|_| broken())?;
            Ok(LessSafeKey::new(UnboundKey::from(okm)))
        };
        Ok(Self {
            descriptor: key(b"hilum object v1 descriptor")?,
            body: key(b"hilum object v1 body")?,
            binding,
            chunk: shape.chunk(),
        })
    }

    /// Opens sealed chunks, the first of them number `first`, into `plain`,
    /// which is as long as what is in them. `ends`: the last one given is the
    /// final one.
    pub(crate) fn open_into(
        &self,
        part: Part,
        first: u32,
        ends: bool,
        sealed: &[u8],
        plain: &mut [u8],
    ) -> Result<()> {
        let total = sealed.len().div_ceil(self.chunk + TAG);
        let mut rest = plain;
        for (run, chunk) in sealed.chunks(self.chunk + TAG).enumerate() {
            let index = u32::try_from(run)
                .ok()
                .and_then(|run| first.checked_add(run))
                .ok_or(ArchiveError::Corrupt)?;
            let length = chunk.len().checked_sub(TAG).ok_or(ArchiveError::Corrupt)?;
            let (text, tag) = chunk.split_at(length);
            let (into, after) = rest
                .split_at_mut_checked(length)
                .ok_or(ArchiveError::Corrupt)?;
            self.key(part)
                .open_separate_gather(
                    nonce(index, ends && run + 1 == total),
                    Aad::from(&self.binding),
                    text,
                    tag,
                    into,
                )
                .map_err(|_| ArchiveError::Corrupt)?;
            rest = after;
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(ArchiveError::Corrupt)
        }
    }

    fn key(&self, part: Part) -> &LessSafeKey {
        match part {
            Part::Descriptor => &self.descriptor,
            Part::Body => &self.body,
        }
    }

    /// Appends one sealed chunk to `out`.
    pub(crate) fn seal_chunk(
        &self,
        part: Part,
        index: u32,
        last: bool,
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let start = out.len();
        out.extend_from_slice(plain);
        let chunk = out.get_mut(start..).unwrap_or_default();
        let tag = self
            .key(part)
            .seal_in_place_separate_tag(nonce(index, last), Aad::from(&self.binding), chunk)
            .map_err(|_| broken())?;
        out.extend_from_slice(tag.as_ref());
        Ok(())
    }

    /// Appends all of `plain`, sealed, to `out`.
    pub(crate) fn seal_all(&self, part: Part, plain: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let last = plain.len().div_ceil(self.chunk).saturating_sub(1);
        if plain.is_empty() {
            return self.seal_chunk(part, 0, true, plain, out);
        }
        for (index, chunk) in plain.chunks(self.chunk).enumerate() {
            let counter = u32::try_from(index).map_err(|_| too_long())?;
            self.seal_chunk(part, counter, index == last, chunk, out)?;
        }
        Ok(())
    }

    /// Opens sealed chunks in place, the first of them number `first`, and
    /// moves the plain text together; its length. `ends`: the last one given
    /// is the final one.
    pub(crate) fn open_run(
        &self,
        part: Part,
        first: u32,
        ends: bool,
        sealed: &mut [u8],
    ) -> Result<usize> {
        let total = sealed.len().div_ceil(self.chunk + TAG);
        let mut plain = 0;
        for run in 0..total {
            let from = run * (self.chunk + TAG);
            let to = sealed.len().min(from + self.chunk + TAG);
            let index = u32::try_from(run)
                .ok()
                .and_then(|run| first.checked_add(run))
                .ok_or(ArchiveError::Corrupt)?;
            let chunk = sealed.get_mut(from..to).ok_or(ArchiveError::Corrupt)?;
            let opened = self
                .key(part)
                .open_in_place(
                    nonce(index, ends && run + 1 == total),
                    Aad::from(&self.binding),
                    chunk,
                )
                .map_err(|_| ArchiveError::Corrupt)?
                .len();
            sealed.copy_within(from..from + opened, plain);
            plain += opened;
        }
        Ok(plain)
    }
}

fn nonce(index: u32, last: bool) -> Nonce {
    let [a, b, c, d] = index.to_be_bytes();
    Nonce::assume_unique_for_key([0, 0, 0, 0, 0, 0, 0, a, b, c, d, u8::from(last)])
}

fn broken() -> ArchiveError {
    ArchiveError::Invalid("the cipher refused its input")
}

pub(crate) fn too_long() -> ArchiveError {
    ArchiveError::Invalid("a data set of this length cannot be stored")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{CHUNK, sealed_len};

    fn keys() -> SegmentKeys {
        SegmentKeys::derive(
            &[1; 32],
            &[2; 32],
            b"header",
            &[3; SEGMENT_HEADER],
            Shape::Described,
        )
        .unwrap()
    }

    #[test]
    fn what_was_sealed_opens_at_every_length_around_a_chunk() {
        for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let plain: Vec<u8> = (0..=250).cycle().take(len).collect();
            let mut sealed = Vec::new();
            keys().seal_all(Part::Body, &plain, &mut sealed).unwrap();
            assert_eq!(sealed.len() as u64, sealed_len(len as u64));
            let mut into = vec![1; len];
            keys()
                .open_into(Part::Body, 0, true, &sealed, &mut into)
                .unwrap();
            assert_eq!(into, plain);
            assert!(
                keys()
                    .open_into(Part::Body, 1, true, &sealed, &mut into)
                    .is_err()
            );
            let opened = keys().open_run(Part::Body, 0, true, &mut sealed).unwrap();
            assert_eq!(&sealed[..opened], &plain[..]);
        }
    }

    #[test]
    fn a_cut_off_end_a_swapped_chunk_and_another_part_do_not_open() {
        let plain = vec![5; 2 * CHUNK];
        let mut sealed = Vec::new();
        keys().seal_all(Part::Body, &plain, &mut sealed).unwrap();
        let mut cut = sealed[..CHUNK + TAG].to_vec();
        assert!(keys().open_run(Part::Body, 0, true, &mut cut).is_err());
        let mut second = sealed[CHUNK + TAG..].to_vec();
        assert!(
            keys()
                .open_run(Part::Body, 0, true, &mut second.clone())
                .is_err()
        );
        assert!(keys().open_run(Part::Body, 1, true, &mut second).is_ok());
        assert!(
            keys()
                .open_run(Part::Descriptor, 0, true, &mut sealed)
                .is_err()
        );
    }
}
