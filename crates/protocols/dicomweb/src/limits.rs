//! The limits of what a client may send, each with its reason.

/// Longest query string in bytes: longer than any list of a hundred UIDs.
pub const QUERY_BYTES: usize = 16 * 1024;
/// Most parameters in one query.
pub const PARAMETERS: usize = 200;
/// Most values in a list of one matching parameter.
pub const VALUES: usize = 200;
/// Deepest dotted sequence path of an attribute.
pub const PATH_DEPTH: usize = 8;
/// Longest Accept header or parameter in bytes.
pub const ACCEPT_BYTES: usize = 8 * 1024;
/// Most media ranges in one Accept header.
pub const MEDIA_RANGES: usize = 64;
/// Most parameters of one media type.
pub const MEDIA_PARAMETERS: usize = 16;
/// Most frames in one request: a viewer asks for a handful, and each part of
/// the answer costs a header.
pub const FRAMES: usize = 10_000;
/// Longest boundary. RFC 2046 §5.1.1 has 70; Orthanc's plugin for DICOMweb
/// sends 73.
pub const BOUNDARY_BYTES: usize = 256;
/// What may come before the first boundary, between two parts, or as headers
/// of a part. Bounds the memory that a body without a boundary costs.
pub const STRUCTURE_BYTES: usize = 256 * 1024;
/// Largest piece given to the multipart parser at once: it scans 64 kB pieces
/// four times as fast as 16 kB ones, and holds one piece in memory.
pub const CHUNK_BYTES: usize = 64 * 1024;
