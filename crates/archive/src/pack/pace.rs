//! How much of the machine packing takes while senders wait for commits.

use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::limits;

/// Yields to intake: while that has work, the worker takes a third of the time
/// at first, and the more of it the longer a series has waited, so that what
/// waits can't become more and more.
pub(super) struct Pace<'a> {
    engine: &'a Engine,
    since: Instant,
    /// Rest for work.
    share: f32,
}

impl<'a> Pace<'a> {
    pub(super) fn new(engine: &'a Engine, waited: Duration) -> Self {
        let patience = 1.0 - waited.div_duration_f32(limits::PACK_PATIENCE);
        Self {
            engine,
            since: Instant::now(),
            share: limits::PACK_REST_SHARE * patience.max(0.0),
        }
    }

    pub(super) fn rest(&mut self) {
        if self.share > 0.0 && self.engine.writer.is_busy() {
            let worked = self.since.elapsed().min(limits::PACK_REST);
            std::thread::sleep(worked.mul_f32(self.share));
        }
        self.since = Instant::now();
    }
}
