//! DICOM message exchange (PS3.7) over the upper layer protocol (PS3.8): C-ECHO and C-STORE as
//! service class provider and user. Owns associations, PDUs, command sets and negotiation; knows
//! nothing of what is inside a data set, of tenants or of storage. Data sets stream through in
//! fragments and are never held whole.

mod association;
mod client;
pub mod command;
pub mod limits;
pub mod negotiation;
pub mod pdu;
mod server;
mod sop_class;
pub mod status;
mod transport;

pub use association::{
    AssociationInfo, AssociationRequest, IMPLEMENTATION_CLASS_UID, Implementation,
};
pub use client::{Client, ClientConfig, ClientError, Response, Stage, StoreOperation};
pub use pdu::{Abort, Rejection};
pub use server::{
    AbortCause, Acceptor, AssociationCounts, AssociationEnd, AssociationHandler, EndReason,
    MoveOriginator, Server, ServerConfig, StoreRequest, StoreSink,
};
pub use status::{Status, StatusClass, StoreStatus};
