-- Imported series wait for a person instead of for quiet: nobody says when a
-- folder is complete, and old images start no work by themselves.
ALTER TABLE input_sets ADD COLUMN imported BOOLEAN NOT NULL DEFAULT false;
DROP INDEX input_sets_unready;
CREATE INDEX input_sets_judged ON input_sets (last_instance_at)
    WHERE state IN ('receiving', 'incomplete') AND NOT imported;
CREATE INDEX input_sets_open ON input_sets (tenant, study_uid, series_uid)
    WHERE state IN ('receiving', 'incomplete');
