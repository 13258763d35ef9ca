//! The walk over elements, sequences and items of a data set (PS3.5 §7): an
//! explicit stack instead of recursion, every length checked against what
//! encloses it. Interprets no value; the caller takes or skips each one.

mod header;

use dicom_core::dictionary::VirtualVr;
use dicom_core::{Tag, VR};

use crate::dictionary;
use crate::encoding::Encoding;
use crate::error::{Flag, Flags, Limit, Place, Refusal, ScanError, to_u32};
use crate::limits::{MAX_DEPTH, MAX_ELEMENTS};
use crate::source::{ByteSource, Cursor};
use header::Header;

const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
const UNDEFINED: u32 = 0xFFFF_FFFF;

/// An element whose value comes next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element {
    /// Where its header begins.
    pub(crate) at: u64,
    pub(crate) tag: Tag,
    /// The header holds a VR.
    pub(crate) explicit: bool,
    /// The VR to read the value with: the stream's, or the dictionary's where
    /// the stream has none or UN.
    pub(crate) vr: VR,
    /// The dictionary's VR depends on context (PS3.5 §A.1).
    pub(crate) ambiguous: Option<VirtualVr>,
    /// Length of the value in bytes.
    pub(crate) length: u32,
    /// Encoding of the value.
    pub(crate) encoding: Encoding,
}

/// What comes next in the data set. After `Element` the caller must pass
/// exactly its value, after `Fragments` everything to the sequence delimiter.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event {
    Element(Element),
    Fragments {
        at: u64,
        tag: Tag,
        vr: VR,
        encoding: Encoding,
    },
    SequenceStart {
        at: u64,
        tag: Tag,
        explicit: bool,
        /// Encoding of its items.
        encoding: Encoding,
    },
    ItemStart,
    ItemEnd,
    SequenceEnd,
    End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sequence,
    Item,
}

struct Frame {
    kind: Kind,
    /// Where it ends, if its length is defined.
    end: Option<u64>,
    /// The nearest defined end around and including it.
    limit: u64,
    encoding: Encoding,
}

pub(crate) struct Walker<S> {
    pub(crate) cursor: Cursor<S>,
    encoding: Encoding,
    stack: Vec<Frame>,
    elements: u64,
    last_root: Option<Tag>,
    past_pixels: bool,
}

impl<S: ByteSource> Walker<S> {
    pub(crate) fn new(source: S, encoding: Encoding) -> Self {
        Self {
            cursor: Cursor::new(source),
            encoding,
            stack: Vec::new(),
            elements: 0,
            last_root: None,
            past_pixels: false,
        }
    }

    /// The number of elements so far.
    pub(crate) fn elements(&self) -> u64 {
        self.elements
    }

    /// How elements of the top level are encoded, as far as is known by now.
    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The 32-bit number at `at`, in the encoding of the top level.
    pub(crate) fn length_at(&mut self, at: u64) -> Result<u32, ScanError> {
        Ok(self.encoding.u32(self.cursor.look(at, 4)?.as_slice()))
    }

    /// The next event. Flags what it tolerates.
    pub(crate) fn next(&mut self, flags: &mut Flags) -> Result<Event, ScanError> {
        loop {
            let position = self.cursor.position();
            let step = match self.stack.last() {
                None => self.at_root(position, flags)?,
                Some(frame) if frame.end == Some(position) => {
                    let event = match frame.kind {
                        Kind::Sequence => Event::SequenceEnd,
                        Kind::Item => Event::ItemEnd,
                    };
                    self.stack.pop();
                    Some(event)
                }
                Some(frame) => match frame.kind {
                    Kind::Sequence => {
                        let (end, limit, encoding) = (frame.end, frame.limit, frame.encoding);
                        self.in_sequence(end, limit, encoding, flags)?
                    }
                    Kind::Item => {
                        let (end, limit, encoding) = (frame.end, frame.limit, frame.encoding);
                        self.in_item(end, limit, encoding, flags)?
                    }
                },
            };
            if let Some(event) = step {
                return Ok(event);
            }
        }
    }

    fn at_root(&mut self, position: u64, flags: &mut Flags) -> Result<Option<Event>, ScanError> {
        let limit = self.cursor.len();
        if position == limit {
            return Ok(Some(Event::End));
        }
        match self.header(limit, self.encoding, flags) {
            Ok(header) if header.tag.0 == 0xFFFE => {
                // A delimiter without a sequence: some writers close what
                // they never opened.
                if header.length != 0 || self.last_root.is_none() {
                    return self.trailing(position, header.tag, flags).map(Some);
                }
                flags.add(Flag::StrayDelimiter);
                self.cursor.skip(header.size, Place::Header)?;
                Ok(None)
            }
            Ok(header) => {
                // Zeros behind the last element. In front of the first one it is
                // dcmtk's correction of such zeros: a group length of group 0.
                if header.tag == Tag(0, 0) && self.last_root.is_some() {
                    return self.trailing(position, header.tag, flags).map(Some);
                }
                if header.length != UNDEFINED
                    && header.size + u64::from(header.length) > limit - position
                    && !self.ascends(header.tag)
                {
                    return self.trailing(position, header.tag, flags).map(Some);
                }
                let tag = header.tag;
                let event = self.element(header, limit, flags)?;
                self.last_root = self.last_root.max(Some(tag));
                self.past_pixels |= is_pixels(tag);
                Ok(Some(event))
            }
            Err(ScanError::Refused(refusal)) => {
                // Less than a header, or none at all: truncated when the bytes
                // promise another element, trailing bytes when they do not.
                let bytes = self.cursor.peek(8)?;
                let zero = bytes.iter().all(|byte| *byte == 0);
                let tag = match bytes {
                    [_, _, _, _, ..] => Some(read_tag(bytes, self.encoding)),
                    _ => None,
                };
                let promised = match tag {
                    Some(tag) => self.ascends(tag),
                    None => !self.past_pixels,
                };
                if zero || !promised {
                    return self
                        .trailing(position, tag.unwrap_or(Tag(0, 0)), flags)
                        .map(Some);
                }
                Err(refusal.into())
            }
            Err(error) => Err(error),
        }
    }

    fn ascends(&self, tag: Tag) -> bool {
        self.last_root.is_none_or(|last| tag > last)
    }

    /// Passes what follows the last element. Without any element before, the
    /// bytes are no data set.
    fn trailing(&mut self, at: u64, tag: Tag, flags: &mut Flags) -> Result<Event, ScanError> {
        if self.last_root.is_none() {
            let tag = to_u32(tag);
            return Err(Refusal::Broken { at, tag }.into());
        }
        let count = self.cursor.remaining();
        flags.add(Flag::TrailingBytes { count });
        self.cursor.skip(count, Place::Value)?;
        Ok(Event::End)
    }

    fn in_sequence(
        &mut self,
        end: Option<u64>,
        limit: u64,
        encoding: Encoding,
        flags: &mut Flags,
    ) -> Result<Option<Event>, ScanError> {
        let at = self.cursor.position();
        if limit - at < 8 {
            return Err(self.overrun(at, limit, Place::Sequence, Tag(0, 0)));
        }
        let bytes = self.cursor.take(8, Place::Sequence)?;
        let tag = read_tag(bytes, encoding);
        let length = encoding.u32(bytes.get(4..).unwrap_or_default());
        match tag {
            ITEM => {
                let end = self.child_end(length, limit, tag)?;
                self.push(Frame {
                    kind: Kind::Item,
                    end,
                    limit: end.unwrap_or(limit),
                    encoding,
                })?;
                Ok(Some(Event::ItemStart))
            }
            SEQUENCE_END if end.is_none() => {
                self.stack.pop();
                Ok(Some(Event::SequenceEnd))
            }
            SEQUENCE_END | ITEM_END => {
                flags.add(Flag::StrayDelimiter);
                Ok(None)
            }
            _ => {
                let tag = to_u32(tag);
                Err(Refusal::Broken { at, tag }.into())
            }
        }
    }

    fn in_item(
        &mut self,
        end: Option<u64>,
        limit: u64,
        encoding: Encoding,
        flags: &mut Flags,
    ) -> Result<Option<Event>, ScanError> {
        let at = self.cursor.position();
        let header = self.header(limit, encoding, flags)?;
        match header.tag {
            ITEM_END => {
                self.cursor.skip(header.size, Place::Sequence)?;
                if end.is_none() {
                    self.stack.pop();
                    return Ok(Some(Event::ItemEnd));
                }
                flags.add(Flag::StrayDelimiter);
                Ok(None)
            }
            // The item's own delimiter is missing: the sequence's ends both.
            SEQUENCE_END if end.is_none() => {
                flags.add(Flag::StrayDelimiter);
                self.stack.pop();
                Ok(Some(Event::ItemEnd))
            }
            Tag(0xFFFE, _) => {
                let tag = to_u32(header.tag);
                Err(Refusal::Broken { at, tag }.into())
            }
            _ => self.element(header, limit, flags).map(Some),
        }
    }

    /// Turns a header into an event and passes it.
    fn element(
        &mut self,
        header: Header,
        limit: u64,
        flags: &mut Flags,
    ) -> Result<Event, ScanError> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            let what = Limit::Elements;
            return Err(Refusal::OverLimit { what }.into());
        }
        let tag = header.tag;
        let known = dictionary::vr_of(tag);
        if let Some(vr) = header.vr
            && !dictionary::allows(known, vr)
        {
            flags.add(Flag::WrongVr { tag: to_u32(tag) });
        }
        let at = self.cursor.position();
        self.cursor.skip(header.size, Place::Header)?;
        let expected = dictionary::implicit_vr(known, false);
        let vr = header.vr.unwrap_or(expected);
        if header.length == UNDEFINED {
            return self.undefined(&header, vr, at, limit);
        }
        let position = self.cursor.position();
        if u64::from(header.length) > limit - position {
            let place = match vr {
                _ if is_pixels(tag) => Place::PixelData,
                VR::SQ => Place::Sequence,
                _ => Place::Value,
            };
            return Err(self.overrun(at, limit, place, tag));
        }
        // PS3.5 §6.2.2: UN with a known VR is in implicit little endian.
        let unknown = vr == VR::UN && header.vr.is_some();
        let encoding = if unknown {
            Encoding::ImplicitLittle
        } else {
            header.encoding
        };
        if vr == VR::SQ || (unknown && expected == VR::SQ && self.holds_item(header.length)?) {
            let end = position + u64::from(header.length);
            self.push(Frame {
                kind: Kind::Sequence,
                end: Some(end),
                limit: end,
                encoding,
            })?;
            let explicit = header.vr.is_some();
            return Ok(Event::SequenceStart {
                at,
                tag,
                explicit,
                encoding,
            });
        }
        let vr = if unknown && expected != VR::SQ {
            expected
        } else {
            vr
        };
        let open = header.vr.is_none() || unknown;
        Ok(Event::Element(Element {
            at,
            tag,
            explicit: header.vr.is_some(),
            vr,
            ambiguous: known.filter(|known| open && known.exact().is_none()),
            length: header.length,
            encoding,
        }))
    }

    fn undefined(
        &mut self,
        header: &Header,
        vr: VR,
        at: u64,
        limit: u64,
    ) -> Result<Event, ScanError> {
        let tag = header.tag;
        let binary = matches!(vr, VR::OB | VR::OW | VR::OF | VR::OD | VR::OL | VR::OV);
        if binary || is_pixels(tag) {
            return Ok(Event::Fragments {
                at,
                tag,
                vr,
                encoding: header.encoding,
            });
        }
        if !matches!(vr, VR::SQ | VR::UN) {
            let tag = to_u32(tag);
            return Err(Refusal::Broken { at, tag }.into());
        }
        // PS3.5 §6.2.2 note 4: UN of undefined length is implicit inside.
        let encoding = if vr == VR::UN {
            Encoding::ImplicitLittle
        } else {
            header.encoding
        };
        self.push(Frame {
            kind: Kind::Sequence,
            end: None,
            limit,
            encoding,
        })?;
        let explicit = header.vr.is_some();
        Ok(Event::SequenceStart {
            at,
            tag,
            explicit,
            encoding,
        })
    }

    fn holds_item(&mut self, length: u32) -> Result<bool, ScanError> {
        let bytes = self.cursor.peek(8)?;
        Ok(length == 0
            || (length >= 8
                && bytes.starts_with(&[0xFE, 0xFF, 0x00, 0xE0])
                && match Encoding::ImplicitLittle.u32(bytes.get(4..).unwrap_or_default()) {
                    UNDEFINED => true,
                    inner => inner <= length - 8,
                }))
    }

    fn push(&mut self, frame: Frame) -> Result<(), ScanError> {
        // Two frames for one level: a sequence and its item.
        if self.stack.len() >= MAX_DEPTH * 2 {
            let what = Limit::Depth;
            return Err(Refusal::OverLimit { what }.into());
        }
        self.stack.push(frame);
        Ok(())
    }

    fn child_end(&self, length: u32, limit: u64, tag: Tag) -> Result<Option<u64>, ScanError> {
        if length == UNDEFINED {
            return Ok(None);
        }
        let at = self.cursor.position();
        if u64::from(length) > limit - at {
            return Err(self.overrun(at, limit, Place::Sequence, tag));
        }
        Ok(Some(at + u64::from(length)))
    }

    /// A length that goes over `limit`: the end of the bytes, or of what
    /// encloses it.
    fn overrun(&self, at: u64, limit: u64, place: Place, tag: Tag) -> ScanError {
        if limit == self.cursor.len() {
            Refusal::Truncated { place, at }.into()
        } else {
            let tag = to_u32(tag);
            Refusal::Broken { at, tag }.into()
        }
    }
}

pub(crate) fn read_tag(bytes: &[u8], encoding: Encoding) -> Tag {
    Tag(
        encoding.u16(bytes),
        encoding.u16(bytes.get(2..).unwrap_or_default()),
    )
}

/// Pixel Data, Float Pixel Data, Double Float Pixel Data.
pub(crate) fn is_pixels(tag: Tag) -> bool {
    matches!(tag, Tag(0x7FE0, 0x0008..=0x0010)) && tag.1 != 0x000A
}
