//! The service's limits, each with its reason.

use std::time::Duration;

/// A destination that is down for a night must still get everything: with the
/// back-off below, this many tries last about two days.
pub const DELIVERY_ATTEMPTS: i64 = 300;
/// Pause after the first failure.
pub const RETRY_FIRST: Duration = Duration::from_secs(2);
/// Longest pause: a destination that comes back has its results within this.
pub const RETRY_MAX: Duration = Duration::from_secs(600);
/// Until Patients has confirmed an identity, a delivery looks again this often.
pub const PENDING_PATIENT_PAUSE: Duration = Duration::from_secs(1);
/// While an earlier result of the same study is tried again, a later one looks
/// again at least this much later.
pub const EARLIER_PAUSE: Duration = Duration::from_secs(1);
/// A request to a DICOMweb server or a webhook takes no longer: a segmentation of
/// some hundred megabytes goes over a slow line in this.
pub const REQUEST: Duration = Duration::from_secs(300);
/// Longest file with a token or a secret, in bytes.
pub const SECRET_MAX: u64 = 16 * 1024;
/// Most rows that a list answers.
pub const LIST_MAX: u32 = 200;
