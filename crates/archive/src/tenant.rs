//! A tenant in the archive: its row and its reserved names.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hilum_contracts::ids::TenantId;
use hilum_platform::audit::Keys;

use crate::error::Result;
use crate::index::objects::Name;
use crate::limits;

pub(crate) struct Tenant {
    pub id: TenantId,
    pub row: i64,
    names: Mutex<Vec<Name>>,
    audit: OnceLock<Arc<Keys>>,
    /// The index said so when something came last.
    nothing_moved: AtomicBool,
}

impl Tenant {
    pub(crate) fn new(id: TenantId, row: i64) -> Self {
        Self {
            id,
            row,
            names: Mutex::default(),
            audit: OnceLock::new(),
            nothing_moved: AtomicBool::new(false),
        }
    }

    /// Whether something of it was moved to another series or study, or is about to be.
    pub(crate) fn has_moved(&self, something: bool) {
        self.nothing_moved.store(!something, Ordering::SeqCst);
    }

    /// `false` where that is not known.
    pub(crate) fn has_nothing_moved(&self) -> bool {
        self.nothing_moved.load(Ordering::SeqCst)
    }

    /// The keys of its trail, made by `make` when they are first asked for.
    pub(crate) fn audit_keys(&self, make: impl FnOnce() -> Result<Keys>) -> Result<Arc<Keys>> {
        if let Some(keys) = self.audit.get() {
            return Ok(Arc::clone(keys));
        }
        let keys = Arc::new(make()?);
        Ok(Arc::clone(self.audit.get_or_init(|| keys)))
    }

    pub(crate) fn take_name(&self) -> Option<Name> {
        self.names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
    }

    pub(crate) fn add_names(&self, names: impl IntoIterator<Item = Name>) {
        self.names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(names);
    }

    /// How many names the next commit should reserve along with its own work.
    pub(crate) fn names_wanted(&self) -> Option<usize> {
        let left = self
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len();
        (left < limits::NAMES_LOW).then_some(limits::NAMES_RESERVED)
    }
}
