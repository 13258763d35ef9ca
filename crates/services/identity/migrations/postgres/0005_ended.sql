-- Tenants that are being ended, and those that were: their names stay taken.
CREATE TABLE ended (
    name TEXT COLLATE "C" PRIMARY KEY,
    begun_at BIGINT NOT NULL,
    -- Who decided it and as what, in the words of the audit trail.
    begun_by TEXT COLLATE "C" NOT NULL,
    by_right TEXT COLLATE "C" NOT NULL,
    -- Legal holds that the operator went over.
    holds BIGINT NOT NULL,
    -- What belonged to it here.
    people BIGINT NOT NULL,
    api_keys BIGINT NOT NULL,
    devices BIGINT NOT NULL,
    -- JSON: what else it held, from before any of that was destroyed.
    holdings TEXT COLLATE "C",
    -- NULL: it goes on at the next start.
    ended_at BIGINT,
    certificate TEXT COLLATE "C"
);
CREATE FUNCTION tenants_of_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM ended WHERE name = NEW.name) THEN
        RETURN NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER tenants_of_ended BEFORE INSERT ON tenants
FOR EACH ROW EXECUTE FUNCTION tenants_of_ended();
ALTER TABLE ended ENABLE ROW LEVEL SECURITY;
ALTER TABLE ended FORCE ROW LEVEL SECURITY;
CREATE POLICY of_tenant ON ended
    USING (name = current_setting('hilum.tenant', true)
        OR current_setting('hilum.across', true) = 'on');
