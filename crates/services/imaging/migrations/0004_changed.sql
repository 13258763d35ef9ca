-- A sender that sent nothing: what belongs to the series was changed.
CREATE TABLE senders_new (
    tenant TEXT NOT NULL,
    study_uid TEXT NOT NULL,
    series_uid TEXT NOT NULL,
    intake_id TEXT NOT NULL,
    ended_at INTEGER,
    ending TEXT CHECK (ending IN ('released', 'stow-ended', 'aborted', 'changed')),
    quiet_ms INTEGER,
    PRIMARY KEY (tenant, study_uid, series_uid, intake_id)
) WITHOUT ROWID;
INSERT INTO senders_new SELECT * FROM senders;
DROP TABLE senders;
ALTER TABLE senders_new RENAME TO senders;
