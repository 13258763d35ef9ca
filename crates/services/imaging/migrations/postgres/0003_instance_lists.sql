-- The instances of a revision that is ready, compressed (store/instance_list.rs);
-- the run reads exactly these. A row of its own for each was a multiple of it.
ALTER TABLE input_sets ADD COLUMN instances BYTEA;
