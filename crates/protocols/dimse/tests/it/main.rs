//! Associations with others' programs, and with what isn't one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test fails by panicking"
)]

mod client;
mod codec;
mod conformance;
mod corpus;
mod dcmtk;
mod elsewhere;
mod files;
mod hostile;
mod lifecycle;
mod orthanc;
mod pynetdicom;
mod support;
mod tls;
