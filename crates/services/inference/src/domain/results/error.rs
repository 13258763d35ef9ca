//! Why a result object could not be written. Owns the closed set of reasons; the texts name
//! attributes and numbers, never values, which may identify a patient.

use dicom_core::Tag;

/// A reason for which no result object is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResultError {
    /// There is nothing to reference.
    #[error("the source has no slices")]
    NoSlices,
    /// The mask has no segments.
    #[error("the segmentation describes no segment")]
    NoSegments,
    /// An attribute that the result must repeat is absent or unreadable in the source.
    #[error("source slice {slice} (from 0) has no usable {tag}")]
    MissingAttribute {
        /// The attribute.
        tag: Tag,
        /// Index of the slice, from 0.
        slice: usize,
    },
    /// Slices of one volume differ in an attribute that the result writes once.
    #[error("source slice {slice} (from 0) differs from the first slice in {tag}")]
    MixedSlices {
        /// The attribute.
        tag: Tag,
        /// Index of the slice, from 0.
        slice: usize,
    },
    /// The mask is not on the grid of the source.
    #[error("the mask has {actual} voxels, the source grid {expected}")]
    MaskShape {
        /// Voxels of the source grid.
        expected: usize,
        /// Voxels of the mask.
        actual: usize,
    },
    /// A voxel carries a label that no segment describes.
    #[error("the mask carries label {label}, but only {segments} segments are described")]
    UnknownLabel {
        /// The label.
        label: u8,
        /// Number of described segments.
        segments: usize,
    },
    /// A measurement refers to a segment that is not there.
    #[error("a measurement refers to segment {segment}, which does not exist")]
    UnknownSegment {
        /// Segment number, from 1.
        segment: u16,
    },
    /// A measurement is NaN or infinite.
    #[error("a measurement of segment {segment} is not a finite number")]
    NotFinite {
        /// Segment number, from 1.
        segment: u16,
    },
    /// A text or code that must not be empty is.
    #[error("{what} must not be empty")]
    Empty {
        /// What is empty.
        what: &'static str,
    },
    /// The object would pass a bound of the format or of this service.
    #[error("{what} is over its limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The data set could not be serialised.
    #[error("the data set could not be written: {0}")]
    Write(String),
}
