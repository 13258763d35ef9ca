//! Text of received headers in code extensions (ISO 2022, PS3.5 §6.1.2.5). Owns undoing what the
//! reader does to them: dicom-rs decodes every value by the first character set alone (its issue
//! 443) and splits it at bytes that are halves of characters. Other texts are left as read.

use dicom_encoding::text::{SpecificCharacterSet, TextCodec};
use encoding_rs::{
    EUC_JP, EUC_KR, Encoding, GBK, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5, ISO_8859_6,
    ISO_8859_7, ISO_8859_8, SHIFT_JIS, WINDOWS_874, WINDOWS_1252, WINDOWS_1254,
};

/// `values` of one text attribute as they were meant; `terms` are those of Specific Character Set.
pub(super) fn redecoded(terms: &[String], values: Vec<String>) -> Vec<String> {
    let first = terms.first().map_or("", String::as_str);
    let read_as = SpecificCharacterSet::from_code(first);
    if terms.len() < 2 && (first.is_empty() || read_as.is_some()) {
        return values;
    }
    let joined = values.join("\\");
    match read_as.unwrap_or_default().encode(&joined) {
        Ok(bytes) => decode(&bytes, first)
            .split('\\')
            .map(str::to_owned)
            .collect(),
        Err(_) => values,
    }
}

/// A set that is designated to G0 or G1.
#[derive(Clone, Copy)]
enum Set {
    /// ASCII, and JIS X 0201 romaji, which differs in two signs that are read as ASCII.
    Ascii,
    /// One byte a character, in the right half of an encoding.
    Single(&'static Encoding),
    /// Two bytes a character, in the right half of an encoding.
    Double(&'static Encoding),
    /// JIS X 0212: as Double of EUC-JP, after a single shift.
    Jis0212,
}

/// Escape sequences (PS3.5 tables C.12-2 to C.12-4): what follows ESC, whether it designates G1,
/// and the set.
const ESCAPES: [(&[u8], bool, Set); 18] = [
    (b"(B", false, Set::Ascii),
    (b"(J", false, Set::Ascii),
    (b")I", true, Set::Single(SHIFT_JIS)),
    (b"-A", true, Set::Single(WINDOWS_1252)),
    (b"-B", true, Set::Single(ISO_8859_2)),
    (b"-C", true, Set::Single(ISO_8859_3)),
    (b"-D", true, Set::Single(ISO_8859_4)),
    (b"-L", true, Set::Single(ISO_8859_5)),
    (b"-G", true, Set::Single(ISO_8859_6)),
    (b"-F", true, Set::Single(ISO_8859_7)),
    (b"-H", true, Set::Single(ISO_8859_8)),
    (b"-M", true, Set::Single(WINDOWS_1254)),
    (b"-T", true, Set::Single(WINDOWS_874)),
    (b"$B", false, Set::Double(EUC_JP)),
    (b"$@", false, Set::Double(EUC_JP)),
    (b"$(D", false, Set::Jis0212),
    (b"$)C", true, Set::Double(EUC_KR)),
    (b"$)A", true, Set::Double(GBK)),
];

/// G1 at the start of a value and after each delimiter, by the first defined term.
fn initial_g1(term: &str) -> Set {
    let number = term.rsplit([' ', '_']).next().unwrap_or_default();
    Set::Single(match number {
        "13" => SHIFT_JIS,
        "101" => ISO_8859_2,
        "109" => ISO_8859_3,
        "110" => ISO_8859_4,
        "144" => ISO_8859_5,
        "127" => ISO_8859_6,
        "126" => ISO_8859_7,
        "138" => ISO_8859_8,
        "148" => WINDOWS_1254,
        "166" => WINDOWS_874,
        // Also for an absent first term, where bytes of the right half mean nothing: sent by
        // mistake, they nearly always are Latin-1.
        _ => WINDOWS_1252,
    })
}

fn decode(bytes: &[u8], first_term: &str) -> String {
    let initial = (Set::Ascii, initial_g1(first_term));
    let (mut g0, mut g1) = initial;
    let mut text = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == 0x1b {
            let known = ESCAPES.iter().find(|(tail, ..)| after.starts_with(tail));
            if let Some((tail, right, set)) = known {
                *(if *right { &mut g1 } else { &mut g0 }) = *set;
                rest = after.get(tail.len()..).unwrap_or_default();
            }
            continue;
        }
        let set = if byte < 0x80 { g0 } else { g1 };
        if byte < 0x21 || matches!((set, byte), (Set::Ascii, b'\\' | b'^' | b'=')) {
            // Delimiters of values and of name components end all designations, as do CR and LF.
            if byte != b' ' {
                (g0, g1) = initial;
            }
            text.push(char::from(byte));
            continue;
        }
        let high = byte | 0x80;
        match set {
            Set::Ascii => text.push(char::from(byte)),
            Set::Single(encoding) => push(&mut text, encoding, &[high]),
            Set::Double(_) | Set::Jis0212 => {
                let Some((&second, after)) = rest.split_first() else {
                    text.push('\u{fffd}');
                    break;
                };
                rest = after;
                match set {
                    Set::Double(encoding) => push(&mut text, encoding, &[high, second | 0x80]),
                    _ => push(&mut text, EUC_JP, &[0x8f, high, second | 0x80]),
                }
            }
        }
    }
    text
}

fn push(text: &mut String, encoding: &'static Encoding, bytes: &[u8]) {
    let (decoded, _) = encoding.decode_without_bom_handling(bytes);
    text.push_str(&decoded);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_standard_decode() {
        // PS3.5 annexes H.3.1, H.3.2 and I.2.
        for (term, bytes, name) in [
            (
                "",
                b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"
                    .as_slice(),
                "Yamada^Tarou=山田^太郎=やまだ^たろう",
            ),
            (
                "ISO 2022 IR 13",
                b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J".as_slice(),
                "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
            ),
            (
                "",
                b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"
                    .as_slice(),
                "Hong^Gildong=洪^吉洞=홍^길동",
            ),
        ] {
            assert_eq!(decode(bytes, term), name);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_decode_to_something(bytes: Vec<u8>, term: String) {
            decode(&bytes, &term);
        }
    }
}
