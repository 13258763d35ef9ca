//! Where the frames of an image lie, so that one frame is served by reading
//! its ranges only. Never reads a pixel.

use serde::{Deserialize, Serialize};

use crate::error::{Flag, Flags};
use crate::identity::Identity;

/// Offset and length in bytes, within the (inflated) data set.
pub type Range = (u64, u64);

/// Where pixel data lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "form")]
pub enum PixelLayout {
    /// Uncompressed: frames follow each other.
    Native {
        /// Start of the value.
        offset: u64,
        /// Length of the value.
        length: u64,
        /// Bytes of one frame; `None` when the attributes do not say or frames
        /// do not start on a byte.
        frame_length: Option<u64>,
        /// Number of frames declared.
        frames: u32,
    },
    /// Encapsulated (PS3.5 §A.4), every frame's fragments known.
    Encapsulated {
        /// The fragments of each frame, in order.
        frames: Vec<Vec<Range>>,
    },
    /// Encapsulated, and frames cannot be told apart without decoding.
    Fragments {
        /// All fragments in order.
        fragments: Vec<Range>,
        /// Number of frames declared.
        frames: u32,
    },
}

impl PixelLayout {
    /// The ranges of a frame counted from 0; `None` when there is no such
    /// frame or its place is not known.
    #[must_use]
    pub fn frame(&self, index: u32) -> Option<Vec<Range>> {
        match self {
            Self::Native {
                offset,
                length,
                frame_length,
                frames,
            } => {
                let size = (*frame_length)?;
                let start = size.checked_mul(u64::from(index))?;
                let end = start.checked_add(size)?;
                (index < *frames && end <= *length).then(|| vec![(offset + start, size)])
            }
            Self::Encapsulated { frames } => frames.get(usize::try_from(index).ok()?).cloned(),
            Self::Fragments { .. } => None,
        }
    }
}

/// What the walk gathered of encapsulated pixel data and its offset tables.
#[derive(Debug, Default)]
pub(crate) struct Encapsulated {
    /// Each fragment's value.
    pub(crate) fragments: Vec<Range>,
    /// Basic offset table (the first item).
    pub(crate) basic: Vec<u64>,
    /// Extended Offset Table (7FE0,0001).
    pub(crate) extended: Vec<u64>,
}

fn declared_frames(identity: &Identity) -> u32 {
    identity
        .number_of_frames
        .and_then(|n| u32::try_from(n).ok())
        .unwrap_or(1)
        .max(1)
}

pub(crate) fn native(
    offset: u64,
    length: u64,
    identity: &Identity,
    flags: &mut Flags,
) -> PixelLayout {
    let frames = declared_frames(identity);
    let bits = frame_bits(identity);
    if let Some(bits) = bits {
        let total = bits.saturating_mul(u64::from(frames)).div_ceil(8);
        if length < total {
            let bytes = total - length;
            flags.add(Flag::PixelShortage { bytes });
        } else if length > total + total % 2 {
            let bytes = length - total;
            flags.add(Flag::PixelSurplus { bytes });
        }
    }
    PixelLayout::Native {
        offset,
        length,
        frame_length: bits.filter(|bits| bits % 8 == 0).map(|bits| bits / 8),
        frames,
    }
}

/// Bits of one frame (PS3.5 §8.2).
fn frame_bits(identity: &Identity) -> Option<u64> {
    let of = |value: Option<i64>| value.and_then(|v| u64::try_from(v).ok()).filter(|v| *v > 0);
    let samples = of(identity.samples_per_pixel.or(Some(1)))?;
    let pixels = of(identity.rows)?.checked_mul(of(identity.columns)?)?;
    let bits = of(identity.bits_allocated)?;
    // Two pixels share their chrominance (PS3.3 C.7.6.3.1.2).
    let halved = samples == 3 && identity.photometric_interpretation == "YBR_FULL_422";
    let samples = if halved { 2 } else { samples };
    pixels.checked_mul(samples)?.checked_mul(bits)
}

pub(crate) fn encapsulated(
    data: Encapsulated,
    identity: &Identity,
    flags: &mut Flags,
) -> PixelLayout {
    let count = declared_frames(identity);
    let expected = usize::try_from(count).unwrap_or(usize::MAX);
    let Encapsulated {
        fragments,
        basic,
        extended,
    } = data;
    for table in [&extended, &basic] {
        if table.is_empty() {
            continue;
        }
        match split_by(table, &fragments) {
            Some(frames) if frames.len() == expected => {
                return PixelLayout::Encapsulated { frames };
            }
            _ => flags.add(Flag::WrongOffsetTable),
        }
    }
    if fragments.len() == expected {
        let frames = fragments.into_iter().map(|range| vec![range]).collect();
        return PixelLayout::Encapsulated { frames };
    }
    if expected == 1 && !fragments.is_empty() {
        let frames = vec![fragments];
        return PixelLayout::Encapsulated { frames };
    }
    flags.add(Flag::FramesUnknown);
    PixelLayout::Fragments {
        fragments,
        frames: count,
    }
}

/// Cuts the fragments where the table says that frames start: offsets of item
/// tags, counted from the first one after the table (PS3.5 §A.4).
fn split_by(table: &[u64], fragments: &[Range]) -> Option<Vec<Vec<Range>>> {
    let base = fragments.first()?.0.checked_sub(8)?;
    let mut frames: Vec<Vec<Range>> = Vec::with_capacity(table.len().min(fragments.len()));
    let mut starts = table.iter().peekable();
    for &(offset, length) in fragments {
        let here = offset.checked_sub(8)?.checked_sub(base)?;
        match starts.peek() {
            Some(start) if **start == here => {
                starts.next();
                frames.push(vec![(offset, length)]);
            }
            Some(start) if **start < here => return None,
            _ => frames.last_mut()?.push((offset, length)),
        }
    }
    starts.peek().is_none().then_some(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(frames: i64) -> Identity {
        Identity {
            number_of_frames: Some(frames),
            rows: Some(2),
            columns: Some(3),
            bits_allocated: Some(16),
            ..Identity::default()
        }
    }

    #[test]
    fn offset_table_groups_fragments() {
        let data = Encapsulated {
            fragments: vec![(108, 10), (126, 10), (144, 10)],
            basic: vec![0, 36],
            extended: vec![],
        };
        let layout = encapsulated(data, &identity(2), &mut Flags::default());
        assert_eq!(layout.frame(0), Some(vec![(108, 10), (126, 10)]));
        assert_eq!(layout.frame(1), Some(vec![(144, 10)]));
        assert_eq!(layout.frame(2), None);
    }

    #[test]
    fn a_lying_table_is_flagged_and_one_fragment_per_frame_taken() {
        let data = Encapsulated {
            fragments: vec![(108, 10), (126, 10)],
            basic: vec![0, 7],
            extended: vec![],
        };
        let mut flags = Flags::default();
        let layout = encapsulated(data, &identity(2), &mut flags);
        assert_eq!(layout.frame(1), Some(vec![(126, 10)]));
        assert_eq!(flags.into_vec(), [Flag::WrongOffsetTable]);
    }

    #[test]
    fn dimensions_that_lie_are_flagged() {
        let mut flags = Flags::default();
        let layout = native(0, 20, &identity(2), &mut flags);
        assert_eq!(layout.frame(0), Some(vec![(0, 12)]));
        assert_eq!(layout.frame(1), None);
        assert_eq!(flags.into_vec(), [Flag::PixelShortage { bytes: 4 }]);
    }
}
