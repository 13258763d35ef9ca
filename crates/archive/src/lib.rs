//! The archive: owns every image object, the keys they are sealed with and the
//! index that finds them. It never parses DICOM (callers hand it what is to be
//! indexed), never changes received bytes, and never acknowledges what is not
//! durable.
//!
//! An instance arrives ([`Archive::store`]), is sealed by the task that brings
//! it (`intake`, `seal`), collects with others of its tenant in a bundle while
//! the one before is being committed (`writer`), is written and synced
//! (`disk`, `format`), and exists from the index transaction on that takes its
//! object from `reserved` to `live` (`index::commit`).

mod archive;
mod backup;
mod db;
mod delete;
mod descriptor;
mod disk;
mod ending;
mod engine;
mod erase;
mod erasures;
mod error;
mod format;
mod hot;
mod index;
mod intake;
mod keys;
pub mod limits;
mod lookup;
mod lru;
mod model;
mod moved;
mod moving;
mod note;
mod objects;
mod pack;
mod quota;
mod read;
mod rebuild;
mod seal;
pub mod steps;
mod stream;
mod sweep;
mod tenant;
mod verify;
mod writer;

pub use archive::{Archive, ArchiveConfig, Elsewhere};
pub use disk::{Disk, LocalDisk, ObjectFile};
pub use erase::sha256_hex;
pub use error::{ArchiveError, Result};
pub use index::audit::WRITER;
pub use keys::MasterKey;
pub use limits::Limits;
pub use model::*;
pub use objects::{BucketConfig, BucketKey, ObjectsAt};
pub use read::{InstanceSource, RangeReader};
