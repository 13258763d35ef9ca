//! The tables of the index: of `archive.sqlite` as numbered migrations, and of a
//! schema of PostgreSQL.

use hilum_platform::db::Migration;

use crate::db::Tables;

/// `instance.number` of an instance without Instance Number: sorts last.
pub(crate) const NO_NUMBER: i64 = i64::MAX;

pub(crate) mod state {
    //! States of an object.
    pub(crate) const RESERVED: i64 = 0;
    pub(crate) const LIVE: i64 = 1;
    pub(crate) const DEAD: i64 = 2;
    /// Deleted; the row stays while something refers to it.
    pub(crate) const GONE: i64 = 3;
}

/// What is called after `database.schema_prefix`, of PostgreSQL.
pub(crate) const TABLES: Tables<'_> = Tables {
    service: "archive",
    owners: &[
        ("audit", hilum_platform::audit::MIGRATIONS),
        (
            "service",
            &[
                Migration {
                    version: 1,
                    sql: "",
                    postgres: include_str!("postgres.sql"),
                },
                Migration {
                    version: 2,
                    sql: "",
                    postgres: LEAVING,
                },
            ],
        ),
    ],
    held: &[include_str!("hold.sql")],
};

/// The process that is about to give the archive back, should it be the one that has it.
const LEAVING: &str = "ALTER TABLE owner ADD COLUMN leaving TEXT COLLATE \"C\"";

pub(crate) const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE tenant (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

-- A run of this program over the archive: names reserved by an earlier one can
-- never be committed again.
CREATE TABLE opening (id INTEGER PRIMARY KEY, opened_at INTEGER NOT NULL);

CREATE TABLE object (
    id INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL REFERENCES tenant,
    name BLOB NOT NULL UNIQUE CHECK (length(name) = 16),
    opening INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 3),
    kind INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0,
    changed_at INTEGER NOT NULL);
CREATE INDEX object_unsettled ON object (state) WHERE state IN (0, 2);

CREATE TABLE study (
    id INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL REFERENCES tenant,
    uid TEXT NOT NULL,
    issuer TEXT, patient_id TEXT,
    patient_name TEXT, patient_name_a TEXT, patient_name_i TEXT, patient_name_p TEXT,
    birth_date TEXT, sex TEXT,
    date TEXT, time TEXT, timezone TEXT, accession TEXT, study_id TEXT,
    description TEXT, description_key TEXT,
    referring TEXT, referring_a TEXT, referring_i TEXT, referring_p TEXT,
    modalities TEXT NOT NULL DEFAULT '',
    series INTEGER NOT NULL DEFAULT 0,
    instances INTEGER NOT NULL DEFAULT 0,
    first_received INTEGER NOT NULL,
    last_received INTEGER NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0,
    UNIQUE (tenant, uid));
CREATE INDEX study_by_date ON study (tenant, date, time, uid);
CREATE INDEX study_by_reception ON study (tenant, last_received, id);
CREATE INDEX study_by_patient ON study (tenant, patient_id, issuer);
CREATE INDEX study_by_accession ON study (tenant, accession);
CREATE INDEX study_by_name ON study (tenant, patient_name_a);

CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    study INTEGER NOT NULL REFERENCES study,
    tenant INTEGER NOT NULL,
    uid TEXT NOT NULL,
    modality TEXT, number INTEGER, description TEXT, description_key TEXT,
    body_part TEXT, laterality TEXT, date TEXT, time TEXT, protocol TEXT,
    manufacturer TEXT, station TEXT, frame_of_reference TEXT,
    performed_step_date TEXT, performed_step_time TEXT,
    scheduled_step_id TEXT, requested_procedure_id TEXT,
    instances INTEGER NOT NULL DEFAULT 0,
    first_received INTEGER NOT NULL,
    last_received INTEGER NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0,
    UNIQUE (study, uid));
CREATE INDEX series_by_uid ON series (tenant, uid);

CREATE TABLE instance (
    id INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    series INTEGER NOT NULL REFERENCES series,
    sop_class TEXT NOT NULL,
    uid TEXT NOT NULL,
    transfer_syntax TEXT NOT NULL,
    number INTEGER NOT NULL,
    rows INTEGER, columns INTEGER, bits INTEGER, frames INTEGER,
    flags TEXT NOT NULL,
    origin TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    standing INTEGER NOT NULL CHECK (standing BETWEEN 0 AND 3),
    sha256 BLOB NOT NULL,
    comparison BLOB,
    object INTEGER NOT NULL REFERENCES object,
    segment INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    UNIQUE (tenant, uid, sha256));
CREATE UNIQUE INDEX instance_served ON instance (tenant, uid) WHERE standing = 0;
CREATE INDEX instance_in_order ON instance (series, number, id) WHERE standing = 0;
CREATE INDEX instance_of_object ON instance (object);
CREATE INDEX instance_in_conflict ON instance (tenant, id) WHERE standing = 2;

-- Apart from the rows, so that scans don't read them.
CREATE TABLE instance_block (
    instance INTEGER PRIMARY KEY REFERENCES instance ON DELETE CASCADE,
    metadata BLOB NOT NULL,
    layout BLOB NOT NULL);

CREATE TABLE publication (
    tenant INTEGER NOT NULL,
    key TEXT NOT NULL,
    instances TEXT NOT NULL,
    published_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)) WITHOUT ROWID;

CREATE TABLE outbox (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL,
    sent_at INTEGER);
CREATE INDEX outbox_unsent ON outbox (position) WHERE sent_at IS NULL;
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE sent_at IS NOT NULL;

CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    length INTEGER NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    transfer_syntax TEXT,
    origin TEXT NOT NULL,
    correlation TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    times INTEGER NOT NULL DEFAULT 1,
    object INTEGER NOT NULL REFERENCES object,
    offset INTEGER NOT NULL,
    UNIQUE (tenant, sha256));
CREATE INDEX quarantine_of_object ON quarantine (object);
",
    "
-- Where settled instances are, by a keyed hash of their UID (see `lookup`).
CREATE TABLE lookup_recent (
    tenant INTEGER NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 12),
    pack INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    PRIMARY KEY (tenant, hash, pack, ordinal)) WITHOUT ROWID;

-- The files `lookup/TENANT/NAME` that count.
CREATE TABLE lookup_run (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL,
    name BLOB NOT NULL UNIQUE CHECK (length(name) = 16),
    entries INTEGER NOT NULL);
CREATE INDEX lookup_run_of_tenant ON lookup_run (tenant, id);
",
    "
-- Conflicts that wait for their pixels to be compared, and how often that was
-- begun.
CREATE TABLE comparison (
    instance INTEGER PRIMARY KEY REFERENCES instance ON DELETE CASCADE,
    tenant INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0);
CREATE INDEX comparison_due ON comparison (tenant, attempts, instance);
INSERT INTO comparison (instance, tenant) SELECT id, tenant FROM instance WHERE standing = 2;
",
    "
-- What was deleted, by keyed hashes: it refuses resends and names nothing.
CREATE TABLE tombstone (
    tenant INTEGER NOT NULL,
    mark BLOB NOT NULL CHECK (length(mark) = 32),
    deleted_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, mark)) WITHOUT ROWID;

-- Keys whose studies were deleted; nothing sealed with them becomes live.
CREATE TABLE dead_key (
    tenant INTEGER NOT NULL,
    id BLOB NOT NULL CHECK (length(id) = 16),
    destroyed INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, id)) WITHOUT ROWID;
CREATE INDEX dead_key_undestroyed ON dead_key (tenant) WHERE destroyed = 0;

-- Objects that hold what was decided.
CREATE TABLE note (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL,
    object INTEGER NOT NULL REFERENCES object,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    sha256 BLOB NOT NULL);
CREATE INDEX note_of_object ON note (object);

CREATE TABLE deletion (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL,
    level TEXT NOT NULL,
    cause TEXT NOT NULL,
    reason TEXT NOT NULL,
    by TEXT NOT NULL,
    at INTEGER NOT NULL,
    instances INTEGER NOT NULL,
    note INTEGER NOT NULL REFERENCES note);
CREATE INDEX deletion_of_tenant ON deletion (tenant, id);
",
    include_str!("search.sql"),
    "
-- What is laid over received bytes when they are read; NULL: nothing. The row's
-- other columns are what is true with it.
ALTER TABLE study ADD COLUMN overlay TEXT;
ALTER TABLE study ADD COLUMN overlay_version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE series ADD COLUMN overlay TEXT;
ALTER TABLE series ADD COLUMN overlay_version INTEGER NOT NULL DEFAULT 0;

CREATE TABLE correction (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL,
    study TEXT NOT NULL,
    series TEXT,
    version INTEGER NOT NULL,
    detail TEXT NOT NULL,
    reason TEXT NOT NULL,
    by TEXT NOT NULL,
    at INTEGER NOT NULL,
    note INTEGER NOT NULL REFERENCES note);
CREATE INDEX correction_of_study ON correction (tenant, study, id);
CREATE INDEX correction_of_note ON correction (note);
",
    "
-- Settled series: their instances are in the block of the pack's object.
CREATE TABLE pack (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL,
    -- NULL: its instances are rows again, and some may still be in its object.
    series INTEGER UNIQUE REFERENCES series,
    object INTEGER NOT NULL UNIQUE REFERENCES object,
    instances INTEGER NOT NULL,
    served INTEGER NOT NULL,
    block_at INTEGER NOT NULL,
    block_length INTEGER NOT NULL);

-- Objects of very large instances, which a pack refers to.
CREATE TABLE pack_object (
    pack INTEGER NOT NULL REFERENCES pack ON DELETE CASCADE,
    object INTEGER NOT NULL REFERENCES object,
    PRIMARY KEY (pack, object)) WITHOUT ROWID;
CREATE INDEX pack_of_object ON pack_object (object);

-- What a person decided since about a packed instance.
CREATE TABLE pack_override (
    pack INTEGER NOT NULL REFERENCES pack ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    standing INTEGER NOT NULL CHECK (standing BETWEEN 0 AND 3),
    PRIMARY KEY (pack, ordinal)) WITHOUT ROWID;

-- Series with something that is not in their pack, and since when.
CREATE TABLE unsettled (
    series INTEGER PRIMARY KEY REFERENCES series ON DELETE CASCADE,
    since INTEGER NOT NULL);
CREATE INDEX unsettled_in_order ON unsettled (since, series);
INSERT INTO unsettled (series, since)
    SELECT DISTINCT i.series, s.last_received FROM instance i JOIN series s ON s.id = i.series;

-- Ids of instance rows are given once, also when the highest rows are gone.
CREATE TABLE instance_floor (floor INTEGER NOT NULL);
INSERT INTO instance_floor VALUES (0);
CREATE INDEX instance_aside ON instance (series, id) WHERE standing <> 0;
",
    "
-- Certificates of erasures; they name nobody.
CREATE TABLE erasure (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL,
    at INTEGER NOT NULL,
    certificate TEXT NOT NULL);
CREATE INDEX erasure_of_tenant ON erasure (tenant, id);
",
    "
-- Legal holds. `mark` is their name in notes. One that was lifted stays as a
-- record of it.
CREATE TABLE hold (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL,
    mark BLOB NOT NULL UNIQUE CHECK (length(mark) = 16),
    study TEXT,
    issuer TEXT, patient_id TEXT,
    reason TEXT NOT NULL,
    by TEXT NOT NULL,
    placed_at INTEGER NOT NULL,
    lifted_at INTEGER, lifted_by TEXT,
    note INTEGER NOT NULL REFERENCES note,
    CHECK ((study IS NULL) <> (patient_id IS NULL)));
CREATE INDEX hold_on_study ON hold (tenant, study) WHERE lifted_at IS NULL;
CREATE INDEX hold_on_patient ON hold (tenant, patient_id) WHERE lifted_at IS NULL;

-- Retention rules as JSON, told anew at every start: the deleting transaction
-- asks them here.
CREATE TABLE retention (tenant INTEGER PRIMARY KEY, rules TEXT NOT NULL);
",
    "
-- What rejection notes refer to, arrived or not; `note` is the note's SOP
-- Instance UID, `reason` its title's code.
CREATE TABLE rejection (
    tenant INTEGER NOT NULL,
    uid TEXT NOT NULL,
    note TEXT NOT NULL,
    reason INTEGER NOT NULL,
    retired INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, uid, note)) WITHOUT ROWID;
CREATE INDEX rejection_of_note ON rejection (tenant, note);
CREATE INDEX rejection_to_retire ON rejection (tenant, uid) WHERE reason = 113039 AND retired = 0;

-- A standing more, 4: rejected. The rows stay as they are, so the check is
-- changed where it is written (sqlite.org/lang_altertable.html, section 7).
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'standing BETWEEN 0 AND 3', 'standing BETWEEN 0 AND 4')
    WHERE type = 'table' AND name IN ('instance', 'pack_override');
PRAGMA writable_schema = RESET;
",
    "
-- Events that every inbox has are deleted: what is here waits.
DROP INDEX outbox_unsent;
DROP INDEX outbox_sent;
DELETE FROM outbox WHERE sent_at IS NOT NULL;
ALTER TABLE outbox DROP COLUMN sent_at;
",
    "
-- Erasures that were begun. One without a Patient ID is certified; free pages
-- and logs may still hold what it named.
CREATE TABLE erasing (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL,
    patient_id TEXT,
    issuer TEXT,
    by TEXT NOT NULL,
    -- Study Instance UIDs as a JSON array: whoever keeps rows about them is to
    -- be told also when the studies themselves are gone.
    studies TEXT NOT NULL);
",
    include_str!("tally.sql"),
    "
-- What is laid over moved instances, shared by those that were moved alike.
CREATE TABLE placement (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL,
    overlay TEXT NOT NULL,
    UNIQUE (tenant, overlay));
ALTER TABLE instance ADD COLUMN placement INTEGER REFERENCES placement;
CREATE INDEX instance_placed ON instance (placement) WHERE placement IS NOT NULL;

-- Where later arrivals follow what was moved; an empty series: a whole study.
CREATE TABLE redirect (
    tenant INTEGER NOT NULL,
    study TEXT NOT NULL,
    series TEXT NOT NULL,
    to_study TEXT NOT NULL,
    to_series TEXT NOT NULL,
    placement INTEGER NOT NULL REFERENCES placement,
    PRIMARY KEY (tenant, study, series)) WITHOUT ROWID;
CREATE INDEX redirect_to ON redirect (tenant, to_study, to_series);
CREATE INDEX redirect_placed ON redirect (placement);
",
    "
-- Set: an erasure that a restored backup carries out again, by the name of its
-- record. Its Patient ID is empty until it is ended.
ALTER TABLE erasing ADD COLUMN record TEXT;
",
    "
-- Set: the note of this entry tells of a move.
ALTER TABLE correction ADD COLUMN of_move INTEGER NOT NULL DEFAULT 0;
UPDATE correction SET of_move = 1
    WHERE instr(detail, '\"0020000D\"') > 0 OR instr(detail, '\"0020000E\"') > 0;
",
    "
-- Digests of what the rows say (see `row_digest`); NULL: not written yet.
ALTER TABLE study ADD COLUMN digest INTEGER;
ALTER TABLE series ADD COLUMN digest INTEGER;
CREATE INDEX study_undigested ON study (id) WHERE digest IS NULL;
CREATE INDEX series_undigested ON series (id) WHERE digest IS NULL;
",
    include_str!("period.sql"),
    hilum_platform::audit::sql::TABLES,
    include_str!("part.sql"),
    include_str!("ended.sql"),
    include_str!("part_modality.sql"),
];
