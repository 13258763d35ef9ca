//! One inline value as JSON (PS3.18 §F.2.3), by VR. Bounded by the inline
//! limits of its caller.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dicom_core::VR;

use crate::encoding::Encoding;
use crate::error::{Flag, Flags};
use crate::json::Json;
use crate::text::CharacterSet;

/// How a VR is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// Text; `multiple` values are separated by a backslash.
    Text { multiple: bool, charset: bool },
    /// Person name.
    Name,
    /// Number in text.
    Decimal,
    /// Binary number of this many bytes.
    Number(usize),
    /// Bytes in words of this many, which big endian swaps.
    Binary(usize),
}

pub(crate) fn class_of(vr: VR) -> Class {
    let text = |multiple, charset| Class::Text { multiple, charset };
    match vr {
        VR::AE | VR::AS | VR::CS | VR::DA | VR::DT | VR::TM | VR::UI => text(true, false),
        VR::LO | VR::SH | VR::UC => text(true, true),
        VR::LT | VR::ST | VR::UT => text(false, true),
        VR::UR => text(false, false),
        VR::PN => Class::Name,
        VR::DS | VR::IS => Class::Decimal,
        VR::SS | VR::US => Class::Number(2),
        VR::AT | VR::FL | VR::SL | VR::UL => Class::Number(4),
        VR::FD | VR::SV | VR::UV => Class::Number(8),
        VR::OW => Class::Binary(2),
        VR::OF | VR::OL => Class::Binary(4),
        VR::OD | VR::OV => Class::Binary(8),
        VR::OB | VR::UN | VR::SQ => Class::Binary(1),
    }
}

/// Text as the walk found it, decoded and without padding.
pub(crate) fn trim(vr: VR, text: &str) -> &str {
    let pad = |c: char| c == ' ' || c == '\0';
    match vr {
        VR::LT | VR::ST | VR::UT | VR::UR | VR::UC | VR::PN => text.trim_end_matches(pad),
        _ => text.trim_matches(pad),
    }
}

/// Writes `,"Value":[…]` of text already decoded; nothing for an empty value.
pub(crate) fn text(json: &mut Json, vr: VR, value: &str, multiple: bool) {
    let whole = trim(vr, value);
    if whole.is_empty() {
        return;
    }
    json.raw(",\"Value\":[");
    if multiple {
        for part in whole.split('\\') {
            json.separate();
            let part = trim(vr, part);
            if part.is_empty() {
                json.raw("null");
            } else {
                json.string(part);
            }
        }
    } else {
        json.string(whole);
    }
    json.raw("]");
}

/// Person names by component group (PS3.18 §F.2.2).
pub(crate) fn names(json: &mut Json, value: &str) {
    let whole = trim(VR::PN, value);
    if whole.is_empty() {
        return;
    }
    json.raw(",\"Value\":[");
    for part in whole.split('\\') {
        json.separate();
        let part = trim(VR::PN, part);
        if part.chars().all(|c| c == '=') {
            json.raw("null");
            continue;
        }
        json.raw("{");
        let labels = ["Alphabetic", "Ideographic", "Phonetic"];
        for (label, group) in labels.iter().zip(part.splitn(3, '=')) {
            if group.is_empty() {
                continue;
            }
            json.separate();
            json.string(label);
            json.raw(":");
            json.string(group);
        }
        json.raw("}");
    }
    json.raw("]");
}

/// DS and IS as numbers; what is no number stays a string and is flagged.
pub(crate) fn decimals(json: &mut Json, tag: u32, value: &str, flags: &mut Flags) {
    let whole = trim(VR::DS, value);
    if whole.is_empty() {
        return;
    }
    json.raw(",\"Value\":[");
    for part in whole.split('\\') {
        json.separate();
        let part = part.trim_matches(|c: char| c == '\0' || c.is_ascii_whitespace());
        if part.is_empty() {
            json.raw("null");
        } else if is_json_integer(part) {
            json.raw(part);
        } else {
            // `parse` takes `inf` and `nan`, which are no DS.
            let numeric = part
                .bytes()
                .all(|b| !b.is_ascii_alphabetic() || matches!(b, b'e' | b'E'));
            match part.parse::<f64>() {
                Ok(number) if numeric && number.is_finite() => json.float(number),
                _ => {
                    flags.add(Flag::InvalidNumber { tag });
                    json.string(part);
                }
            }
        }
    }
    json.raw("]");
}

/// Digits that are JSON as they are, within what readers hold exactly.
fn is_json_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    (1..=15).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'))
        && text != "-0"
}

/// Binary numbers.
pub(crate) fn numbers(json: &mut Json, vr: VR, bytes: &[u8], size: usize, encoding: Encoding) {
    if bytes.len() < size {
        return;
    }
    json.raw(",\"Value\":[");
    for word in bytes.chunks_exact(size) {
        json.separate();
        if vr == VR::AT {
            let group = u32::from(encoding.u16(word));
            let element = u32::from(encoding.u16(word.get(2..).unwrap_or_default()));
            json.raw("\"");
            json.tag((group << 16) | element);
            json.raw("\"");
            continue;
        }
        let bits = u64_of(word, encoding);
        match vr {
            VR::US | VR::UL => json.integer(bits),
            VR::SS => json.integer(low_u16(bits).cast_signed()),
            VR::SL => json.integer(low_u32(bits).cast_signed()),
            VR::FL => json.single(f32::from_bits(low_u32(bits))),
            VR::FD => json.float(f64::from_bits(bits)),
            VR::SV => json.integer(bits.cast_signed()),
            _ => json.integer(bits),
        }
    }
    json.raw("]");
}

/// The first number of an integer value, for the identity.
pub(crate) fn first_number(vr: VR, bytes: &[u8], size: usize, encoding: Encoding) -> Option<i64> {
    let bits = u64_of(bytes.get(..size)?, encoding);
    match vr {
        VR::US | VR::UL | VR::UV => i64::try_from(bits).ok(),
        VR::SS => Some(i64::from(low_u16(bits).cast_signed())),
        VR::SL => Some(i64::from(low_u32(bits).cast_signed())),
        VR::SV => Some(bits.cast_signed()),
        _ => None,
    }
}

pub(crate) fn u64_of(word: &[u8], encoding: Encoding) -> u64 {
    let join = |sum: u64, byte: &u8| (sum << 8) | u64::from(*byte);
    if encoding.is_big() {
        word.iter().fold(0, join)
    } else {
        word.iter().rev().fold(0, join)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low half is what is asked for"
)]
fn low_u32(bits: u64) -> u32 {
    bits as u32
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low quarter is what is asked for"
)]
fn low_u16(bits: u64) -> u16 {
    bits as u16
}

/// Short binary values, in little endian (PS3.18 §F.2.7).
pub(crate) fn binary(json: &mut Json, bytes: &[u8], word: usize, encoding: Encoding) {
    if bytes.is_empty() {
        return;
    }
    json.raw(",\"InlineBinary\":\"");
    if encoding.is_big() && word > 1 {
        let mut swapped = bytes.to_vec();
        swapped.chunks_exact_mut(word).for_each(<[u8]>::reverse);
        json.raw(&STANDARD.encode(swapped));
    } else {
        json.raw(&STANDARD.encode(bytes));
    }
    json.raw("\"");
}

/// Decodes with the character set in force and flags what cannot be.
pub(crate) fn decode<'a>(
    bytes: &'a [u8],
    tag: u32,
    declared: CharacterSet,
    fallback: Option<CharacterSet>,
    name: bool,
    flags: &mut Flags,
) -> std::borrow::Cow<'a, str> {
    let set = match fallback {
        Some(fallback) if declared.is_undeclared() => fallback,
        _ => declared,
    };
    if declared.is_undeclared() && !bytes.is_ascii() {
        flags.add(Flag::UndeclaredCharacterSet { tag });
    }
    let decoded = set.decode(bytes, name);
    if !decoded.clean {
        flags.add(Flag::UndecodableText { tag });
    }
    decoded.text
}
