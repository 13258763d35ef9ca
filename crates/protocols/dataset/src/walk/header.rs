//! One element header: tag, VR and length (PS3.5 §7.1.2, §7.1.3), and what can
//! be made of one that is not as declared. Checks the fit, passes nothing.

use dicom_core::{Tag, VR};

use super::{UNDEFINED, Walker, read_tag};
use crate::encoding::{Encoding, has_long_length, vr_of};
use crate::error::{Flag, Flags, Place, Refusal, ScanError, to_u32};
use crate::source::ByteSource;

/// An element header as read, before anything is made of it.
pub(super) struct Header {
    pub(super) tag: Tag,
    pub(super) vr: Option<VR>,
    pub(super) length: u32,
    pub(super) size: u64,
    pub(super) encoding: Encoding,
}

impl<S: ByteSource> Walker<S> {
    /// Reads a header without passing it. Where the bytes cannot be of the
    /// declared encoding but can be of the other one, the other is taken: some
    /// writers mix both.
    pub(super) fn header(
        &mut self,
        limit: u64,
        encoding: Encoding,
        flags: &mut Flags,
    ) -> Result<Header, ScanError> {
        let at = self.cursor.position();
        let room = limit - at;
        if room < 8 {
            let place = if self.stack.is_empty() {
                Place::Header
            } else {
                Place::Sequence
            };
            return Err(self.overrun(at, limit, place, Tag(0, 0)));
        }
        let bytes = self.cursor.peek(12)?;
        let tag = read_tag(bytes, encoding);
        let (code, short) = match bytes {
            [_, _, _, _, a, b, c, d, ..] => ([*a, *b], [*c, *d]),
            _ => ([0; 2], [0; 2]),
        };
        let wide = encoding.u32(bytes.get(4..8).unwrap_or_default());
        let long = (room >= 12).then(|| encoding.u32(bytes.get(8..12).unwrap_or_default()));
        let fits = |size: u64, length: u32| length == UNDEFINED || size + u64::from(length) <= room;
        let make = |vr, length, size, encoding| Header {
            tag,
            vr,
            length,
            size,
            encoding,
        };
        if tag.0 == 0xFFFE {
            return Ok(make(None, wide, 8, encoding));
        }
        let known = vr_of(code);
        let implicit = encoding == Encoding::ImplicitLittle;
        if implicit && (known.is_none() || fits(8, wide)) {
            return Ok(make(None, wide, 8, encoding));
        }
        let explicit = if implicit {
            Encoding::ExplicitLittle
        } else {
            encoding
        };
        if let Some(vr) = known {
            if !has_long_length(vr) {
                let length = u32::from(explicit.u16(&short));
                if implicit && !fits(8, length) {
                    return Ok(make(None, wide, 8, encoding));
                }
                if implicit {
                    flags.add(Flag::EncodingMismatch);
                }
                return Ok(make(Some(vr), length, 8, explicit));
            }
            let Some(length) = long else {
                return Err(self.overrun(at, limit, Place::Header, tag));
            };
            if implicit && !fits(12, length) {
                return Ok(make(None, wide, 8, encoding));
            }
            if implicit {
                flags.add(Flag::EncodingMismatch);
            }
            return Ok(make(Some(vr), length, 12, explicit));
        }
        // No VR that is known. Two capitals: a VR of tomorrow, which has a
        // 32-bit length (PS3.5 §7.1.2), or a misspelt old one.
        let flag = Flag::InvalidVr { tag: to_u32(tag) };
        if code.iter().all(u8::is_ascii_uppercase) {
            if let Some(length) = long
                && short == [0, 0]
                && length != UNDEFINED
                && fits(12, length)
            {
                flags.add(flag);
                return Ok(make(Some(VR::UN), length, 12, encoding));
            }
        } else if !encoding.is_big() && fits(8, wide) {
            if self.elements == 0 {
                // The whole data set is of the other encoding.
                self.encoding = Encoding::ImplicitLittle;
                flags.add(Flag::EncodingMismatch);
            } else {
                flags.add(flag);
            }
            return Ok(make(None, wide, 8, Encoding::ImplicitLittle));
        }
        let length = u32::from(encoding.u16(&short));
        if fits(8, length) && code.iter().all(u8::is_ascii_graphic) {
            flags.add(flag);
            return Ok(make(Some(VR::UN), length, 8, encoding));
        }
        let tag = to_u32(tag);
        Err(Refusal::Broken { at, tag }.into())
    }
}
