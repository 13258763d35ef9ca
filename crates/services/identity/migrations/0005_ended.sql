-- Tenants that are being ended, and those that were: their names stay taken.
CREATE TABLE ended (
    name TEXT PRIMARY KEY,
    begun_at INTEGER NOT NULL,
    -- Who decided it and as what, in the words of the audit trail.
    begun_by TEXT NOT NULL,
    by_right TEXT NOT NULL,
    -- Legal holds that the operator went over.
    holds INTEGER NOT NULL,
    -- What belonged to it here.
    people INTEGER NOT NULL,
    api_keys INTEGER NOT NULL,
    devices INTEGER NOT NULL,
    -- JSON: what else it held, from before any of that was destroyed.
    holdings TEXT,
    -- NULL: it goes on at the next start.
    ended_at INTEGER,
    certificate TEXT
) WITHOUT ROWID;
CREATE TRIGGER tenants_of_ended BEFORE INSERT ON tenants
WHEN EXISTS (SELECT 1 FROM ended WHERE name = new.name)
BEGIN SELECT RAISE(IGNORE); END;
