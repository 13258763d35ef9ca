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

/// Destinations that a tenant may make: each gets every result that its rule names, so
/// that more of them multiply what is sent.
pub const DESTINATIONS: u32 = 50;
/// Longest name of a destination, in characters: it stands in lists.
pub const NAME_MAX: usize = 64;
/// Longest address, in bytes.
pub const ADDRESS_MAX: usize = 500;
/// Longest name of who signs in to a DICOMweb server, in characters.
pub const USER_MAX: usize = 200;
/// Longest token or password, in bytes: signed tokens take some thousand.
pub const TOKEN_MAX: usize = 8 * 1024;
/// Longest text with authorities of TLS (PEM), in bytes: a dozen certificates.
pub const AUTHORITIES_MAX: usize = 32 * 1024;
/// Models, modalities and body parts that a rule may name, of each.
pub const RULE_VALUES: usize = 50;
/// Longest of them, in characters.
pub const RULE_VALUE_MAX: usize = 100;
/// Longest pattern of a study's description: the attribute has 64 characters.
pub const PATTERN_MAX: usize = 64;
/// Parts of a pattern between wild cards.
pub const PATTERN_PARTS: usize = 9;
/// What changed of destinations is seen by every process within this.
pub const ROSTER_POLL: Duration = Duration::from_secs(1);
/// Destinations that are sent to at once; others come when one of these has nothing to
/// send just now.
pub const AT_WORK: u32 = 1_000;
/// How long a webhook's former secret signs beside the new one: somebody has to change
/// it over there.
pub const FORMER_SECRET: Duration = Duration::from_secs(24 * 3_600);
/// A test waits for no answer longer: a person waits for it.
pub const TEST: Duration = Duration::from_secs(15);
/// A destination is tested at most this often: a test is a message to somebody.
pub const TEST_PAUSE: Duration = Duration::from_secs(2);
/// Tests at once in this process.
pub const TESTS: usize = 16;
/// A name is looked up within this when a destination is saved.
pub const LOOK_UP: Duration = Duration::from_secs(3);
