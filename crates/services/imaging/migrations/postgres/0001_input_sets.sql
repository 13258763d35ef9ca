-- One revision of one input set: a series until a late image starts the next.
CREATE TABLE input_sets (
    id TEXT COLLATE "C" PRIMARY KEY,
    tenant TEXT COLLATE "C" NOT NULL,
    study_uid TEXT COLLATE "C" NOT NULL,
    series_uid TEXT COLLATE "C" NOT NULL,
    revision BIGINT NOT NULL,
    state TEXT COLLATE "C" NOT NULL CHECK (state IN ('receiving', 'incomplete', 'ready', 'superseded')),
    reason_code TEXT COLLATE "C",
    reason TEXT COLLATE "C",
    modality TEXT COLLATE "C" NOT NULL,
    instance_count BIGINT NOT NULL,
    digest TEXT COLLATE "C",
    quiet_ms BIGINT,
    correlation_id TEXT COLLATE "C" NOT NULL,
    opened_at BIGINT NOT NULL,
    last_instance_at BIGINT NOT NULL,
    ready_at BIGINT,
    UNIQUE (tenant, study_uid, series_uid, revision)
);
CREATE INDEX input_sets_unready ON input_sets (state) WHERE state IN ('receiving', 'incomplete');
-- The instances of a revision that is ready; the run reads exactly these.
CREATE TABLE input_set_instances (
    input_set TEXT COLLATE "C" NOT NULL REFERENCES input_sets (id) DEFERRABLE,
    sop_instance_uid TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (input_set, sop_instance_uid)
);
-- Who sends a series that is not ready, and how each sender ended.
CREATE TABLE senders (
    tenant TEXT COLLATE "C" NOT NULL,
    study_uid TEXT COLLATE "C" NOT NULL,
    series_uid TEXT COLLATE "C" NOT NULL,
    intake_id TEXT COLLATE "C" NOT NULL,
    ended_at BIGINT,
    ending TEXT COLLATE "C" CHECK (ending IN ('released', 'stow-ended', 'aborted')),
    quiet_ms BIGINT,
    PRIMARY KEY (tenant, study_uid, series_uid, intake_id)
);
-- Series of our own outputs: whatever comes back under them starts no work.
CREATE TABLE own_series (
    tenant TEXT COLLATE "C" NOT NULL,
    series_uid TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, series_uid)
);
-- Held to the tenant of their input set.
ALTER TABLE input_set_instances ENABLE ROW LEVEL SECURITY;
ALTER TABLE input_set_instances FORCE ROW LEVEL SECURITY;
CREATE POLICY of_input_set ON input_set_instances
    USING (EXISTS (SELECT 1 FROM input_sets s WHERE s.id = input_set));
