//! The rows above the instances that one commit touches: study and series,
//! their counters, and the event that tells of them.

use std::collections::HashMap;

use hilum_contracts::Event;
use hilum_contracts::ids::CorrelationId;
use hilum_contracts::imaging::{InstancesStored, PatientIdentity as WirePatient};
use hilum_platform::clock::from_millis;

use super::{attributes, outbox, packs, row_digest};
use crate::db::{
    Connection, OptionalExtension, Row, ToSql, ToSqlOutput, Transaction, params, params_from_iter,
};
use crate::descriptor::Descriptor;
use crate::error::{ArchiveError, Result};
use crate::model::{Origin, PatientIdentity, Standing};

use super::commit::Unit;

/// The studies and series that one commit touches.
#[derive(Default)]
pub(crate) struct Levels {
    by_uid: HashMap<(String, String), Level>,
}

pub(crate) struct Level {
    study: i64,
    pub series: i64,
    /// Whose the study's images are, as it was corrected.
    corrected: Option<WirePatient>,
    modality: Option<String>,
    added: u64,
    latest: i64,
    intakes: Vec<Intake>,
}

impl Level {
    /// Counts an instance that is being inserted.
    pub(crate) fn take(&mut self, of: &Descriptor, standing: Standing) {
        self.latest = self.latest.max(of.received_at);
        if standing != Standing::Served {
            return;
        }
        self.added += 1;
        let intake = self
            .intakes
            .iter_mut()
            .find(|intake| intake.correlation == of.correlation && intake.origin == of.origin);
        match intake {
            Some(intake) => intake.added += 1,
            None => self.intakes.push(Intake {
                correlation: of.correlation,
                origin: of.origin.clone(),
                patient: of.patient.clone(),
                added: 1,
            }),
        }
    }
}

struct Intake {
    correlation: CorrelationId,
    origin: Origin,
    patient: PatientIdentity,
    added: u64,
}

impl Levels {
    pub(crate) fn of(
        &mut self,
        tx: &Transaction<'_>,
        tenant: i64,
        of: &Descriptor,
    ) -> Result<&mut Level> {
        let key = (of.study.clone(), of.series.clone());
        let entry = self.by_uid.entry(key);
        Ok(match entry {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                let known = Above::of(tx, tenant, of)?;
                new.insert(Level {
                    study: known.study,
                    series: known.series,
                    corrected: known.corrected,
                    modality: of.series_attributes.modality.clone(),
                    added: 0,
                    latest: of.received_at,
                    intakes: Vec::new(),
                })
            }
        })
    }

    /// Writes the counters and appends one event per series and intake.
    pub(crate) fn finish(self, tx: &Transaction<'_>, unit: &Unit, now: i64) -> Result<()> {
        let mut events = Vec::new();
        for ((study_uid, series_uid), level) in self.by_uid {
            let revision = count(tx, &level)?;
            packs::unsettle(tx, level.series, now)?;
            for intake in level.intakes {
                let stored = InstancesStored {
                    study_uid: study_uid.clone(),
                    series_uid: series_uid.clone(),
                    modality: level.modality.clone().unwrap_or_default(),
                    patient: match &level.corrected {
                        Some(corrected) => corrected.clone(),
                        None => wire_patient(&intake.patient),
                    },
                    added: intake.added,
                    intake_id: intake.correlation,
                    origin: wire_origin(&intake.origin),
                    last_stored_at: from_millis(now),
                };
                let event = Event::new(
                    unit.tenant.clone(),
                    intake.correlation,
                    from_millis(now),
                    series_uid.clone(),
                    revision,
                    &stored,
                )
                .map_err(|_| ArchiveError::Invalid("the event cannot be written"))?;
                events.push(event);
            }
        }
        outbox::append_all(tx, &events)
    }
}

/// Adds to the counters of a series and its study; the series' revision.
fn count(tx: &Transaction<'_>, level: &Level) -> Result<u64> {
    let (total, revision): (u64, u64) = tx
        .prepare_cached(
            "UPDATE series SET instances = instances + ?2, last_received = max(last_received, ?3),
                revision = revision + 1 WHERE id = ?1 RETURNING instances, revision",
        )?
        .query_row(params![level.series, level.added, level.latest], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let began = level.added > 0 && total == level.added;
    // A series that begins may bring a modality: in the same statement, for the
    // indexes of studies are written once then.
    let sql = match began {
        true => format!("{COUNT}, modalities = {} WHERE id = ?1", modalities(tx)),
        false => format!("{COUNT} WHERE id = ?1"),
    };
    tx.prepare_cached(&sql)?.execute(params![
        level.study,
        level.added,
        i64::from(began),
        level.latest
    ])?;
    Ok(revision)
}

const COUNT: &str = "UPDATE study SET instances = instances + ?2, series = series + ?3,
    last_received = max(last_received, ?4), revision = revision + 1";

/// Modalities in Study of the study `?1`, each between backslashes: `\CT\MR\`.
fn modalities(db: &Connection) -> &'static str {
    db.each(MODALITIES, MODALITIES_OF_POSTGRES)
}

const MODALITIES: &str = r"coalesce((SELECT '\' || group_concat(modality, '\') || '\'
    FROM (SELECT DISTINCT modality FROM series
        WHERE study = ?1 AND instances > 0 AND modality IS NOT NULL ORDER BY modality)), '')";
const MODALITIES_OF_POSTGRES: &str = r"coalesce((SELECT '\' || string_agg(DISTINCT modality, '\'
        ORDER BY modality) || '\'
    FROM series WHERE study = ?1 AND instances > 0 AND modality IS NOT NULL), '')";

/// Reads Modalities in Study anew from its series.
pub(crate) fn refresh_modalities(tx: &Connection, study: i64) -> Result<()> {
    tx.prepare_cached(&format!(
        "UPDATE study SET modalities = {} WHERE id = ?1",
        modalities(tx)
    ))?
    .execute([study])?;
    Ok(())
}

/// The rows above an instance.
pub(crate) struct Above {
    pub study: i64,
    pub series: i64,
    /// Whose the study's images are, as it was corrected.
    corrected: Option<WirePatient>,
}

/// Those that are there and that this instance adds nothing to: the study is corrected, or
/// open in nothing that this one fills in. Asked first, because an upsert
/// writes every index of its columns anew, also where nothing changes.
const KNOWN: &str = "SELECT id, (SELECT id FROM series WHERE series.study = study.id AND series.uid = ?22),
        overlay IS NOT NULL, issuer, patient_id, patient_name, birth_date, sex
    FROM study WHERE tenant = ?1 AND uid = ?2
    AND (overlay IS NOT NULL OR (
        coalesce(issuer, ?3) IS NOT DISTINCT FROM issuer AND coalesce(patient_id, ?4) IS NOT DISTINCT FROM patient_id
        AND coalesce(patient_name, ?5) IS NOT DISTINCT FROM patient_name
        AND coalesce(patient_name_a, ?6) IS NOT DISTINCT FROM patient_name_a
        AND coalesce(patient_name_i, ?7) IS NOT DISTINCT FROM patient_name_i
        AND coalesce(patient_name_p, ?8) IS NOT DISTINCT FROM patient_name_p
        AND coalesce(birth_date, ?9) IS NOT DISTINCT FROM birth_date AND coalesce(sex, ?10) IS NOT DISTINCT FROM sex
        AND coalesce(date, ?11) IS NOT DISTINCT FROM date AND coalesce(time, ?12) IS NOT DISTINCT FROM time
        AND coalesce(timezone, ?13) IS NOT DISTINCT FROM timezone AND coalesce(accession, ?14) IS NOT DISTINCT FROM accession
        AND coalesce(study_id, ?15) IS NOT DISTINCT FROM study_id
        AND coalesce(description, ?16) IS NOT DISTINCT FROM description
        AND coalesce(description_key, ?17) IS NOT DISTINCT FROM description_key
        AND coalesce(referring, ?18) IS NOT DISTINCT FROM referring
        AND coalesce(referring_a, ?19) IS NOT DISTINCT FROM referring_a
        AND coalesce(referring_i, ?20) IS NOT DISTINCT FROM referring_i
        AND coalesce(referring_p, ?21) IS NOT DISTINCT FROM referring_p))";

impl Above {
    /// Those of an instance, made where there are none.
    pub(crate) fn of(tx: &Transaction<'_>, tenant: i64, of: &Descriptor) -> Result<Self> {
        let attributes = attributes::of_study(&of.patient, &of.study_attributes);
        let of_row: [&dyn ToSql; 2] = [&tenant, &of.study];
        let says = of_row
            .into_iter()
            .chain(attributes.iter().map(|value| value as _));
        let series: &dyn ToSql = &of.series;
        let known = tx
            .prepare_cached(KNOWN)?
            .query_row(params_from_iter(says.chain([series])), |row| {
                let is_corrected: bool = row.get(2)?;
                let corrected = is_corrected.then(|| corrected(row)).transpose()?;
                Ok((row.get(0)?, row.get(1)?, corrected))
            })
            .optional()?;
        let (study, series, corrected) = match known {
            Some(known) => known,
            None => (upsert_study(tx, tenant, of, &attributes)?, None, None),
        };
        let series = match series {
            Some(series) => series,
            None => upsert_series(tx, tenant, study, of)?,
        };
        Ok(Self {
            study,
            series,
            corrected,
        })
    }
}

/// The patient of a row of [`KNOWN`].
fn corrected(row: Row<'_>) -> crate::db::Result<WirePatient> {
    let text = |at| -> crate::db::Result<String> {
        Ok(row.get::<Option<String>>(at)?.unwrap_or_default())
    };
    Ok(WirePatient {
        issuer: text(3)?,
        id: text(4)?,
        name: text(5)?,
        birth_date: text(6)?,
        sex: text(7)?,
    })
}

fn upsert_study(
    tx: &Transaction<'_>,
    tenant: i64,
    of: &Descriptor,
    attributes: &[ToSqlOutput<'_>],
) -> Result<i64> {
    let of_row: [&dyn ToSql; 2] = [&tenant, &of.study];
    let says = of_row
        .into_iter()
        .chain(attributes.iter().map(|value| value as _));
    let received: &dyn ToSql = &of.received_at;
    // What came first stays; what it left open is filled in.
    let row = tx
        .prepare_cached(
            "INSERT INTO study (tenant, uid, issuer, patient_id, patient_name, patient_name_a,
                patient_name_i, patient_name_p, birth_date, sex, date, time, timezone, accession,
                study_id, description, description_key, referring, referring_a, referring_i,
                referring_p, first_received, last_received)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                ?19, ?20, ?21, ?22, ?22)
             ON CONFLICT (tenant, uid) DO UPDATE SET
                issuer = coalesce(study.issuer, excluded.issuer),
                patient_id = coalesce(study.patient_id, excluded.patient_id),
                patient_name = coalesce(study.patient_name, excluded.patient_name),
                patient_name_a = coalesce(study.patient_name_a, excluded.patient_name_a),
                patient_name_i = coalesce(study.patient_name_i, excluded.patient_name_i),
                patient_name_p = coalesce(study.patient_name_p, excluded.patient_name_p),
                birth_date = coalesce(study.birth_date, excluded.birth_date),
                sex = coalesce(study.sex, excluded.sex),
                date = coalesce(study.date, excluded.date), time = coalesce(study.time, excluded.time),
                timezone = coalesce(study.timezone, excluded.timezone),
                accession = coalesce(study.accession, excluded.accession),
                study_id = coalesce(study.study_id, excluded.study_id),
                description = coalesce(study.description, excluded.description),
                description_key = coalesce(study.description_key, excluded.description_key),
                referring = coalesce(study.referring, excluded.referring),
                referring_a = coalesce(study.referring_a, excluded.referring_a),
                referring_i = coalesce(study.referring_i, excluded.referring_i),
                referring_p = coalesce(study.referring_p, excluded.referring_p)
             RETURNING id",
        )?
        .query_row(params_from_iter(says.chain([received])), |row| row.get(0))?;
    row_digest::write(tx, row_digest::Of::Study, row)?;
    Ok(row)
}

fn upsert_series(tx: &Transaction<'_>, tenant: i64, study: i64, of: &Descriptor) -> Result<i64> {
    let known: Option<i64> = tx
        .prepare_cached("SELECT id FROM series WHERE study = ?1 AND uid = ?2")?
        .query_row(params![study, of.series], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    let of_row: [&dyn ToSql; 3] = [&study, &tenant, &of.series];
    let attributes = attributes::of_series(&of.series_attributes);
    let says = attributes.iter().map(|value| value as _);
    let received: &dyn ToSql = &of.received_at;
    let row = tx
        .prepare_cached(
            "INSERT INTO series (study, tenant, uid, modality, number, description, description_key,
                body_part, laterality, date, time, protocol, manufacturer, station,
                frame_of_reference, performed_step_date, performed_step_time, scheduled_step_id,
                requested_procedure_id, first_received, last_received)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
                ?19, ?20, ?20)",
        )?
        .insert(params_from_iter(
            of_row.into_iter().chain(says).chain([received]),
        ))?;
    row_digest::write(tx, row_digest::Of::Series, row)?;
    Ok(row)
}

pub(crate) fn wire_patient(patient: &PatientIdentity) -> WirePatient {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    WirePatient {
        issuer: text(&patient.issuer),
        id: text(&patient.id),
        name: patient
            .name
            .as_ref()
            .map(|name| name.value.clone())
            .unwrap_or_default(),
        birth_date: text(&patient.birth_date),
        sex: text(&patient.sex),
    }
}

fn wire_origin(origin: &Origin) -> String {
    match origin {
        Origin::Dimse { calling_ae } => format!("dimse:{calling_ae}"),
        Origin::Stow => "stow".to_owned(),
        Origin::Hilum => "hilum".to_owned(),
        Origin::Import => "import".to_owned(),
    }
}
