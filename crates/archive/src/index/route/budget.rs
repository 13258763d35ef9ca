//! Ends a question that takes more work than it was given, counted in steps of
//! SQLite's virtual machine: the same on a busy machine as on a quiet one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::db::Connection;
use crate::error::Result;

/// Steps after which SQLite asks whether to go on: a few microseconds.
const ASKED_AFTER: u16 = 500;

/// What `work` answers; `None` when it was ended before that.
pub(super) fn within<T>(
    db: &Connection,
    steps: u64,
    work: impl FnOnce() -> Result<T>,
) -> Result<Option<T>> {
    let Some(sqlite) = db.sqlite() else {
        return work().map(Some);
    };
    let spent = Arc::new(AtomicBool::new(false));
    let mut left = steps / u64::from(ASKED_AFTER);
    let tells = Arc::clone(&spent);
    sqlite.progress_handler(
        ASKED_AFTER.into(),
        Some(move || {
            let is_over = left == 0;
            left = left.saturating_sub(1);
            if is_over {
                tells.store(true, Ordering::Relaxed);
            }
            is_over
        }),
    )?;
    let answer = work();
    sqlite.progress_handler(0, None::<fn() -> bool>)?;
    match answer {
        Err(_) if spent.load(Ordering::Relaxed) => Ok(None),
        answer => answer.map(Some),
    }
}
