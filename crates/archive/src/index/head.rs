//! What a pack keeps of the rows above its instances.

use hilum_platform::clock::to_millis;

use super::answer::{self, SERIES, SERIES_COLUMNS, STUDY, STUDY_COLUMNS};
use crate::db::{Connection, OptionalExtension, params};
use crate::error::{ArchiveError, Result};
use crate::pack::{Head, Publication, RowHead, SeriesHead, StudyHead};

/// The rows of a series and its study.
pub(crate) fn of_series(db: &Connection, series: i64) -> Result<Head> {
    let sql = format!(
        "SELECT {SERIES}, {STUDY}, t.overlay IS NOT NULL, s.overlay IS NOT NULL
         FROM series s JOIN study t ON t.id = s.study WHERE s.id = ?1"
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query([series])?;
    let row = rows.next()?.ok_or(ArchiveError::NotFound)?;
    let (_, study_row) = answer::study(row, SERIES_COLUMNS)?;
    let (series_row, (series, study)) = (series, answer::series(row)?);
    let is_corrected: bool = row.get(SERIES_COLUMNS + STUDY_COLUMNS)?;
    let is_series_corrected: bool = row.get(SERIES_COLUMNS + STUDY_COLUMNS + 1)?;
    Ok(Head {
        study: StudyHead {
            uid: study.uid,
            row: RowHead {
                id: Some(study_row),
                revision: study.revision,
                first_received: to_millis(study.first_received),
                last_received: to_millis(study.last_received),
            },
            received: (!is_corrected).then_some((study.patient, study.attributes)),
        },
        series: SeriesHead {
            uid: series.uid,
            row: RowHead {
                id: Some(series_row),
                revision: series.revision,
                first_received: to_millis(series.first_received),
                last_received: to_millis(series.last_received),
            },
            received: (!is_series_corrected).then_some(series.attributes),
        },
    })
}

/// The result set that was published under a key, if it still is.
pub(crate) fn publication(db: &Connection, tenant: i64, key: &str) -> Result<Option<Publication>> {
    let row: Option<(String, i64)> = db
        .prepare_cached(
            "SELECT instances, published_at FROM publication WHERE tenant = ?1 AND key = ?2",
        )?
        .query_row(params![tenant, key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(row.map(|(instances, published_at)| Publication {
        key: key.to_owned(),
        instances: instances.split('\\').map(str::to_owned).collect(),
        published_at,
    }))
}
