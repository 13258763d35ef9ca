//! Who comes in and who does not, through the service's own doors and on its
//! own database.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

mod account;
mod address;
mod administration;
mod audit;
mod devices;
mod forged;
mod keys;
mod mail;
mod oidc;
mod passes;
mod people;
mod sign_in;
mod tenants;
mod world;
