-- Names by any three characters in a row, for the studies of each day together and
-- with the modalities of each beside them: so a question for all three reads no
-- study that has but two. The table is made anew, and studies are in it once they
-- have instances (see `index::parts`).
DROP TRIGGER IF EXISTS study_name_comes;
DROP TRIGGER IF EXISTS study_name_changes;
DROP TRIGGER IF EXISTS study_name_goes;
DROP TABLE IF EXISTS study_name;
DROP TRIGGER name_part_comes;
DROP TRIGGER name_part_leaves;
DROP TRIGGER name_part_changes;
DROP TRIGGER name_part_goes;
DROP TABLE name_part_term;
DROP TABLE name_part;
CREATE VIRTUAL TABLE name_part USING fts5 (patient_name_a, patient_name_i, patient_name_p,
    modalities, content = '', tokenize = 'trigram case_sensitive 1', detail = 'none',
    columnsize = 0);
INSERT INTO name_part (name_part, rank) VALUES ('secure-delete', 1);
INSERT INTO name_part (name_part, rank) VALUES ('pgsz', 1000);
INSERT INTO name_part (name_part, rank) VALUES ('usermerge', 2);
CREATE VIRTUAL TABLE name_part_term USING fts5vocab (name_part, instance);
DELETE FROM name_part_pending;
INSERT INTO name_part_pending SELECT 0, id FROM study ORDER BY id DESC LIMIT 1;

-- Where a study is in it: the later its day, the sooner, so that a range of dates
-- reads its own part only; what is no day of 1900 to 2075 comes first. `substr` ends
-- a name where matching ends it, at a NUL. Without its last backslash a modality is
-- three characters, as in `\CT`.
DROP VIEW study_name_part;
CREATE VIEW study_name_part AS
    SELECT id AS study, (tenant << 48) + (CASE
            WHEN date IS NULL OR date = '' THEN 1
            WHEN date NOT GLOB '[12][09][0-9][0-9][01][0-9][0-3][0-9]'
                OR substr(date, 1, 4) NOT BETWEEN '1900' AND '2075'
                OR substr(date, 5, 2) NOT BETWEEN '01' AND '12'
                OR substr(date, 7, 2) NOT BETWEEN '01' AND '31' THEN 0
            ELSE 65535 - 372 * (substr(date, 1, 4) - 1900)
                - 31 * (substr(date, 5, 2) - 1) - (substr(date, 7, 2) - 1) END << 32) + id AS place,
        substr(patient_name_a, 1) || '  ' AS patient_name_a,
        substr(patient_name_i, 1) || '  ' AS patient_name_i,
        substr(patient_name_p, 1) || '  ' AS patient_name_p,
        rtrim(modalities, '\') AS modalities
    FROM study
    WHERE instances > 0 AND coalesce(patient_name_a, patient_name_i, patient_name_p) IS NOT NULL;

CREATE TRIGGER name_part_comes AFTER INSERT ON study
WHEN new.instances > 0
    AND NOT EXISTS (SELECT 1 FROM name_part_pending WHERE new.id > done AND new.id <= last) BEGIN
    INSERT INTO name_part (rowid, patient_name_a, patient_name_i, patient_name_p, modalities)
        SELECT place, patient_name_a, patient_name_i, patient_name_p, modalities
        FROM study_name_part WHERE study = new.id;
END;
CREATE TRIGGER name_part_leaves
BEFORE UPDATE OF instances, date, patient_name_a, patient_name_i, patient_name_p ON study
WHEN ((old.instances > 0) IS NOT (new.instances > 0) OR old.date IS NOT new.date
        OR old.patient_name_a IS NOT new.patient_name_a
        OR old.patient_name_i IS NOT new.patient_name_i
        OR old.patient_name_p IS NOT new.patient_name_p)
    AND NOT EXISTS (SELECT 1 FROM name_part_pending WHERE old.id > done AND old.id <= last) BEGIN
    INSERT INTO name_part
            (name_part, rowid, patient_name_a, patient_name_i, patient_name_p, modalities)
        SELECT 'delete', place, patient_name_a, patient_name_i, patient_name_p, modalities
        FROM study_name_part WHERE study = old.id;
END;
CREATE TRIGGER name_part_changes
AFTER UPDATE OF instances, date, patient_name_a, patient_name_i, patient_name_p ON study
WHEN ((old.instances > 0) IS NOT (new.instances > 0) OR old.date IS NOT new.date
        OR old.patient_name_a IS NOT new.patient_name_a
        OR old.patient_name_i IS NOT new.patient_name_i
        OR old.patient_name_p IS NOT new.patient_name_p)
    AND NOT EXISTS (SELECT 1 FROM name_part_pending WHERE new.id > done AND new.id <= last) BEGIN
    INSERT INTO name_part (rowid, patient_name_a, patient_name_i, patient_name_p, modalities)
        SELECT place, patient_name_a, patient_name_i, patient_name_p, modalities
        FROM study_name_part WHERE study = new.id;
END;

-- Of a study whose modalities alone change, the names stay as they are written:
-- every result of a model brings one.
CREATE TRIGGER name_part_turns AFTER UPDATE OF modalities ON study
WHEN old.modalities IS NOT new.modalities AND old.instances > 0 AND new.instances > 0
    AND old.date IS new.date AND old.patient_name_a IS new.patient_name_a
    AND old.patient_name_i IS new.patient_name_i AND old.patient_name_p IS new.patient_name_p
    AND NOT EXISTS (SELECT 1 FROM name_part_pending WHERE new.id > done AND new.id <= last) BEGIN
    INSERT INTO name_part (name_part, rowid, modalities)
        SELECT 'delete', place, rtrim(old.modalities, '\') FROM study_name_part WHERE study = new.id;
    INSERT INTO name_part (rowid, modalities)
        SELECT place, modalities FROM study_name_part WHERE study = new.id;
END;
CREATE TRIGGER name_part_goes BEFORE DELETE ON study
WHEN NOT EXISTS (SELECT 1 FROM name_part_pending WHERE old.id > done AND old.id <= last) BEGIN
    INSERT INTO name_part
            (name_part, rowid, patient_name_a, patient_name_i, patient_name_p, modalities)
        SELECT 'delete', place, patient_name_a, patient_name_i, patient_name_p, modalities
        FROM study_name_part WHERE study = old.id;
END;
