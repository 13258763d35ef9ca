//! One walk over a data set that yields everything intake needs: identity,
//! DICOM JSON, flags, and where pixels and bulk data lie. Holds the metadata in
//! memory, never the bulk data.

mod values;

use dicom_core::Tag;

use crate::encoding::{Encoding, is_deflated};
use crate::error::{Flag, Flags, Limit, Refusal, ScanError, to_u32};
use crate::identity::Identity;
use crate::inflate::Inflated;
use crate::json::Json;
use crate::limits;
use crate::order::Order;
use crate::part10::{self, Part10};
use crate::pixels::{self, Encapsulated, PixelLayout};
use crate::required;
use crate::source::ByteSource;
use crate::text::CharacterSet;
use crate::walk::{Event, Walker};

/// What the caller may decide.
#[derive(Debug, Clone, Copy)]
pub struct ScanOptions {
    /// For text outside ASCII where no character set is declared.
    pub fallback_charset: Option<CharacterSet>,
    /// Bytes a deflated data set may inflate to.
    pub max_inflated: u64,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self {
            fallback_charset: None,
            max_inflated: limits::MAX_INFLATED,
        }
    }
}

/// A value that is not in the JSON, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BulkRange {
    /// As in the JSON's `BulkDataURI`: `GGGGEEEE`, or
    /// `GGGGEEEE/item/GGGGEEEE…` with items counted from 0.
    pub path: String,
    /// Start of the value in the (inflated) data set.
    pub offset: u64,
    /// Length in bytes.
    pub length: u64,
    /// VR, two letters.
    pub vr: String,
    /// The range holds items and fragments, not a plain value.
    pub encapsulated: bool,
}

/// What one walk found.
#[derive(Debug, Clone)]
pub struct Scan {
    /// Attributes to file and find the instance by.
    pub identity: Identity,
    /// DICOM JSON of all elements, UTF-8, bulk data URIs relative.
    pub json: Vec<u8>,
    /// What is wrong with it, each once.
    pub flags: Vec<Flag>,
    /// Where its frames lie, if it has pixel data.
    pub pixels: Option<PixelLayout>,
    /// Values that are not in the JSON.
    pub bulk: Vec<BulkRange>,
    /// How its elements are encoded.
    pub encoding: Encoding,
    /// Offsets count in the inflated bytes; see [`Inflated`].
    pub inflated: bool,
    /// Number of elements at every level.
    pub elements: u64,
}

/// Walks a data set (no preamble, no meta information).
///
/// # Errors
/// [`ScanError::Refused`] when it cannot be stored, [`ScanError::Source`] when
/// it cannot be read.
pub fn scan<S: ByteSource + ?Sized>(
    source: &S,
    transfer_syntax_uid: &str,
    options: &ScanOptions,
) -> Result<Scan, ScanError> {
    let encoding = Encoding::of(transfer_syntax_uid);
    if is_deflated(transfer_syntax_uid) {
        let inflated = Inflated::open(source, options.max_inflated)?;
        return Scanner::new(&inflated, encoding, options, true).run();
    }
    Scanner::new(source, encoding, options, false).run()
}

/// Splits a part-10 file and walks its data set. Offsets in the scan count
/// from [`Part10::data_set_offset`].
///
/// # Errors
/// As [`part10::split`] and [`scan`].
pub fn scan_file<S: ByteSource>(
    source: &S,
    options: &ScanOptions,
) -> Result<(Part10, Scan), ScanError> {
    let part10 = part10::split(source)?;
    let window = part10::data_set(source, &part10);
    let mut scan = scan(&window, &part10.transfer_syntax_uid, options)?;
    let mut flags = part10.flags.clone();
    let pairs = [
        (
            &part10.media_storage_sop_class_uid,
            &scan.identity.sop_class_uid,
            0x0008_0016,
        ),
        (
            &part10.media_storage_sop_instance_uid,
            &scan.identity.sop_instance_uid,
            0x0008_0018,
        ),
    ];
    for (meta, own, tag) in pairs {
        if !meta.is_empty() && meta != own {
            flags.push(Flag::MetaMismatch { tag });
        }
    }
    flags.append(&mut scan.flags);
    scan.flags = flags;
    Ok((part10, scan))
}

/// State of one level: the data set or an item.
#[derive(Default)]
struct Level {
    order: Order,
    charset: CharacterSet,
    signed: bool,
}

/// An open sequence; its items are counted for bulk data paths.
struct Open {
    tag: Tag,
    item: u64,
    hidden: bool,
}

struct Scanner<'o, S> {
    walker: Walker<S>,
    options: &'o ScanOptions,
    encoding: Encoding,
    inflated: bool,
    json: Json,
    /// Levels of nesting under an element that the JSON leaves out.
    hidden: usize,
    flags: Flags,
    identity: Identity,
    level: Level,
    outer: Vec<Level>,
    open: Vec<Open>,
    bulk: Vec<BulkRange>,
    required: required::Seen,
    native: Option<(u64, u64)>,
    encapsulated: Option<Encapsulated>,
    extended: Vec<u64>,
}

impl<'o, S: ByteSource> Scanner<'o, S> {
    fn new(source: S, encoding: Encoding, options: &'o ScanOptions, inflated: bool) -> Self {
        Self {
            walker: Walker::new(source, encoding),
            options,
            encoding,
            inflated,
            json: Json::default(),
            hidden: 0,
            flags: Flags::default(),
            identity: Identity::default(),
            level: Level::default(),
            outer: Vec::new(),
            open: Vec::new(),
            bulk: Vec::new(),
            required: required::Seen::default(),
            native: None,
            encapsulated: None,
            extended: Vec::new(),
        }
    }

    fn run(mut self) -> Result<Scan, ScanError> {
        self.json.raw("{");
        loop {
            match self.walker.next(&mut self.flags)? {
                Event::Element(element) => self.element(element)?,
                Event::Fragments {
                    tag, vr, encoding, ..
                } => self.fragments(tag, vr, encoding)?,
                Event::SequenceStart { tag, .. } => {
                    let hidden = !self.admit(tag);
                    if hidden || self.hidden > 0 {
                        self.hidden += 1;
                    } else {
                        self.json.attribute(to_u32(tag), "SQ");
                        self.json.raw(",\"Value\":[");
                    }
                    let hidden = self.hidden > 0;
                    let item = 0;
                    self.open.push(Open { tag, item, hidden });
                }
                Event::ItemStart => {
                    // An item inherits the character set (PS3.5 §7.5.3).
                    let inner = Level {
                        order: Order::default(),
                        charset: self.level.charset,
                        signed: self.level.signed,
                    };
                    self.outer.push(std::mem::replace(&mut self.level, inner));
                    if self.hidden == 0 {
                        self.json.separate();
                        self.json.raw("{");
                    }
                }
                Event::ItemEnd => {
                    self.level = self.outer.pop().unwrap_or_default();
                    if let Some(open) = self.open.last_mut() {
                        open.item += 1;
                    }
                    if self.hidden == 0 {
                        self.json.raw("}");
                    }
                }
                Event::SequenceEnd => {
                    if self.open.pop().is_some_and(|open| open.hidden) {
                        self.hidden -= 1;
                    } else {
                        self.json.raw("]}");
                    }
                }
                Event::End => break,
            }
            if self.json.len() > limits::MAX_JSON || self.bulk.len() > limits::MAX_BULK {
                let what = Limit::Metadata;
                return Err(Refusal::OverLimit { what }.into());
            }
        }
        self.json.raw("}");
        self.finish()
    }

    fn finish(mut self) -> Result<Scan, ScanError> {
        if self.walker.elements() == 0 {
            return Err(Refusal::NotDicom.into());
        }
        self.identity.check(&mut self.flags)?;
        self.required.flag_missing(&mut self.flags);
        let pixels = match (self.native, self.encapsulated) {
            (Some((offset, length)), _) => Some(pixels::native(
                offset,
                length,
                &self.identity,
                &mut self.flags,
            )),
            (None, Some(mut data)) => {
                data.extended = self.extended;
                Some(pixels::encapsulated(data, &self.identity, &mut self.flags))
            }
            (None, None) => None,
        };
        Ok(Scan {
            identity: self.identity,
            json: self.json.into_bytes(),
            flags: self.flags.into_vec(),
            pixels,
            bulk: self.bulk,
            encoding: self.encoding,
            inflated: self.inflated,
            elements: self.walker.elements(),
        })
    }

    /// Whether the element belongs into the JSON; flags order and duplicates.
    fn admit(&mut self, tag: Tag) -> bool {
        let number = to_u32(tag);
        if !self.level.order.admit(number, &mut self.flags) {
            return false;
        }
        // PS3.5 §7.1: groups 0000, 0002, 0004 and 0006 are no data set's.
        if (tag.0 < 8 && tag.0 != 4) || tag.0 == 0xFFFF {
            self.flags.add(Flag::ForbiddenGroup { tag: number });
            return false;
        }
        tag.1 != 0 && tag != Tag(0xFFFC, 0xFFFC)
    }

    fn at_top(&self) -> bool {
        self.open.is_empty()
    }
}
