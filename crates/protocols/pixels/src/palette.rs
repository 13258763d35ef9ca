//! Palette colour (PS3.3 C.7.6.3.1.5, C.7.9): three tables, discrete or segmented, from an index to RGB.

use crate::description::{Words, unsigned_words};
use crate::error::PixelError;
use crate::lut::{Descriptor, Lut};
use dicom_core::Tag;
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

/// Red, green and blue tables with 8-bit values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Palette {
    first_mapped: i64,
    /// One colour per entry.
    colors: Vec<[u8; 3]>,
}

const CHANNELS: [(Tag, Tag, Tag); 3] = [
    (
        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    ),
    (
        tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    ),
    (
        tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
        tags::BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
        tags::SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    ),
];

impl Palette {
    /// Reads the palette of a data set.
    ///
    /// # Errors
    /// [`PixelError::Missing`] or [`PixelError::Lie`] when descriptors and data don't agree.
    pub fn from_dataset(data_set: &InMemDicomObject, signed: bool) -> Result<Self, PixelError> {
        let [red, green, blue] = CHANNELS.map(|channel| read_channel(data_set, channel, signed));
        let (red, green, blue) = (red?, green?, blue?);
        // Values that never leave 8 bits are 8-bit values, whatever the descriptors say; the three
        // channels share one scale.
        let narrow = [&red, &green, &blue]
            .iter()
            .all(|lut| lut.entries().iter().all(|&value| value <= 255));
        let shift = if narrow { 0 } else { 8 };
        let eight = |value: u16| u8::try_from(value >> shift).unwrap_or(u8::MAX);
        let length = red.entries().len();
        if green.entries().len() != length
            || blue.entries().len() != length
            || green.first_mapped() != red.first_mapped()
            || blue.first_mapped() != red.first_mapped()
        {
            return Err(PixelError::Lie {
                attribute: "Palette",
                reason: "the three tables differ in extent",
            });
        }
        let colors = std::iter::zip(
            red.entries(),
            std::iter::zip(green.entries(), blue.entries()),
        )
        .map(|(&r, (&g, &b))| [eight(r), eight(g), eight(b)])
        .collect();
        Ok(Self {
            first_mapped: red.first_mapped(),
            colors,
        })
    }

    /// The colour of an index; beyond the table its ends.
    pub fn color(&self, index: i64) -> [u8; 3] {
        let last = self.colors.len().saturating_sub(1);
        let index = usize::try_from(index.saturating_sub(self.first_mapped))
            .unwrap_or(0)
            .min(last);
        self.colors.get(index).copied().unwrap_or_default()
    }
}

fn read_channel(
    data_set: &InMemDicomObject,
    (descriptor, data, segmented): (Tag, Tag, Tag),
    signed: bool,
) -> Result<Lut, PixelError> {
    let descriptor = Descriptor::read(data_set, descriptor, signed)?;
    if let Some(words) = unsigned_words(data_set, data) {
        return Lut::from_words(descriptor, words);
    }
    let words = unsigned_words(data_set, segmented)
        .ok_or(PixelError::Missing("Palette Color Lookup Table Data"))?;
    // Segments are 8 bit wide with 8-bit entries and 16 bit wide otherwise (PS3.3 C.7.9.2).
    let stream: Vec<u16> = match (words, descriptor.bits <= 8) {
        (Words::Words(words), false) => words,
        (Words::Words(words), true) => words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .map(u16::from)
            .collect(),
        (Words::Bytes(bytes), true) => bytes.into_iter().map(u16::from).collect(),
        (Words::Bytes(bytes), false) => bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|pair| u16::from_le_bytes(*pair))
            .collect(),
    };
    let entries = expand_segments(&stream, descriptor.entries, descriptor.bits <= 8)?;
    Lut::from_words(descriptor, Words::Words(entries))
}

const SEGMENTED: PixelError = PixelError::Lie {
    attribute: "Segmented Palette Color Lookup Table Data",
    reason: "the segments break",
};

/// Expands the segments of PS3.3 C.7.9.2 to `wanted` entries.
fn expand_segments(stream: &[u16], wanted: usize, narrow: bool) -> Result<Vec<u16>, PixelError> {
    let mut entries = Vec::with_capacity(wanted);
    let mut starts = Vec::new();
    let mut position = 0;
    while position < stream.len() && entries.len() < wanted {
        starts.push(position);
        position = match stream.get(position) {
            Some(2) => expand_indirect(stream, position, &starts, &mut entries, wanted, narrow)?,
            _ => expand_simple(stream, position, &mut entries, wanted)?,
        };
    }
    if entries.len() < wanted {
        Err(SEGMENTED)
    } else {
        Ok(entries)
    }
}

/// Expands one discrete (0) or linear (1) segment; gives the position after it.
fn expand_simple(
    stream: &[u16],
    at: usize,
    entries: &mut Vec<u16>,
    wanted: usize,
) -> Result<usize, PixelError> {
    let word = |offset: usize| stream.get(at + offset).copied().ok_or(SEGMENTED);
    let length = usize::from(word(1)?);
    let room = wanted.saturating_sub(entries.len());
    match word(0)? {
        0 => {
            let values = stream.get(at + 2..at + 2 + length).ok_or(SEGMENTED)?;
            entries.extend(values.iter().take(room));
            Ok(at + 2 + length)
        }
        1 => {
            let from = f64::from(*entries.last().ok_or(SEGMENTED)?);
            let step = (f64::from(word(2)?) - from) / f64::from(word(1)?.max(1));
            entries.extend((1..=length).take(room).map(|index| {
                let index = f64::from(u32::try_from(index).unwrap_or(u32::MAX));
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "between two u16"
                )]
                let value = (from + step * index).round() as u16;
                value
            }));
            Ok(at + 3)
        }
        _ => Err(SEGMENTED),
    }
}

/// An indirect segment (2) repeats earlier segments; those may not be indirect themselves, which bounds
/// the work. `starts` lists where segments begin.
fn expand_indirect(
    stream: &[u16],
    at: usize,
    starts: &[usize],
    entries: &mut Vec<u16>,
    wanted: usize,
    narrow: bool,
) -> Result<usize, PixelError> {
    let word = |offset: usize| {
        stream
            .get(at + offset)
            .copied()
            .map(usize::from)
            .ok_or(SEGMENTED)
    };
    let count = word(1)?;
    // The offset has 32 bits: two words, or four bytes, least significant first. It counts bytes.
    let (offset, length) = if narrow {
        (
            word(2)? | word(3)? << 8 | word(4)? << 16 | word(5)? << 24,
            6,
        )
    } else {
        ((word(2)? | word(3)? << 16) / 2, 4)
    };
    if !starts.contains(&offset) || offset >= at {
        return Err(SEGMENTED);
    }
    let mut position = offset;
    for _ in 0..count {
        if entries.len() >= wanted {
            break;
        }
        position = expand_simple(stream, position, entries, wanted)?;
    }
    Ok(at + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discrete_linear_and_indirect_segments_expand() {
        // Two discrete values, four steps up to 50, then the first segment again (byte offset 0).
        let stream = [0, 2, 10, 10, 1, 4, 50, 2, 1, 0, 0];
        assert_eq!(
            expand_segments(&stream, 8, false).unwrap(),
            [10, 10, 20, 30, 40, 50, 10, 10]
        );
    }

    #[test]
    fn segments_that_break_are_refused() {
        for stream in [&[1, 4, 50][..], &[0, 9, 1], &[2, 1, 0, 0], &[7, 1, 1], &[0]] {
            assert_eq!(
                expand_segments(stream, 8, false),
                Err(SEGMENTED),
                "{stream:?}"
            );
        }
    }
}
