//! Integration tests of hilum-inference.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test fails by panicking; helpers outside of #[test] functions are tests too"
)]

mod geometry;
mod models;
mod results;
mod service;
mod steps;
mod tilted;
mod worker;
