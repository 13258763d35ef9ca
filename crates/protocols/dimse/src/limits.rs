//! Every limit of the library, with its reason. Nothing here is configuration; what an operator may
//! change lives in [`crate::ServerConfig`] and [`crate::ClientConfig`].

/// Longest A-ASSOCIATE-RQ or -AC read. 128 presentation contexts with 60 transfer syntaxes each fit;
/// PS3.8 itself sets no limit (the negotiated length is for P-DATA only, §D.1).
pub const MAX_ASSOCIATE_LENGTH: u32 = 512 * 1024;

/// Presentation context ids are the odd numbers of one byte (PS3.8 §9.3.2.2).
pub const MAX_PRESENTATION_CONTEXTS: usize = 128;

/// Longest command set. A C-STORE-RQ has about 300 bytes; the N-services' attribute lists are the
/// longest real ones and stay far below.
pub const MAX_COMMAND_LENGTH: usize = 64 * 1024;

/// Most elements in a command set; PS3.7 §E.1 defines 29.
pub const MAX_COMMAND_ELEMENTS: usize = 128;

/// Longest UID (PS3.5 §9.1).
pub const MAX_UID_LENGTH: usize = 64;

/// Longest error comment (0000,0902), a LO (PS3.7 §C).
pub const MAX_ERROR_COMMENT: usize = 64;

/// Room made before a socket read while an association PDU arrives: a declared length is not
/// allocated before its bytes are there.
pub const READ_CHUNK: usize = 64 * 1024;

/// Smallest P-DATA length of a peer that a message can be sent in: one PDV header and two bytes.
pub const MIN_PEER_PDU_LENGTH: u32 = 8;

/// P-DATA length that we send at most, also to peers which announce no limit (0) or a huge one.
pub const MAX_SENT_PDU_LENGTH: u32 = 256 * 1024;

/// Connections over the association limit which get their A-ASSOCIATE-RJ at one time, and those
/// that have not yet sent an A-ASSOCIATE-RQ. Further ones wait in the kernel's backlog.
pub const MAX_PENDING_CONNECTIONS: usize = 128;

/// Bytes of a refused data set read and thrown away before the association is aborted: more than
/// the largest instance (4 GiB of pixels), so that a true one gets its status.
pub const MAX_DISCARDED: u64 = 8 * 1024 * 1024 * 1024;

/// Bytes thrown away between our A-ABORT, A-ASSOCIATE-RJ or A-RELEASE-RP and the peer's close. A
/// socket closed with unread data sends RST, which can overtake the PDU (RFC 1122 §4.2.2.13).
pub const MAX_LINGER_BYTES: usize = 8 * 1024 * 1024;

/// P-DATA lengths that may be announced. Each association may hold one in memory; below the least
/// dcmtk and others refuse to send.
pub const RECEIVED_PDU_LENGTH: std::ops::RangeInclusive<u32> = 4096..=16 * 1024 * 1024;
