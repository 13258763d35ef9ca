//! Every bound of this crate, each with its reason. Nothing here is configurable: a caller who wants
//! less memory in flight limits how many frames it decodes at once.

/// Bytes of one decoded frame. The largest single frames in routine use (mammography, digitised film,
/// whole-slide thumbnails) stay below 128 MiB; a 65535×65535 frame would be 4 GiB and more.
pub const MAX_FRAME_BYTES: u64 = 256 * 1024 * 1024;

/// Samples of one frame that is decoded by JPEG 2000 or JPEG XL, whose decoders work in 32-bit planes
/// and hold about two of them: 64 Mi samples are about 512 MiB of working memory.
pub const MAX_WIDE_CODEC_SAMPLES: u64 = 64 * 1024 * 1024;

/// Working memory that the JPEG XL decoder may take; it accounts for its own allocations.
pub const MAX_JPEG_XL_BYTES: usize = 1024 * 1024 * 1024;

/// Tiles of a JPEG 2000 codestream. OpenJPEG keeps several kilobytes per tile before it has read any of
/// them, so the count is bounded by what a 16-bit side of 512-pixel tiles needs.
pub const MAX_JPEG_2000_TILES: u64 = 16 * 1024;

/// Entries of one lookup table: the descriptor's count is 16 bit and 0 means 65536 (PS3.3 C.11.1.1).
pub const MAX_LUT_ENTRIES: usize = 65_536;

/// Windows or VOI LUTs read from one object; real objects hold a handful.
pub const MAX_VOI_ALTERNATIVES: usize = 64;

/// Frames whose own functional groups are read (PS3.3 C.7.6.16). Frames after that use the shared ones;
/// the largest enhanced objects have some tens of thousands of frames.
pub const MAX_PER_FRAME_GROUPS: usize = 262_144;

/// A rendered image's longest side. Beyond it no display or browser gains anything.
pub const MAX_VIEWPORT_SIDE: u32 = 16_384;

/// Pixels of an image that a viewport enlarges: the scaler holds up to 16 bytes for each of them.
pub const MAX_VIEWPORT_PIXELS: u64 = 16 * 1024 * 1024;

/// The longest side of a thumbnail (PS3.18 §10.4.4 leaves the size to the server).
pub const THUMBNAIL_SIDE: u32 = 256;

/// JPEG quality when the request names none: visually lossless for 8-bit grey at moderate size.
pub const DEFAULT_JPEG_QUALITY: u8 = 90;

/// Scans of a 12-bit JPEG: a progressive stream may repeat them without end, each a walk over the image.
pub const MAX_12_BIT_JPEG_SCANS: i32 = 64;

/// Megabytes that libjpeg-turbo may take for a 12-bit JPEG besides its result.
pub const MAX_12_BIT_JPEG_MEGABYTES: i32 = 512;
