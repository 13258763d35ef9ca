//! Limits of this service, each with its reason.

use std::time::Duration;

/// Rows of a page unless more are asked for.
pub(crate) const PAGE: u32 = 50;
/// Most rows of a page.
pub(crate) const PAGE_MAX: u32 = 200;
/// Longest text that is searched for.
pub(crate) const QUERY_MAX: usize = 200;
/// Longest name of a person, an organisation or a key.
pub(crate) const NAME_MAX: usize = 100;
/// Longest reason for emergency access, and longest review.
pub(crate) const REASON_MAX: usize = 1_000;
/// Shortest of both: less says nothing to who reviews it.
pub(crate) const REASON_MIN: usize = 10;
/// What is kept of a browser's own name.
pub(crate) const BROWSER_MAX: usize = 200;

/// Shortest password (NIST SP 800-63B-4 §3.1.1.2 asks for 15 where it stands
/// alone without throttling, OWASP ASVS 2.1.1 for 12).
pub(crate) const PASSWORD_MIN: usize = 12;
/// Longest password; hashing costs the same for each, reading does not.
pub(crate) const PASSWORD_MAX: usize = 256;
/// argon2id's memory in KiB, passes and lanes (OWASP Password Storage).
pub(crate) const ARGON2: (u32, u32, u32) = (19_456, 2, 1);
/// Passwords hashed at once: each takes 19 MiB and a core.
pub(crate) const HASHING: usize = 2;
/// Requests that wait for that; more are told to come back.
pub(crate) const HASHING_WAITS: usize = 64;

/// A session without requests ends after this, unless the tenant says less.
pub(crate) const SESSION_IDLE: Duration = Duration::from_secs(12 * 3_600);
/// A session ends after this in any case, unless the tenant says less.
pub(crate) const SESSION_LIFE: Duration = Duration::from_secs(7 * 86_400);
/// Sessions of one person; the one seen least lately goes first.
pub(crate) const SESSIONS: u32 = 50;
/// Browsers that are remembered for a person.
pub(crate) const BROWSERS: u32 = 20;
/// How long a browser is remembered after it was used last.
pub(crate) const BROWSER_LIFE: Duration = Duration::from_secs(365 * 86_400);
/// Uses are written no more often: each is a flush of the disk.
pub(crate) const SEEN_EVERY: Duration = Duration::from_secs(60);
/// How long an answer is taken from memory; what ends a session or a key in
/// this process empties it at once.
pub(crate) const CACHE_LIFE: Duration = Duration::from_secs(5);
/// How often a key that passes are signed with is asked for again that could not be had:
/// each try may wait for a neighbour.
pub(crate) const PASS_KEY_AGAIN: Duration = Duration::from_secs(5);
/// Answers in memory: a few hundred bytes each.
pub(crate) const CACHE_MAX: usize = 10_000;

/// Failures after which a person waits before the next one counts.
pub(crate) const FAILURES_FREE: u32 = 5;
/// The same for all accounts that one network tries: many people share an
/// address.
pub(crate) const FAILURES_FREE_NETWORK: u32 = 100;
/// Failures of everybody within [`FAILURES_FORGOTTEN_ALL`] after which each
/// answer to an unknown browser takes longer.
pub(crate) const FAILURES_FREE_ALL: u32 = 200;
/// The longest wait between two tries.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// The longest that an answer is held back.
pub(crate) const SLOWED_MAX: Duration = Duration::from_secs(3);
/// Failures are forgotten this long after the last one.
pub(crate) const FAILURES_FORGOTTEN: Duration = Duration::from_secs(24 * 3_600);
/// The same for those of everybody.
pub(crate) const FAILURES_FORGOTTEN_ALL: Duration = Duration::from_secs(60);

/// Life of a link that resets a password.
pub(crate) const RESET_LIFE: Duration = Duration::from_secs(30 * 60);
/// Life of a link that verifies an address.
pub(crate) const VERIFY_LIFE: Duration = Duration::from_secs(2 * 86_400);
/// Life of an invitation.
pub(crate) const INVITATION_LIFE: Duration = Duration::from_secs(7 * 86_400);
/// Invitations of a tenant that wait for an answer.
pub(crate) const INVITATIONS: u32 = 1_000;
/// API keys of a tenant.
pub(crate) const KEYS: u32 = 500;
/// Devices of a tenant.
pub(crate) const DEVICES: u32 = 2_000;
/// Unknown devices that are remembered for a tenant; the one that called least
/// lately goes first.
pub(crate) const UNKNOWN_DEVICES: u32 = 200;
/// Life of emergency access.
pub(crate) const BREAK_GLASS_LIFE: Duration = Duration::from_secs(3_600);
/// How often what ended is deleted.
pub(crate) const UPKEEP_EVERY: Duration = Duration::from_secs(600);
/// Tries of strangers that the trail tells apart in a minute, some 700 bytes
/// each: above that it counts.
pub(crate) const STRANGERS_A_MINUTE: u32 = 30;
/// Calls of unknown devices that are written in a second: each is a flush of
/// the disk that a stranger asks for.
pub(crate) const UNKNOWN_WRITES: u32 = 10;
/// Names that are tried for a new tenant before somebody has to choose one.
pub(crate) const NAMES_TRIED: u32 = 200;
/// How long a mail that holds no link that ends sooner is tried.
pub(crate) const MAIL_LIFE: Duration = Duration::from_secs(2 * 86_400);
/// Pause after the first failure of a mail; it doubles with each.
pub(crate) const MAIL_BACKOFF: Duration = Duration::from_secs(15);
/// Longest pause between two tries of a mail.
pub(crate) const MAIL_BACKOFF_MAX: Duration = Duration::from_secs(3_600);
/// Mails read at once.
pub(crate) const MAIL_BATCH: u32 = 20;
/// How often mails that failed before are looked for.
pub(crate) const MAIL_POLL: Duration = Duration::from_secs(5);
/// People who are told of one emergency access.
pub(crate) const TOLD_OF_BREAK_GLASS: u32 = 200;
/// Providers of a tenant.
pub(crate) const PROVIDERS: u32 = 20;
/// Providers that the page shows where people sign in.
pub(crate) const PROVIDERS_SHOWN: u32 = 20;
/// How long a person may be away at a provider.
pub(crate) const OIDC_FLOW_LIFE: Duration = Duration::from_secs(600);
/// How long a provider may take to answer.
pub(crate) const PROVIDER_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer of a provider: documents and keys are a few kilobytes.
pub(crate) const PROVIDER_ANSWER_MAX: usize = 256 * 1024;
