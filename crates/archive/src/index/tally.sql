-- What each tenant holds, counted along: counting it anew reads every object and
-- study, seconds in a large archive.
CREATE TABLE tally (
    tenant INTEGER PRIMARY KEY REFERENCES tenant,
    -- Of live objects.
    objects INTEGER NOT NULL DEFAULT 0,
    object_bytes INTEGER NOT NULL DEFAULT 0,
    bundles INTEGER NOT NULL DEFAULT 0,
    packs INTEGER NOT NULL DEFAULT 0,
    -- With instances.
    studies INTEGER NOT NULL DEFAULT 0,
    series INTEGER NOT NULL DEFAULT 0,
    instances INTEGER NOT NULL DEFAULT 0);
INSERT INTO tally
    SELECT id,
        (SELECT count(*) FROM object o WHERE o.tenant = tenant.id AND state = 1),
        (SELECT coalesce(sum(bytes), 0) FROM object o WHERE o.tenant = tenant.id AND state = 1),
        (SELECT count(*) FROM object o WHERE o.tenant = tenant.id AND state = 1 AND kind = 1),
        (SELECT count(*) FROM object o WHERE o.tenant = tenant.id AND state = 1 AND kind = 4),
        (SELECT count(*) FROM study s WHERE s.tenant = tenant.id AND instances > 0),
        (SELECT coalesce(sum(series), 0) FROM study s WHERE s.tenant = tenant.id),
        (SELECT coalesce(sum(instances), 0) FROM study s WHERE s.tenant = tenant.id)
    FROM tenant;
CREATE TRIGGER tally_of_tenant AFTER INSERT ON tenant BEGIN
    INSERT INTO tally (tenant) VALUES (new.id);
END;
CREATE TRIGGER object_tally_comes AFTER INSERT ON object WHEN new.state = 1 BEGIN
    UPDATE tally SET
        objects = objects + 1,
        object_bytes = object_bytes + new.bytes,
        bundles = bundles + (new.kind = 1),
        packs = packs + (new.kind = 4)
    WHERE tenant = new.tenant;
END;
CREATE TRIGGER object_tally_changes AFTER UPDATE OF state, kind, bytes ON object
WHEN old.state = 1 OR new.state = 1 BEGIN
    UPDATE tally SET
        objects = objects + (new.state = 1) - (old.state = 1),
        object_bytes = object_bytes + new.bytes * (new.state = 1) - old.bytes * (old.state = 1),
        bundles = bundles + (new.state = 1 AND new.kind = 1) - (old.state = 1 AND old.kind = 1),
        packs = packs + (new.state = 1 AND new.kind = 4) - (old.state = 1 AND old.kind = 4)
    WHERE tenant = new.tenant;
END;
CREATE TRIGGER object_tally_goes AFTER DELETE ON object WHEN old.state = 1 BEGIN
    UPDATE tally SET
        objects = objects - 1,
        object_bytes = object_bytes - old.bytes,
        bundles = bundles - (old.kind = 1),
        packs = packs - (old.kind = 4)
    WHERE tenant = old.tenant;
END;
CREATE TRIGGER study_tally_comes AFTER INSERT ON study BEGIN
    UPDATE tally SET
        studies = studies + (new.instances > 0),
        series = series + new.series,
        instances = instances + new.instances
    WHERE tenant = new.tenant;
END;
CREATE TRIGGER study_tally_changes AFTER UPDATE OF series, instances ON study
WHEN old.series <> new.series OR old.instances <> new.instances BEGIN
    UPDATE tally SET
        studies = studies + (new.instances > 0) - (old.instances > 0),
        series = series + new.series - old.series,
        instances = instances + new.instances - old.instances
    WHERE tenant = new.tenant;
END;
CREATE TRIGGER study_tally_goes AFTER DELETE ON study BEGIN
    UPDATE tally SET
        studies = studies - (old.instances > 0),
        series = series - old.series,
        instances = instances - old.instances
    WHERE tenant = old.tenant;
END;
