//! `multipart/related` (RFC 2387, PS3.18 §8.6.1.2) in both directions, as
//! streams. Holds at most one piece of a part in memory.

mod reader;
mod writer;

pub use reader::{Limits, MultipartError, Part, Reader, boundary_of};
pub use writer::{Boundary, PartHead, body_length, write};
