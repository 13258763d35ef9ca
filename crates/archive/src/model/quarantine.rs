//! What was refused, kept for a person to see and to send again.

use hilum_contracts::ids::CorrelationId;
use time::OffsetDateTime;

use super::instance::{Body, Origin};

/// Something refused, to be kept.
#[derive(Debug, Clone)]
pub struct NewQuarantined {
    /// What was received, as far as it came.
    pub body: Body,
    /// SHA-256 of it.
    pub sha256: [u8; 32],
    /// Why, as a short code without patient data.
    pub reason: String,
    /// What to know about it, without patient data.
    pub detail: String,
    /// Transfer syntax UID, when it was said.
    pub transfer_syntax: Option<String>,
    /// How it came.
    pub origin: Origin,
    /// Correlation id of the association or request.
    pub correlation: CorrelationId,
    /// When it came.
    pub received_at: OffsetDateTime,
}

/// What became of something refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuarantineOutcome {
    /// Kept under this id.
    Kept(i64),
    /// The same bytes were refused before; counted there, kept once.
    AlreadyHeld(i64),
    /// The tenant's quarantine is full; not kept. What came first stays, so
    /// that a flood of rubbish can't push out evidence.
    Full,
}

/// An entry of the quarantine.
#[derive(Debug, Clone)]
pub struct QuarantineItem {
    /// Names it.
    pub id: i64,
    /// Length in bytes.
    pub length: u64,
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// Why it was refused.
    pub reason: String,
    /// More about it.
    pub detail: String,
    /// Transfer syntax UID, when it was said.
    pub transfer_syntax: Option<String>,
    /// How it came.
    pub origin: Origin,
    /// Correlation id of the first reception.
    pub correlation: CorrelationId,
    /// First reception.
    pub received_at: OffsetDateTime,
    /// How often the same bytes came.
    pub times: u64,
    pub(crate) object: [u8; 16],
    pub(crate) offset: u64,
}
