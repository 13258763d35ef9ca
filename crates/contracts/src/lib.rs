//! What services say to each other: identifiers, data transfer objects, one
//! trait per service that answers synchronously, and the events everybody may
//! follow. Types only: nothing here reads a file, a socket or a clock.
//!
//! Fields are only ever added, and unknown ones are ignored, so that an older
//! and a newer service understand each other during an upgrade.

pub mod access;
pub mod audit;
pub mod erasure;
pub mod error;
pub mod event;
pub mod export;
pub mod identity;
pub mod ids;
pub mod imaging;
pub mod inference;
pub mod patients;
pub mod scope;
pub mod service;

pub use error::{ErrorCode, ServiceError};
pub use event::Event;
pub use ids::{CorrelationId, TenantId};
pub use scope::TenantScope;
