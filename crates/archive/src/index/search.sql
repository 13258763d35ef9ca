-- Both orders of studies, with what most queries filter by beside them, so that
-- walking them reads no rows (see `index::route`).
DROP INDEX study_by_date;
DROP INDEX study_by_reception;
DROP INDEX study_by_name;
CREATE INDEX study_by_date ON study (tenant, date, time, id, modalities,
    patient_name_a, patient_name_i, patient_name_p) WHERE instances > 0;
CREATE INDEX study_by_reception ON study (tenant, last_received, id, date, modalities,
    patient_name_a, patient_name_i, patient_name_p) WHERE instances > 0;
CREATE INDEX study_by_name ON study (tenant, patient_name_a, date, modalities)
    WHERE patient_name_a IS NOT NULL;
CREATE INDEX study_by_name_i ON study (tenant, patient_name_i, date, modalities)
    WHERE patient_name_i IS NOT NULL;
CREATE INDEX study_by_name_p ON study (tenant, patient_name_p, date, modalities)
    WHERE patient_name_p IS NOT NULL;

-- The studies of a modality by date.
CREATE TABLE study_modality (
    tenant INTEGER NOT NULL,
    modality TEXT NOT NULL,
    date TEXT NOT NULL,
    time TEXT NOT NULL,
    study INTEGER NOT NULL REFERENCES study ON DELETE CASCADE,
    patient_name_a TEXT, patient_name_i TEXT, patient_name_p TEXT,
    PRIMARY KEY (tenant, modality, date, time, study)) WITHOUT ROWID;
CREATE INDEX study_modality_of_study ON study_modality (study);
INSERT INTO study_modality
    SELECT DISTINCT t.tenant, s.modality, coalesce(t.date, ''), coalesce(t.time, ''), t.id,
        t.patient_name_a, t.patient_name_i, t.patient_name_p
    FROM series s JOIN study t ON t.id = s.study
    WHERE s.instances > 0 AND s.modality IS NOT NULL;
CREATE TRIGGER study_modality_changes
AFTER UPDATE OF modalities, date, time, patient_name_a, patient_name_i, patient_name_p ON study
WHEN old.modalities IS NOT new.modalities OR old.date IS NOT new.date OR old.time IS NOT new.time
    OR old.patient_name_a IS NOT new.patient_name_a OR old.patient_name_i IS NOT new.patient_name_i
    OR old.patient_name_p IS NOT new.patient_name_p
BEGIN
    DELETE FROM study_modality WHERE study = old.id;
    INSERT INTO study_modality
        SELECT DISTINCT new.tenant, modality, coalesce(new.date, ''), coalesce(new.time, ''),
            new.id, new.patient_name_a, new.patient_name_i, new.patient_name_p
        FROM series WHERE study = new.id AND instances > 0 AND modality IS NOT NULL;
END;

-- Any three characters in a row of a name. What is deleted is overwritten.
CREATE VIRTUAL TABLE study_name USING fts5 (patient_name_a, patient_name_i, patient_name_p,
    content = 'study', content_rowid = 'id', tokenize = 'trigram', detail = 'none',
    columnsize = 0);
INSERT INTO study_name (study_name, rank) VALUES ('secure-delete', 1);
INSERT INTO study_name (study_name) VALUES ('rebuild');
CREATE TRIGGER study_name_comes AFTER INSERT ON study BEGIN
    INSERT INTO study_name (rowid, patient_name_a, patient_name_i, patient_name_p)
        VALUES (new.id, new.patient_name_a, new.patient_name_i, new.patient_name_p);
END;
CREATE TRIGGER study_name_changes
AFTER UPDATE OF patient_name_a, patient_name_i, patient_name_p ON study
WHEN old.patient_name_a IS NOT new.patient_name_a OR old.patient_name_i IS NOT new.patient_name_i
    OR old.patient_name_p IS NOT new.patient_name_p
BEGIN
    INSERT INTO study_name (study_name, rowid, patient_name_a, patient_name_i, patient_name_p)
        VALUES ('delete', old.id, old.patient_name_a, old.patient_name_i, old.patient_name_p);
    INSERT INTO study_name (rowid, patient_name_a, patient_name_i, patient_name_p)
        VALUES (new.id, new.patient_name_a, new.patient_name_i, new.patient_name_p);
END;
CREATE TRIGGER study_name_goes AFTER DELETE ON study BEGIN
    INSERT INTO study_name (study_name, rowid, patient_name_a, patient_name_i, patient_name_p)
        VALUES ('delete', old.id, old.patient_name_a, old.patient_name_i, old.patient_name_p);
END;
