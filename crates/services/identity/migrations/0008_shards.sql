-- On which shard the tenant lives, to which it is being moved, and from which it was,
-- while something of it is left there; nothing: on the first, and neither.
ALTER TABLE tenants ADD COLUMN shard TEXT;
ALTER TABLE tenants ADD COLUMN moving_to TEXT;
ALTER TABLE tenants ADD COLUMN moved_from TEXT;
