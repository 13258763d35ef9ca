//! The writer thread: owns the one connection that writes the index, and group
//! commit. While it commits one bundle, what arrives for the same tenant is
//! sealed into the next by those who bring it; there is no timer, so a lone
//! sender never waits for company.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest;
use hilum_platform::clock::SharedClock;
use rusqlite::Connection;
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};

use crate::disk::Disk;
use crate::error::{ArchiveError, Result};
use crate::format::{Kind, ObjectHeader, SEGMENT_HEADER, TRAILER, Trailer};
use crate::index::commit::{self, Committed, Record, Unit};
use crate::index::objects::{self, Name};
use crate::index::query;
use crate::index::schema::state;
use crate::keys::random;
use crate::limits::Limits;
use crate::model::{Standing, StoreOutcome};
use crate::tenant::Tenant;

type Task = Box<dyn FnOnce(&mut Connection, &Context) + Send>;
type Reply = oneshot::Sender<Result<StoreOutcome>>;

/// What the writer thread works with.
pub(crate) struct Context {
    pub disk: Arc<dyn Disk>,
    pub clock: SharedClock,
    pub bell: Arc<Notify>,
    /// This run of the program.
    pub opening: i64,
}

/// A segment that is ready to be written.
pub(crate) struct Sealed {
    pub bytes: Vec<u8>,
    pub record: Record,
    pub reply: Reply,
    /// Returned to the senders when the segment is committed or failed.
    pub permit: OwnedSemaphorePermit,
}

struct Bundle {
    id: u64,
    tenant: Arc<Tenant>,
    name: Name,
    header: ObjectHeader,
    encoded: Vec<u8>,
    joined: u32,
    bytes: usize,
    /// Joined and not yet sealed.
    outstanding: usize,
    sealed: Vec<Sealed>,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    bundles: VecDeque<Bundle>,
    /// Taken out of `bundles`: nobody joins it any more.
    closing: Option<Bundle>,
    next_bundle: u64,
    task_was_last: bool,
    closed: bool,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handle on the writer thread.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

/// A place in a bundle that is being collected.
pub(crate) struct Place {
    shared: Arc<Shared>,
    bundle: u64,
    pub ordinal: u32,
    pub salt: [u8; 32],
    /// The object's encoded header.
    pub header: Vec<u8>,
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
        let (reply, answer) = oneshot::channel();
        let mut state = self.shared.state();
        if !state.closed {
            state.tasks.push_back(Box::new(move |db, context| {
                let _ = reply.send(work(db, context));
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

    /// The same from a thread that may block.
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
            self.run_here(move |db, context| {
                if names.names_wanted().is_some() {
                    let tx = db.transaction()?;
                    let now = context.clock.now_millis();
                    let count = crate::limits::NAMES_RESERVED;
                    let fresh = objects::reserve(&tx, names.row, context.opening, now, count)?;
                    tx.commit()?;
                    names.add_names(fresh);
                }
                Ok(())
            })?;
        }
    }

    /// Joins the bundle that is being collected for `tenant`, or begins one.
    /// Blocks only to reserve names.
    pub(crate) fn join(
        &self,
        tenant: &Arc<Tenant>,
        bytes: usize,
        now: i64,
        limits: &Limits,
    ) -> Result<Place> {
        let mut spare = None;
        loop {
            let mut state = self.shared.state();
            if state.closed {
                return Err(ArchiveError::Closed);
            }
            let open = state.bundles.iter_mut().find(|bundle| {
                bundle.tenant.row == tenant.row
                    && (bundle.joined as usize) < limits.bundle_instances
                    && bundle.bytes.saturating_add(bytes) <= limits.bundle_bytes
            });
            if let Some(bundle) = open {
                if let Some(name) = spare {
                    tenant.add_names([name]);
                }
                return Ok(self.place(bundle, bytes));
            }
            if let Some(name) = spare.take().or_else(|| tenant.take_name()) {
                let header = ObjectHeader {
                    kind: Kind::Bundle,
                    object: name.name,
                    salt: random()?,
                    created: now,
                    tenant: tenant.id.as_str().to_owned(),
                };
                state.next_bundle += 1;
                let mut bundle = Bundle {
                    id: state.next_bundle,
                    tenant: Arc::clone(tenant),
                    name,
                    encoded: header.encode()?,
                    header,
                    joined: 0,
                    bytes: 0,
                    outstanding: 0,
                    sealed: Vec::new(),
                };
                let place = self.place(&mut bundle, bytes);
                state.bundles.push_back(bundle);
                return Ok(place);
            }
            drop(state);
            spare = Some(self.take_name(tenant)?);
        }
    }

    fn place(&self, bundle: &mut Bundle, bytes: usize) -> Place {
        let ordinal = bundle.joined;
        bundle.joined += 1;
        bundle.bytes = bundle.bytes.saturating_add(bytes);
        bundle.outstanding += 1;
        Place {
            shared: Arc::clone(&self.shared),
            bundle: bundle.id,
            ordinal,
            salt: bundle.header.salt,
            header: bundle.encoded.clone(),
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

impl Place {
    /// Hands the sealed segment over.
    pub(crate) fn fill(self, sealed: Sealed) {
        let mut state = self.shared.state();
        if let Some(bundle) = find(&mut state, self.bundle) {
            bundle.sealed.push(sealed);
        }
        // Dropping `self` counts down and wakes the writer.
        drop(state);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if let Some(bundle) = find(&mut state, self.bundle) {
            bundle.outstanding = bundle.outstanding.saturating_sub(1);
        }
        drop(state);
        self.shared.wake.notify_all();
    }
}

fn find(state: &mut State, id: u64) -> Option<&mut Bundle> {
    let State {
        bundles, closing, ..
    } = state;
    bundles
        .iter_mut()
        .chain(closing.as_mut())
        .find(|bundle| bundle.id == id)
}

enum Work {
    Task(Task),
    Bundle(Box<Bundle>),
    Stop,
}

fn next(shared: &Shared) -> Work {
    let mut state = shared.state();
    loop {
        if state.closing.is_none() {
            let ready = state
                .bundles
                .iter()
                .position(|bundle| !bundle.sealed.is_empty());
            state.closing = ready.and_then(|at| state.bundles.remove(at));
        }
        let ready = state.closing.take_if(|bundle| bundle.outstanding == 0);
        match ready {
            Some(bundle) if state.tasks.is_empty() || state.task_was_last => {
                state.task_was_last = false;
                return Work::Bundle(Box::new(bundle));
            }
            waiting => {
                if waiting.is_some() {
                    state.closing = waiting;
                }
            }
        }
        if let Some(task) = state.tasks.pop_front() {
            state.task_was_last = true;
            return Work::Task(task);
        }
        let idle =
            state.closing.is_none() && state.bundles.iter().all(|bundle| bundle.outstanding == 0);
        if state.closed && idle {
            return Work::Stop;
        }
        state = shared
            .wake
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner);
    }
}

fn run(shared: &Shared, mut db: Connection, context: &Context) {
    loop {
        match next(shared) {
            Work::Task(task) => task(&mut db, context),
            Work::Bundle(bundle) => commit_bundle(&mut db, context, *bundle),
            Work::Stop => break,
        }
    }
    if let Err((_, error)) = db.close() {
        tracing::warn!(code = ?error.sqlite_error_code(), "the index did not close cleanly");
    }
}

fn commit_bundle(db: &mut Connection, context: &Context, mut bundle: Bundle) {
    bundle.sealed.sort_by_key(|sealed| sealed.record.segment);
    let started = std::time::Instant::now();
    let written = write_bundle(context, &bundle);
    let wrote = started.elapsed();
    let Bundle {
        tenant,
        name,
        sealed,
        ..
    } = bundle;
    let mut replies = Vec::with_capacity(sealed.len());
    let mut records = Vec::with_capacity(sealed.len());
    let mut offset = bundle.encoded.len() as u64;
    for segment in sealed {
        let mut record = segment.record;
        record.offset = offset;
        offset += segment.bytes.len() as u64;
        records.push(record);
        replies.push((segment.reply, segment.permit));
    }
    let outcome = match written {
        Err(error) => {
            abandon(db, context, name);
            Err(error)
        }
        Ok(bytes) => settle(
            db,
            context,
            &tenant,
            &Unit {
                tenant: tenant.id.clone(),
                tenant_row: tenant.row,
                name,
                kind: Kind::Bundle,
                bytes,
                records,
                publication: None,
            },
        ),
    };
    metrics::histogram!("archive_bundle_write_seconds").record(wrote.as_secs_f64());
    metrics::histogram!("archive_bundle_commit_seconds").record(started.elapsed().as_secs_f64());
    metrics::histogram!("archive_bundle_instances")
        .record(f64::from(u32::try_from(replies.len()).unwrap_or(u32::MAX)));
    match outcome {
        Ok(Committed::Stored(outcomes)) => {
            for ((reply, _permit), outcome) in replies.into_iter().zip(outcomes) {
                let _ = reply.send(Ok(outcome));
            }
        }
        Ok(Committed::AlreadyPublished(_)) => {}
        Err(error) => {
            tracing::error!(%error, instances = replies.len(), "a bundle was not committed; nothing of it was acknowledged");
            for (reply, _permit) in replies {
                let _ = reply.send(Err(error.clone()));
            }
        }
    }
}

/// Writes the object and returns once it is durable: data, then directory.
fn write_bundle(context: &Context, bundle: &Bundle) -> Result<u64> {
    let mut digest = digest::Context::new(&digest::SHA256);
    digest.update(&bundle.encoded);
    let mut length = (bundle.encoded.len() + TRAILER) as u64;
    let mut parts: Vec<&[u8]> = vec![&bundle.encoded];
    for segment in &bundle.sealed {
        digest.update(segment.bytes.get(..SEGMENT_HEADER).unwrap_or_default());
        length += segment.bytes.len() as u64;
        parts.push(&segment.bytes);
    }
    let mut headers = [0; 32];
    headers.copy_from_slice(digest.finish().as_ref());
    let trailer = Trailer {
        segments: u32::try_from(bundle.sealed.len()).unwrap_or(u32::MAX),
        length,
        digest: headers,
    }
    .encode();
    parts.push(&trailer);
    let (folder, path) = bundle.tenant.path(&bundle.name.name);
    let mut file = context.disk.create(&path)?;
    let done = file
        .append(&parts)
        .and_then(|()| file.sync())
        .and_then(|()| context.disk.sync_dir(&folder));
    if let Err(error) = done {
        file.release();
        return Err(error.into());
    }
    Ok(length)
}

/// The name is never used again; the sweep takes the file.
pub(crate) fn abandon(db: &Connection, context: &Context, name: Name) {
    let now = context.clock.now_millis();
    // On failure the next opening buries it: it stays reserved until then.
    if let Err(error) = objects::transition(db, name.row, state::RESERVED, state::DEAD, now) {
        tracing::warn!(%error, "an abandoned object stays reserved until the next start");
    }
}

/// Commits an object whose file is durable. When COMMIT's own answer is
/// unclear, the state is read, never guessed.
pub(crate) fn settle(
    db: &mut Connection,
    context: &Context,
    tenant: &Tenant,
    unit: &Unit,
) -> Result<Committed> {
    let now = context.clock.now_millis();
    let more = tenant.names_wanted().map(|count| (context.opening, count));
    let error = match commit::commit(db, unit, now, more) {
        Ok((committed, names)) => {
            tenant.add_names(names);
            context.bell.notify_one();
            return Ok(committed);
        }
        Err(error) => error,
    };
    if !db.is_autocommit() {
        let _ = db.execute_batch("ROLLBACK");
    }
    if objects::state_of(db, unit.name.row)? == Some(state::LIVE) {
        context.bell.notify_one();
        return Ok(Committed::Stored(read_back(db, unit)?));
    }
    abandon(db, context, unit.name);
    Err(error)
}

fn read_back(db: &Connection, unit: &Unit) -> Result<Vec<StoreOutcome>> {
    unit.records
        .iter()
        .map(|record| {
            let of = &record.descriptor;
            let row = query::exact(db, unit.tenant_row, &of.sop_instance, &of.sha256)?
                .ok_or(ArchiveError::Missing)?;
            Ok(match row.standing {
                _ if row.location.object != unit.name.name => StoreOutcome::Duplicate,
                Standing::Served | Standing::Superseded => StoreOutcome::Stored,
                Standing::Variant => StoreOutcome::Variant,
                Standing::Conflict => StoreOutcome::Conflict,
            })
        })
        .collect()
}
