//! What every service stands on: whose data a call may touch, the clock, the
//! configuration, the database with its outbox, inbox and jobs, files that are
//! replaced durably, notices to open pages, neighbours in other
//! processes, logs, metrics and traces, mail, sealed secrets, places that tenants
//! share, what is kept for the next question (cache), passes that Identity signs,
//! feature flags, the HTTP server with its TLS, and
//! how errors look over HTTP. It knows no
//! service, and nothing of DICOM.

pub mod audit;
pub mod auth;
pub mod cache;
pub mod cipher;
pub mod clock;
pub mod config;
pub mod connections;
pub mod db;
pub mod durable;
pub mod email;
pub mod events;
pub mod flags;
pub mod http;
pub mod http_body;
pub mod http_client;
pub mod http_server;
pub mod jobs;
pub mod limits;
pub mod mail;
pub mod network;
pub mod notices;
pub mod passes;
pub mod reach;
pub mod remote;
pub mod sealed;
pub mod shares;
pub mod telemetry;
pub mod tenants;
pub mod tls;
pub mod traces;
pub mod words;

/// Whose data a call may touch.
pub mod scope {
    pub use hilum_contracts::scope::{Principal, TenantScope};
}
