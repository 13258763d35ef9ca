//! What the owner of a server implements: whom to admit, and where a data set goes.

use std::any::Any;
use std::net::SocketAddr;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::association::{AssociationInfo, AssociationRequest};
use crate::negotiation;
use crate::pdu::{Abort, ContextResultReason, ProposedContext, Rejection};
use crate::status::StoreStatus;

/// Decides about associations.
#[async_trait]
pub trait Acceptor: Send + Sync + 'static {
    /// Admits a requester, or names the standard's reason not to.
    async fn admit(&self, request: &AssociationRequest) -> Result<Admission, Rejection>;

    /// The transfer syntax for a proposed context, or why it is refused. The default takes
    /// verification and every storage class ([`negotiation::answer`]).
    fn answer(&self, proposed: &ProposedContext) -> Result<String, ContextResultReason> {
        negotiation::answer(proposed)
    }

    /// A connection ended without an association: refused, over the limit, or not DICOM.
    fn refused(&self, _peer: SocketAddr, _rejection: Option<Rejection>) {}
}

/// What becomes of an association that is let in.
pub enum Admission {
    /// It is served here, by what lives as long as the association and may keep what was found out
    /// about the requester.
    Served(Box<dyn AssociationHandler>),
    /// Another server serves it: its bytes go there and back, from the A-ASSOCIATE-RQ on.
    Elsewhere {
        /// The way to that server.
        way: Box<dyn Duplex>,
        /// Held as long as the association lasts.
        held: Box<dyn Any + Send>,
    },
}

/// The bytes of a connection, both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A connection that another server took and brings here: its handshake is over.
pub struct Carried {
    /// Its bytes, from the A-ASSOCIATE-RQ on.
    pub stream: Box<dyn Duplex>,
    /// The requester's address.
    pub peer: SocketAddr,
    /// The certificate (DER) that it showed there.
    pub certificate: Option<Vec<u8>>,
}

/// Serves one association.
#[async_trait]
pub trait AssociationHandler: Send + Sync {
    /// The association was accepted.
    async fn opened(&self, _association: &AssociationInfo) {}

    /// A C-STORE-RQ was read; its data set follows. An error is answered with that status after the
    /// data set has been read over.
    async fn begin_store(
        &self,
        association: &AssociationInfo,
        request: StoreRequest,
    ) -> Result<Box<dyn StoreSink>, StoreStatus>;

    /// The association is over, for whatever reason. Called once for each `opened`, unless the handler
    /// itself panicked. Bounded by the caller: when the server stops, it gets a few seconds at most.
    async fn closed(&self, _association: &AssociationInfo, _end: AssociationEnd) {}
}

/// Takes one data set. Dropped without [`StoreSink::finish`] when the association ends in the middle
/// of it: what was written is incomplete and has to be discarded.
#[async_trait]
pub trait StoreSink: Send {
    /// The next fragment, as it arrived. After an error the rest of the data set is read over and
    /// the status is sent.
    async fn write(&mut self, fragment: Bytes) -> Result<(), StoreStatus>;

    /// The data set is complete. The C-STORE-RSP is sent when this returns, so it must return
    /// success only once the instance is durable.
    async fn finish(self: Box<Self>) -> StoreStatus;
}

/// A C-STORE-RQ (PS3.7 §9.3.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreRequest {
    /// Message ID, unique among those in progress.
    pub message_id: u16,
    /// Affected SOP Class UID.
    pub sop_class_uid: String,
    /// Affected SOP Instance UID: 1 to 64 printable characters, not checked further.
    pub sop_instance_uid: String,
    /// The presentation context's transfer syntax, that of the data set.
    pub transfer_syntax_uid: String,
    /// Set when the instance is sent for a C-MOVE.
    pub move_originator: Option<MoveOriginator>,
}

/// Who asked for the C-MOVE that a C-STORE is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveOriginator {
    /// Its AE title.
    pub ae_title: String,
    /// The Message ID of its C-MOVE-RQ.
    pub message_id: Option<u16>,
}

/// What an association did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AssociationCounts {
    /// C-STOREs answered with success or warning.
    pub stored: u64,
    /// C-STOREs answered with a failure.
    pub failed: u64,
    /// C-STOREs whose data set never became complete.
    pub incomplete: u64,
    /// C-ECHOs.
    pub echoed: u64,
    /// Bytes of data sets.
    pub bytes: u64,
}

/// How an association ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssociationEnd {
    /// Why.
    pub reason: EndReason,
    /// What it did until then.
    pub counts: AssociationCounts,
}

/// Why an association ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// A-RELEASE by the requester.
    Released,
    /// A-ABORT by the requester.
    AbortedByPeer(Abort),
    /// A-ABORT by us.
    AbortedByUs(AbortCause),
    /// The connection closed or broke without A-RELEASE or A-ABORT.
    ConnectionLost,
}

impl EndReason {
    /// A word for metrics and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::AbortedByPeer(_) => "aborted_by_peer",
            Self::AbortedByUs(_) => "aborted_by_us",
            Self::ConnectionLost => "connection_lost",
        }
    }
}

/// Why we aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AbortCause {
    /// Longer than announced, unknown or malformed.
    #[error("a PDU was longer than announced or malformed")]
    InvalidPdu,
    /// A PDU, fragment or message that the state doesn't allow.
    #[error("a PDU or message came out of order")]
    Unexpected,
    /// A command set that can't be read.
    #[error("a command set could not be read")]
    InvalidCommand,
    /// A refused data set went on for too long.
    #[error("a refused data set did not end")]
    Endless,
    /// Silence, or a trickle.
    #[error("the peer was silent for too long")]
    Timeout,
    /// The peer doesn't take our answers.
    #[error("the peer did not take an answer in time")]
    NotReading,
    /// The server stops.
    #[error("the server is shutting down")]
    Shutdown,
}
