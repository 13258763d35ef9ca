//! The archive through its public door.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout
)]

mod auditing;
mod bucket;
mod crash;
mod deleting;
mod drill;
mod ending;
mod erasing;
mod everything;
mod faults;
mod fixture;
mod hot;
mod isolation;
mod maintenance;
mod moving;
mod pack_faults;
mod pack_model;
mod packs;
mod postgres;
mod pressure;
mod publish;
mod quarantine;
mod queries;
mod ranges;
mod rebuild_model;
mod rebuilding;
mod rejecting;
mod storing;
mod support;
