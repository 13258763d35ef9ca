//! Elements, sequences and delimiters as bytes of one encoding (PS3.5 §7.1).

use dicom_core::{Tag, VR};

use crate::encoding::{Encoding, has_long_length};
use crate::error::from_u32;

pub(super) const UNDEFINED: u32 = u32::MAX;

/// Writes what is new in one encoding.
#[derive(Clone, Copy)]
pub(super) struct Form(pub(super) Encoding);

impl Form {
    fn u16(self, number: u16) -> [u8; 2] {
        if self.0.is_big() {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        }
    }

    pub(super) fn u32(self, number: u32) -> [u8; 4] {
        if self.0.is_big() {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        }
    }

    fn tag(self, tag: Tag, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.u16(tag.0));
        out.extend_from_slice(&self.u16(tag.1));
    }

    /// A header; `vr` is left out where the encoding has none. A length that
    /// does not fit its VR's header makes it UN (PS3.5 §6.2.2).
    pub(super) fn header(self, tag: u32, vr: VR, length: u32, out: &mut Vec<u8>) {
        self.tag(from_u32(tag), out);
        if self.0 == Encoding::ImplicitLittle {
            out.extend_from_slice(&self.u32(length));
            return;
        }
        match u16::try_from(length) {
            Ok(short) if !has_long_length(vr) => {
                out.extend_from_slice(vr.to_string().as_bytes());
                out.extend_from_slice(&self.u16(short));
            }
            _ => {
                let vr = if has_long_length(vr) { vr } else { VR::UN };
                out.extend_from_slice(vr.to_string().as_bytes());
                out.extend_from_slice(&[0, 0]);
                out.extend_from_slice(&self.u32(length));
            }
        }
    }

    /// An element whose value is text already encoded.
    pub(super) fn text(self, tag: u32, vr: VR, value: &[u8], out: &mut Vec<u8>) {
        let odd = value.len() % 2;
        let length = u32::try_from(value.len() + odd).unwrap_or(0);
        self.header(tag, vr, length, out);
        pad(vr, value, out);
    }

    /// Opens a sequence of undefined length.
    pub(super) fn sequence(self, tag: u32, out: &mut Vec<u8>) {
        self.header(tag, VR::SQ, UNDEFINED, out);
    }

    pub(super) fn item(self, out: &mut Vec<u8>) {
        self.delimiter(0xE000, UNDEFINED, out);
    }

    pub(super) fn item_end(self, out: &mut Vec<u8>) {
        self.delimiter(0xE00D, 0, out);
    }

    pub(super) fn sequence_end(self, out: &mut Vec<u8>) {
        self.delimiter(0xE0DD, 0, out);
    }

    fn delimiter(self, element: u16, length: u32, out: &mut Vec<u8>) {
        self.tag(Tag(0xFFFE, element), out);
        out.extend_from_slice(&self.u32(length));
    }
}

/// A value, filled up to an even length (PS3.5 §6.2).
pub(super) fn pad(vr: VR, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(value);
    if value.len() % 2 == 1 {
        out.push(if vr == VR::UI { 0 } else { b' ' });
    }
}
