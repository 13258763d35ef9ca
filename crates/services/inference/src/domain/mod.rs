//! The rules of inference: pure, no IO, no clock.

pub mod results;
