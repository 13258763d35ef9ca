//! Text written anew in UTF-8, at every level of a data set: each item's own
//! character set counts, and lengths inside sequences become undefined.

use dicom_core::VR;

use super::Patched;
use super::form::{Form, UNDEFINED, pad};
use super::plan::{CHARACTER_SET, effective, pass_fragments, uses_charset};
use super::write::{Rewriter, UTF_8, too_large};
use crate::encoding::Encoding;
use crate::error::{Place, ScanError, to_u32};
use crate::limits::MAX_PATCH;
use crate::source::ByteSource;
use crate::text::CharacterSet;
use crate::value::trim;
use crate::walk::{Element, Event};

/// A value of Specific Character Set is never longer.
const SET_BYTES: usize = 1 << 10;

impl<S: ByteSource> Rewriter<'_, S> {
    /// The element that comes next, its text in UTF-8 where all of it is to be.
    pub(super) fn element(
        &mut self,
        element: &Element,
        charset: CharacterSet,
        out: &mut Patched,
    ) -> Result<(), ScanError> {
        let at = self.walker.cursor.position();
        let end = at + u64::from(element.length);
        let tag = to_u32(element.tag);
        let text = uses_charset(element.vr) || tag == CHARACTER_SET;
        let empty = element.length == 0 && tag != CHARACTER_SET;
        if !self.plan.converts || !text || empty {
            self.walker
                .cursor
                .skip(element.length.into(), Place::Value)?;
            out.copy(element.at..end);
            return Ok(());
        }
        let header = usize::try_from(at - element.at).unwrap_or(0);
        if self
            .new_bytes
            .saturating_add(usize::try_from(element.length).unwrap_or(usize::MAX))
            > MAX_PATCH
        {
            return Err(too_large());
        }
        let count = usize::try_from(element.length).unwrap_or(usize::MAX);
        let value = self.walker.cursor.take(count, Place::Value)?;
        if tag != CHARACTER_SET && value.is_ascii() && !value.contains(&0x1B) {
            out.copy(element.at..end);
            return Ok(());
        }
        let new = if tag == CHARACTER_SET {
            UTF_8.to_vec()
        } else {
            let name = element.vr == VR::PN;
            charset.decode(value, name).text.into_owned().into_bytes()
        };
        let mut bytes = Vec::with_capacity(header + new.len() + 1);
        let length = u32::try_from(new.len() + new.len() % 2).map_err(|_| too_large())?;
        if element.explicit {
            // A value of VR UN stays one; its text is read by the dictionary.
            let vr = if header == 12 && !crate::encoding::has_long_length(element.vr) {
                VR::UN
            } else {
                element.vr
            };
            let form = match self.form.0 {
                Encoding::ImplicitLittle => Form(Encoding::ExplicitLittle),
                other => Form(other),
            };
            form.header(tag, vr, length, &mut bytes);
        } else {
            let form = Form(Encoding::ImplicitLittle);
            form.header(tag, element.vr, length, &mut bytes);
        }
        pad(element.vr, &new, &mut bytes);
        self.new_bytes += bytes.len();
        out.new_bytes(&bytes);
        Ok(())
    }

    /// Writes the sequence that was just begun with its text in UTF-8, every
    /// length undefined: lengths change inside.
    pub(super) fn convert(
        &mut self,
        at: u64,
        explicit: bool,
        encoding: Encoding,
        out: &mut Patched,
    ) -> Result<(), ScanError> {
        let declared = self.survey.charset;
        let mut levels = vec![Level::begin(declared, encoding)];
        open(self.form, at, explicit, out);
        let mut bytes = Vec::new();
        while let Some(level) = levels.last_mut() {
            bytes.clear();
            match self.walker.next(&mut self.flags)? {
                Event::SequenceStart {
                    at,
                    explicit,
                    encoding,
                    ..
                } => {
                    open(level.form, at, explicit, out);
                    let inner = Level::begin(level.item, encoding);
                    levels.push(inner);
                }
                Event::SequenceEnd => {
                    level.form.sequence_end(&mut bytes);
                    levels.pop();
                }
                Event::ItemStart => {
                    level.item = level.inherited;
                    level.form.item(&mut bytes);
                }
                Event::ItemEnd => level.form.item_end(&mut bytes),
                Event::Fragments { at, encoding, .. } => {
                    pass_fragments(&mut self.walker.cursor, encoding)?;
                    out.copy(at..self.walker.cursor.position());
                }
                Event::Element(element) => {
                    if to_u32(element.tag) == CHARACTER_SET {
                        let count = usize::try_from(element.length).unwrap_or(usize::MAX);
                        let set = self.walker.cursor.peek(count.min(SET_BYTES))?;
                        let set = String::from_utf8_lossy(set);
                        level.item = CharacterSet::parse(trim(VR::CS, &set))
                            .map_or(declared, |set| effective(set, Some(declared)));
                    }
                    let charset = level.item;
                    self.element(&element, charset, out)?;
                }
                Event::End => break,
            }
            self.new_bytes += bytes.len();
            out.new_bytes(&bytes);
            if self.new_bytes > MAX_PATCH {
                return Err(too_large());
            }
        }
        Ok(())
    }
}

/// An open sequence.
struct Level {
    /// The character set that its items inherit (PS3.5 §7.5.3).
    inherited: CharacterSet,
    /// That of the item that is open.
    item: CharacterSet,
    /// How its delimiters are encoded.
    form: Form,
}

impl Level {
    fn begin(inherited: CharacterSet, encoding: Encoding) -> Self {
        Self {
            inherited,
            item: inherited,
            form: Form(encoding),
        }
    }
}

/// The header of a sequence, its tag and VR as they are, without length.
fn open(form: Form, at: u64, explicit: bool, out: &mut Patched) {
    let keep = if explicit { 8 } else { 4 };
    out.copy(at..at + keep);
    out.new_bytes(&form.u32(UNDEFINED));
}
