//! The labelled volume that a model produced, and what its labels mean. Owns reading a mask
//! plane by plane and packing it to bits; it knows nothing of DICOM attributes but the packing.

use std::collections::HashSet;

use super::code::Code;
use super::error::ResultError;
use super::limits;
use super::source::SourceSeries;

/// What one segment is. Its Segment Number is its place in the list, from 1.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Segment Label (0062,0005), e.g. `Brain`.
    pub label: String,
    /// Segmented Property Category (CID 7150), e.g. Anatomical Structure.
    pub category: Code,
    /// Segmented Property Type, e.g. Brain.
    pub property_type: Code,
    /// Segmented Property Type Modifier, e.g. Left.
    pub property_type_modifier: Option<Code>,
    /// Anatomic Region, where the property type is not itself the anatomy.
    pub anatomic_region: Option<Code>,
    /// Segment Algorithm Name (0062,0009).
    pub algorithm_name: String,
    /// Recommended Display CIELab Value (0062,000D), see [`cielab`].
    pub color: Option<[u16; 3]>,
}

/// Voxels of all segments on the source grid: slices in the order of [`SourceSeries`], rows from
/// top, columns from left.
#[derive(Debug, Clone, Copy)]
pub enum Mask<'a> {
    /// One volume; 0 is background, n is segment number n. Segments cannot overlap.
    Labels(&'a [u8]),
    /// A volume for each segment; anything but 0 belongs to it. Segments may overlap.
    Volumes(&'a [&'a [u8]]),
}

/// A mask and its segments.
#[derive(Debug, Clone, Copy)]
pub struct Segmentation<'a> {
    /// The segments, in the order of their numbers.
    pub segments: &'a [Segment],
    /// The voxels.
    pub mask: Mask<'a>,
}

impl Segmentation<'_> {
    /// Whether the mask covers the source grid and names no segment that is not described.
    pub(super) fn check(&self, source: &SourceSeries) -> Result<(), ResultError> {
        let expected = source.voxels();
        if self.segments.is_empty() {
            return Err(ResultError::NoSegments);
        }
        limit(
            "the number of segments",
            self.segments.len(),
            limits::SEGMENTS,
        )?;
        let volumes: &[&[u8]] = match &self.mask {
            Mask::Labels(volume) => std::slice::from_ref(volume),
            Mask::Volumes(volumes) => {
                if volumes.len() != self.segments.len() {
                    return Err(ResultError::MaskShape {
                        expected: expected.saturating_mul(self.segments.len()),
                        actual: volumes.iter().map(|v| v.len()).sum(),
                    });
                }
                volumes
            }
        };
        if let Some(wrong) = volumes.iter().find(|v| v.len() != expected) {
            return Err(ResultError::MaskShape {
                expected,
                actual: wrong.len(),
            });
        }
        if let Mask::Labels(volume) = self.mask {
            limit(
                "the number of labelled segments",
                self.segments.len(),
                limits::LABELS,
            )?;
            let highest = volume.iter().copied().max().unwrap_or(0);
            if usize::from(highest) > self.segments.len() {
                return Err(ResultError::UnknownLabel {
                    label: highest,
                    segments: self.segments.len(),
                });
            }
        }
        for segment in self.segments {
            for (what, empty) in [
                ("a segment label", segment.label.trim().is_empty()),
                (
                    "a segment's algorithm name",
                    segment.algorithm_name.trim().is_empty(),
                ),
                ("a segment's category", !segment.category.is_complete()),
                ("a segment's type", !segment.property_type.is_complete()),
            ] {
                if empty {
                    return Err(ResultError::Empty { what });
                }
            }
        }
        Ok(())
    }

    /// One slice of a segment (both from 0), and which of its voxels count.
    fn plane(&self, segment: usize, slice: usize, voxels: usize) -> Plane<'_> {
        let (volume, label) = match self.mask {
            // A segment past 255 has no label: no voxel can name it.
            Mask::Labels(volume) => match u8::try_from(segment + 1) {
                Ok(label) => (volume, Some(label)),
                Err(_) => (&[] as &[u8], None),
            },
            Mask::Volumes(volumes) => (volumes.get(segment).copied().unwrap_or_default(), None),
        };
        let start = slice.saturating_mul(voxels);
        let values = volume.get(start..start + voxels).unwrap_or_default();
        Plane { values, label }
    }

    /// The frames to write as (segment index, slice index), segment by segment in slice order.
    /// Empty ones are left out, unless all are: an object has at least one frame.
    pub(super) fn frames(&self, source: &SourceSeries) -> Vec<(usize, usize)> {
        let filled = self.filled(source);
        let segments = 0..self.segments.len();
        let frames = segments
            .flat_map(|segment| (0..source.slices.len()).map(move |slice| (segment, slice)));
        if filled.is_empty() {
            frames.collect()
        } else {
            frames.filter(|frame| filled.contains(frame)).collect()
        }
    }

    /// (segment, slice) of all that holds a voxel. A volume is read once, however many labels.
    fn filled(&self, source: &SourceSeries) -> HashSet<(usize, usize)> {
        let mut filled = HashSet::new();
        let (volumes, labelled): (&[&[u8]], _) = match &self.mask {
            Mask::Labels(volume) => (std::slice::from_ref(volume), true),
            Mask::Volumes(volumes) => (volumes, false),
        };
        for (segment, volume) in volumes.iter().enumerate() {
            for (slice, plane) in volume.chunks(source.slice_voxels()).enumerate() {
                if labelled {
                    let mut seen = [false; 256];
                    for value in plane {
                        if let Some(seen) = seen.get_mut(usize::from(*value)) {
                            *seen = true;
                        }
                    }
                    let labels = seen.iter().enumerate().skip(1).filter(|(_, seen)| **seen);
                    filled.extend(labels.map(|(label, _)| (label - 1, slice)));
                } else if plane.iter().any(|value| *value != 0) {
                    filled.insert((segment, slice));
                }
            }
        }
        filled
    }

    /// Pixel Data of the frames: a bit per voxel, the first in the least significant bit, frames
    /// one after another without padding between them (PS3.5 §8.1.1), even in total.
    pub(super) fn pack(
        &self,
        source: &SourceSeries,
        frames: &[(usize, usize)],
    ) -> Result<Vec<u8>, ResultError> {
        let voxels = source.slice_voxels();
        let bytes = u64::try_from(voxels)
            .unwrap_or(u64::MAX)
            .saturating_mul(u64::try_from(frames.len()).unwrap_or(u64::MAX))
            .div_ceil(8);
        if bytes > limits::PIXEL_BYTES {
            return Err(ResultError::TooLarge {
                what: "pixel data in bytes",
                limit: limits::PIXEL_BYTES,
            });
        }
        let mut packed = Bits::with_capacity(usize::try_from(bytes).unwrap_or(0));
        for (segment, slice) in frames {
            self.plane(*segment, *slice, voxels).push_into(&mut packed);
        }
        Ok(packed.finish())
    }

    /// Whether any voxel belongs to two segments.
    pub(super) fn overlaps(&self) -> bool {
        let Mask::Volumes(volumes) = self.mask else {
            return false;
        };
        let length = volumes.iter().map(|v| v.len()).max().unwrap_or(0);
        volumes.len() > 1
            && (0..length).any(|i| {
                let owners = volumes
                    .iter()
                    .filter(|v| v.get(i).is_some_and(|value| *value != 0));
                owners.take(2).count() == 2
            })
    }
}

pub(super) fn limit(what: &'static str, count: usize, limit: u64) -> Result<(), ResultError> {
    if u64::try_from(count).is_ok_and(|count| count <= limit) {
        Ok(())
    } else {
        Err(ResultError::TooLarge { what, limit })
    }
}

#[derive(Clone, Copy)]
struct Plane<'a> {
    values: &'a [u8],
    /// The value that counts; any but 0 where `None`.
    label: Option<u8>,
}

impl Plane<'_> {
    fn holds(&self, value: u8) -> bool {
        self.label.map_or(value != 0, |label| value == label)
    }

    fn push_into(&self, bits: &mut Bits) {
        for eight in self.values.chunks(8) {
            let mut byte = 0;
            for (i, value) in eight.iter().enumerate() {
                byte |= u8::from(self.holds(*value)) << i;
            }
            bits.push(byte, eight.len());
        }
    }
}

/// Bits, least significant first.
struct Bits {
    bytes: Vec<u8>,
    /// Bits not yet in `bytes`, fewer than 8.
    pending: u16,
    count: usize,
}

impl Bits {
    fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes + 1),
            pending: 0,
            count: 0,
        }
    }

    /// Appends the lowest `count` (at most 8) bits of `byte`.
    fn push(&mut self, byte: u8, count: usize) {
        self.pending |= u16::from(byte) << self.count;
        self.count += count;
        if self.count >= 8 {
            let [low, high] = self.pending.to_le_bytes();
            self.bytes.push(low);
            self.pending = u16::from(high);
            self.count -= 8;
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            let [low, _] = self.pending.to_le_bytes();
            self.bytes.push(low);
        }
        if self.bytes.len() % 2 == 1 {
            self.bytes.push(0);
        }
        self.bytes
    }
}

/// An sRGB colour as Recommended Display CIELab Value: PCS-Value, D50 (PS3.3 §C.10.7.1.1).
#[must_use]
pub fn cielab([r, g, b]: [u8; 3]) -> [u16; 3] {
    let linear = |c: u8| {
        let c = f64::from(c) / 255.0;
        if c <= 0.040_45 {
            c / 12.92
        } else {
            ((c + 0.055) / 1.055).powf(2.4)
        }
    };
    let (r, g, b) = (linear(r), linear(g), linear(b));
    // sRGB primaries adapted to D50 (Bradford), over the D50 white point.
    let x = (0.436_074_7 * r + 0.385_064_9 * g + 0.143_080_4 * b) / 0.964_22;
    let y = 0.222_504_5 * r + 0.716_878_6 * g + 0.060_616_9 * b;
    let z = (0.013_932_2 * r + 0.097_104_5 * g + 0.714_173_3 * b) / 0.825_21;
    let f = |t: f64| {
        if t > 216.0 / 24_389.0 {
            t.cbrt()
        } else {
            (24_389.0 / 27.0 * t + 16.0) / 116.0
        }
    };
    let (fx, fy, fz) = (f(x), f(y), f(z));
    let l = (116.0 * fy - 16.0) * 65_535.0 / 100.0;
    let scale = |v: f64| (v + 128.0) * 65_535.0 / 255.0;
    [
        rounded(l),
        rounded(scale(500.0 * (fx - fy))),
        rounded(scale(200.0 * (fy - fz))),
    ]
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range of u16 just before"
)]
fn rounded(value: f64) -> u16 {
    value.round().clamp(0.0, f64::from(u16::MAX)) as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_are_those_of_the_standard() {
        assert_eq!(cielab([255, 255, 255]), [65_535, 32_896, 32_896]);
        assert_eq!(cielab([0, 0, 0]), [0, 32_896, 32_896]);
        // Red is L* 54.29, a* 80.81, b* 69.89 under D50.
        let [l, a, b] = cielab([255, 0, 0]).map(f64::from);
        assert!((l * 100.0 / 65_535.0 - 54.29).abs() < 0.05);
        assert!((a * 255.0 / 65_535.0 - 128.0 - 80.81).abs() < 0.05);
        assert!((b * 255.0 / 65_535.0 - 128.0 - 69.89).abs() < 0.05);
    }

    proptest! {
        #[test]
        fn frames_are_packed_without_padding_between_them(
            frames in prop::collection::vec(prop::collection::vec(0_u8..3, 7), 1..9)
        ) {
            let mut bits = Bits::with_capacity(0);
            for frame in &frames {
                Plane { values: frame, label: None }.push_into(&mut bits);
            }
            let packed = bits.finish();
            let voxels = frames.concat();
            prop_assert_eq!(packed.len() % 2, 0);
            prop_assert!(packed.len() * 8 >= voxels.len());
            prop_assert!(packed.len() * 8 < voxels.len() + 16);
            for (i, value) in voxels.iter().enumerate() {
                prop_assert_eq!(packed[i / 8] >> (i % 8) & 1 == 1, *value != 0);
            }
        }
    }
}
