//! A disk that loses power. While programs run on it (`live`, mounted by
//! `mount`), it writes down every change, every sync and what was acknowledged
//! (`Op`). Afterwards `cut` plays that record up to any point and makes one of
//! the states that a real disk may be in when the power goes there.

pub(crate) mod cut;
pub(crate) mod kinds;
pub(crate) mod live;
pub(crate) mod mount;

use std::sync::Arc;

pub(crate) type Node = u64;

/// The folder that is mounted.
pub(crate) const ROOT: Node = 1;

/// One thing that happened on the disk, in the order in which the kernel asked.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Make {
        folder: Node,
        name: String,
        node: Node,
        is_folder: bool,
    },
    Remove {
        folder: Node,
        name: String,
    },
    /// Within one folder: the disk refuses others (EXDEV).
    Rename {
        folder: Node,
        from: String,
        to: String,
    },
    Write {
        node: Node,
        at: u64,
        bytes: Arc<[u8]>,
    },
    Resize {
        node: Node,
        length: u64,
    },
    /// fsync or fdatasync returned: of a file its bytes and length, of a folder
    /// its entries. `path` says which, below the mount.
    Sync {
        node: Node,
        path: String,
    },
    /// fsync failed: what was dirty counts as clean from now on, on the disk or
    /// not (as Linux does since 4.13).
    SyncFailed {
        node: Node,
    },
    /// A program said something to its user.
    Said(String),
}
