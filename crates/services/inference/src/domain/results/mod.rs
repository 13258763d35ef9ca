//! Result objects: what a run's mask and measurements become in DICOM. Owns the Segmentation
//! (PS3.3 §A.51), the measurement report (Comprehensive 3D SR, PS3.16 TID 1500) and the key
//! object that rejects a superseded Segmentation (PS3.16 TID 2010), as pure functions from the
//! source's headers: it reads no clock, no random number and no file, so that the same run always
//! gives the same bytes, and it never decides whether a result is right or may be published.

mod charset;
mod code;
mod content;
mod context;
mod element;
mod error;
mod kos;
mod limits;
mod mask;
mod modules;
mod observer;
mod part10;
mod received;
mod references;
mod seg;
mod source;
mod sr;
pub mod uid;

pub use code::{CUBIC_CENTIMETRE, Code, VOLUME, VOXEL_SUM};
pub use context::{
    Equipment, InstanceReference, ModelIdentity, NOT_FOR_CLINICAL_USE, ResultContext, SeriesNumbers,
};
pub use error::ResultError;
pub use kos::rejection_note;
pub use mask::{Mask, Segment, Segmentation, cielab};
pub use part10::{ResultObject, data_set_to_bytes, to_bytes};
pub use seg::segmentation;
pub use source::{SliceHeader, SourceSeries};
pub use sr::{Measurement, report};
