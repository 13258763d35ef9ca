//! Rows of the tables as the shapes that callers see.

use hilum_platform::clock::from_millis;

use super::schema::NO_NUMBER;
use crate::db::Row;
use crate::error::{ArchiveError, Result};
use crate::model::{
    Folded, InstanceAttributes, InstanceLocation, InstanceRow, Overlay, PatientIdentity,
    PersonName, SeriesAttributes, SeriesRow, Standing, StudyAttributes, StudyRow,
};

/// Columns of [`study`], from `study AS t`.
pub(crate) const STUDY: &str = "t.uid, t.issuer, t.patient_id, t.patient_name, t.patient_name_a,
    t.patient_name_i, t.patient_name_p, t.birth_date, t.sex, t.date, t.time, t.timezone,
    t.accession, t.study_id, t.description, t.description_key, t.referring, t.referring_a,
    t.referring_i, t.referring_p, t.modalities, t.series, t.instances, t.first_received,
    t.last_received, t.revision, t.id";
pub(crate) const STUDY_COLUMNS: usize = 27;

/// Columns of [`series`], from `series AS s` and `study AS t`, before [`STUDY`]'s.
pub(crate) const SERIES: &str = "s.uid, s.modality, s.number, s.description, s.description_key,
    s.body_part, s.laterality, s.date, s.time, s.protocol, s.manufacturer, s.station,
    s.frame_of_reference, s.performed_step_date, s.performed_step_time, s.scheduled_step_id,
    s.requested_procedure_id, s.instances, s.first_received, s.last_received, s.revision";
pub(crate) const SERIES_COLUMNS: usize = 21;

/// Columns of [`instance`], from `instance AS i`, `series AS s`, `study AS t`
/// and `object AS o`.
pub(crate) const INSTANCE: &str = "t.uid, s.uid, i.sop_class, i.uid, i.transfer_syntax, i.number,
    i.rows, i.columns, i.bits, i.frames, i.flags, i.origin, i.received_at, i.standing, i.sha256,
    o.name, i.offset, i.segment, i.length, i.id, i.series, t.overlay, s.overlay,
    (SELECT p.overlay FROM placement p WHERE p.id = i.placement)";
pub(crate) const INSTANCE_FROM: &str = "instance i JOIN series s ON s.id = i.series
    JOIN study t ON t.id = s.study JOIN object o ON o.id = i.object";
pub(crate) const INSTANCE_ID: usize = 19;
pub(crate) const INSTANCE_COLUMNS: usize = 24;
/// The overlays of study, series and place are the last columns.
const OVERLAYS: usize = 21;

struct Fields<'r> {
    row: Row<'r>,
    next: usize,
}

impl Fields<'_> {
    fn get<T: crate::db::FromSql>(&mut self) -> Result<T> {
        let value = self.row.get(self.next)?;
        self.next += 1;
        Ok(value)
    }

    fn name(&mut self) -> Result<Option<PersonName>> {
        let value: Option<String> = self.get()?;
        let (alphabetic, ideographic, phonetic) = (self.get()?, self.get()?, self.get()?);
        Ok(value.map(|value| PersonName {
            value,
            alphabetic,
            ideographic,
            phonetic,
        }))
    }

    fn folded(&mut self) -> Result<Option<Folded>> {
        let (value, key): (Option<String>, Option<String>) = (self.get()?, self.get()?);
        Ok(value.map(|value| Folded {
            key: key.unwrap_or_default(),
            value,
        }))
    }

    fn time(&mut self) -> Result<time::OffsetDateTime> {
        Ok(from_millis(self.get()?))
    }
}

/// A study; `first` is where its columns begin. Also its row id.
pub(crate) fn study(row: Row<'_>, first: usize) -> Result<(StudyRow, i64)> {
    let mut f = Fields { row, next: first };
    let study = StudyRow {
        uid: f.get()?,
        patient: PatientIdentity {
            issuer: f.get()?,
            id: f.get()?,
            name: f.name()?,
            birth_date: f.get()?,
            sex: f.get()?,
        },
        attributes: StudyAttributes {
            date: f.get()?,
            time: f.get()?,
            timezone: f.get()?,
            accession: f.get()?,
            id: f.get()?,
            description: f.folded()?,
            referring_physician: f.name()?,
        },
        modalities: f
            .get::<String>()?
            .split('\\')
            .filter(|modality| !modality.is_empty())
            .map(str::to_owned)
            .collect(),
        series: f.get()?,
        instances: f.get()?,
        first_received: f.time()?,
        last_received: f.time()?,
        revision: f.get()?,
    };
    let id = f.get()?;
    debug_assert_eq!(f.next, first + STUDY_COLUMNS);
    Ok((study, id))
}

/// A series and, in the columns after it, its study.
pub(crate) fn series(row: Row<'_>) -> Result<(SeriesRow, StudyRow)> {
    let (study, _) = study(row, SERIES_COLUMNS)?;
    let mut f = Fields { row, next: 0 };
    let series = SeriesRow {
        study: study.uid.clone(),
        uid: f.get()?,
        attributes: SeriesAttributes {
            modality: f.get()?,
            number: f.get()?,
            description: f.folded()?,
            body_part: f.get()?,
            laterality: f.get()?,
            date: f.get()?,
            time: f.get()?,
            protocol: f.get()?,
            manufacturer: f.get()?,
            station: f.get()?,
            frame_of_reference: f.get()?,
            performed_step_date: f.get()?,
            performed_step_time: f.get()?,
            scheduled_step_id: f.get()?,
            requested_procedure_id: f.get()?,
        },
        instances: f.get()?,
        first_received: f.time()?,
        last_received: f.time()?,
        revision: f.get()?,
    };
    debug_assert_eq!(f.next, SERIES_COLUMNS);
    Ok((series, study))
}

/// The overlay of an instance, from those of its study, series and place.
pub(crate) fn overlay(
    study: Option<String>,
    series: Option<String>,
    placed: Option<String>,
) -> Option<Overlay> {
    if study.is_none() && series.is_none() && placed.is_none() {
        return None;
    }
    Some(Overlay {
        study: study.map(Into::into),
        series: series.map(Into::into),
        placed: placed.map(Into::into),
    })
}

pub(crate) fn instance(row: Row<'_>) -> Result<InstanceRow> {
    let mut f = Fields { row, next: 0 };
    let (study, series) = (f.get()?, f.get()?);
    let (sop_class, sop_instance, transfer_syntax) = (f.get()?, f.get::<String>()?, f.get()?);
    let number: i64 = f.get()?;
    let attributes = InstanceAttributes {
        number: (number != NO_NUMBER).then_some(number),
        rows: f.get()?,
        columns: f.get()?,
        bits_allocated: f.get()?,
        frames: f.get()?,
    };
    let flags: String = f.get()?;
    let origin: String = f.get()?;
    let received_at = f.time()?;
    let standing = Standing::of_code(f.get()?)?;
    let sha256 = f.get()?;
    let location = InstanceLocation {
        object: f.get()?,
        offset: f.get()?,
        segment: f.get()?,
        length: f.get()?,
        sop_instance: sop_instance.clone(),
        sha256,
    };
    f.next = OVERLAYS;
    let overlay = overlay(f.get()?, f.get()?, f.get()?);
    Ok(InstanceRow {
        study,
        series,
        sop_class,
        sop_instance,
        transfer_syntax,
        attributes,
        flags: flags.split_ascii_whitespace().map(str::to_owned).collect(),
        origin: serde_json::from_str(&origin).map_err(|_| ArchiveError::Corrupt)?,
        received_at,
        standing,
        sha256,
        location,
        overlay,
    })
}
