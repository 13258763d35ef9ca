//! Turns at what there are few of: connections of PostgreSQL. Whoever asks waits on a
//! thread that may block.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use hilum_platform::limits::PG_ACQUIRE;

use crate::error::{ArchiveError, Result};

/// So many at once.
#[derive(Clone)]
pub(crate) struct Turns(Arc<(Mutex<usize>, Condvar)>);

/// One of them, until it is dropped.
pub(crate) struct Turn(Turns);

impl Turns {
    pub(crate) fn new(count: usize) -> Self {
        Self(Arc::new((Mutex::new(count), Condvar::new())))
    }

    /// Waits for one.
    ///
    /// # Errors
    /// When none was free for as long as anybody waits for a connection.
    pub(crate) fn take(&self) -> Result<Turn> {
        let (free, freed) = &*self.0;
        let mut free = freed
            .wait_timeout_while(
                free.lock().unwrap_or_else(PoisonError::into_inner),
                PG_ACQUIRE,
                |free| *free == 0,
            )
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        *free = free.checked_sub(1).ok_or_else(|| {
            ArchiveError::IndexAway("every connection to PostgreSQL is in use".to_owned())
        })?;
        Ok(Turn(self.clone()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let (free, freed) = &*self.0.0;
        *free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        freed.notify_one();
    }
}
