//! What the scan does with one value: write it, or pass it and note where it
//! is. The only place that reads values.

use dicom_core::dictionary::VirtualVr;
use dicom_core::{Tag, VR};

use super::{BulkRange, Scanner};
use crate::encoding::Encoding;
use crate::error::{Flag, Limit, Place, Refusal, ScanError, to_u32};
use crate::limits;
use crate::pixels::Encapsulated;
use crate::source::ByteSource;
use crate::text::CharacterSet;
use crate::value::{self, Class};
use crate::walk::{Element, is_pixels, read_tag};

impl<S: ByteSource> Scanner<'_, S> {
    /// Reads or passes one value and writes it.
    pub(super) fn element(&mut self, mut element: Element) -> Result<(), ScanError> {
        let tag = to_u32(element.tag);
        let pixels = is_pixels(element.tag);
        let place = if pixels {
            Place::PixelData
        } else {
            Place::Value
        };
        let offset = self.walker.cursor.position();
        let length = u64::from(element.length);
        if !self.admit(element.tag) || self.hidden > 0 {
            return self.walker.cursor.skip(length, place);
        }
        if self.at_top() {
            self.required.met(tag, element.length);
        }
        self.resolve(&mut element);
        let class = value::class_of(element.vr);
        let word = match class {
            Class::Number(size) | Class::Binary(size) => size as u64,
            _ => 2,
        };
        if length % 2 == 1 || (!pixels && length % word != 0) {
            self.flags.add(Flag::OddLength { tag });
        }
        if pixels && self.at_top() {
            self.native = Some((offset, length));
        }
        if self.at_top() && tag == 0x7FE0_0001 {
            self.extended = self.offsets(length, 8, element.encoding)?;
        }
        let limit = match class {
            Class::Binary(_) => limits::INLINE_BINARY,
            _ => limits::INLINE_TEXT,
        };
        let tight = self.json.len() > limits::JSON_TIGHT;
        let limit = if tight { limits::INLINE_TIGHT } else { limit };
        self.json.attribute(tag, element.vr.to_string());
        if pixels || element.length > limit {
            let rest = offset + length - self.walker.cursor.position();
            self.walker.cursor.skip(rest, place)?;
            self.bulk(element.tag, element.vr, offset, length, false);
        } else if class == Class::Binary(8) && tag == 0x7FE0_0001 {
            // Already passed; small tables are bulk data as well.
            self.bulk(element.tag, element.vr, offset, length, false);
        } else {
            self.inline(element, class)?;
        }
        self.json.raw("}");
        Ok(())
    }

    /// Settles a VR that depends on context (PS3.5 §A.1).
    fn resolve(&self, element: &mut Element) {
        match element.ambiguous {
            Some(VirtualVr::Xs) if self.level.signed => element.vr = VR::SS,
            Some(VirtualVr::Xs) => element.vr = VR::US,
            Some(_) => element.vr = VR::OW,
            None => {}
        }
    }

    /// Reads a value within the inline limits, writes it and keeps what the
    /// identity needs.
    fn inline(&mut self, element: Element, class: Class) -> Result<(), ScanError> {
        let Element {
            tag, vr, encoding, ..
        } = element;
        let number = to_u32(tag);
        let top = self.open.is_empty();
        let length = usize::try_from(element.length).unwrap_or(usize::MAX);
        let bytes = self.walker.cursor.take(length, Place::Value)?;
        match class {
            Class::Number(size) => {
                value::numbers(&mut self.json, vr, bytes, size, encoding);
                if let Some(first) = value::first_number(vr, bytes, size, encoding) {
                    if number == 0x0028_0103 {
                        self.level.signed = first == 1;
                    }
                    if top {
                        self.identity.number(number, first);
                    }
                }
            }
            Class::Binary(word) => value::binary(&mut self.json, bytes, word, encoding),
            Class::Decimal | Class::Name | Class::Text { .. } => {
                let charset = match class {
                    Class::Name | Class::Text { charset: true, .. } => self.level.charset,
                    _ => CharacterSet::default(),
                };
                let name = class == Class::Name;
                let fallback = self.options.fallback_charset;
                let text = value::decode(bytes, number, charset, fallback, name, &mut self.flags);
                if top {
                    self.identity.text(number, &text);
                }
                match class {
                    _ if number == 0x0008_0005 => {
                        let trimmed = value::trim(vr, &text);
                        let parsed = CharacterSet::parse(trimmed);
                        if parsed.is_none() {
                            self.flags.add(Flag::UnknownCharacterSet);
                        }
                        self.level.charset = parsed.unwrap_or_default();
                        // The JSON is UTF-8 whatever the data set was.
                        self.json.raw(",\"Value\":[\"ISO_IR 192\"]");
                    }
                    Class::Name => value::names(&mut self.json, &text),
                    Class::Decimal => {
                        value::decimals(&mut self.json, number, &text, &mut self.flags);
                    }
                    Class::Text { multiple, .. } => {
                        value::text(&mut self.json, vr, &text, multiple);
                    }
                    Class::Number(_) | Class::Binary(_) => {}
                }
            }
        }
        Ok(())
    }

    /// Writes the placeholder of a value and notes where it is.
    fn bulk(&mut self, tag: Tag, vr: VR, offset: u64, length: u64, encapsulated: bool) {
        if length == 0 {
            return;
        }
        let mut path = String::new();
        for open in &self.open {
            path.push_str(&format!("{:08X}/{}/", to_u32(open.tag), open.item));
        }
        path.push_str(&format!("{:08X}", to_u32(tag)));
        self.json.raw(",\"BulkDataURI\":");
        self.json.string(&path);
        self.bulk.push(BulkRange {
            path,
            offset,
            length,
            vr: vr.to_string().to_owned(),
            encapsulated,
        });
    }

    /// Reads a table of offsets of `size` bytes each, in small pieces.
    fn offsets(
        &mut self,
        length: u64,
        size: u64,
        encoding: Encoding,
    ) -> Result<Vec<u64>, ScanError> {
        let count = length / size;
        if count > limits::MAX_FRAGMENTS as u64 {
            let what = Limit::Fragments;
            return Err(Refusal::OverLimit { what }.into());
        }
        let size = usize::try_from(size).unwrap_or(8);
        let mut offsets = Vec::new();
        for _ in 0..count {
            let word = self.walker.cursor.take(size, Place::PixelData)?;
            offsets.push(value::u64_of(word, encoding));
        }
        let rest = length % size as u64;
        self.walker.cursor.skip(rest, Place::PixelData)?;
        Ok(offsets)
    }

    /// Passes the items of encapsulated data to the delimiter (PS3.5 §A.4).
    pub(super) fn fragments(
        &mut self,
        tag: Tag,
        vr: VR,
        encoding: Encoding,
    ) -> Result<(), ScanError> {
        let shown = self.admit(tag) && self.hidden == 0;
        let pixels = is_pixels(tag) && self.at_top() && shown;
        let start = self.walker.cursor.position();
        let mut data = Encapsulated::default();
        let mut count = 0_usize;
        let end = loop {
            let at = self.walker.cursor.position();
            let header = self.walker.cursor.take(8, Place::PixelData)?;
            let item = read_tag(header, encoding);
            let length = encoding.u32(header.get(4..).unwrap_or_default());
            match item {
                Tag(0xFFFE, 0xE0DD) => break at,
                Tag(0xFFFE, 0xE000) if length != u32::MAX => {}
                _ => {
                    let tag = to_u32(item);
                    return Err(Refusal::Broken { at, tag }.into());
                }
            }
            let length = u64::from(length);
            if count == 0 && pixels {
                data.basic = self.offsets(length, 4, encoding)?;
            } else {
                if count > limits::MAX_FRAGMENTS {
                    let what = Limit::Fragments;
                    return Err(Refusal::OverLimit { what }.into());
                }
                if pixels {
                    data.fragments.push((at + 8, length));
                }
                self.walker.cursor.skip(length, Place::PixelData)?;
            }
            count += 1;
        };
        if !shown {
            return Ok(());
        }
        self.json.attribute(to_u32(tag), vr.to_string());
        self.bulk(tag, vr, start, end - start, true);
        self.json.raw("}");
        if pixels {
            self.encapsulated = Some(data);
        }
        Ok(())
    }
}
