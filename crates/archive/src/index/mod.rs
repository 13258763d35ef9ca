//! The index: `archive.sqlite`, or a schema of PostgreSQL. Owns its tables and every
//! statement on them, and never touches objects. One writer connection (on the writer thread,
//! see `writer`), many readers.

pub(crate) mod again;
pub(crate) mod answer;
mod attributes;
pub(crate) mod audit;
pub(crate) mod commit;
pub(crate) mod condition;
pub(crate) mod conflict;
pub(crate) mod correct;
pub(crate) mod delete;
pub(crate) mod ended;
pub(crate) mod erase;
pub(crate) mod head;
pub(crate) mod history;
pub(crate) mod hold;
pub(crate) mod instances;
pub(crate) mod known;
pub(crate) mod levels;
pub(crate) mod moving;
pub(crate) mod note;
pub(crate) mod objects;
pub(crate) mod outbox;
pub(crate) mod packs;
pub(crate) mod parts;
pub(crate) mod placement;
pub(crate) mod quarantine;
pub(crate) mod query;
pub(crate) mod reject;
pub(crate) mod relocate;
pub(crate) mod retention;
pub(crate) mod route;
pub(crate) mod row_digest;
mod rows;
pub(crate) mod schema;
pub(crate) mod series_metadata;
pub(crate) mod stores;
pub(crate) mod texts;
pub(crate) mod tombstone;

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::db::{Connection, Place, Turns};
use crate::error::{ArchiveError, Result};

/// Reader connections, opened when first needed and kept.
#[derive(Clone)]
pub(crate) struct Readers {
    place: Place,
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    /// Where a connection more is one of a server's.
    turns: Option<Turns>,
    kept: usize,
}

impl Readers {
    pub(crate) fn new(place: Place, count: usize) -> Self {
        Self {
            turns: (!place.is_file()).then(|| Turns::new(count.max(1))),
            place,
            idle: Arc::default(),
            permits: Arc::new(Semaphore::new(count.max(1))),
            kept: count.max(1),
        }
    }

    /// Whether what they read is a file, which is copied as such.
    pub(crate) fn are_of_a_file(&self) -> bool {
        self.place.is_file()
    }

    /// Runs `work` on a reader, on a thread that may block.
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        self.aside(|readers| readers.read_here(work)).await
    }

    /// The same as [`Readers::read_again`], on a thread that may block.
    pub(crate) async fn read_packs<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Connection) -> Result<T> + Send + 'static,
    {
        self.aside(|readers| readers.read_again(work)).await
    }

    /// Waits for a reader's turn and leaves this thread for it.
    async fn aside<T, F>(&self, ask: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> Result<T> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| ArchiveError::Closed)?;
        let readers = self.clone();
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            ask(&readers)
        })
        .await
        .map_err(|_| ArchiveError::Closed)?
    }

    /// Runs `work` on a reader, on this thread, which may block.
    pub(crate) fn read_here<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let _turn = self.turns.as_ref().map(Turns::take).transpose()?;
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.place.reader()?,
        };
        let answer = connection.snapshot(work);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.kept {
            idle.push(connection);
        }
        answer
    }

    /// Runs `work` on a connection of its own, which knows nothing of before:
    /// full-text search keeps the form of its index per connection, and takes
    /// it for damage when it is checked after others wrote.
    pub(crate) fn read_anew<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.place.reader()?.snapshot(work)
    }

    /// Runs `work` on a reader, and once more on a newer snapshot when a pack
    /// that it found was replaced and swept before it was opened.
    pub(crate) fn read_again<T>(&self, work: impl Fn(&Connection) -> Result<T>) -> Result<T> {
        match self.read_here(&work) {
            Err(ArchiveError::Missing) => self.read_here(work),
            other => other,
        }
    }

    /// Closes idle readers, so that the writer's closing can fold the log back.
    pub(crate) fn close(&self) {
        self.permits.close();
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
