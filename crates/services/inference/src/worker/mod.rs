//! The boundary between Hilum and native code that may crash, hang or swell:
//! a child process of the same program computes, this process watches it.
//! Owns the frames between the two and the rules of supervision; a worker
//! holds no key, opens no database, and writes no pixel to disk.

mod child;
mod conversation;
mod frame;
mod memory;
mod supervisor;

pub use child::worker_main;
pub use frame::{FrameError, Request, Response};
pub use supervisor::{Failure, Finished, RunInput, Supervisor, SupervisorConfig, WorkerInstance};
