//! What the service does by itself: plans runs when input sets are ready, and
//! carries them out.

mod consumer;
mod instances;
mod runner;

pub use consumer::INTEREST;
pub(crate) use consumer::RunsFromInputSets;
pub(crate) use runner::Runner;
