//! The value of Specific Character Set, and decoding by it.

use std::borrow::Cow;

use encoding_rs::{Encoding, GB18030, GBK, UTF_8};

use super::iso2022::{self, HighSet};

/// Decoded text and whether every byte was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The text; U+FFFD where bytes have no meaning.
    pub text: Cow<'a, str>,
    /// No byte had to be replaced.
    pub clean: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing declared: ASCII, anything else by the fallback.
    Undeclared,
    /// UTF-8, GB18030 or GBK: no code extensions, whole value at once.
    Whole(&'static Encoding),
    /// ISO 2022: the high half's initial set; escapes switch.
    Switched(HighSet),
}

/// A character set or combination of sets, as Specific Character Set names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CharacterSet(Kind);

impl Default for CharacterSet {
    fn default() -> Self {
        Self(Kind::Undeclared)
    }
}

impl CharacterSet {
    /// Reads the attribute's value. `None` when it names a set that is not
    /// known. Misspellings seen in real data (`ISO IR 100`, `ISO-IR 192`,
    /// `UTF-8`) are understood.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let mut first = None;
        let mut known = true;
        for (index, name) in value.split('\\').enumerate() {
            let name = name.trim_matches(|c: char| c == '\0' || c.is_whitespace());
            match kind_of(name) {
                Some(kind) if index == 0 => first = Some(kind),
                Some(_) => {}
                None => known = false,
            }
        }
        let extended = value.contains('\\');
        match first {
            _ if !known => None,
            Some(Kind::Undeclared) if extended => Some(Self(Kind::Switched(HighSet::None))),
            Some(kind) => Some(Self(kind)),
            None => None,
        }
    }

    /// Whether nothing was declared.
    #[must_use]
    pub fn is_undeclared(self) -> bool {
        self.0 == Kind::Undeclared
    }

    /// UTF-8: `ISO_IR 192`.
    pub(crate) const UTF_8: Self = Self(Kind::Whole(UTF_8));

    /// Encodes text without code extensions; `None` when this set, as it
    /// starts, can't hold it. Text of a set that is not declared is ASCII.
    pub(crate) fn encode(self, text: &str) -> Option<Vec<u8>> {
        if text.is_ascii() {
            // JIS X 0201 has an overline for the tilde.
            let katakana = self.0 == Kind::Switched(HighSet::Katakana);
            return (!katakana || !text.contains('~')).then(|| text.as_bytes().to_vec());
        }
        let whole = |encoding: &'static Encoding| {
            let (bytes, _, unmappable) = encoding.encode(text);
            (!unmappable).then(|| bytes.into_owned())
        };
        match self.0 {
            Kind::Whole(encoding) => whole(encoding),
            Kind::Switched(HighSet::Latin1) => text
                .chars()
                .map(|c| u8::try_from(c).ok().filter(|b| !(0x80..0xA0).contains(b)))
                .collect(),
            // The web's tables fill the C1 area, which DICOM's sets leave.
            Kind::Switched(HighSet::Table(encoding)) if encoding.is_single_byte() => {
                whole(encoding).filter(|bytes| !bytes.iter().any(|b| (0x80..0xA0).contains(b)))
            }
            Kind::Switched(_) | Kind::Undeclared => None,
        }
    }

    /// Decodes one value. `name` says that it is a person name, where `^` and
    /// `=` end a code extension too (PS3.5 §6.1.2.5.3).
    #[must_use]
    pub fn decode(self, bytes: &[u8], name: bool) -> Decoded<'_> {
        if bytes.is_ascii()
            && !bytes.contains(&0x1B)
            && let Ok(text) = str::from_utf8(bytes)
        {
            let text = Cow::Borrowed(text);
            return Decoded { text, clean: true };
        }
        match self.0 {
            Kind::Undeclared => match str::from_utf8(bytes) {
                Ok(text) if !bytes.contains(&0x1B) => Decoded {
                    text: Cow::Borrowed(text),
                    clean: true,
                },
                _ => iso2022::decode(bytes, HighSet::Latin1, name),
            },
            Kind::Whole(encoding) => {
                let (text, errors) = encoding.decode_without_bom_handling(bytes);
                Decoded {
                    text,
                    clean: !errors,
                }
            }
            Kind::Switched(high) => iso2022::decode(bytes, high, name),
        }
    }
}

fn kind_of(name: &str) -> Option<Kind> {
    if name.is_empty() {
        return Some(Kind::Undeclared);
    }
    let upper = name.to_ascii_uppercase();
    match upper.as_str() {
        "GB18030" => return Some(Kind::Whole(GB18030)),
        "GBK" | "GB2312" => return Some(Kind::Whole(GBK)),
        "UTF-8" | "UTF8" => return Some(Kind::Whole(UTF_8)),
        "LATIN1" | "ISO-8859-1" | "ISO8859-1" => return Some(Kind::Switched(HighSet::Latin1)),
        _ => {}
    }
    if !upper.starts_with("ISO") {
        return None;
    }
    let digits = upper
        .rsplit(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap_or_default();
    Some(match digits {
        "6" => Kind::Undeclared,
        "192" => Kind::Whole(UTF_8),
        "87" | "159" => Kind::Switched(HighSet::None),
        other => Kind::Switched(HighSet::of_registration(other)?),
    })
}
