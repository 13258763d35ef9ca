//! The writer thread: owns the one connection that writes the index. Bundles
//! and other index work take turns on it.

mod bundles;
mod commit;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use hilum_platform::clock::SharedClock;
use tokio::sync::{Notify, oneshot};

use crate::db::Connection;
use crate::error::{ArchiveError, Result};
use crate::hot::Changes;
use crate::index::objects::{self, Name};
use crate::index::stores::Stores;
use crate::objects::Objects;
use crate::pack::Packs;
use crate::steps;
use crate::tenant::Tenant;

pub(crate) use bundles::Sealed;
use bundles::{Shared, Turn, next};
pub(crate) use commit::{abandon, settle};
use commit::{commit_bundle, settle_bundle, upload};

pub(crate) type Task = Box<dyn FnOnce(&mut Connection, &Context) + Send>;

/// What the writer thread works with.
pub(crate) struct Context {
    pub objects: Arc<Objects>,
    pub clock: SharedClock,
    pub bell: Arc<Notify>,
    pub packs: Arc<Packs>,
    /// This run of the program.
    pub opening: i64,
    /// What was kept of addresses is true until these change.
    pub changes: Arc<Changes>,
    /// What associations and requests bring, for the trail.
    pub stores: Arc<Stores>,
    /// A write or sync of the index failed, and its log was not folded since.
    pub doubted: AtomicBool,
}

impl Context {
    /// Looks at how work on the index ended.
    pub(crate) fn saw<T>(&self, outcome: &Result<T>) {
        if outcome.as_ref().is_err_and(ArchiveError::doubts_index) {
            self.doubted.store(true, Ordering::SeqCst);
        }
    }

    /// After a failed fsync the system calls pages clean that never reached the
    /// disk. Of the log those may be frames that were committed without a sync
    /// (`mark_sent`), and whatever is committed behind them would go with them.
    /// So nothing is, until the log is folded into the database and empty.
    fn settle_doubt(&self, db: &Connection) {
        if !self.doubted.load(Ordering::SeqCst) {
            return;
        }
        let folded = db
            .refuse_changes(false)
            .map_err(Into::into)
            .and_then(|()| db.fold());
        match folded {
            Ok(()) => {
                self.doubted.store(false, Ordering::SeqCst);
                tracing::info!("the index's log was folded back after a failure of the disk");
            }
            Err(error) => {
                tracing::error!(%error, "the index takes nothing until its log can be folded back");
                if let Err(error) = db.refuse_changes(true).map_err(ArchiveError::from) {
                    tracing::error!(%error, "the index can't be closed to writing");
                }
            }
        }
    }
}

/// The handle on the writer thread.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Writer {
    pub(crate) fn start(db: Connection, context: Context) -> Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("archive-writer".to_owned())
            .spawn(move || run(&theirs, db, &context))?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Runs `work` on the writer thread; the answer comes through the receiver.
    pub(crate) fn submit<T, F>(&self, work: F) -> oneshot::Receiver<Result<T>>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection, &Context) -> Result<T> + Send + 'static,
    {
        self.submit_aside(move |db, context| {
            let outcome = work(db, context);
            // Whatever it did and however it ended.
            context.changes.count();
            outcome
        })
    }

    /// The same for what changes nothing that is read at an instance's address.
    fn submit_aside<T, F>(&self, work: F) -> oneshot::Receiver<Result<T>>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection, &Context) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let mut state = self.shared.state();
        if !state.closed {
            state.tasks.push_back(Box::new(move |db, context| {
                let outcome = work(db, context);
                context.saw(&outcome);
                let _ = reply.send(outcome);
            }));
        }
        drop(state);
        self.shared.wake.notify_all();
        answer
    }

    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection, &Context) -> Result<T> + Send + 'static,
    {
        self.submit(work).await.map_err(|_| ArchiveError::Closed)?
    }

    /// [`Writer::run`] for what changes nothing that is read at an instance's address.
    pub(crate) async fn run_aside<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection, &Context) -> Result<T> + Send + 'static,
    {
        let answer = self.submit_aside(work);
        answer.await.map_err(|_| ArchiveError::Closed)?
    }

    /// [`Writer::run`] from a thread that may block.
    pub(crate) fn run_here<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection, &Context) -> Result<T> + Send + 'static,
    {
        self.submit(work)
            .blocking_recv()
            .map_err(|_| ArchiveError::Closed)?
    }

    /// A name nobody has used. Blocks when a batch must be reserved first.
    pub(crate) fn take_name(&self, tenant: &Arc<Tenant>) -> Result<Name> {
        loop {
            if let Some(name) = tenant.take_name() {
                return Ok(name);
            }
            let names = Arc::clone(tenant);
            let reserved = self.submit_aside(move |db, context| {
                if names.names_wanted().is_some() {
                    let tx = db.begin(names.row)?;
                    let now = context.clock.now_millis();
                    let count = crate::limits::NAMES_RESERVED;
                    let fresh = objects::reserve(&tx, names.row, context.opening, now, count)?;
                    tx.commit()?;
                    steps::at("names.reserved");
                    names.add_names(fresh);
                }
                Ok(())
            });
            reserved
                .blocking_recv()
                .map_err(|_| ArchiveError::Closed)??;
        }
    }

    /// Takes no more work, does what it has, and ends the thread. Blocks.
    pub(crate) fn close(&self) {
        self.shared.state().closed = true;
        self.shared.wake.notify_all();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the archive's writer thread ended in a fault");
        }
    }
}

fn run(shared: &Arc<Shared>, mut db: Connection, context: &Context) {
    loop {
        let work = next(shared);
        context.settle_doubt(&db);
        match work {
            Turn::Task(task) => task(&mut db, context),
            Turn::Bundle(bundle) => match &*context.objects {
                Objects::Files(_) => commit_bundle(&mut db, context, *bundle),
                Objects::Bucket(bucket) => upload(bucket, shared, *bundle),
            },
            Turn::Written(bundle, written) => settle_bundle(&mut db, context, *bundle, written),
            Turn::Stop => break,
        }
    }
    if let Err(error) = context
        .stores
        .tell(&mut db, None, context.clock.now_millis())
    {
        tracing::error!(%error, "what came in last was not counted in the audit trail");
    }
    if let Err(error) = db.close().map_err(ArchiveError::from) {
        tracing::warn!(%error, "the index did not close cleanly");
    }
}
