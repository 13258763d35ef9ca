//! DICOMweb (PS3.18) as text and bytes: query parameters, content
//! negotiation, `multipart/related` in both directions, rendering parameters,
//! store responses and DICOM JSON. It owns what the standard says about those
//! and knows nothing of any server: no sockets, no routing, no storage, and
//! never a value of a patient in an error text.
//!
//! ```
//! use hilum_dicomweb::query::{Attribute, Level, Query};
//!
//! let query = Query::parse(Level::Study, "PatientName=DOE*&StudyDate=20200101-&limit=10")?;
//! assert_eq!(query.limit, Some(10));
//! assert_eq!(query.filters[0].attribute, Attribute::PatientName);
//! # Ok::<(), hilum_dicomweb::Refusal>(())
//! ```

pub mod accept;
pub mod frames;
pub mod json;
pub mod limits;
pub mod media_type;
pub mod multipart;
pub mod parameters;
pub mod query;
mod refusal;
pub mod rendered;
pub mod store_response;

pub use refusal::Refusal;
