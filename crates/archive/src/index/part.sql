-- Any three characters in a row of a name, for the studies of each quarter of a
-- year together, so that a range of dates reads its own part of what the index
-- has of three characters (see `index::route::parts`). Two spaces follow each
-- name: so every character of it begins three. What is deleted is overwritten.
CREATE VIRTUAL TABLE name_part USING fts5 (patient_name_a, patient_name_i, patient_name_p,
    content = '', tokenize = 'trigram case_sensitive 1', detail = 'none', columnsize = 0);
INSERT INTO name_part (name_part, rank) VALUES ('secure-delete', 1);
-- Small pages, for what is before a range of dates is skipped page by page.
INSERT INTO name_part (name_part, rank) VALUES ('pgsz', 1000);
INSERT INTO name_part (name_part, rank) VALUES ('usermerge', 2);
CREATE VIRTUAL TABLE name_part_term USING fts5vocab (name_part, row);

-- Studies behind `done` up to `last` are of an index from before this table and
-- not in it yet; until then `study_name` has all.
CREATE TABLE name_part_pending (done INTEGER NOT NULL, last INTEGER NOT NULL);
INSERT INTO name_part_pending SELECT 0, id FROM study ORDER BY id DESC LIMIT 1;

-- Where a study is in it: the later its quarter, the sooner; dates that are none
-- come first. `substr` ends a text where matching ends it, at a NUL.
CREATE VIEW study_name_part AS
    SELECT study, (tenant << 46) + (CASE
            WHEN date IS NULL OR date = '' THEN 1
            WHEN period NOT GLOB '[0-9][0-9][0-9][0-9][1-4]' OR period >= '40952' THEN 0
            ELSE 16383 - 4 * substr(period, 1, 4) - substr(period, 5) END << 32) + study AS place,
        substr(patient_name_a, 1) || '  ' AS patient_name_a,
        substr(patient_name_i, 1) || '  ' AS patient_name_i,
        substr(patient_name_p, 1) || '  ' AS patient_name_p
    FROM (SELECT id AS study, tenant, date, patient_name_a, patient_name_i, patient_name_p,
            substr(date, 1, 4) || CASE
                WHEN substr(date, 5) = '' THEN ''
                WHEN substr(date, 5) < '04' THEN '1'
                WHEN substr(date, 5) < '07' THEN '2'
                WHEN substr(date, 5) < '10' THEN '3'
                ELSE '4' END AS period
        FROM study)
    WHERE coalesce(patient_name_a, patient_name_i, patient_name_p) IS NOT NULL;

CREATE TRIGGER name_part_comes AFTER INSERT ON study
WHEN NOT EXISTS (SELECT 1 FROM name_part_pending WHERE new.id > done AND new.id <= last) BEGIN
    INSERT INTO name_part (rowid, patient_name_a, patient_name_i, patient_name_p)
        SELECT place, patient_name_a, patient_name_i, patient_name_p
        FROM study_name_part WHERE study = new.id;
END;
CREATE TRIGGER name_part_leaves
BEFORE UPDATE OF date, patient_name_a, patient_name_i, patient_name_p ON study
WHEN (old.date IS NOT new.date OR old.patient_name_a IS NOT new.patient_name_a
        OR old.patient_name_i IS NOT new.patient_name_i
        OR old.patient_name_p IS NOT new.patient_name_p)
    AND NOT EXISTS (SELECT 1 FROM name_part_pending WHERE old.id > done AND old.id <= last) BEGIN
    INSERT INTO name_part (name_part, rowid, patient_name_a, patient_name_i, patient_name_p)
        SELECT 'delete', place, patient_name_a, patient_name_i, patient_name_p
        FROM study_name_part WHERE study = old.id;
END;
CREATE TRIGGER name_part_changes
AFTER UPDATE OF date, patient_name_a, patient_name_i, patient_name_p ON study
WHEN (old.date IS NOT new.date OR old.patient_name_a IS NOT new.patient_name_a
        OR old.patient_name_i IS NOT new.patient_name_i
        OR old.patient_name_p IS NOT new.patient_name_p)
    AND NOT EXISTS (SELECT 1 FROM name_part_pending WHERE new.id > done AND new.id <= last) BEGIN
    INSERT INTO name_part (rowid, patient_name_a, patient_name_i, patient_name_p)
        SELECT place, patient_name_a, patient_name_i, patient_name_p
        FROM study_name_part WHERE study = new.id;
END;
CREATE TRIGGER name_part_goes BEFORE DELETE ON study
WHEN NOT EXISTS (SELECT 1 FROM name_part_pending WHERE old.id > done AND old.id <= last) BEGIN
    INSERT INTO name_part (name_part, rowid, patient_name_a, patient_name_i, patient_name_p)
        SELECT 'delete', place, patient_name_a, patient_name_i, patient_name_p
        FROM study_name_part WHERE study = old.id;
END;
