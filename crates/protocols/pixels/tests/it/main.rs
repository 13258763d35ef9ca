//! Judged by others: pydicom, GDCM and dcmtk say what each pixel must be.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests; clippy's own exemption does not reach their helpers"
)]

mod decoding;
mod hostile;
mod rendering;
mod support;
