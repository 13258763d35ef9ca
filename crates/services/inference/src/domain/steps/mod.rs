//! The steps that a model's graph is composed of, one file a family. A step is
//! a function from values to a value: it knows nothing of models, manifests or
//! DICOM, and never refuses for a reason that only a model could know.

pub mod components;
pub mod intensity;
pub mod region;
pub mod reorient;
pub mod resample;
