//! DIMSE status codes (PS3.7 Annex C, PS3.4 §B.2.3). Owns their classes; the texts that go with
//! them are constants of the program, so that no patient data can reach an error comment.

use std::fmt;

/// A DIMSE status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(u16);

/// What a status means for the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusClass {
    /// 0000
    Success,
    /// 0001, 0107, 0116 and Bxxx: done, with a remark
    Warning,
    /// FFxx
    Pending,
    /// FE00
    Cancel,
    /// Everything else
    Failure,
}

impl Status {
    /// 0000 success
    pub const SUCCESS: Self = Self(0x0000);
    /// 0110 processing failure
    pub const PROCESSING_FAILURE: Self = Self(0x0110);
    /// 0117 invalid SOP Instance UID
    pub const INVALID_SOP_INSTANCE: Self = Self(0x0117);
    /// 0122 SOP Class not supported
    pub const SOP_CLASS_NOT_SUPPORTED: Self = Self(0x0122);
    /// 0124 not authorized
    pub const NOT_AUTHORIZED: Self = Self(0x0124);
    /// 0211 unrecognized operation
    pub const UNRECOGNIZED_OPERATION: Self = Self(0x0211);
    /// 0212 mistyped argument
    pub const MISTYPED_ARGUMENT: Self = Self(0x0212);
    /// 0213 resource limitation
    pub const RESOURCE_LIMITATION: Self = Self(0x0213);
    /// A700 refused: out of resources (C-STORE)
    pub const OUT_OF_RESOURCES: Self = Self(0xA700);
    /// A900 error: data set does not match SOP Class (C-STORE)
    pub const DATA_SET_DOES_NOT_MATCH: Self = Self(0xA900);
    /// C000 error: cannot understand (C-STORE)
    pub const CANNOT_UNDERSTAND: Self = Self(0xC000);

    /// Any code.
    #[must_use]
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// The code on the wire.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.0
    }

    /// Its class (PS3.7 Annex C).
    #[must_use]
    pub const fn class(self) -> StatusClass {
        match self.0 {
            0x0000 => StatusClass::Success,
            0x0001 | 0x0107 | 0x0116 | 0xB000..=0xBFFF => StatusClass::Warning,
            0xFF00..=0xFFFF => StatusClass::Pending,
            0xFE00 => StatusClass::Cancel,
            _ => StatusClass::Failure,
        }
    }

    /// Success or warning: the peer has taken the instance.
    #[must_use]
    pub const fn is_accepted(self) -> bool {
        matches!(self.class(), StatusClass::Success | StatusClass::Warning)
    }

    /// A failure that may pass: out of resources (A7xx), processing failure (0110), resource
    /// limitation (0213). The others tell of the instance or the agreement and come again.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self.0, 0xA700..=0xA7FF | 0x0110 | 0x0213)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}H", self.0)
    }
}

/// The outcome of one C-STORE, as the handler gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreStatus {
    /// Sent as (0000,0900).
    pub status: Status,
    /// Sent as (0000,0902), cut at 64 characters. A constant, so that nothing of the data set can
    /// be in it.
    pub comment: Option<&'static str>,
}

impl StoreStatus {
    /// Stored, durably.
    pub const SUCCESS: Self = Self::new(Status::SUCCESS);

    /// A status without comment.
    #[must_use]
    pub const fn new(status: Status) -> Self {
        Self {
            status,
            comment: None,
        }
    }

    /// A status with an error comment.
    #[must_use]
    pub const fn with_comment(status: Status, comment: &'static str) -> Self {
        Self {
            status,
            comment: Some(comment),
        }
    }
}

impl From<Status> for StoreStatus {
    fn from(status: Status) -> Self {
        Self::new(status)
    }
}
