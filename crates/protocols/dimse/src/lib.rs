//! DICOM message exchange (PS3.7) over the upper layer protocol (PS3.8): C-ECHO and C-STORE as
//! service class provider and user. Owns associations, PDUs, command sets and negotiation; knows
//! nothing of what is inside a data set, of tenants, of storage or of whom a certificate is trusted to be. Data sets stream through in
//! fragments and are never held whole.
//!
//! ```no_run
//! # async fn send() -> Result<(), hilum_dimse::ClientError> {
//! use hilum_dimse::{Client, ClientConfig};
//!
//! let config = ClientConfig::new("ARCHIVE", "SCANNER").propose("1.2.840.10008.1.1", &["1.2.840.10008.1.2"]);
//! let mut client = Client::connect("127.0.0.1:11112", config).await?;
//! assert!(client.c_echo().await?.status.is_accepted());
//! client.release().await
//! # }
//! ```
//!
//! A server is an [`Acceptor`] that admits requesters and gives each association its
//! [`AssociationHandler`], which gives each C-STORE its [`StoreSink`]; see `examples/null_scp.rs`.
//! What reads bytes of a peer is public, so that it can be fuzzed: [`pdu::AssociateRequest::decode`],
//! [`pdu::AssociateAccept::decode`], [`pdu::pdvs`] and [`command::CommandSet::decode`].

mod association;
mod client;
pub mod command;
pub mod limits;
pub mod negotiation;
pub mod pdu;
mod server;
mod sop_class;
pub mod status;
mod stream;
mod transport;

pub use association::{
    AssociationInfo, AssociationRequest, IMPLEMENTATION_CLASS_UID, Implementation,
};
pub use client::{Client, ClientConfig, ClientError, ClientTls, Response, Stage, StoreOperation};
pub use pdu::{Abort, Rejection};
pub use server::{
    AbortCause, Acceptor, Admission, AssociationCounts, AssociationEnd, AssociationHandler,
    Carried, Duplex, EndReason, MoveOriginator, Server, ServerConfig, StoreRequest, StoreSink,
};
pub use status::{Status, StatusClass, StoreStatus};
