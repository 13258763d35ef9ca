//! Walks the bytes of a DICOM data set without trust. Owns what is read from
//! received bytes before anything else touches them: identity, DICOM JSON,
//! flags, and where pixels and bulk data lie; and how a data set reads with
//! attributes corrected. Never decodes pixels, never holds a data set in memory,
//! never recurses, and no error or flag carries a value of the data set.
//!
//! ```
//! use hilum_dataset::{Refusal, ScanOptions, scan};
//!
//! // Explicit little endian: SOP Class UID and nothing else.
//! let bytes: &[u8] = b"\x08\x00\x16\x00UI\x04\x001.2\0";
//! let refused = scan(bytes, "1.2.840.10008.1.2.1", &ScanOptions::default());
//! assert_eq!(
//!     refused.err().and_then(|error| error.refusal()),
//!     Some(Refusal::MissingUid { tag: 0x0008_0018 }),
//! );
//! ```

mod dictionary;
mod encoding;
mod error;
mod identity;
mod inflate;
mod json;
pub mod limits;
mod order;
pub mod part10;
pub mod patch;
mod pixels;
mod required;
mod scan;
mod source;
pub mod text;
mod value;
mod walk;

pub use encoding::{Encoding, is_deflated, trim_uid};
pub use error::{Flag, Limit, Place, Refusal, ScanError};
pub use identity::Identity;
pub use inflate::{Inflated, deflate};
pub use json::with_bulk_addresses;
pub use part10::Part10;
pub use pixels::{PixelLayout, Range};
pub use scan::{BulkRange, Scan, ScanOptions, scan, scan_file};
pub use source::{ByteSource, FileSource, Window};
