//! The platform's limits, each with its reason.

use std::time::Duration;

/// Readers of one database: more threads than this only wait for each other.
pub const DB_READERS: u32 = 8;
/// Transactions after which the write-ahead log is folded back: some twenty
/// megabytes of it.
pub const DB_FOLDED_AFTER: u32 = 512;
/// How long a statement waits for another process's lock (a backup, a doctor).
pub const DB_BUSY: Duration = Duration::from_secs(30);
/// Connections that a service holds to PostgreSQL at most, unless the configuration
/// says otherwise: a server has a hundred of them for all.
pub const PG_CONNECTIONS: u32 = 8;
/// How long somebody waits for one of them before they are told to come back.
pub const PG_ACQUIRE: Duration = Duration::from_secs(10);
/// How long who moves a tenant waits for the turn of one that may be gone already,
pub const PG_TURN_LEFT: Duration = Duration::from_secs(5);
/// asking this often.
pub const PG_TURN_ASKED: Duration = Duration::from_millis(100);
/// How often a replica of PostgreSQL is asked how far it is, while somebody reads there,
pub const PG_REPLICA_ASKED: Duration = Duration::from_secs(1);
/// and how long somebody waits for it before the server itself is asked.
pub const PG_REPLICA_WITHIN: Duration = Duration::from_secs(1);
/// A search of the audit trail need not show what was recorded within this,
pub const AUDIT_SEARCH_STALE: Duration = Duration::from_secs(10);
/// and nor need figures.
pub const FIGURES_STALE: Duration = Duration::from_secs(10);
/// A connection that nobody needs is closed after this long.
pub const PG_IDLE: Duration = Duration::from_secs(300);
/// Longest life of a connection: a server that took over gets its share of them.
pub const PG_LIFE: Duration = Duration::from_secs(1_800);
/// Longest statement: what takes longer holds locks that others wait for.
pub const PG_STATEMENT: Duration = Duration::from_secs(60);
/// How long the archive waits for an answer to one: the server ends it before, unless
/// it is gone, and then it says nothing.
pub const PG_ANSWER: Duration = Duration::from_secs(70);
/// How long a migration waits for a table that others use: who comes behind it waits
/// as well, so that it gives up and is tried again.
pub const PG_TABLE_LOCK: Duration = Duration::from_secs(10);
/// Longest silence within a transaction: whoever began it is gone.
pub const PG_IN_TRANSACTION: Duration = Duration::from_secs(60);
/// A service is not ready whose database does not answer within this time: less
/// than a neighbour waits for who tells so.
pub const DB_READY_WITHIN: Duration = Duration::from_secs(1);
/// Events carried in one relay step: bounds memory and the inbox transaction.
pub const RELAY_BATCH: u32 = 500;
/// The relay collects for this long, so that a burst of commits costs the
/// consumers one transaction and not hundreds: each is a flush of the disk
/// that intake commits to.
pub const RELAY_GATHER: Duration = Duration::from_millis(100);
/// Events that a consumer takes in one transaction: what its writer may be
/// held for.
pub const CONSUME_BATCH: u32 = 64;
/// How often the relay looks without being told, should a notification be lost.
pub const RELAY_POLL: Duration = Duration::from_secs(5);

/// A connection to the bus, with everything declared on it, is there within this time.
pub const BUS_CONNECT: Duration = Duration::from_secs(5);
/// Longest answer of the bus to one question.
pub const BUS_ANSWER: Duration = Duration::from_secs(5);
/// Longest time until a batch of events is confirmed, and for a look at the queues:
/// the disks of several brokers, busy, or a slow way; less than a process has to end.
pub const BUS_CONFIRM: Duration = Duration::from_secs(15);
/// Seconds between signs of life on a connection; without any for twice as long it is lost.
pub const BUS_HEARTBEAT: u16 = 10;
/// First pause after the bus, or what keeps its events, did not answer,
pub const BUS_PAUSE_FIRST: Duration = Duration::from_millis(500);
/// and the longest: what waits goes on this soon after it answers again.
pub const BUS_PAUSE_MAX: Duration = Duration::from_secs(5);
/// RabbitMQ writes down which log is a new queue's half a second after it was made.
pub const BUS_NEW: Duration = Duration::from_secs(2);
/// How often it is looked whether the bus is there and how much waits in it.
pub const BUS_LOOK_EVERY: Duration = Duration::from_secs(5);
/// Bytes in one queue: days of a service that is down. More stays in the outboxes.
pub const BUS_QUEUE_BYTES: i64 = 1 << 30;
/// Times a message may be given to a consumer before it is a dead letter. Going
/// back is what every restart and every half hour without a database cost, so
/// there are many; what kills its process each time is out of the way by then.
pub const BUS_DELIVERIES: i64 = 1_000;
/// Times a person may look at a dead letter: behind the limit it would be gone.
pub const BUS_DEAD_DELIVERIES: i64 = 1_000_000;
/// Messages that a feeder has in hand: what an inbox keeps in one transaction.
pub const BUS_PREFETCH: u16 = 200;
/// How long they are held while the inbox can't keep them: less than a broker's
/// patience with what is not acknowledged, which is half an hour.
pub const BUS_HOLD: Duration = Duration::from_secs(1_200);
/// Longest time until every inbox says that it has what was published before.
pub const BUS_BARRIER: Duration = Duration::from_secs(30);
/// A connection that was given up is closed by the broker within this time, unless
/// it stands still as a whole,
pub const BUS_UNSURE: Duration = Duration::from_secs(600);
/// and has read what came on it so long after it answers others again.
pub const BUS_SETTLE: Duration = Duration::from_secs(3);
/// Spans that wait to be sent, some hundred bytes each: more are dropped.
pub const TRACE_QUEUED_MAX: usize = 4_096;
/// Spans sent at once.
pub const TRACE_BATCH: usize = 512;
/// How often what waits is sent.
pub const TRACE_EVERY: Duration = Duration::from_secs(2);
/// Longest time that a collector may take for one batch.
pub const TRACE_EXPORT: Duration = Duration::from_secs(5);
/// Attributes of one span: identifiers, and there are few.
pub const TRACE_SPAN_ATTRIBUTES: u32 = 16;
/// Times an event is tried before it becomes a dead letter.
pub const EVENT_ATTEMPTS: i64 = 12;
/// Longest pause between two tries of an event.
pub const EVENT_BACKOFF_MAX: Duration = Duration::from_secs(60);
/// Whole days that a consumed event is remembered after the one on which it
/// last came, so that a repeat is recognised: one comes where a power cut undid that it was sent, or
/// from a backup, which takes hours between an outbox and the inboxes.
pub const INBOX_KEEP_DAYS: i64 = 2;
/// How often an inbox looks for what it may forget: days are kept, so an hour
/// more does not matter.
pub const FORGET_EVERY: Duration = Duration::from_secs(3_600);
/// Events forgotten in one transaction: what an inbox's writer may be held for.
pub const FORGET_BATCH: u32 = 1_000;
/// Dead letters of one consumer shown at once; more tell a person nothing new.
pub const DEAD_LETTERS_LISTED: u32 = 200;
/// Longest error text that is stored with a job or event.
pub const ERROR_TEXT_MAX: usize = 500;
/// Notices that a slow page may lag behind before it is told to reload.
pub const NOTICE_BACKLOG: usize = 256;
/// How often it is asked whether whoever has a page open would still be let in;
/// what ends a session in this installation is told at once.
pub const LIVE_CHECK: Duration = Duration::from_secs(5);
/// All pages together ask so often in a second at most: with more than a thousand of
/// them each asks less often.
pub const LIVE_CHECKS_A_SECOND: usize = 200;
/// A page hears no sooner than this of what changed again: what changed meanwhile is
/// told at once then, each thing once.
pub const LIVE_PAUSE: Duration = Duration::from_millis(500);
/// One page after the other hears of a change, with so much time between: each of them
/// asks for what it shows then, and a thousand at the same moment are more than there is
/// room for.
pub const LIVE_TURN: Duration = Duration::from_millis(4);

/// How long a mail server may take for one step.
pub const MAIL_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a worker looks for jobs without being told.
pub const JOB_POLL: Duration = Duration::from_secs(1);
/// Who works on a job and is not heard of for so long loses it: a process that does
/// not come back. One that does frees its jobs at once.
pub const JOB_LEASE: Duration = Duration::from_secs(60);
/// How often a lease is prolonged: several times in vain before it runs out, also
/// on a database that takes ten seconds for it.
pub const JOB_PROLONGED: Duration = Duration::from_secs(10);
/// Before a job is tried again that waits for a neighbour or the database: it is to
/// go on soon after that answers, and asks for little until then.
pub const JOB_AWAY: Duration = Duration::from_secs(2);
/// Jobs of one service in one state that a list has.
pub const JOBS_LISTED: u32 = 500;

/// A reader may hold a write-ahead log open for as long as its query lasts; an
/// erasure asks this often whether it is done,
pub const SCRUB_ATTEMPTS: u32 = 50;
/// with this pause between.
pub const SCRUB_PAUSE: Duration = Duration::from_millis(100);

/// Rows that an export of a tenant reads at once: they are in memory together.
pub const EXPORT_ROWS: u32 = 500;

/// Entries of the audit trail in one transaction: what its writer may be held for.
pub const AUDIT_BATCH: usize = 256;
/// Entries that wait to be written: each holds up a request, and there are never
/// so many.
pub const AUDIT_QUEUED_MAX: usize = 10_000;
/// Accesses whose repeats are counted in memory, about 300 bytes each.
pub const AUDIT_SEEN_MAX: usize = 20_000;
/// For how long an access that comes again is a repeat, in milliseconds: a
/// person who comes back after an hour looks again.
pub const AUDIT_REPEATS_FOR: i64 = 3_600_000;
/// How often counts of repeats are written: what a power cut may take of them.
pub const AUDIT_COUNTS_EVERY: Duration = Duration::from_secs(60);
/// Tenants whose audit keys are kept in memory, some hundred bytes each.
pub const AUDIT_TENANTS_CACHED: usize = 4_096;
/// Subjects of erasures that are remembered for what was on its way meanwhile:
/// what began before the oldest of them is recorded without saying whom it was
/// about.
pub const AUDIT_FORGOTTEN_MAX: usize = 10_000;
/// Rows of the audit trail that are read at once when all are walked.
pub const AUDIT_WALK: u32 = 500;
/// Most subjects that are looked up beside one: more than a patient has studies.
pub const AUDIT_BESIDE_MAX: u32 = 5_000;

/// How often the files of a certificate are looked at: one that was renewed is
/// served well before the old one ends.
pub const TLS_LOOK_EVERY: Duration = Duration::from_secs(5);
/// Longest PEM file: a chain of certificates takes a few thousand bytes, a
/// bundle of authorities some hundred thousand.
pub const TLS_FILE_MAX: u64 = 4 << 20;
/// Longest TLS handshake: two round trips, on the slowest of links.
pub const TLS_HANDSHAKE: Duration = Duration::from_secs(15);
/// Connections of neighbours at once: each process holds a few.
pub const NEIGHBOUR_CONNECTIONS: usize = 640;
/// Longest time from one request to the end of the next one's header fields, as
/// other servers have it; who sends them byte by byte is cut off then.
pub const HTTP_HEADERS: Duration = Duration::from_secs(60);
/// Longest silence within the body of a request.
pub const HTTP_BODY_SILENCE: Duration = Duration::from_secs(60);
/// How long a connection that was made just before its server stopped may take to its
/// first request.
pub const HTTP_FIRST_REQUEST: Duration = Duration::from_secs(1);
/// A silent HTTP/2 connection is asked this often whether it is there, and must
/// answer as fast.
pub const HTTP2_PING: Duration = Duration::from_secs(20);
/// Requests at once of one HTTP/2 connection: a viewer asks for some dozen images.
pub const HTTP2_STREAMS: u32 = 128;

/// Longest e-mail address (RFC 5321 §4.5.3.1.3, without its brackets).
pub const EMAIL_MAX: usize = 254;
/// Longest part of an e-mail address before the `@` (RFC 5321 §4.5.3.1.1).
pub const EMAIL_LOCAL_MAX: usize = 64;
/// Longest body of a request to a service's own doors: the longest is a list of settings.
pub const BODY_MAX: usize = 64 * 1024;
/// Another server's answer is kept up to so many bytes: what it says about one
/// request fits many times.
pub const CLIENT_ANSWER_MAX: usize = 1024 * 1024;
/// A connection to another server is there within this time.
pub const CLIENT_CONNECT: Duration = Duration::from_secs(10);
/// A connection that nobody used for so long is not used any more: shorter than a server
/// that leaves goes on, so that nothing is sent on what it closes.
pub const CLIENT_IDLE: Duration = Duration::from_secs(1);

/// How long a neighbour's answer is waited for: longer than any question that a
/// person waits for may take.
pub const NEIGHBOUR_WITHIN: Duration = Duration::from_secs(10);
/// How long where a neighbour walks or rewrites a database, or takes in results.
pub const NEIGHBOUR_WITHIN_LONG: Duration = Duration::from_secs(300);
/// How long a neighbour is asked whether it works: a page of all of them waits for
/// the slowest.
pub const NEIGHBOUR_READY_WITHIN: Duration = Duration::from_secs(2);
/// While a request that was passed on is not answered yet, it is asked this often
/// whether the neighbour is there at all,
pub const NEIGHBOUR_LOOK_EVERY: Duration = Duration::from_secs(3);
/// and it says so within this time: who stands still costs ten seconds together.
pub const NEIGHBOUR_THERE_WITHIN: Duration = Duration::from_secs(7);
/// Longest time that a request waits for the shared cache: what asking who knows takes.
pub const CACHE_WITHIN: Duration = Duration::from_millis(50);
/// A connection to the shared cache is there within this time; no request waits for it
/// longer than [`CACHE_WITHIN`].
pub const CACHE_CONNECT: Duration = Duration::from_millis(500);
/// Longest value of the shared cache that is read: what is longer is none of ours.
pub const CACHE_VALUE_MAX: usize = 16 << 10;
/// Values on their way into the shared cache; what comes while there are as many stays
/// out of it.
pub const CACHE_WRITES: usize = 64;
/// For how long a pass holds while Identity does not answer. What ends earlier is told
/// of for as long.
pub const PASS_LIFE: Duration = Duration::from_secs(2 * 3_600);
/// For how long a pass is taken without asking while Identity answers. What ends is
/// told at once, and this is what a lost word of it may cost; it is also how exactly
/// Identity knows when a session was used last.
pub const PASS_FRESH: Duration = Duration::from_secs(60);
/// By how much the clocks of two machines may differ.
pub const PASS_SKEW: Duration = Duration::from_secs(60);
/// For how long Identity signs with one key.
pub const PASS_KEY_LIFE: Duration = Duration::from_secs(86_400);
/// Sessions and keys that ended within [`PASS_LIFE`] and are told of one by one, some
/// 60 bytes each. Of more, every pass from before them is asked about again.
pub const PASS_ENDED_MAX: usize = 5_000;
/// Longest text that tells of them in the shared cache.
pub const PASS_TOLD_MAX: usize = 1 << 20;
/// How long that text may take: no request waits for it.
pub const PASS_TOLD_WITHIN: Duration = Duration::from_secs(1);
/// How often Identity tells it anew: a shared cache that lost it has it again.
pub const PASS_TOLD_EVERY: Duration = Duration::from_secs(60);
/// What was told is written for the next start no more often: each is a flush of the
/// disk.
pub const PASS_KEPT_EVERY: Duration = Duration::from_secs(5);
/// How long Identity is asked about somebody whom it let in not long ago: then they
/// come in as they did, and are asked about again.
pub const ADMITTED_ASKED: Duration = Duration::from_secs(1);
/// Times a question that may be repeated is asked.
pub const NEIGHBOUR_TRIES: u32 = 3;
/// Pause between two of these, on average: a process that restarts is there again
/// after some of them, and the third falls into another second than the first.
pub const NEIGHBOUR_PAUSE: Duration = Duration::from_millis(150);
/// Failures in a row after which a neighbour is not asked for a while.
pub const NEIGHBOUR_FAILURES: u32 = 5;
/// The first such while,
pub const NEIGHBOUR_REST: Duration = Duration::from_millis(500);
/// and the longest: what comes back is in use again after it.
pub const NEIGHBOUR_REST_MAX: Duration = Duration::from_secs(5);
/// For so long since nobody was there, what could not be sent to a neighbour at all
/// waits for it: longer than a process takes to be replaced.
pub const NEIGHBOUR_GONE: Duration = Duration::from_secs(10);
/// How often it is tried meanwhile.
pub const NEIGHBOUR_GONE_PAUSE: Duration = Duration::from_millis(100);
/// Requests that wait for one neighbour so at once; more are refused.
pub const NEIGHBOUR_GONE_WAITING: usize = 512;
/// Longest question of a neighbour: the results of one run.
pub const NEIGHBOUR_BODY_MAX: usize = 1 << 30;
/// Longest answer that is read as a whole: a page of a trail, an export's page.
pub const NEIGHBOUR_ANSWER_MAX: usize = 64 << 20;
/// Until a request that is passed on begins to be answered: a STOW-RS of many
/// images takes its time.
pub const PASSED_ON_WITHIN: Duration = Duration::from_secs(900);
/// How long a neighbour holds a question for what changes.
pub const NEIGHBOUR_HOLDS: Duration = Duration::from_secs(20);
/// For how long an answer of Identity without a pass is taken from memory: its
/// release or its keys do not let it sign, and nobody tells that it ended.
pub const ADMITTED_FRESH: Duration = Duration::from_secs(10);
/// Admissions in memory; about 500 bytes each.
pub const ADMITTED_MAX: u64 = 20_000;
/// Longest file of feature flags.
pub const FLAGS_BYTES_MAX: u64 = 1 << 20;
/// How often it is read: what is switched off is off after this at the latest.
pub const FLAGS_READ_AGAIN: Duration = Duration::from_secs(1);
/// Made-up studies by which the part that a rule switches on is told.
pub const FLAGS_SAMPLE: u32 = 200;
/// Shards of an installation: each process keeps a way to every service of each.
pub const SHARDS: usize = 64;
/// Highest number of a shard: with [`SHARD_RANGE`], what a table gives out stays below
/// 2^53, which every reader of JSON takes exactly, and packs' below 2^48.
pub const SHARD_NUMBERS: u32 = 255;
/// Numbers that each table of a shard gives out: 2^40 rows.
pub const SHARD_RANGE: i64 = 1 << 40;
/// How often a request may be passed on from shard to shard: processes learn that a
/// tenant moved within moments of each other.
pub const SHARD_HOPS: u8 = 2;
/// How long a reading request waits while its tenant is being moved.
pub const MOVING_WAIT: Duration = Duration::from_secs(15);
/// Pause before it is tried again.
pub const MOVING_AGAIN: Duration = Duration::from_millis(50);
/// How long a tenant that is being moved takes no changes. After it the shard that it
/// comes from takes them again by itself, whatever became of who moves it.
pub const MOVING_FROZEN: Duration = Duration::from_secs(10);
/// Rows that are carried to the other shard at a time,
pub const MOVING_ROWS: usize = 500;
/// and bytes of them, unless one row is longer.
pub const MOVING_BYTES: usize = 1 << 20;
/// Changed rows that are carried at a time.
pub const MOVING_CHANGES: i64 = 2_000;
/// Rows that are deleted at a time.
pub const MOVING_DELETED: i64 = 5_000;
/// How long a change of the gate waits for whoever is writing, before it is tried again:
/// new writers wait behind it.
pub const MOVING_GATE: Duration = Duration::from_secs(2);
/// Most rows of a tenant that are all compared while it takes no changes; of more, only
/// those that changed since they were compared.
pub const MOVING_COMPARED: i64 = 1_000_000;
