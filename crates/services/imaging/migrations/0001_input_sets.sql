-- One revision of one input set: a series until a late image starts the next.
CREATE TABLE input_sets (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    revision INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('receiving', 'incomplete', 'ready', 'superseded')),
    reason_code TEXT,
    reason TEXT,
    modality TEXT NOT NULL,
    instance_count INTEGER NOT NULL,
    digest TEXT,
    quiet_ms INTEGER,
    correlation_id TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    last_instance_at INTEGER NOT NULL,
    ready_at INTEGER,
    UNIQUE (tenant, study_uid, series_uid, revision)
);
CREATE INDEX input_sets_unready ON input_sets (state) WHERE state IN ('receiving', 'incomplete');
-- The instances of a revision that is ready; the run reads exactly these.
CREATE TABLE input_set_instances (
    input_set TEXT NOT NULL REFERENCES input_sets (id),
    sop_instance_uid TEXT NOT NULL,
    PRIMARY KEY (input_set, sop_instance_uid)
) WITHOUT ROWID;
-- Who sends a series that is not ready, and how each sender ended.
CREATE TABLE senders (
    tenant TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    intake_id TEXT NOT NULL,
    ended_at INTEGER,
    ending TEXT CHECK (ending IN ('released', 'stow-ended', 'aborted')),
    quiet_ms INTEGER,
    PRIMARY KEY (tenant, study_uid, series_uid, intake_id)
) WITHOUT ROWID;
-- Series of our own outputs: whatever comes back under them starts no work.
CREATE TABLE own_series (
    tenant TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    PRIMARY KEY (tenant, series_uid)
) WITHOUT ROWID;
