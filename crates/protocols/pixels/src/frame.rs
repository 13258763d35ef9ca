//! One frame after its codec: samples as little-endian bytes, with what is needed to read them. It knows
//! how a stored value sits in its container (PS3.5 §8.1.1); it never looks at the data set again.

use crate::description::{ImageDescription, Photometric, SampleKind};

/// A decoded frame: `rows × columns × samples_per_pixel` samples, colour by pixel (planar configuration
/// 0), each in a little-endian container of `bits_allocated` bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedFrame {
    /// Height in pixels.
    pub rows: u32,
    /// Width in pixels.
    pub columns: u32,
    /// 1, or 3 for colour.
    pub samples_per_pixel: u16,
    /// What the samples are now: after [`crate::decode_frame`] never a YBR.
    pub photometric: Photometric,
    /// Container size in bits: 8, 16 or 32, and 64 for [`SampleKind::Float64`].
    pub bits_allocated: u16,
    /// Bits of the stored value inside its container.
    pub bits_stored: u16,
    /// The container's bit that holds the value's most significant bit.
    pub high_bit: u16,
    /// Two's complement?
    pub signed: bool,
    /// Integers or floating point.
    pub kind: SampleKind,
    /// The samples' bytes.
    pub data: Vec<u8>,
}

/// How to take a stored value out of its container.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredBits {
    pub(crate) shift: u32,
    pub(crate) mask: u64,
    sign_bit: u64,
}

impl StoredBits {
    pub(crate) fn pattern(self, raw: u64) -> u64 {
        (raw >> self.shift) & self.mask
    }

    /// A raw container of at most 16 bits as its value's rank among all values.
    fn rank(self, raw: u16) -> u16 {
        let low = |bits: u64| u16::try_from(bits & 0xFFFF).unwrap_or(0);
        ((raw >> self.shift.min(15)) & low(self.mask)) ^ low(self.sign_bit)
    }

    /// The value of a rank.
    pub(crate) fn value_of(self, rank: u16) -> i64 {
        self.value(u64::from(rank) ^ self.sign_bit)
    }

    /// The value of a bit pattern; patterns have at most 32 bits, so nothing is lost.
    pub(crate) fn value(self, pattern: u64) -> i64 {
        // `wrapping`: subtracting twice the sign bit is two's complement, whatever the width.
        let extended = if pattern & self.sign_bit != 0 {
            pattern.wrapping_sub(self.sign_bit << 1)
        } else {
            pattern
        };
        extended.cast_signed()
    }
}

impl DecodedFrame {
    /// A frame in the container of the description, before any samples are in it.
    pub(crate) fn shaped(description: &ImageDescription, data: Vec<u8>) -> Self {
        Self {
            rows: description.rows,
            columns: description.columns,
            samples_per_pixel: description.samples_per_pixel,
            photometric: description.photometric,
            bits_allocated: description.bits_allocated,
            bits_stored: description.bits_stored,
            high_bit: description.high_bit,
            signed: description.signed,
            kind: description.kind,
            data,
        }
    }

    pub(crate) fn stored_bits(&self) -> StoredBits {
        let bits = u32::from(self.bits_stored.clamp(1, 32));
        let mask = (1_u64 << bits) - 1;
        StoredBits {
            shift: (u32::from(self.high_bit) + 1).saturating_sub(bits).min(31),
            mask,
            sign_bit: if self.signed { 1 << (bits - 1) } else { 0 },
        }
    }

    /// Pixels, not samples.
    pub fn pixel_count(&self) -> usize {
        usize::try_from(u64::from(self.rows) * u64::from(self.columns)).unwrap_or(usize::MAX)
    }

    /// Calls `each` with every sample's raw container.
    pub(crate) fn for_each_raw(&self, mut each: impl FnMut(u64)) {
        match self.bits_allocated {
            8 => self.data.iter().for_each(|&byte| each(u64::from(byte))),
            16 => self
                .data
                .as_chunks::<2>()
                .0
                .iter()
                .for_each(|b| each(u64::from(u16::from_le_bytes(*b)))),
            32 => self
                .data
                .as_chunks::<4>()
                .0
                .iter()
                .for_each(|b| each(u64::from(u32::from_le_bytes(*b)))),
            _ => self
                .data
                .as_chunks::<8>()
                .0
                .iter()
                .for_each(|b| each(u64::from_le_bytes(*b))),
        }
    }

    /// Every sample's rank among all values of its kind, given to `each`: for stored values of at most
    /// 16 bits, whose order the ranks keep.
    pub(crate) fn map_ranks<T>(&self, each: impl Fn(u16) -> T) -> Vec<T> {
        let bits = self.stored_bits();
        match self.bits_allocated {
            8 => {
                let bytes = self.data.iter();
                bytes.map(|&byte| each(bits.rank(byte.into()))).collect()
            }
            16 => {
                let words = self.data.as_chunks::<2>().0.iter();
                words
                    .map(|word| each(bits.rank(u16::from_le_bytes(*word))))
                    .collect()
            }
            _ => {
                let words = self.data.as_chunks::<4>().0.iter();
                // At most 16 bits are left of the pattern, so nothing is cut off.
                let narrow = StoredBits { shift: 0, ..bits };
                words
                    .map(|word| bits.pattern(u32::from_le_bytes(*word).into()))
                    .map(|pattern| each(narrow.rank(u16::try_from(pattern).unwrap_or(0))))
                    .collect()
            }
        }
    }

    /// The lowest and the highest rank that occur.
    pub(crate) fn range_of_ranks(&self) -> (u16, u16) {
        let bits = self.stored_bits();
        let words = self.data.as_chunks::<2>().0;
        if self.bits_allocated == 16 {
            return range_of(
                words
                    .iter()
                    .map(|word| bits.rank(u16::from_le_bytes(*word))),
            );
        }
        range_of(self.map_ranks(|rank| rank).into_iter())
    }

    fn integers(&self) -> impl Iterator<Item = i64> {
        let bits = self.stored_bits();
        let width = usize::from(self.bits_allocated / 8).max(1);
        self.data.chunks_exact(width).map(move |container| {
            let raw = container
                .iter()
                .rfold(0, |raw, &byte| raw << 8 | u64::from(byte));
            bits.value(bits.pattern(raw))
        })
    }

    /// Calls `each` with every sample as a number, before any modality transformation.
    pub fn for_each_value(&self, mut each: impl FnMut(f64)) {
        match self.kind {
            SampleKind::Float32 => {
                self.data
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .for_each(|b| each(f64::from(f32::from_le_bytes(*b))));
            }
            SampleKind::Float64 => self
                .data
                .as_chunks::<8>()
                .0
                .iter()
                .for_each(|b| each(f64::from_le_bytes(*b))),
            SampleKind::Integer => {
                let bits = self.stored_bits();
                self.for_each_raw(|raw| each(integer_as_f64(bits.value(bits.pattern(raw)))));
            }
        }
    }

    /// Has `other` the same pixels: value by value, whatever containers hold them? A stream may state
    /// another precision than Bits Stored (PS3.5 §8.2.1), so containers alone say nothing.
    pub fn shows_the_same_as(&self, other: &Self) -> bool {
        let shape = |frame: &Self| {
            (
                (frame.rows, frame.columns, frame.samples_per_pixel),
                (frame.photometric, frame.kind),
            )
        };
        if shape(self) != shape(other) {
            return false;
        }
        let container = |frame: &Self| {
            (
                (frame.bits_allocated, frame.bits_stored),
                (frame.high_bit, frame.signed),
            )
        };
        if container(self) == container(other) && self.data == other.data {
            return true;
        }
        self.kind == SampleKind::Integer && self.integers().eq(other.integers())
    }
}

/// The lowest and the highest of some ranks; 0 where there are none. They are compared as signed words,
/// which every processor of the x86-64 kind does eight at a time; unsigned ones only later kinds.
fn range_of(ranks: impl Iterator<Item = u16>) -> (u16, u16) {
    const SIGN: u16 = 1 << 15;
    let start = (i16::MAX, i16::MIN);
    let (low, high) = ranks.fold(start, |(low, high), rank| {
        let rank = (rank ^ SIGN).cast_signed();
        (low.min(rank), high.max(rank))
    });
    if low > high {
        return (0, 0);
    }
    (low.cast_unsigned() ^ SIGN, high.cast_unsigned() ^ SIGN)
}

/// Stored values have at most 32 bits, which an `f64` holds exactly.
#[expect(clippy::cast_precision_loss, reason = "at most 32 significant bits")]
pub(crate) fn integer_as_f64(value: i64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(bits_stored: u16, high_bit: u16, signed: bool, raw: u64) -> i64 {
        let frame = DecodedFrame {
            rows: 1,
            columns: 1,
            samples_per_pixel: 1,
            photometric: Photometric::Monochrome2,
            bits_allocated: 16,
            bits_stored,
            high_bit,
            signed,
            kind: SampleKind::Integer,
            data: vec![],
        };
        let bits = frame.stored_bits();
        bits.value(bits.pattern(raw))
    }

    #[test]
    fn the_same_values_in_other_containers_are_the_same_pixels() {
        let frame = |bits_allocated, bits_stored, data: &[u8]| DecodedFrame {
            rows: 1,
            columns: 2,
            samples_per_pixel: 1,
            photometric: Photometric::Monochrome2,
            bits_allocated,
            bits_stored,
            high_bit: bits_stored - 1,
            signed: true,
            kind: SampleKind::Integer,
            data: data.to_vec(),
        };
        // -2048 and 5, in 12 bits and sign-extended to 16.
        let twelve = frame(16, 12, &[0x00, 0x08, 5, 0]);
        let sixteen = frame(16, 16, &[0x00, 0xF8, 5, 0]);
        assert!(twelve.shows_the_same_as(&sixteen));
        assert!(frame(8, 8, &[1, 2]).shows_the_same_as(&frame(16, 12, &[1, 0, 2, 0])));
        assert!(!twelve.shows_the_same_as(&frame(16, 12, &[0x00, 0x08, 6, 0])));
        let inverted = DecodedFrame {
            photometric: Photometric::Monochrome1,
            ..twelve.clone()
        };
        assert!(!twelve.shows_the_same_as(&inverted));
    }

    #[test]
    fn the_range_of_ranks_spans_the_sign() {
        assert_eq!(range_of([].into_iter()), (0, 0));
        assert_eq!(range_of([0x8000].into_iter()), (0x8000, 0x8000));
        assert_eq!(range_of([0x7FFF, 0x8001, 3].into_iter()), (3, 0x8001));
        assert_eq!(range_of([0xFFFF, 0].into_iter()), (0, 0xFFFF));
    }

    #[test]
    fn a_stored_value_is_read_by_high_bit_bits_stored_and_sign() {
        assert_eq!(value(12, 11, false, 0xF123), 0x123);
        assert_eq!(value(12, 11, true, 0x0800), -2048);
        assert_eq!(value(12, 15, false, 0xABC7), 0xABC);
        assert_eq!(value(16, 15, true, 0xFFFF), -1);
        assert_eq!(value(16, 15, false, 0xFFFF), 65535);
    }
}
