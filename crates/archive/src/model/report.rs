//! Reports of the maintenance operations.

use serde::{Deserialize, Serialize};

/// Called with (objects done, objects in all) while a long operation runs.
pub type Progress = std::sync::Arc<dyn Fn(u64, u64) + Send + Sync>;

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SweepReport {
    /// Reserved names that nobody can commit any more, now dead.
    pub died: u64,
    /// Dead objects whose file is gone now.
    pub deleted: u64,
    /// Files that no row names; reported, never deleted.
    pub unknown: u64,
}

/// What a round of packing did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PackReport {
    /// Settled series that are packs now.
    pub series: u64,
    /// Instances in them.
    pub instances: u64,
    /// Bytes of the packs.
    pub bytes: u64,
    /// Series that could not be packed and stay as they are.
    pub skipped: u64,
}

/// One object that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum ObjectFault {
    /// The index says live; there is no file.
    Missing {
        /// Tenant.
        tenant: String,
        /// Object name in hexadecimal.
        object: String,
        /// How many acknowledged instances are in it.
        instances: u64,
    },
    /// Bytes were changed.
    Corrupt {
        /// Tenant.
        tenant: String,
        /// Object name in hexadecimal.
        object: String,
        /// Ordinal of the segment; `None`: header or trailer.
        segment: Option<u32>,
    },
    /// The index and the object disagree about a segment.
    Disagrees {
        /// Tenant.
        tenant: String,
        /// Object name in hexadecimal.
        object: String,
        /// Ordinal of the segment.
        segment: u32,
    },
    /// A tenant's look-up by UID does not lead to every instance. It is made
    /// anew from the packs when its files are not there on opening.
    Lookup {
        /// Tenant.
        tenant: String,
    },
    /// A row of the index says something else than was written.
    Row {
        /// Tenant.
        tenant: String,
        /// `study`, `series` or `quarantine`.
        level: String,
        /// Its number in the index.
        row: i64,
    },
    /// A database is damaged.
    Database {
        /// Its file, in the archive's folder.
        file: String,
        /// What was noticed first; names no patient.
        detail: String,
    },
    /// A file that no row names.
    Unknown {
        /// Path below the archive's folder.
        path: String,
    },
}

/// What `verify` found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Live objects read.
    pub objects: u64,
    /// Instances decrypted and hashed; one that was packed meanwhile may count
    /// where it was and where it is.
    pub instances: u64,
    /// Bytes of objects read.
    pub bytes: u64,
    /// Everything that is wrong, at most [`crate::limits::FAULTS_REPORTED`].
    pub faults: Vec<ObjectFault>,
    /// How many faults there are in all.
    pub fault_count: u64,
}

impl VerifyReport {
    /// True when every acknowledged instance is there and hashes. Unknown
    /// files alone are not a loss.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.fault_count == 0
            || (self.fault_count == self.faults.len() as u64
                && self
                    .faults
                    .iter()
                    .all(|fault| matches!(fault, ObjectFault::Unknown { .. })))
    }
}

/// What a backup or a restore copied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupReport {
    /// Objects copied.
    pub objects: u64,
    /// Bytes of objects copied.
    pub bytes: u64,
}

/// What a restore made of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RestoreReport {
    /// Objects copied.
    pub objects: u64,
    /// Bytes of objects copied.
    pub bytes: u64,
    /// When the backup was begun, in Unix milliseconds; `None`: it does not say.
    pub backup_at: Option<i64>,
    /// Erasures that it does not know and that are carried out before the
    /// archive is served.
    pub erasures_due: u64,
    /// When the newest erasure was that is known of, in Unix milliseconds.
    pub newest_erasure: Option<i64>,
}

/// What a new index was made from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RebuildReport {
    /// Objects read.
    pub objects: u64,
    /// Instances found, repeats included.
    pub instances: u64,
    /// Quarantined items found.
    pub quarantined: u64,
    /// Segments whose key was destroyed: they were deleted.
    pub erased: u64,
    /// Whether an index was there; it is `archive.sqlite.before` now.
    pub kept_old: bool,
    /// What could not be read, at most [`crate::limits::FAULTS_REPORTED`].
    pub faults: Vec<ObjectFault>,
    /// How many faults there are in all.
    pub fault_count: u64,
}

/// Bytes of what is beside the objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct FilesReport {
    /// A tenant's look-up by UID.
    pub lookup: u64,
    /// The index of all tenants.
    pub index: u64,
    /// The wrapped keys of all tenants.
    pub keys: u64,
}

/// What the archive holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StorageReport {
    /// Live objects.
    pub objects: u64,
    /// Bytes of live objects.
    pub object_bytes: u64,
    /// Studies.
    pub studies: u64,
    /// Series.
    pub series: u64,
    /// Instances served.
    pub instances: u64,
    /// Conflicts that wait for a person.
    pub conflicts: u64,
    /// Quarantined items.
    pub quarantined: u64,
    /// Events not yet sent.
    pub outbox: u64,
    /// Live objects that hold settled series.
    pub packs: u64,
    /// Live objects that hold instances that arrived together.
    pub bundles: u64,
    /// Bytes of quarantined items.
    pub quarantined_bytes: u64,
}
