//! Result objects judged by others' programs: dicom3tools, highdicom, dcmtk.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure there is the test's failure"
)]

mod fixture;
mod hostile;
mod identity;
mod peers;
mod report;
mod segmentation;
