//! The archive: owns every image object, the keys they are sealed with and the
//! index that finds them. It never parses DICOM (callers hand it what is to be
//! indexed), never changes received bytes, and never acknowledges what is not
//! durable.

mod archive;
mod error;
pub mod limits;
mod model;

pub use archive::{Archive, ArchiveConfig, MasterKey, RangeReader};
pub use error::{ArchiveError, Result};
pub use limits::Limits;
pub use model::*;
