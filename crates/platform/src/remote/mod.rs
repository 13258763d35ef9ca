//! Neighbours in other processes: both ends of every contract over the network.
//!
//! A question is a POST to `/ask/{service}/{what}` of the neighbour's own door, with
//! JSON in and out, the scope in a header, and the time that is left for the answer.
//! The door asks for a certificate of the installation's authority, so that nobody
//! else is heard. Each contract stands in a file with its client and the questions
//! that it answers: what one end writes the other one reads.
//!
//! A neighbour that does not answer costs its caller a bounded time: few tries with
//! a pause of random length between, and none at all for a while after several
//! failed ([`breaker`]). One that can't be connected to is being replaced, as a
//! rule: nothing was sent to it, and what was to be sent waits for a while.

mod answering;
pub mod audit;
pub(crate) mod breaker;
pub mod carried;
pub mod directory;
pub mod elsewhere;
pub mod identity;
pub mod imaging;
pub mod keys;
mod lent;
pub mod member;
pub mod moving;
mod neighbour;
pub mod notices;
pub mod passes;
pub mod passing_on;
pub mod patients;

pub use answering::Answering;
pub use neighbour::{Asking, Neighbour};

use http::HeaderName;

/// What every service is asked: whether it works.
const READY: &str = "ready";

/// The scope that a question is asked in, as [`crate::auth::to_neighbour`] writes it.
const SCOPE: HeaderName = HeaderName::from_static("hilum-scope");

/// Milliseconds after which nobody waits for the answer any more.
const WITHIN: HeaderName = HeaderName::from_static("hilum-within");

/// From whom a request that is passed on came, in JSON.
const CALLER: HeaderName = HeaderName::from_static("hilum-caller");

/// How often a request was passed on.
const HOPS: HeaderName = HeaderName::from_static("hilum-hops");
