-- Patients that turned out to be one: the studies of the prior one are
-- corrected to the surviving one, also those that come later.
CREATE TABLE patient_merges (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL,
    prior_issuer TEXT NOT NULL,
    prior_id TEXT NOT NULL,
    issuer TEXT NOT NULL,
    patient_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    by TEXT NOT NULL,
    at INTEGER NOT NULL,
    undone_at INTEGER
);
CREATE UNIQUE INDEX patient_merges_standing ON patient_merges (tenant, prior_id, prior_issuer)
    WHERE undone_at IS NULL;
-- What each study was before, so that a merge can be undone.
CREATE TABLE patient_merge_studies (
    merge INTEGER NOT NULL REFERENCES patient_merges (id) ON DELETE CASCADE,
    tenant TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    before TEXT NOT NULL,
    PRIMARY KEY (merge, study_uid)
) WITHOUT ROWID;
CREATE INDEX patient_merge_studies_of ON patient_merge_studies (tenant, study_uid);
