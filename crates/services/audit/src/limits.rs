//! This service's limits, each with its reason.

use std::time::Duration;

/// How often new entries are sealed: what can be cut off the end of a trail
/// unseen by whoever keeps the seals elsewhere.
pub(crate) const SEAL_EVERY: Duration = Duration::from_secs(60);
/// Entries of one writer in one seal: bounds its memory, 43 bytes each in its file.
pub(crate) const SEAL_ENTRIES: u32 = 10_000;
/// Rows read at once when a chain is walked.
pub(crate) const WALK: u32 = 500;
/// Seals read at once when they are walked; one may hold [`SEAL_ENTRIES`] of
/// every writer.
pub(crate) const SEALS_WALK: u32 = 16;
/// Rows of a page.
pub(crate) const PAGE: u32 = 50;
/// Most rows of a page.
pub(crate) const PAGE_MAX: u32 = 200;
/// Seals of a page.
pub(crate) const SEALS_PAGE: u32 = 100;
/// Rows of an export that are in memory at once.
pub(crate) const EXPORT_PAGE: u32 = 500;
/// Studies that a search by patient looks for: more than a patient has.
pub(crate) const STUDIES_OF_PATIENT: u32 = 2_000;
/// Studies whose patients an export remembers.
pub(crate) const PATIENTS_REMEMBERED: usize = 1_000;
/// How often entries are looked for that were kept long enough.
pub(crate) const REMOVE_EVERY: Duration = Duration::from_secs(3_600);
/// Faults of one writer that are told.
pub(crate) const FAULTS: usize = 100;
