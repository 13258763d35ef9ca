//! The whole product, as its users and its engineers meet it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod apart;
mod architecture;
mod attacks;
mod auditing;
mod browser;
mod bus;
mod crashes;
mod destinations;
mod documents;
mod ending;
mod erasure;
mod exporting;
mod exposed;
mod hostile;
mod intake;
mod isolation;
mod keeping;
mod keys;
mod moving;
mod on_bucket;
mod on_postgres;
mod operation;
mod overload;
mod passes;
mod rebuilding;
mod rejecting;
mod results;
mod rolling;
mod saga;
mod schemathesis;
mod shards;
mod standby;
mod traces;
mod upgrading;

/// A Hilum under test: tenants `a` and `b`.
fn hilum() -> hilum_testkit::Setup {
    hilum_testkit::Setup::new(env!("CARGO_BIN_EXE_hilum"))
}
