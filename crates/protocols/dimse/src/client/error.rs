//! How sending fails, and whether trying again can help.

use crate::pdu::{Abort, Rejection};
use crate::transport::{ReadError, WriteError};

/// A failure of an association as requester. No text of the peer or of the data set is in it.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection.
    #[error("could not connect to the peer: {0}")]
    Connect(std::io::Error),
    /// A-ASSOCIATE-RJ.
    #[error("the peer rejected the association: {0}")]
    Rejected(Rejection),
    /// A-ABORT by the peer.
    #[error("the peer aborted the association (source {}, reason {})", .0.source, .0.reason)]
    Aborted(Abort),
    /// The connection closed or broke.
    #[error("the connection to the peer was lost")]
    ConnectionLost,
    /// A deadline passed.
    #[error("the peer did not answer in time while {0}")]
    Timeout(Stage),
    /// The peer sent what the state doesn't allow, or what can't be read.
    #[error("the peer broke the protocol: {0}")]
    Protocol(&'static str),
    /// No accepted presentation context for this SOP class and transfer syntax. Nothing was sent,
    /// and the association goes on.
    #[error("the peer accepted no presentation context for this SOP class and transfer syntax")]
    NoPresentationContext,
    /// The association request or an instance can't be put into a PDU.
    #[error("the request is not valid: {0}")]
    Invalid(&'static str),
    /// The stream of the data set failed; the association was aborted.
    #[error("the data set could not be read: {0}")]
    Source(std::io::Error),
    /// An earlier failure, or a dropped future, left the association unusable.
    #[error("the association is no longer usable")]
    Unusable,
}

/// What was going on when a deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// TCP.
    Connecting,
    /// A-ASSOCIATE.
    Negotiating,
    /// P-DATA out.
    Sending,
    /// Waiting for the data set's own stream.
    Reading,
    /// Waiting for a DIMSE response.
    Waiting,
    /// A-RELEASE.
    Releasing,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::Negotiating => "negotiating the association",
            Self::Sending => "taking a data set",
            Self::Reading => "reading the data set to send",
            Self::Waiting => "a response was due",
            Self::Releasing => "releasing the association",
        })
    }
}

impl ClientError {
    /// Whether the same attempt may succeed later. What isn't needs a person: a changed
    /// configuration, or another peer.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Rejected(rejection) => rejection.is_transient(),
            Self::NoPresentationContext | Self::Invalid(_) | Self::Source(_) => false,
            Self::Connect(_)
            | Self::Aborted(_)
            | Self::ConnectionLost
            | Self::Timeout(_)
            | Self::Protocol(_)
            | Self::Unusable => true,
        }
    }

    pub(super) fn read(error: ReadError, stage: Stage) -> Self {
        match error {
            ReadError::Closed | ReadError::Lost => Self::ConnectionLost,
            ReadError::Timeout => Self::Timeout(stage),
            ReadError::TooLong => Self::Protocol("a PDU is longer than announced"),
            ReadError::Unrecognized => Self::Protocol("a PDU has an unknown type"),
        }
    }

    pub(super) fn write(error: WriteError, stage: Stage) -> Self {
        match error {
            WriteError::Lost => Self::ConnectionLost,
            WriteError::Timeout => Self::Timeout(stage),
        }
    }
}
