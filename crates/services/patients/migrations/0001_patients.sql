CREATE TABLE patients (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    issuer TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    -- 0 for the first person under a key; more where a person decided that
    -- two patients share it.
    person INTEGER NOT NULL,
    name TEXT NOT NULL,
    birth_date TEXT NOT NULL,
    sex TEXT NOT NULL,
    search TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (tenant, issuer, patient_id, person)
);
CREATE TABLE studies (
    tenant TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    patient TEXT REFERENCES patients (id),
    PRIMARY KEY (tenant, study_uid, patient)
);
CREATE INDEX studies_of_patient ON studies (patient);
CREATE TABLE conflicts (
    id TEXT PRIMARY KEY,
    tenant TEXT NOT NULL,
    patient TEXT NOT NULL REFERENCES patients (id),
    attribute TEXT NOT NULL CHECK (attribute IN ('birth_date', 'sex')),
    kept_value TEXT NOT NULL,
    other_value TEXT NOT NULL,
    other_study_uid TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'resolved')),
    resolution TEXT,
    opened_at INTEGER NOT NULL,
    resolved_at INTEGER,
    UNIQUE (patient, attribute, other_value)
);
CREATE INDEX conflicts_open ON conflicts (tenant, state, opened_at);
