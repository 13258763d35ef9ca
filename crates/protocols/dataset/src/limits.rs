//! Every bound of the scan, with its reason. Nothing here depends on the
//! product; a caller who needs other numbers passes [`crate::ScanOptions`].

/// Nesting of sequences. The deepest standard IODs (SR content trees, enhanced
/// functional groups) stay below 20; hostile files nest 10,000 deep.
pub const MAX_DEPTH: usize = 64;

/// Elements in one data set, at every level together. An enhanced multi-frame
/// object of 20,000 frames with 60 elements each stays below.
pub const MAX_ELEMENTS: u64 = 2_000_000;

/// Fragments of encapsulated pixel data. One per frame is usual; the table of
/// them is held in memory at 16 bytes each.
pub const MAX_FRAGMENTS: usize = 1_000_000;

/// Entries of the bulk data table, held in memory.
pub const MAX_BULK: usize = 500_000;

/// Bytes of DICOM JSON written for one instance. Beyond, the instance is
/// refused: its metadata could not be served with bounded memory.
pub const MAX_JSON: usize = 64 << 20;

/// Above this much JSON, the inline limits shrink to [`INLINE_TIGHT`], so that
/// contour-heavy objects keep a metadata document that can be served.
pub const JSON_TIGHT: usize = 8 << 20;

/// Longest text or number value kept inline; longer ones become bulk data.
pub const INLINE_TEXT: u32 = 16 << 10;

/// Longest OB, OW, OF, OD, OL, OV or UN value kept inline as base64.
pub const INLINE_BINARY: u32 = 1 << 10;

/// Inline limit of both kinds once the document is large.
pub const INLINE_TIGHT: u32 = 256;

/// A read of the source asks for at least this many bytes: the header of most
/// images fits in one read.
pub const READ_AHEAD: usize = 16 << 10;

/// Flags kept per instance; more say nothing new to a person.
pub const MAX_FLAGS: usize = 64;

/// File meta information (group 0002) of one file. Private information
/// (0002,0102) makes it variable; a megabyte is beyond any writer known.
pub const MAX_META: u64 = 1 << 20;

/// Bytes a deflated data set may inflate to. Deflate reaches 1000:1, so a
/// small hostile body costs processor time in proportion to this.
pub const MAX_INFLATED: u64 = 1 << 30;

/// Longest UID (PS3.5 §9.1).
pub const MAX_UID: usize = 64;

/// Bytes that a correction may write anew: text of a whole data set in another
/// character set is held in memory until it is sent.
pub const MAX_PATCH: usize = 64 << 20;

/// Attributes that one correction changes: more than the patient, study and
/// series modules have.
pub const MAX_CHANGES: usize = 128;
