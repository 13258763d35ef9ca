//! The pass that makes the parts: copies ranges of the source, puts corrected
//! attributes in their place and, where the character set changes, writes text
//! anew at every level. Memory grows with what is new only.

use std::collections::{BTreeMap, BTreeSet};

use dicom_core::VR;

use super::Patched;
use super::form::{Form, UNDEFINED};
use super::plan::{
    CHARACTER_SET, ORIGINAL_ATTRIBUTES, Plan, State, Survey, pass_fragments, uses_charset,
};
use crate::encoding::Encoding;
use crate::error::{Flags, Limit, Place, Refusal, ScanError, to_u32};
use crate::limits::MAX_PATCH;
use crate::source::ByteSource;
use crate::walk::{Event, Walker, is_pixels};

pub(super) const UTF_8: &[u8] = b"ISO_IR 192";

pub(super) struct Rewriter<'p, S: ByteSource> {
    pub(super) walker: Walker<S>,
    pub(super) flags: Flags,
    pub(super) survey: &'p Survey,
    pub(super) plan: &'p Plan<'p>,
    pub(super) form: Form,
    /// The parts up to the Original Attributes Sequence, and behind it.
    out: [Patched; 2],
    behind: usize,
    /// Attributes that the source has no place for, still to be written.
    additions: BTreeMap<u32, Vec<u8>>,
    /// What the source held of changed attributes, as whole elements.
    taken: BTreeMap<u32, Patched>,
    /// Items of a sequence of that kind in the source.
    earlier: Patched,
    seen: BTreeSet<u32>,
    pub(super) new_bytes: usize,
}

impl<'p, S: ByteSource> Rewriter<'p, S> {
    pub(super) fn new(
        source: S,
        encoding: Encoding,
        survey: &'p Survey,
        plan: &'p Plan<'p>,
    ) -> Self {
        Self {
            walker: Walker::new(source, encoding),
            flags: Flags::default(),
            survey,
            plan,
            form: Form(survey.encoding),
            out: [Patched::default(), Patched::default()],
            behind: 0,
            additions: BTreeMap::new(),
            taken: BTreeMap::new(),
            earlier: Patched::default(),
            seen: BTreeSet::new(),
            new_bytes: 0,
        }
    }

    pub(super) fn run(mut self) -> Result<Patched, ScanError> {
        let length = self.walker.cursor.len();
        if self.plan.items.is_empty() {
            let mut whole = Patched::default();
            whole.copy(0..length);
            return Ok(whole);
        }
        for (tag, state) in &self.plan.after {
            if let State::Given(vr, text) = state
                && !self.survey.found.contains_key(tag)
            {
                let element = self.element_of(*tag, *vr, text);
                self.additions.insert(*tag, element);
            }
        }
        if self.plan.converts && self.survey.declared.is_none() {
            let mut bytes = Vec::new();
            self.form.text(CHARACTER_SET, VR::CS, UTF_8, &mut bytes);
            self.additions.insert(CHARACTER_SET, bytes);
        }
        let mut end = 0;
        loop {
            let event = self.walker.next(&mut self.flags)?;
            let (tag, at) = match event {
                Event::Element(element) => (element.tag, element.at),
                Event::Fragments { tag, at, .. } | Event::SequenceStart { tag, at, .. } => {
                    (tag, at)
                }
                Event::End => break,
                Event::ItemStart | Event::ItemEnd | Event::SequenceEnd => continue,
            };
            self.reach(to_u32(tag));
            if is_pixels(tag) {
                end = at;
                break;
            }
            let part = self.part(event, to_u32(tag))?;
            self.place(to_u32(tag), part)?;
            end = self.walker.cursor.position();
            if matches!(event, Event::SequenceStart { .. }) && self.new_bytes > MAX_PATCH {
                return Err(too_large());
            }
        }
        // Trailing bytes are passed by the walk: they are the source's.
        self.reach(u32::MAX);
        let rest = self.behind;
        if let Some(out) = self.out.get_mut(rest) {
            out.copy(end.min(length)..length);
        }
        let originals = self.originals()?;
        let [mut whole, rest] = self.out;
        whole.append(originals);
        whole.append(rest);
        Ok(whole)
    }

    /// Writes the attributes that belong before `tag`.
    fn reach(&mut self, tag: u32) {
        while let Some(entry) = self.additions.first_entry() {
            if *entry.key() >= tag {
                break;
            }
            let bytes = entry.remove();
            if let Some(out) = self.out.get_mut(self.behind) {
                out.new_bytes(&bytes);
            }
        }
        if tag > ORIGINAL_ATTRIBUTES {
            self.behind = 1;
        }
    }

    /// One element of the top level, rewritten as far as it must be.
    fn part(&mut self, event: Event, tag: u32) -> Result<Patched, ScanError> {
        let mut part = Patched::default();
        match event {
            Event::Element(element) => {
                let charset = self.survey.charset;
                self.element(&element, charset, &mut part)?;
            }
            Event::Fragments { at, encoding, .. } => {
                pass_fragments(&mut self.walker.cursor, encoding)?;
                part.copy(at..self.walker.cursor.position());
            }
            Event::SequenceStart {
                at,
                explicit,
                encoding,
                ..
            } => {
                if self.plan.converts {
                    self.convert(at, explicit, encoding, &mut part)?;
                } else {
                    self.pass_sequence()?;
                    part.copy(at..self.walker.cursor.position());
                }
                if tag == ORIGINAL_ATTRIBUTES {
                    self.earlier = self.items_of(&part, explicit)?;
                }
            }
            _ => {}
        }
        Ok(part)
    }

    /// Puts a rewritten element where it belongs.
    fn place(&mut self, tag: u32, part: Patched) -> Result<(), ScanError> {
        // Group lengths and Length to End are retired (PS3.5 §7.2), and would
        // be wrong.
        if tag & 0xFFFF == 0 || tag == 0x0008_0001 || tag == ORIGINAL_ATTRIBUTES {
            return Ok(());
        }
        let first = self.seen.insert(tag);
        let after = self.plan.after.get(&tag);
        let bytes = match after {
            // The first of two counts; a second one would tell the old value.
            Some(_) if !first => return Ok(()),
            Some(State::Given(vr, text)) => self.element_of(tag, *vr, text),
            Some(State::Absent | State::Source) => Vec::new(),
            None => {
                if let Some(out) = self.out.get_mut(self.behind) {
                    out.append(part);
                }
                return Ok(());
            }
        };
        self.taken.insert(tag, part);
        if let Some(out) = self.out.get_mut(self.behind) {
            out.new_bytes(&bytes);
        }
        Ok(())
    }

    fn element_of(&self, tag: u32, vr: VR, text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        self.form.text(tag, vr, &self.encoded(vr, text), &mut out);
        out
    }

    fn encoded(&self, vr: VR, text: &str) -> Vec<u8> {
        if uses_charset(vr) {
            // The plan chose a set that holds it.
            self.plan.charset.encode(text).unwrap_or_default()
        } else {
            text.as_bytes().to_vec()
        }
    }

    /// Passes the sequence that was just begun.
    fn pass_sequence(&mut self) -> Result<(), ScanError> {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.walker.next(&mut self.flags)? {
                Event::SequenceStart { .. } => depth += 1,
                Event::SequenceEnd => depth -= 1,
                Event::Element(element) => {
                    self.walker
                        .cursor
                        .skip(element.length.into(), Place::Value)?;
                }
                Event::Fragments { encoding, .. } => {
                    pass_fragments(&mut self.walker.cursor, encoding)?;
                }
                Event::ItemStart | Event::ItemEnd => {}
                Event::End => return Ok(()),
            }
        }
        Ok(())
    }

    /// What lies between the header and the delimiter of a whole sequence.
    fn items_of(&mut self, whole: &Patched, explicit: bool) -> Result<Patched, ScanError> {
        let skip = if explicit { 12 } else { 8 };
        let undefined = self.plan.converts || {
            let [super::Piece::Copy(range)] = whole.pieces.as_slice() else {
                return Ok(Patched::default());
            };
            self.walker.length_at(range.start + skip - 4)? == UNDEFINED
        };
        let keep = whole.length.saturating_sub(if undefined { 8 } else { 0 });
        Ok(slice(whole, skip, keep))
    }

    /// The Original Attributes Sequence (PS3.3 C.12.1.1.9): what it held, and
    /// an item for each correction.
    fn originals(&mut self) -> Result<Patched, ScanError> {
        let form = self.form;
        let mut out = Patched::default();
        let mut bytes = Vec::new();
        form.sequence(ORIGINAL_ATTRIBUTES, &mut bytes);
        out.new_bytes(&bytes);
        out.append(std::mem::take(&mut self.earlier));
        for item in &self.plan.items {
            bytes.clear();
            form.item(&mut bytes);
            form.sequence(0x0400_0550, &mut bytes);
            form.item(&mut bytes);
            out.new_bytes(&bytes);
            for (tag, (vr, state)) in &item.before {
                match state {
                    State::Source => {
                        out.append(self.taken.get(tag).cloned().unwrap_or_default());
                    }
                    State::Given(vr, text) => out.new_bytes(&self.element_of(*tag, *vr, text)),
                    // Added by the correction: it had no value.
                    State::Absent => {
                        let mut empty = Vec::new();
                        form.header(*tag, *vr, 0, &mut empty);
                        out.new_bytes(&empty);
                    }
                }
            }
            bytes.clear();
            form.item_end(&mut bytes);
            form.sequence_end(&mut bytes);
            let correction = item.correction;
            let text = |vr, text: &str| self.encoded(vr, text);
            form.text(0x0400_0562, VR::DT, correction.at.as_bytes(), &mut bytes);
            let system = text(VR::LO, &correction.system);
            form.text(0x0400_0563, VR::LO, &system, &mut bytes);
            let source = text(VR::LO, &correction.source);
            form.text(0x0400_0564, VR::LO, &source, &mut bytes);
            form.text(0x0400_0565, VR::CS, b"CORRECT", &mut bytes);
            form.item_end(&mut bytes);
            out.new_bytes(&bytes);
        }
        bytes.clear();
        form.sequence_end(&mut bytes);
        out.new_bytes(&bytes);
        Ok(out)
    }
}

/// The bytes `from..to` of what `of` comes to.
fn slice(of: &Patched, from: u64, to: u64) -> Patched {
    let mut out = Patched::default();
    let mut at = 0;
    for piece in &of.pieces {
        let length = match piece {
            super::Piece::Copy(range) => range.end - range.start,
            super::Piece::New(bytes) => bytes.len() as u64,
        };
        let (start, end) = (from.max(at), to.min(at + length));
        if start < end {
            let (start, end) = (start - at, end - at);
            match piece {
                super::Piece::Copy(range) => out.copy(range.start + start..range.start + end),
                super::Piece::New(bytes) => {
                    let index = |place: u64| usize::try_from(place).unwrap_or(usize::MAX);
                    out.new_bytes(bytes.get(index(start)..index(end)).unwrap_or_default());
                }
            }
        }
        at += length;
    }
    out
}

pub(super) fn too_large() -> ScanError {
    let what = Limit::Metadata;
    Refusal::OverLimit { what }.into()
}
