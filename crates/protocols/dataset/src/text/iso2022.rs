//! ISO 2022 code extensions (PS3.3 C.12.1.1.2, PS3.5 §6.1.2.5): text is cut at
//! escape sequences and delimiters, each piece decoded with the set then in
//! force. Done here because the libraries decode ISO 2022 only in the closed
//! form of the web's ISO-2022-JP.

use std::borrow::Cow;

use encoding_rs::{
    EUC_JP, EUC_KR, Encoding, GBK, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5, ISO_8859_6,
    ISO_8859_7, ISO_8859_8, ISO_8859_15, WINDOWS_874, WINDOWS_1254,
};

use super::charset::Decoded;

/// What bytes 0x80 to 0xFF mean (G1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HighSet {
    /// Nothing: ASCII, or a set that lives in the low half.
    None,
    /// ISO 8859-1, by code point.
    Latin1,
    /// JIS X 0201 katakana.
    Katakana,
    /// Any other, of one byte or two.
    Table(&'static Encoding),
}

/// What bytes 0x21 to 0x7E mean (G0).
#[derive(Clone, Copy, PartialEq, Eq)]
enum LowSet {
    Ascii,
    Jis0208,
    Jis0212,
}

impl HighSet {
    /// The set of an ISO registration number in a defined term.
    pub(super) fn of_registration(number: &str) -> Option<Self> {
        Some(match number {
            "100" => Self::Latin1,
            "101" => Self::Table(ISO_8859_2),
            "109" => Self::Table(ISO_8859_3),
            "110" => Self::Table(ISO_8859_4),
            "144" => Self::Table(ISO_8859_5),
            "127" => Self::Table(ISO_8859_6),
            "126" => Self::Table(ISO_8859_7),
            "138" => Self::Table(ISO_8859_8),
            "148" => Self::Table(WINDOWS_1254),
            "203" => Self::Table(ISO_8859_15),
            "166" => Self::Table(WINDOWS_874),
            "13" => Self::Katakana,
            "149" => Self::Table(EUC_KR),
            "58" => Self::Table(GBK),
            _ => return None,
        })
    }
}

enum Switch {
    Low(LowSet),
    High(HighSet),
}

/// The switch of an escape sequence and its length with the escape.
fn escape(bytes: &[u8]) -> Option<(Switch, usize)> {
    let high = |encoding| Switch::High(HighSet::Table(encoding));
    Some(match bytes {
        [0x1B, 0x24, 0x28, 0x44, ..] => (Switch::Low(LowSet::Jis0212), 4),
        [0x1B, 0x24, 0x29, 0x43, ..] => (high(EUC_KR), 4),
        [0x1B, 0x24, 0x29, 0x41, ..] => (high(GBK), 4),
        [0x1B, 0x24, 0x42 | 0x40, ..] => (Switch::Low(LowSet::Jis0208), 3),
        [0x1B, 0x28, 0x42 | 0x4A, ..] => (Switch::Low(LowSet::Ascii), 3),
        [0x1B, 0x29, 0x49, ..] => (Switch::High(HighSet::Katakana), 3),
        [0x1B, 0x2D, last, ..] => {
            let set = match last {
                0x41 => Switch::High(HighSet::Latin1),
                0x42 => high(ISO_8859_2),
                0x43 => high(ISO_8859_3),
                0x44 => high(ISO_8859_4),
                0x4C => high(ISO_8859_5),
                0x47 => high(ISO_8859_6),
                0x46 => high(ISO_8859_7),
                0x48 => high(ISO_8859_8),
                0x4D => high(WINDOWS_1254),
                0x54 => high(WINDOWS_874),
                0x62 => high(ISO_8859_15),
                _ => return None,
            };
            (set, 3)
        }
        _ => return None,
    })
}

/// Decodes text whose high half starts as `initial`.
pub(super) fn decode(bytes: &[u8], initial: HighSet, name: bool) -> Decoded<'_> {
    let mut text = String::with_capacity(bytes.len() * 2);
    let mut clean = true;
    let (mut low, mut high) = (LowSet::Ascii, initial);
    let mut rest = bytes;
    while let Some(&byte) = rest.first() {
        let used = match byte {
            0x1B => match escape(rest) {
                Some((Switch::Low(set), length)) => {
                    low = set;
                    length
                }
                Some((Switch::High(set), length)) => {
                    high = set;
                    length
                }
                None => {
                    clean = false;
                    text.push('\u{FFFD}');
                    1
                }
            },
            0x80.. => {
                let run = run(rest, |b| b >= 0x80);
                clean &= push_high(&mut text, run, high);
                run.len()
            }
            0x21..=0x7E if low != LowSet::Ascii => {
                let run = run(rest, |b| (0x21..=0x7E).contains(&b));
                clean &= push_pairs(&mut text, run, low);
                run.len()
            }
            _ => {
                // Line ends, page ends, tabs and value delimiters put the
                // initial sets back (PS3.5 §6.1.2.5.3).
                let reset = matches!(byte, b'\t' | b'\n' | 0x0C | b'\r' | b'\\')
                    || (name && matches!(byte, b'^' | b'='));
                if reset {
                    (low, high) = (LowSet::Ascii, initial);
                }
                text.push(char::from(byte));
                1
            }
        };
        rest = rest.get(used..).unwrap_or_default();
    }
    let text = Cow::Owned(text);
    Decoded { text, clean }
}

fn run(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> &[u8] {
    let end = bytes.iter().position(|b| !belongs(*b));
    bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default()
}

fn push_high(text: &mut String, bytes: &[u8], set: HighSet) -> bool {
    match set {
        HighSet::None => {
            text.extend(bytes.iter().map(|_| '\u{FFFD}'));
            false
        }
        HighSet::Latin1 => {
            text.extend(bytes.iter().map(|byte| char::from(*byte)));
            true
        }
        HighSet::Katakana => {
            let mut clean = true;
            text.extend(bytes.iter().map(|byte| match byte {
                0xA1..=0xDF => {
                    char::from_u32(0xFF61 + u32::from(byte - 0xA1)).unwrap_or('\u{FFFD}')
                }
                _ => {
                    clean = false;
                    '\u{FFFD}'
                }
            }));
            clean
        }
        HighSet::Table(encoding) => {
            let (decoded, errors) = encoding.decode_without_bom_handling(bytes);
            text.push_str(&decoded);
            !errors
        }
    }
}

/// Two-byte sets of the low half, moved to where EUC-JP has them.
fn push_pairs(text: &mut String, bytes: &[u8], set: LowSet) -> bool {
    let mut moved = Vec::with_capacity(bytes.len() * 2);
    for pair in bytes.chunks(2) {
        if set == LowSet::Jis0212 {
            moved.push(0x8F);
        }
        moved.extend(pair.iter().map(|byte| byte | 0x80));
    }
    let (decoded, errors) = EUC_JP.decode_without_bom_handling(&moved);
    text.push_str(&decoded);
    !errors
}
