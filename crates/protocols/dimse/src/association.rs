//! What is known of an association, on either side.

use std::net::SocketAddr;

use uuid::Uuid;

use crate::limits::{MAX_SENT_PDU_LENGTH, MIN_PEER_PDU_LENGTH, RECEIVED_PDU_LENGTH};
use crate::negotiation::AcceptedContext;
use crate::pdu::ProposedContext;

/// Hilum's Implementation Class UID, under its own UUID-derived root (PS3.5 §B.2).
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.75101427407022123900285385509665520893";

/// How a program names itself in the negotiation (PS3.7 §D.3.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Implementation {
    /// Implementation Class UID.
    pub class_uid: String,
    /// Implementation Version Name, at most 16 characters.
    pub version_name: String,
}

impl Default for Implementation {
    fn default() -> Self {
        let version = concat!("HILUM_", env!("CARGO_PKG_VERSION"));
        Self {
            class_uid: IMPLEMENTATION_CLASS_UID.to_owned(),
            version_name: version.chars().take(16).collect(),
        }
    }
}

/// An A-ASSOCIATE-RQ, before it is decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssociationRequest {
    /// Correlation id, kept by the association if it is accepted.
    pub id: Uuid,
    /// The requester's address.
    pub peer: SocketAddr,
    /// The certificate (DER) that it showed in TLS, having proved that it holds the key.
    pub certificate: Option<Vec<u8>>,
    /// It came to another server, which brought it here.
    pub carried: bool,
    /// AE title asked for.
    pub called_ae_title: String,
    /// AE title of the requester.
    pub calling_ae_title: String,
    /// What it proposes.
    pub contexts: Vec<ProposedContext>,
    /// Its Implementation Class UID.
    pub implementation_class_uid: String,
    /// Its Implementation Version Name; empty when not sent.
    pub implementation_version_name: String,
}

/// An established association.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssociationInfo {
    /// Correlation id.
    pub id: Uuid,
    /// The peer's address.
    pub peer: SocketAddr,
    /// AE title of the acceptor.
    pub called_ae_title: String,
    /// AE title of the requester.
    pub calling_ae_title: String,
    /// Accepted contexts.
    pub contexts: Vec<AcceptedContext>,
    /// The peer's Implementation Class UID.
    pub implementation_class_uid: String,
    /// The peer's Implementation Version Name; empty when not sent.
    pub implementation_version_name: String,
    /// Longest P-DATA-TF that we send.
    pub peer_max_pdu_length: u32,
}

impl AssociationInfo {
    pub(crate) fn context(&self, id: u8) -> Option<&AcceptedContext> {
        self.contexts.iter().find(|context| context.id == id)
    }
}

/// The P-DATA length to send to a peer that announced this one (0: no limit, PS3.8 §D.1.1).
pub(crate) fn sendable_length(announced: u32) -> u32 {
    match announced {
        0 => MAX_SENT_PDU_LENGTH,
        length => length.clamp(MIN_PEER_PDU_LENGTH, MAX_SENT_PDU_LENGTH),
    }
}

/// The P-DATA length to announce for a configured one. Without a limit (0) it would be the peer's to
/// say how much memory it takes.
pub(crate) fn receivable_length(configured: u32) -> u32 {
    configured.clamp(*RECEIVED_PDU_LENGTH.start(), *RECEIVED_PDU_LENGTH.end())
}
