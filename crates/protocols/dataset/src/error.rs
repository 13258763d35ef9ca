//! Why an instance is refused, and what is wrong with one that is stored all
//! the same. Both are closed sets, and neither ever carries a value of the data
//! set: only tags, lengths and offsets, so that they can be logged and shown.

use std::fmt;
use std::io;

use dicom_core::Tag;
use serde::{Deserialize, Serialize};

/// The part of the stream in which it ended too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Inside the tag, VR and length of an element or item.
    Header,
    /// Inside the value of an element.
    Value,
    /// Inside a sequence or one of its items.
    Sequence,
    /// Inside pixel data.
    PixelData,
    /// Inside the compressed stream of a deflated data set.
    Deflate,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "an element header",
            Self::Value => "an element value",
            Self::Sequence => "a sequence",
            Self::PixelData => "pixel data",
            Self::Deflate => "the deflated stream",
        })
    }
}

/// A bound that the data set went over; see [`crate::limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// Nesting of sequences.
    Depth,
    /// Number of elements.
    Elements,
    /// Number of fragments of pixel data.
    Fragments,
    /// Size of the metadata or of its bulk data table.
    Metadata,
    /// Size after inflating.
    Inflated,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Depth => "nesting of sequences",
            Self::Elements => "number of elements",
            Self::Fragments => "number of pixel data fragments",
            Self::Metadata => "size of the metadata",
            Self::Inflated => "size after inflating",
        })
    }
}

/// Why the bytes cannot be stored as an instance. Everything else is stored
/// and carries [`Flag`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", tag = "code")]
pub enum Refusal {
    /// Neither a part-10 file nor a data set.
    #[error("not DICOM: no data set found")]
    NotDicom,
    /// The bytes end before the lengths in them say so.
    #[error("truncated in {place} at byte {at}")]
    Truncated {
        /// What was being read.
        place: Place,
        /// Offset in the data set.
        at: u64,
    },
    /// A length or delimiter contradicts the structure around it.
    #[error("broken structure at byte {at}, tag {}", Hex(*tag))]
    Broken {
        /// Offset in the data set.
        at: u64,
        /// The element found there, as `GGGGEEEE`.
        tag: u32,
    },
    /// A UID without which the instance cannot be filed is absent or empty.
    #[error("required UID {} is missing or empty", Hex(*tag))]
    MissingUid {
        /// The attribute.
        tag: u32,
    },
    /// A UID without which the instance cannot be filed is longer than 64
    /// characters or holds characters that are unsafe in a path.
    #[error("required UID {} is not usable as an identifier", Hex(*tag))]
    UnusableUid {
        /// The attribute.
        tag: u32,
    },
    /// The data set goes over a bound.
    #[error("over the limit for the {what}")]
    OverLimit {
        /// Which bound.
        what: Limit,
    },
}

/// The scan gives no result.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The bytes are at fault.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The source could not be read; nothing is said about the bytes.
    #[error("the source could not be read: {0}")]
    Source(#[from] io::Error),
}

impl ScanError {
    /// The refusal, when the bytes are at fault.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused(refusal) => Some(*refusal),
            Self::Source(_) => None,
        }
    }
}

/// What is wrong, or had to be guessed, in an instance that is stored.
/// Tags are `GGGGEEEE` as numbers; [`Flag::tag`] gives the one concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "code")]
pub enum Flag {
    /// The file has no preamble before its meta information.
    NoPreamble,
    /// The file has no meta information; the encoding was guessed.
    NoMeta,
    /// The data set is not encoded as its transfer syntax says.
    EncodingMismatch,
    /// A UID of the file meta information differs from the data set's.
    MetaMismatch {
        /// The attribute of the data set.
        tag: u32,
    },
    /// The VR differs from the data dictionary's.
    WrongVr {
        /// The attribute.
        tag: u32,
    },
    /// The two bytes in place of a VR are none.
    InvalidVr {
        /// The attribute.
        tag: u32,
    },
    /// The value has an odd length, or one that its VR cannot have.
    OddLength {
        /// The attribute.
        tag: u32,
    },
    /// An attribute of type 1 or 2 is absent.
    Missing {
        /// The attribute.
        tag: u32,
    },
    /// An attribute of type 1 is empty.
    Empty {
        /// The attribute.
        tag: u32,
    },
    /// The value cannot be decoded with its character set.
    UndecodableText {
        /// The attribute.
        tag: u32,
    },
    /// Text outside ASCII with no character set declared; the fallback was used.
    UndeclaredCharacterSet {
        /// The attribute.
        tag: u32,
    },
    /// Specific Character Set names a set that is not known.
    UnknownCharacterSet,
    /// A DS or IS value is not a number.
    InvalidNumber {
        /// The attribute.
        tag: u32,
    },
    /// A UID that is not of the form of PS3.5 §9.1.
    InvalidUid {
        /// The attribute.
        tag: u32,
    },
    /// Elements do not ascend.
    OutOfOrder {
        /// The attribute found too late.
        tag: u32,
    },
    /// The element occurs twice; the first one counts.
    Duplicate {
        /// The attribute.
        tag: u32,
    },
    /// An element of a group that data sets cannot hold (PS3.5 §7.1).
    ForbiddenGroup {
        /// The element.
        tag: u32,
    },
    /// A delimiter where none belongs, or one missing.
    StrayDelimiter,
    /// Bytes after the last element.
    TrailingBytes {
        /// How many.
        count: u64,
    },
    /// Pixel data is longer than rows, columns, samples and frames ask for.
    PixelSurplus {
        /// Bytes over.
        bytes: u64,
    },
    /// Pixel data is shorter than rows, columns, samples and frames ask for.
    PixelShortage {
        /// Bytes missing.
        bytes: u64,
    },
    /// Frames of encapsulated pixel data cannot be told apart.
    FramesUnknown,
    /// The offset table contradicts the fragments.
    WrongOffsetTable,
    /// There were more flags than are kept.
    More,
}

impl Flag {
    /// The attribute concerned, if it is about one.
    #[must_use]
    pub fn tag(&self) -> Option<Tag> {
        match *self {
            Self::MetaMismatch { tag }
            | Self::WrongVr { tag }
            | Self::InvalidVr { tag }
            | Self::OddLength { tag }
            | Self::Missing { tag }
            | Self::Empty { tag }
            | Self::UndecodableText { tag }
            | Self::UndeclaredCharacterSet { tag }
            | Self::InvalidNumber { tag }
            | Self::InvalidUid { tag }
            | Self::OutOfOrder { tag }
            | Self::Duplicate { tag }
            | Self::ForbiddenGroup { tag } => Some(from_u32(tag)),
            _ => None,
        }
    }
}

/// The flags of one scan: each once, at most [`crate::limits::MAX_FLAGS`].
#[derive(Debug, Default)]
pub(crate) struct Flags(Vec<Flag>);

impl Flags {
    pub(crate) fn add(&mut self, flag: Flag) {
        if self.0.len() > crate::limits::MAX_FLAGS || self.0.contains(&flag) {
            return;
        }
        let full = self.0.len() == crate::limits::MAX_FLAGS;
        self.0.push(if full { Flag::More } else { flag });
    }

    pub(crate) fn into_vec(self) -> Vec<Flag> {
        self.0
    }
}

/// A tag as the number `GGGGEEEE`.
#[must_use]
pub(crate) const fn to_u32(tag: Tag) -> u32 {
    ((tag.0 as u32) << 16) | tag.1 as u32
}

/// The tag of the number `GGGGEEEE`.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the two halves of the number are the group and the element"
)]
pub(crate) const fn from_u32(tag: u32) -> Tag {
    Tag((tag >> 16) as u16, tag as u16)
}

struct Hex(u32);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({:04X},{:04X})", self.0 >> 16, self.0 & 0xFFFF)
    }
}
