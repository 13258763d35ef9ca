//! The service's limits, each with its reason.

use std::time::Duration;

/// A data set up to this size is kept in memory while it arrives; a larger one
/// goes to a spool file. Most instances are far smaller.
pub const SPOOL_MEMORY: usize = 8 << 20;
/// Memory that all arriving data sets may take together; beyond it even small
/// ones go to spool files, so that many slow senders cost no memory.
pub const SPOOL_MEMORY_TOTAL: usize = 96 << 20;
/// Longest data set. DICOM's own element length ends at 4 GiB; one instance
/// may hold several such elements.
pub const DATA_SET_MAX: u64 = 64 << 30;
/// Longest result data set that is published.
pub const RESULT_MAX: usize = 1 << 30;
/// Most instances of an input set: a series beyond it is no volume that a
/// model could take, and its list would not fit into one transaction.
pub const INPUT_SET_INSTANCES: usize = 50_000;
/// A deflated data set is corrected in memory up to this length inflated.
pub const CORRECTED_INFLATED: u64 = 256 << 20;
/// Series that one association or request touches before its end is recorded
/// in parts.
pub const TOUCHED_SERIES: usize = 10_000;
/// How long a sender waits until its end is recorded; then it is recorded later.
pub const END_RECORDED_WITHIN: Duration = Duration::from_secs(1);
/// Ends of senders that are kept in memory while the database can't be told of
/// them: an hour of a busy hospital, some hundred bytes each.
pub const UNRECORDED_ENDS: usize = 20_000;
/// Input sets that are judged at once: fewer than half of the connections that a
/// service holds to its database, so that the rest goes on.
pub const JUDGED_AT_ONCE: usize = 3;
/// How often input sets are judged without being told.
pub const READINESS_POLL: Duration = Duration::from_secs(1);
/// How often settled series are looked for, one question to an index; more
/// often where `archive.settle_seconds` is less.
pub const PACK_EVERY: Duration = Duration::from_secs(2);
/// How often they are looked for at most.
pub const PACK_PAUSE: Duration = Duration::from_millis(250);
/// How often unacknowledged objects are swept.
pub const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// Decoded bytes of one content that are compared with another's. Beyond, a
/// conflict goes to a person as it is.
pub const COMPARED_BYTES: u64 = 2 << 30;
/// After this, conflicts whose comparison failed are tried once more.
pub const COMPARE_EVERY: Duration = Duration::from_secs(60);
/// How often studies are judged by retention rules: these count in days.
pub const RETENTION_EVERY: Duration = Duration::from_secs(3_600);
/// Most studies that retention rules delete at once: a rule that was set by
/// mistake can be taken back before everything is gone.
pub const EXPIRED_AT_ONCE: usize = 1_000;
/// Most rows that a list answers.
pub const LIST_MAX: u32 = 200;
/// At the end, associations get this long to finish what they are sending.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(15);

/// Instances that one request moves by name; a whole series has no such bound.
pub(crate) const MOVED_INSTANCES: usize = 10_000;

/// Studies of one patient that a merge looks at: a page of the index, and more
/// than a patient ever has.
pub(crate) const MERGED_STUDIES: u32 = 5_000;

/// Merges followed one after the other: nobody merges more deeply.
pub(crate) const MERGES_FOLLOWED: usize = 32;

/// What came for a patient who was merged is looked for this long after it
/// came, once for all that came meanwhile.
pub(crate) const MERGE_PAUSE: Duration = Duration::from_millis(200);
/// Until merges that could not be followed are followed again.
pub(crate) const MERGE_AGAIN: Duration = Duration::from_secs(5);

/// Studies that an export may name: each is a subject of its entry in the audit
/// trail. One of more is of a patient or of everything.
pub(crate) const EXPORTED_NAMED: usize = 10_000;

/// Series of a study whose body parts destinations may ask for: more than any study of
/// one examination has.
pub(crate) const SERIES_LOOKED_AT: u32 = 500;
/// Pause before the archive is told again of rules that it did not take: of a tenant that
/// is just arriving from another shard.
pub(crate) const RULES_AGAIN: Duration = Duration::from_secs(5);
