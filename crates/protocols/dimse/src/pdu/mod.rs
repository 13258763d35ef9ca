//! Protocol data units of PS3.8 §9.3: their headers and the small ones. Owns the bytes of a PDU and
//! nothing of sockets or state. Lengths are checked before anything is read or allocated; what is
//! malformed is an error, never a panic.
//!
//! `dicom-ul` reads these too, but refuses items it doesn't know (PS3.8 §9.3.1 has them ignored),
//! refused contexts without a transfer syntax (which real acceptors send), copies every P-DATA
//! fragment and can't echo the requester's reserved fields. Tests hold the two codecs against each
//! other.

mod associate;
mod pdata;
mod user;

pub use associate::{
    APPLICATION_CONTEXT, AssociateAccept, AssociateRequest, ContextResult, ContextResultReason,
    ProposedContext,
};
pub use pdata::{Pdv, Pdvs, pdvs, write_message};
pub(crate) use pdata::{max_fragment, put_pdata_header};

pub use user::{RoleSelection, UserInformation};

use bytes::{BufMut, BytesMut};

/// Bytes of a PDU header: type, reserved, length.
pub const HEADER_LENGTH: usize = 6;

/// PDU types (PS3.8 §9.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PduType {
    /// A-ASSOCIATE-RQ
    AssociateRq,
    /// A-ASSOCIATE-AC
    AssociateAc,
    /// A-ASSOCIATE-RJ
    AssociateRj,
    /// P-DATA-TF
    PDataTf,
    /// A-RELEASE-RQ
    ReleaseRq,
    /// A-RELEASE-RP
    ReleaseRp,
    /// A-ABORT
    Abort,
}

impl PduType {
    /// The type of a first byte, if the standard knows it.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::AssociateRq,
            2 => Self::AssociateAc,
            3 => Self::AssociateRj,
            4 => Self::PDataTf,
            5 => Self::ReleaseRq,
            6 => Self::ReleaseRp,
            7 => Self::Abort,
            _ => return None,
        })
    }
}

/// A PDU that can't be understood. No text of the peer is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PduError {
    /// An item or field is longer than what holds it.
    #[error("an item is longer than the PDU that holds it")]
    Truncated,
    /// A presentation-data-value item has no room for its own header.
    #[error("a presentation data value is shorter than its header")]
    ShortPdv,
    /// More presentation contexts than there are ids.
    #[error("too many presentation contexts")]
    TooManyContexts,
}

/// Who aborted, and why (PS3.8 §9.3.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abort {
    /// 0 service user, 2 service provider.
    pub source: u8,
    /// Only significant from the provider.
    pub reason: u8,
}

impl Abort {
    /// The service user aborts.
    pub const USER: Self = Self {
        source: 0,
        reason: 0,
    };
    /// Provider: no reason given.
    pub const NOT_SPECIFIED: Self = Self {
        source: 2,
        reason: 0,
    };
    /// Provider: unrecognized PDU.
    pub const UNRECOGNIZED_PDU: Self = Self {
        source: 2,
        reason: 1,
    };
    /// Provider: unexpected PDU.
    pub const UNEXPECTED_PDU: Self = Self {
        source: 2,
        reason: 2,
    };
    /// Provider: invalid PDU parameter value.
    pub const INVALID_PARAMETER: Self = Self {
        source: 2,
        reason: 6,
    };

    /// From the four bytes after the header; a short body is the user's abort.
    #[must_use]
    pub fn decode(body: &[u8]) -> Self {
        match body {
            [_, _, source, reason, ..] => Self {
                source: *source,
                reason: *reason,
            },
            _ => Self::USER,
        }
    }

    /// The whole PDU.
    #[must_use]
    pub fn encode(self) -> [u8; 10] {
        [7, 0, 0, 0, 0, 4, 0, 0, self.source, self.reason]
    }
}

/// Why an association is rejected: result, source and reason of PS3.8 §9.3.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejection {
    /// 1 permanent, 2 transient.
    pub result: u8,
    /// 1 service user, 2 provider (ACSE), 3 provider (presentation).
    pub source: u8,
    /// Its meaning depends on the source.
    pub reason: u8,
}

impl Rejection {
    /// Permanent, user: no reason given.
    pub const NO_REASON: Self = Self {
        result: 1,
        source: 1,
        reason: 1,
    };
    /// Permanent, user: application context name not supported.
    pub const APPLICATION_CONTEXT: Self = Self {
        result: 1,
        source: 1,
        reason: 2,
    };
    /// Permanent, user: calling AE title not recognized.
    pub const CALLING_AE_TITLE: Self = Self {
        result: 1,
        source: 1,
        reason: 3,
    };
    /// Permanent, user: called AE title not recognized.
    pub const CALLED_AE_TITLE: Self = Self {
        result: 1,
        source: 1,
        reason: 7,
    };
    /// Permanent, ACSE: protocol version not supported.
    pub const PROTOCOL_VERSION: Self = Self {
        result: 1,
        source: 2,
        reason: 2,
    };
    /// Transient, presentation: temporary congestion.
    pub const TEMPORARY_CONGESTION: Self = Self {
        result: 2,
        source: 3,
        reason: 1,
    };
    /// Transient, presentation: local limit exceeded.
    pub const LOCAL_LIMIT_EXCEEDED: Self = Self {
        result: 2,
        source: 3,
        reason: 2,
    };

    /// Whether the same request may be accepted later.
    #[must_use]
    pub fn is_transient(self) -> bool {
        self.result == 2
    }

    /// From the four bytes after the header; a short body is a rejection without reason.
    #[must_use]
    pub fn decode(body: &[u8]) -> Self {
        match body {
            [_, result, source, reason, ..] => Self {
                result: *result,
                source: *source,
                reason: *reason,
            },
            _ => Self::NO_REASON,
        }
    }

    /// The whole PDU.
    #[must_use]
    pub fn encode(self) -> [u8; 10] {
        [3, 0, 0, 0, 0, 4, 0, self.result, self.source, self.reason]
    }
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reason = match (self.source, self.reason) {
            (1, 2) => "application context name not supported",
            (1, 3) => "calling AE title not recognized",
            (1, 7) => "called AE title not recognized",
            (2, 2) => "protocol version not supported",
            (3, 1) => "temporary congestion",
            (3, 2) => "local limit exceeded",
            _ => "no reason given",
        };
        let result = if self.is_transient() {
            "transient"
        } else {
            "permanent"
        };
        write!(f, "{reason} ({result})")
    }
}

/// A-RELEASE-RQ, whole.
pub const RELEASE_RQ: [u8; 10] = [5, 0, 0, 0, 0, 4, 0, 0, 0, 0];
/// A-RELEASE-RP, whole.
pub const RELEASE_RP: [u8; 10] = [6, 0, 0, 0, 0, 4, 0, 0, 0, 0];

/// Takes `length` bytes off the front.
fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], PduError> {
    let (head, tail) = rest.split_at_checked(length).ok_or(PduError::Truncated)?;
    *rest = tail;
    Ok(head)
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], PduError> {
    let (head, tail) = rest.split_first_chunk::<N>().ok_or(PduError::Truncated)?;
    *rest = tail;
    Ok(*head)
}

fn take_u16(rest: &mut &[u8]) -> Result<u16, PduError> {
    take_array(rest).map(u16::from_be_bytes)
}

/// Takes one item: type, reserved, 16-bit length, value.
fn take_item<'a>(rest: &mut &'a [u8]) -> Result<(u8, &'a [u8]), PduError> {
    let [kind, _] = take_array(rest)?;
    let length = take_u16(rest)?;
    Ok((kind, take(rest, usize::from(length))?))
}

/// Appends one item; values beyond 65,535 bytes are cut, which no caller produces.
fn put_item(out: &mut BytesMut, kind: u8, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    out.put_u8(kind);
    out.put_u8(0);
    out.put_u16(length);
    out.extend_from_slice(value.get(..usize::from(length)).unwrap_or_default());
}

/// UIDs and names of items: padding off; what isn't printable ASCII becomes `?`, so that nothing
/// hostile reaches a log.
fn text(value: &[u8]) -> String {
    let end = value
        .iter()
        .rposition(|b| !matches!(b, 0 | b' '))
        .map_or(0, |last| last + 1);
    let trimmed = value.get(..end).unwrap_or_default();
    let start = trimmed.iter().position(|b| *b != b' ').unwrap_or(0);
    let printable = |b: &u8| {
        if (0x20..0x7f).contains(b) {
            char::from(*b)
        } else {
            '?'
        }
    };
    trimmed
        .get(start..)
        .unwrap_or_default()
        .iter()
        .map(printable)
        .collect()
}
