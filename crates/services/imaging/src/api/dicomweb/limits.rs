//! DICOMweb's limits, each with its reason.

use std::time::Duration;

/// Parts of one Store request: each costs an entry in the answer.
pub(super) const STOW_PARTS: usize = 100_000;
/// Instances of one request between arrival and acknowledgement: enough to
/// fill a bundle while the one before is being committed.
pub(super) const STOW_IN_FLIGHT: usize = 32;
/// A body that sends nothing for this long has broken off.
pub(super) const STOW_IDLE: Duration = Duration::from_secs(60);
/// Most results of one search; more are told by a Warning and fetched by
/// offset. One less than an archive's page, so that one more can be looked for.
pub(super) const RESULTS: u32 = hilum_archive::limits::PAGE_ROWS - 1;
/// Elements besides pixel data that are held in memory to be rewritten or to
/// render by. Beyond, an instance is given as stored only.
pub(super) const HEAD_BYTES: u64 = 64 << 20;
/// Bytes of one compressed frame held in memory to decode it.
pub(super) const FRAME_BYTES: u64 = 1 << 30;
/// An image whose frames are decoded is read at once up to this: slices of CT
/// and MR. As much as the archive reads in one go.
pub(super) const HELD_BYTES: u64 = hilum_archive::limits::READ_WHOLE_BYTES;
/// Instances of one answer that are opened at once, one of them being sent:
/// their first pieces are in memory.
pub(super) const INSTANCES_AHEAD: usize = 3;
/// Deflated data sets are inflated in memory up to this.
pub(super) const INFLATED_BYTES: u64 = 256 << 20;
/// Frames decoded at once in the whole process: each holds a frame in memory
/// and a core.
pub(super) const DECODERS: usize = 4;
