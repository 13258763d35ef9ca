//! Every bound of the archive, with its reason.

use std::time::Duration;

/// Bounds that a deployment may set.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of instances between arrival and acknowledgement, all tenants
    /// together. Senders wait beyond it, so memory does not grow with load.
    pub in_flight_bytes: usize,
    /// A bundle closes at this many bytes: what a slow disk still syncs within
    /// a sender's patience.
    pub bundle_bytes: usize,
    /// A bundle closes at this many instances: bounds the index transaction.
    pub bundle_instances: usize,
    /// An instance above this gets an object of its own, streamed.
    pub bundled_instance_bytes: u64,
    /// Objects streamed at once: each costs a blocking thread and a file.
    pub streams: usize,
    /// Reader connections to the index.
    pub readers: usize,
    /// Quarantined items per tenant.
    pub quarantine_items: u64,
    /// Quarantined bytes per tenant.
    pub quarantine_bytes: u64,
    /// Study keys kept unwrapped in memory.
    pub cached_keys: usize,
    /// Bytes of decoded blocks of packs kept in memory.
    pub cached_block_bytes: usize,
    /// Bytes of instances kept in the clear in memory, for who asks again.
    pub cached_body_bytes: usize,
    /// Bytes of rows and layouts kept in memory by their addresses.
    pub cached_address_bytes: usize,
    /// Bytes kept of a bucket's objects, as they are stored.
    pub cached_bucket_bytes: usize,
    /// How long an object of a bucket can be read once it was opened.
    pub bucket_read: Duration,
    /// How long a dead one stays, for those that opened it before it died.
    pub bucket_lease: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight_bytes: 64 << 20,
            bundle_bytes: 16 << 20,
            bundle_instances: 256,
            bundled_instance_bytes: 8 << 20,
            streams: 4,
            readers: 4,
            quarantine_items: 1_000,
            quarantine_bytes: 4 << 30,
            cached_keys: 4_096,
            cached_block_bytes: 32 << 20,
            // A study of CT, and half of what a server under load may take.
            cached_body_bytes: 64 << 20,
            // Some thousand slices.
            cached_address_bytes: 8 << 20,
            // Some readings of `BUCKET_AHEAD`.
            cached_bucket_bytes: 64 << 20,
            bucket_read: Duration::from_secs(3_600),
            bucket_lease: Duration::from_secs(3_600 + 300),
        }
    }
}

/// A page of a query never holds more rows: a page is in memory at once.
pub const PAGE_ROWS: u32 = 5_000;

/// UIDs in one condition: SQLite's statement stays bounded.
pub const UIDS_PER_FILTER: usize = 1_000;

/// Faults that a report lists; the count goes on.
pub const FAULTS_REPORTED: usize = 10_000;

/// DICOM JSON of one instance, before compression. Beyond it something is not
/// metadata but bulk data in disguise.
pub const METADATA_BYTES: usize = 64 << 20;

/// Layout of one instance: a frame table of a hundred thousand frames fits.
pub const LAYOUT_BYTES: usize = 16 << 20;

/// A UID's length (PS3.5 §9.1), with room for the over-long ones that real
/// data holds (refuse little).
pub const UID_BYTES: usize = 128;

/// Instances in one published result set.
pub const RESULT_INSTANCES: usize = 256;

/// Instances that one rejection note may name: those of a large study, and one
/// index transaction.
pub const REJECTED_INSTANCES: usize = 65_536;

/// Moves that an arriving instance follows, one after the other: nobody merges
/// studies more deeply.
pub const REDIRECTS_FOLLOWED: usize = 32;

/// Names reserved per tenant in one go; fewer leave less to sweep after a
/// crash, more save transactions.
pub const NAMES_RESERVED: usize = 64;

/// The pool of names is filled up again below this.
pub const NAMES_LOW: usize = 16;

/// Bytes read, decrypted and handed on at a time by a range read.
pub const READ_PIECE_BYTES: usize = 256 << 10;

/// A range up to this is read in one go: a frame of routine size in one step on
/// one thread, instead of several that wait for each other.
pub const READ_WHOLE_BYTES: u64 = 1 << 20;

/// Pieces that a range read is ahead of its reader.
pub const READ_AHEAD_PIECES: usize = 4;

/// Metadata rows that a stream is ahead of its reader.
pub const METADATA_AHEAD_ROWS: usize = 64;

/// Bytes of metadata given out at a time: a series of a thousand slices in one
/// go, whatever a study has bounded.
pub const METADATA_BATCH_BYTES: usize = 4 << 20;

/// Pages of SQLite's write-ahead log after which it is folded back; 16 MiB.
pub const WAL_PAGES: u32 = 4_000;

/// How exactly it is known since when a series has been quiet: finer costs
/// every commit of a burst two pages of the index.
pub const UNSETTLED_STEP_MS: i64 = 250;

/// Free pages of the index given back in one turn of the writer: 1 MiB, which
/// intake does not notice.
pub const PAGES_RELEASED: u32 = 256;

/// Free pages that the index keeps: what the next bundles fill; 4 MiB.
pub const FREE_PAGES_KEPT: u32 = 1_024;

/// An index up to this many bytes is rewritten when it is opened by a version
/// that can give its free pages back: half a second.
pub const REWRITTEN_AT_OPENING: i64 = 64 << 20;

/// Rows of gone objects deleted in one transaction.
pub const GONE_ROWS_DELETED: u32 = 1_024;

/// Unsent events handed out at a time.
pub const OUTBOX_BATCH: u32 = 1_000;

/// Instances in one pack: its block's entries are in memory at once. A longer
/// series stays in rows.
pub const PACK_INSTANCES: usize = 65_536;

/// Bytes of one pack's block: it is in memory at once while it is written.
pub const PACK_BLOCK_BYTES: usize = 64 << 20;

/// Texts of a block are compressed together up to here: enough that zstd finds
/// what they share, little enough that one text is cheap to get at.
pub const PACK_TEXT_GROUP_BYTES: usize = 256 << 10;

/// Bytes of a pack after which what was written is synced: a whole pack at
/// once would hold up the syncs of intake behind it.
pub const PACK_SYNC_BYTES: u64 = 16 << 20;

/// While intake has work, the packing worker rests this many times as long as
/// it worked: it takes a third of one core and of the disk's time,
pub const PACK_REST_SHARE: f32 = 2.0;

/// and less and less, until a series has been waiting for this long: then it
/// does not rest, or a day of steady intake would end with a night's work.
pub const PACK_PATIENCE: Duration = Duration::from_secs(5);

/// What counts as work at most, for one rest: a slow disk is not made slower.
pub const PACK_REST: Duration = Duration::from_millis(250);

/// Flags per instance, and bytes per flag: codes, not texts.
pub const FLAGS: usize = 64;
/// Bytes of one flag.
pub const FLAG_BYTES: usize = 64;

/// Recent entries of the look-up per tenant, beyond which they become a run:
/// more make the index bigger, fewer make more runs to write.
pub const LOOKUP_RECENT: usize = 65_536;

/// Entries of the look-up sorted in memory at a time; 24 MB.
pub const LOOKUP_SORTED: usize = 1_000_000;

/// A run is merged into the next one when that is smaller than this many times
/// it: the runs of a tenant stay as few as the logarithm of its instances.
pub const LOOKUP_GROWTH: u64 = 8;

/// Rows that one transaction of the look-up deletes: intake waits for it.
pub const LOOKUP_DELETED: usize = 4_096;

/// How often a conflict's pixels are compared before it is left to a person:
/// decoding what somebody sent may have ended the process the last time.
pub const COMPARISON_ATTEMPTS: u32 = 3;

/// A reason given for a deletion or a correction: a few sentences.
pub const REASON_BYTES: usize = 2_048;

/// The overlay of one row: a thousand corrections of a few attributes. It is
/// read with every instance of the row.
pub const OVERLAY_BYTES: usize = 256 << 10;

/// A file with records of erasures: a hundred thousand of them.
pub const LEDGER_BYTES: u64 = 64 << 20;

/// How long an erasure waits for who reads every object before it leaves the
/// files of dead ones, whose keys are gone, to the end of that.
pub const ERASURE_WAITS: Duration = Duration::from_secs(2);

/// Rows of an ended tenant that one turn of the writer deletes: some
/// milliseconds that the intake of others waits.
pub const ENDED_ROWS: u32 = 256;

/// Backups that are remembered: daily ones of ten years. The oldest is
/// forgotten for the next.
pub const BACKUPS_KNOWN: usize = 4_096;

/// Rows of an older index whose digests one turn of the writer fills in.
pub const DIGESTS_COMPLETED: u32 = 1_024;

/// Studies of associations and requests whose instances are counted in memory
/// for the audit trail, about 500 bytes each; what comes beyond stands in it
/// commit by commit.
pub(crate) const STORES_COUNTED: usize = 4_096;

/// Studies of an older index whose names one turn of the writer takes up: some
/// tens of milliseconds that intake waits.
pub const NAMES_COMPLETED: u32 = 2_048;

/// Pages of the index of names that one turn of the writer merges, a thousand
/// bytes each: some milliseconds that intake waits.
pub const NAME_PAGES_MERGED: u32 = 500;

/// Answers of a bucket: longer than a bundle takes over a slow line.
pub(crate) const BUCKET_ANSWER: Duration = Duration::from_secs(30);

/// Until a bucket's server has taken a connection.
pub(crate) const BUCKET_CONNECT: Duration = Duration::from_secs(5);

/// For so long what a bucket did tells that it can be reached.
pub(crate) const BUCKET_HEARD: Duration = Duration::from_secs(10);

/// How often a bucket is asked again what it did not answer, and for how long: a
/// sender waits meanwhile, and sends again itself.
pub(crate) const BUCKET_TRIES: usize = 3;
pub(crate) const BUCKET_TRIES_TIME: Duration = Duration::from_secs(20);

/// Threads that talk to a bucket: sealed bytes go past them, over TLS.
pub(crate) const BUCKET_THREADS: usize = 2;

/// Bytes of a part of what is too long for one PUT; S3 wants 5 MiB at least, and
/// 10,000 parts at most.
pub(crate) const BUCKET_PART: usize = 16 << 20;

/// Keys listed at a time.
pub(crate) const BUCKET_PAGE: usize = 1_000;

/// Bundles of one tenant that are on their way to a bucket at once. More would make
/// bundles smaller, and a PUT is what is paid for.
pub(crate) const BUCKET_PUTS: usize = 4;

/// Blocks asked for at once where somebody reads on: 4 MiB.
pub(crate) const BUCKET_AHEAD: u64 = 16;
/// Rows that are read at a time by who looks through all of them: PostgreSQL's answer
/// is held in memory as a whole.
pub const ROWS_LOOKED_THROUGH: u32 = 1_000;
/// How long the archive of a process that died stays its own, where the index is on
/// PostgreSQL: it says three times in it that it lives.
pub const LEASE: Duration = Duration::from_secs(9);
/// How often a process that starts asks whether the one before is out.
pub const LEASE_ASKED: Duration = Duration::from_millis(500);
