//! Bounds of result objects, each with its reason.

/// Depth to which sequences of a received header are taken over (procedure codes, issuers):
/// the standard's own nest two deep; deeper ones are dropped, not followed.
pub(super) const COPIED_SEQUENCE_DEPTH: usize = 4;

/// Frames of one Segmentation. Each costs about 1 kB of functional groups in memory, and
/// thousands of slices times tens of segments stay below it.
pub(super) const FRAMES: u64 = 200_000;

/// Segments of one Segmentation: Segment Number is US (PS3.3 §C.8.20.4).
pub(super) const SEGMENTS: u64 = 65_535;

/// Bytes of native Pixel Data: its length is 32 bits, even, and FFFFFFFFH is reserved.
pub(super) const PIXEL_BYTES: u64 = 0xFFFF_FFFE;

/// Warnings that are written out into each measurement group; a model's manifest has a handful.
pub(super) const WARNINGS: usize = 32;

/// Segments of a mask of one byte a voxel; 0 is background.
pub(super) const LABELS: u64 = 255;
