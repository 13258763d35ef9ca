-- The studies of a quarter of a year, and those of a modality in it, by the
-- minute of their last reception, with what most queries filter by beside them
-- (see `index::route::period`). Minutes, so that a study that is being received
-- seldom changes its place. An empty facet stands for every modality.
CREATE TABLE study_period (
    tenant INTEGER NOT NULL,
    facet TEXT NOT NULL,
    period TEXT NOT NULL,
    minute INTEGER NOT NULL,
    study INTEGER NOT NULL REFERENCES study ON DELETE CASCADE,
    date TEXT NOT NULL,
    patient_name_a TEXT, patient_name_i TEXT, patient_name_p TEXT,
    PRIMARY KEY (tenant, facet, period, minute, study)) WITHOUT ROWID;

-- Whatever stands in a date, a later one is in no earlier period.
CREATE VIEW study_in_period AS
    SELECT tenant,
        substr(coalesce(date, ''), 1, 4) || CASE
            WHEN coalesce(substr(date, 5), '') = '' THEN ''
            WHEN substr(date, 5) < '04' THEN '1'
            WHEN substr(date, 5) < '07' THEN '2'
            WHEN substr(date, 5) < '10' THEN '3'
            ELSE '4' END AS period,
        last_received / 60000 AS minute, id AS study, coalesce(date, '') AS date,
        patient_name_a, patient_name_i, patient_name_p
    FROM study WHERE instances > 0;

-- As dates and studies come: in memory only what is near.
INSERT INTO study_period
    SELECT v.tenant, '', v.period, v.minute, v.study, v.date,
        v.patient_name_a, v.patient_name_i, v.patient_name_p
    FROM study t INDEXED BY study_by_date CROSS JOIN study_in_period v ON v.study = t.id
    WHERE t.instances > 0;
INSERT INTO study_period
    SELECT v.tenant, m.modality, v.period, v.minute, v.study, v.date,
        v.patient_name_a, v.patient_name_i, v.patient_name_p
    FROM study_modality m CROSS JOIN study_in_period v ON v.study = m.study
    WHERE m.modality <> '';
CREATE INDEX study_period_of_study ON study_period (study);

CREATE TRIGGER study_period_comes AFTER INSERT ON study WHEN new.instances > 0 BEGIN
    INSERT INTO study_period
        SELECT tenant, '', period, minute, study, date,
            patient_name_a, patient_name_i, patient_name_p
        FROM study_in_period WHERE study = new.id;
END;
CREATE TRIGGER study_period_changes
AFTER UPDATE OF modalities, date, patient_name_a, patient_name_i, patient_name_p, instances,
    last_received ON study
WHEN (old.instances > 0) IS NOT (new.instances > 0)
    OR old.last_received / 60000 IS NOT new.last_received / 60000
    OR old.modalities IS NOT new.modalities OR old.date IS NOT new.date
    OR old.patient_name_a IS NOT new.patient_name_a OR old.patient_name_i IS NOT new.patient_name_i
    OR old.patient_name_p IS NOT new.patient_name_p
BEGIN
    DELETE FROM study_period WHERE study = old.id;
    INSERT INTO study_period
        SELECT v.tenant, f.facet, v.period, v.minute, v.study, v.date,
            v.patient_name_a, v.patient_name_i, v.patient_name_p
        FROM study_in_period v CROSS JOIN (SELECT '' AS facet UNION SELECT modality FROM series
            WHERE study = new.id AND instances > 0 AND modality IS NOT NULL) f
        WHERE v.study = new.id;
END;
