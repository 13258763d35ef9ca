//! One lookup table: descriptor and data of PS3.3 C.11.1.1 (modality), C.11.2.1 (VOI) and C.7.6.3.1.5
//! (palettes). It checks that the two agree; it does not know what the values mean.

use crate::description::{Words, integers, unsigned_words};
use crate::error::PixelError;
use crate::limits::MAX_LUT_ENTRIES;
use dicom_core::Tag;
use dicom_object::InMemDicomObject;

/// A lookup table. Inputs before the first or after the last entry take that entry's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lut {
    first_mapped: i64,
    bits: u16,
    entries: Vec<u16>,
}

/// The three values of a LUT descriptor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Descriptor {
    pub(crate) entries: usize,
    pub(crate) first_mapped: i64,
    pub(crate) bits: u16,
}

const LUT: &str = "LUT Descriptor";

impl Descriptor {
    /// `signed`: the table's inputs can be negative. With implicit VR the second value is read as US
    /// whatever it is, so its sign is taken from the inputs' (PS3.3 C.11.1.1.1).
    pub(crate) fn read(
        data_set: &InMemDicomObject,
        tag: Tag,
        signed: bool,
    ) -> Result<Self, PixelError> {
        let values = integers(data_set, tag);
        let [entries, first, bits] = values.as_slice() else {
            return Err(PixelError::Missing(LUT));
        };
        let lie = |reason| PixelError::Lie {
            attribute: LUT,
            reason,
        };
        // 65536 does not fit and is written as 0; as SS, counts above 32767 look negative.
        let entries = match entries & 0xFFFF {
            0 => MAX_LUT_ENTRIES,
            count => usize::try_from(count).map_err(|_| lie("the number of entries"))?,
        };
        let bits = u16::try_from(*bits)
            .ok()
            .filter(|bits| (1..=16).contains(bits));
        Ok(Self {
            entries,
            first_mapped: if signed && *first > 32_767 {
                first - 65_536
            } else {
                *first
            },
            bits: bits.ok_or(lie("bits per entry are not within 1 to 16"))?,
        })
    }
}

impl Lut {
    /// Reads descriptor and data of one table.
    pub(crate) fn read(
        data_set: &InMemDicomObject,
        descriptor: Tag,
        data: Tag,
        signed: bool,
    ) -> Result<Self, PixelError> {
        let descriptor = Descriptor::read(data_set, descriptor, signed)?;
        let words = unsigned_words(data_set, data).ok_or(PixelError::Missing("LUT Data"))?;
        Self::from_words(descriptor, words)
    }

    pub(crate) fn from_words(descriptor: Descriptor, words: Words) -> Result<Self, PixelError> {
        let count = descriptor.entries;
        let mut entries = match words {
            Words::Words(words) if words.len() >= count => words,
            // 8-bit entries may be packed two to a word (PS3.3 C.7.6.3.1.6), the first in the low byte.
            Words::Words(words) if descriptor.bits <= 8 && words.len() * 2 >= count => words
                .iter()
                .flat_map(|word| word.to_le_bytes())
                .map(u16::from)
                .collect(),
            Words::Bytes(bytes) if bytes.len() >= count * 2 => bytes
                .as_chunks::<2>()
                .0
                .iter()
                .map(|pair| u16::from_le_bytes(*pair))
                .collect(),
            Words::Bytes(bytes) if descriptor.bits <= 8 && bytes.len() >= count => {
                bytes.into_iter().map(u16::from).collect()
            }
            _ => {
                return Err(PixelError::Lie {
                    attribute: "LUT Data",
                    reason: "fewer entries than described",
                });
            }
        };
        entries.truncate(count);
        Ok(Self {
            first_mapped: descriptor.first_mapped,
            bits: descriptor.bits,
            entries,
        })
    }

    /// A table from its parts; `bits` 1 to 16.
    ///
    /// # Errors
    /// [`PixelError::Lie`] when there are no entries, too many, or `bits` is out of range.
    pub fn new(first_mapped: i64, bits: u16, entries: Vec<u16>) -> Result<Self, PixelError> {
        if entries.is_empty() || entries.len() > MAX_LUT_ENTRIES || !(1..=16).contains(&bits) {
            return Err(PixelError::Lie {
                attribute: LUT,
                reason: "entries or bits out of range",
            });
        }
        Ok(Self {
            first_mapped,
            bits,
            entries,
        })
    }

    /// The value for an input; fractions are cut off, as inputs are integers.
    pub fn look_up(&self, input: f64) -> u16 {
        // A saturating cast: NaN becomes 0.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "saturates, which is what the ends of a table want"
        )]
        let index = (input.floor() as i64).saturating_sub(self.first_mapped);
        let last = self.entries.len().saturating_sub(1);
        let index = usize::try_from(index).unwrap_or(0).min(last);
        self.entries.get(index).copied().unwrap_or(0)
    }

    /// Significant bits of the values. A table that holds more than its descriptor says is taken at its
    /// data, one that claims 16 bits and never leaves 8 too: both are common.
    pub fn value_bits(&self) -> u16 {
        let highest = self.entries.iter().copied().max().unwrap_or(0);
        let needed = u16::try_from(16 - highest.leading_zeros()).unwrap_or(16);
        if needed > self.bits { 16 } else { self.bits }
    }

    pub(crate) fn entries(&self) -> &[u16] {
        &self.entries
    }

    pub(crate) fn first_mapped(&self) -> i64 {
        self.first_mapped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_beyond_the_table_take_its_ends() {
        let lut = Lut::new(-2, 8, vec![10, 20, 30]).unwrap();
        assert_eq!(
            [-9.0, -2.0, -1.0, 0.0, 7.0].map(|input| lut.look_up(input)),
            [10, 10, 20, 30, 30]
        );
        assert_eq!(lut.look_up(f64::NAN), 30, "NaN is taken as 0");
        assert_eq!(
            [f64::INFINITY, f64::NEG_INFINITY].map(|input| lut.look_up(input)),
            [30, 10]
        );
    }

    #[test]
    fn packed_8_bit_entries_are_taken_low_byte_first() {
        let descriptor = Descriptor {
            entries: 4,
            first_mapped: 0,
            bits: 8,
        };
        let lut = Lut::from_words(descriptor, Words::Words(vec![0x0201, 0x0403])).unwrap();
        assert_eq!(lut.entries(), [1, 2, 3, 4]);
    }

    #[test]
    fn a_descriptor_that_promises_more_than_the_data_hold_is_a_lie() {
        let descriptor = Descriptor {
            entries: 65_536,
            first_mapped: 0,
            bits: 16,
        };
        assert!(Lut::from_words(descriptor, Words::Words(vec![0; 10])).is_err());
    }
}
