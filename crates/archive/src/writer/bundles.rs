//! Group commit: while the writer commits one bundle, what arrives for the same
//! tenant is sealed into the next by those who bring it. There is no timer, so
//! a lone sender never waits for company.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use hilum_platform::traces::{self, Work};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::error::{ArchiveError, Result};
use crate::format::{Kind, ObjectHeader};
use crate::index::commit::Record;
use crate::index::objects::Name;
use crate::keys::random;
use crate::limits::{BUCKET_PUTS, Limits};
use crate::model::StoreOutcome;
use crate::steps;
use crate::tenant::Tenant;

use super::{Task, Writer};

pub(super) type Reply = oneshot::Sender<Result<StoreOutcome>>;

/// A segment that is ready to be written.
pub(crate) struct Sealed {
    pub bytes: Bytes,
    pub record: Record,
    pub reply: Reply,
    /// Returned to the senders when the segment is committed or failed.
    pub permit: OwnedSemaphorePermit,
}

pub(super) struct Bundle {
    pub(super) id: u64,
    pub(super) tenant: Arc<Tenant>,
    pub(super) name: Name,
    pub(super) header: ObjectHeader,
    pub(super) encoded: Vec<u8>,
    pub(super) joined: u32,
    pub(super) bytes: usize,
    /// Joined and not yet sealed.
    pub(super) outstanding: usize,
    pub(super) sealed: Vec<Sealed>,
    pub(super) takes_resends: bool,
    /// When its commit began.
    pub(super) began: Option<Instant>,
    /// One span for every association and request whose instances are in it.
    pub(super) traced: Vec<Work>,
}

impl Bundle {
    /// Nobody joins it any more, and all who did are there.
    pub(super) fn begin(&mut self) {
        steps::at("commit.begin");
        self.began = Some(Instant::now());
        self.sealed.sort_by_key(|sealed| sealed.record.segment);
        if traces::is_on() {
            let ids = self.sealed.iter();
            let ids: HashSet<_> = ids.map(|of| of.record.descriptor.correlation).collect();
            let work = |id| Work::part("commit", id, None, &self.tenant.id);
            self.traced = ids.into_iter().map(work).collect();
        }
    }
}

#[derive(Default)]
pub(super) struct State {
    pub(super) tasks: VecDeque<Task>,
    pub(super) bundles: VecDeque<Bundle>,
    /// Taken out of `bundles`: nobody joins it any more.
    pub(super) closing: Option<Bundle>,
    /// Tenants of bundles that are on their way to the bucket, one for each.
    pub(super) uploading: Vec<i64>,
    /// Bundles that are there, or could not be put there.
    pub(super) written: VecDeque<(Bundle, Result<u64>)>,
    pub(super) next_bundle: u64,
    pub(super) task_was_last: bool,
    pub(super) closed: bool,
}

pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) wake: Condvar,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a bundle back whose way to the bucket has ended; its length.
    pub(super) fn written(&self, bundle: Bundle, length: Result<u64>) {
        let mut state = self.state();
        let tenant = bundle.tenant.row;
        if let Some(at) = state.uploading.iter().position(|row| *row == tenant) {
            state.uploading.swap_remove(at);
        }
        state.written.push_back((bundle, length));
        drop(state);
        self.wake.notify_all();
    }
}

impl State {
    /// Whether another bundle of this tenant may set out.
    fn may_upload(&self, tenant: i64) -> bool {
        let of_tenant = self.uploading.iter().filter(|row| **row == tenant);
        of_tenant.count() < BUCKET_PUTS
    }
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
    /// Joins the bundle that is being collected for `tenant`, or begins one.
    /// Blocks only to reserve names.
    pub(crate) fn join(
        &self,
        tenant: &Arc<Tenant>,
        bytes: usize,
        now: i64,
        limits: &Limits,
        takes_resends: bool,
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
                    key: None,
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
                    takes_resends,
                    began: None,
                    traced: Vec::new(),
                };
                let place = self.place(&mut bundle, bytes);
                state.bundles.push_back(bundle);
                return Ok(place);
            }
            drop(state);
            spare = Some(self.take_name(tenant)?);
        }
    }

    /// Whether senders wait for a commit.
    pub(crate) fn is_busy(&self) -> bool {
        let state = self.shared.state();
        state.closing.is_some() || !state.bundles.is_empty()
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

pub(super) enum Turn {
    Task(Task),
    Bundle(Box<Bundle>),
    /// It is in the bucket, this long, or could not be put there.
    Written(Box<Bundle>, Result<u64>),
    Stop,
}

pub(super) fn next(shared: &Shared) -> Turn {
    let mut state = shared.state();
    loop {
        if (state.tasks.is_empty() || state.task_was_last)
            && let Some((bundle, length)) = state.written.pop_front()
        {
            state.task_was_last = false;
            return Turn::Written(Box::new(bundle), length);
        }
        if state.closing.is_none() {
            let ready = state.bundles.iter().position(|bundle| {
                !bundle.sealed.is_empty() && state.may_upload(bundle.tenant.row)
            });
            state.closing = ready.and_then(|at| state.bundles.remove(at));
        }
        let ready = state.closing.take_if(|bundle| bundle.outstanding == 0);
        match ready {
            Some(bundle) if state.tasks.is_empty() || state.task_was_last => {
                state.task_was_last = false;
                return Turn::Bundle(Box::new(bundle));
            }
            waiting => {
                if waiting.is_some() {
                    state.closing = waiting;
                }
            }
        }
        if let Some(task) = state.tasks.pop_front() {
            state.task_was_last = true;
            return Turn::Task(task);
        }
        let idle = state.closing.is_none()
            && state.uploading.is_empty()
            && state.written.is_empty()
            && state.bundles.iter().all(|bundle| bundle.outstanding == 0);
        if state.closed && idle {
            return Turn::Stop;
        }
        state = shared
            .wake
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner);
    }
}
