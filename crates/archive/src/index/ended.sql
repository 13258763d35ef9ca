-- Set: the tenant was ended, and nothing is kept for it any more.
ALTER TABLE tenant ADD COLUMN ended_at INTEGER;
CREATE TRIGGER object_of_ended BEFORE INSERT ON object
WHEN (SELECT ended_at FROM tenant WHERE id = new.tenant) IS NOT NULL BEGIN
    SELECT RAISE(ABORT, 'the tenant was ended');
END;
