//! Elements rewritten in Explicit VR Little Endian (PS3.5 §7.1.2) as bytes:
//! values stay what they are, but for the order of bytes in words. A general
//! writer would spell numbers anew and text in another character set.

use dicom_core::{Tag, VR};
use dicom_parser::dataset::DataToken;

/// Bytes of a word of a VR (PS3.5 §7.3).
pub(super) fn word(vr: &str) -> usize {
    match vr {
        "OW" | "US" | "SS" | "AT" => 2,
        "OF" | "OL" | "FL" | "SL" | "UL" => 4,
        "OD" | "OV" | "FD" | "SV" | "UV" => 8,
        _ => 1,
    }
}

/// Where an item stands.
#[derive(Clone, Copy, PartialEq)]
enum Level {
    Sequence,
    Fragments,
}

/// Bytes as they grow.
pub(super) struct Writer {
    out: Vec<u8>,
    swap: bool,
    levels: Vec<Level>,
    element: Option<(Tag, VR)>,
}

const UNDEFINED: u32 = u32::MAX;

impl Writer {
    /// `swap`: words come in big endian.
    pub(super) fn new(swap: bool) -> Self {
        Self {
            out: Vec::new(),
            swap,
            levels: Vec::new(),
            element: None,
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }

    /// The next token; values must be raw bytes. `None` when it can't follow.
    pub(super) fn write(&mut self, token: DataToken) -> Option<()> {
        match token {
            DataToken::ElementHeader(header) => self.element = Some((header.tag, header.vr)),
            DataToken::PrimitiveValue(value) => {
                let (tag, vr) = self.element.take()?;
                let mut bytes = value.to_bytes().into_owned();
                if self.swap {
                    let word = word(vr.to_string());
                    bytes.chunks_exact_mut(word).for_each(<[u8]>::reverse);
                }
                self.value(tag, vr, &bytes)?;
            }
            DataToken::SequenceStart { tag, .. } => {
                self.header(tag, VR::SQ, UNDEFINED)?;
                self.levels.push(Level::Sequence);
            }
            DataToken::PixelSequenceStart => {
                self.header(Tag(0x7fe0, 0x0010), VR::OB, UNDEFINED)?;
                self.levels.push(Level::Fragments);
            }
            DataToken::ItemStart { len } => {
                let fragment = self.levels.last() == Some(&Level::Fragments);
                let length = if fragment { len.get()? } else { UNDEFINED };
                self.delimiter(0xe000, length);
            }
            DataToken::ItemValue(bytes) => self.out.extend_from_slice(&bytes),
            DataToken::OffsetTable(offsets) => {
                for offset in offsets {
                    self.out.extend_from_slice(&offset.to_le_bytes());
                }
            }
            DataToken::ItemEnd => {
                if self.levels.last() != Some(&Level::Fragments) {
                    self.delimiter(0xe00d, 0);
                }
            }
            DataToken::SequenceEnd => {
                self.levels.pop()?;
                self.delimiter(0xe0dd, 0);
            }
        }
        Some(())
    }

    /// A whole element.
    pub(super) fn value(&mut self, tag: Tag, vr: VR, bytes: &[u8]) -> Option<()> {
        let odd = bytes.len() % 2;
        self.header(tag, vr, u32::try_from(bytes.len() + odd).ok()?)?;
        self.out.extend_from_slice(bytes);
        if odd == 1 {
            let text = !matches!(vr, VR::UI | VR::OB | VR::UN);
            self.out.push(if text { b' ' } else { 0 });
        }
        Some(())
    }

    fn header(&mut self, tag: Tag, vr: VR, length: u32) -> Option<()> {
        self.tag(tag);
        let long = matches!(
            vr,
            VR::OB
                | VR::OD
                | VR::OF
                | VR::OL
                | VR::OV
                | VR::OW
                | VR::SQ
                | VR::SV
                | VR::UC
                | VR::UN
                | VR::UR
                | VR::UT
                | VR::UV
        );
        match u16::try_from(length) {
            Ok(short) if !long => {
                self.out.extend_from_slice(vr.to_string().as_bytes());
                self.out.extend_from_slice(&short.to_le_bytes());
            }
            // A value too long for its VR's header becomes UN (PS3.5 §6.2.2).
            _ => {
                let vr = if long { vr } else { VR::UN };
                self.out.extend_from_slice(vr.to_string().as_bytes());
                self.out.extend_from_slice(&[0, 0]);
                self.out.extend_from_slice(&length.to_le_bytes());
            }
        }
        Some(())
    }

    fn delimiter(&mut self, element: u16, length: u32) {
        self.tag(Tag(0xfffe, element));
        self.out.extend_from_slice(&length.to_le_bytes());
    }

    fn tag(&mut self, tag: Tag) {
        self.out.extend_from_slice(&tag.0.to_le_bytes());
        self.out.extend_from_slice(&tag.1.to_le_bytes());
    }
}
