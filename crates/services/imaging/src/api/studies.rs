//! `GET /studies`: the worklist's rows.

use axum::Json;
use axum::extract::{Query, State};
use hilum_archive::{DateRange, NamePattern, StudyFilter, StudyRow, TextPattern, WorklistCursor};
use hilum_contracts::access::doors;
use hilum_contracts::error::ServiceError;
use hilum_dataset::text::fold;
use hilum_platform::http::{May, Problem, ProblemBody};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use crate::ImagingService;
use crate::limits::LIST_MAX;

#[derive(Deserialize, IntoParams)]
pub(crate) struct StudiesQuery {
    /// Patient ID; `*` and `?` are wild cards.
    patient_id: Option<String>,
    /// Part of the patient's name, in any case and with or without accents.
    patient_name: Option<String>,
    /// Accession Number; `*` and `?` are wild cards.
    accession: Option<String>,
    /// Modality: the study has at least one such series.
    modality: Option<String>,
    /// Earliest Study Date, `YYYYMMDD` or `YYYY-MM-DD`.
    from: Option<String>,
    /// Latest Study Date, `YYYYMMDD` or `YYYY-MM-DD`.
    to: Option<String>,
    /// Most studies to answer, up to 200; 50 when absent.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// A page of studies.
#[derive(Serialize, ToSchema)]
pub(crate) struct StudyList {
    items: Vec<Study>,
    /// Where the next page begins; absent at the end.
    next: Option<String>,
}

/// A study as its images describe it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Study {
    study_uid: String,
    patient: StudyPatient,
    /// `YYYYMMDD`; empty when unknown.
    study_date: String,
    /// `HHMMSS.FFFFFF`; empty when unknown.
    study_time: String,
    accession: String,
    description: String,
    modalities: Vec<String>,
    series_count: u64,
    instance_count: u64,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    first_received_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    last_received_at: OffsetDateTime,
}

/// The patient as the study's images name them. Empty means absent.
#[derive(Serialize, ToSchema)]
pub(crate) struct StudyPatient {
    id: String,
    issuer: String,
    /// `Family, Given`.
    name: String,
    /// `YYYYMMDD`
    birth_date: String,
    sex: String,
}

impl From<StudyRow> for Study {
    fn from(row: StudyRow) -> Self {
        let name = row.patient.name.map(|name| name.value).unwrap_or_default();
        Self {
            study_uid: row.uid,
            patient: StudyPatient {
                id: row.patient.id.unwrap_or_default(),
                issuer: row.patient.issuer.unwrap_or_default(),
                name: display_name(&name),
                birth_date: row.patient.birth_date.unwrap_or_default(),
                sex: row.patient.sex.unwrap_or_default(),
            },
            study_date: row.attributes.date.unwrap_or_default(),
            study_time: row.attributes.time.unwrap_or_default(),
            accession: row.attributes.accession.unwrap_or_default(),
            description: row
                .attributes
                .description
                .map(|text| text.value)
                .unwrap_or_default(),
            modalities: row.modalities,
            series_count: row.series,
            instance_count: row.instances,
            first_received_at: row.first_received,
            last_received_at: row.last_received,
        }
    }
}

/// `Family, Given Middle` of the first component group that is not empty
/// (PS3.5 §6.2.1.1), with the ideographic group behind it.
pub(crate) fn display_name(name: &str) -> String {
    let groups: Vec<String> = name
        .split('=')
        .take(2)
        .map(|group| {
            let mut parts = group.split('^').map(str::trim);
            let family = parts.next().unwrap_or_default();
            let given: Vec<_> = parts.take(2).filter(|part| !part.is_empty()).collect();
            match (family, given.join(" ")) {
                (family, given) if given.is_empty() => family.to_owned(),
                ("", given) => given,
                (family, given) => format!("{family}, {given}"),
            }
        })
        .filter(|group| !group.is_empty())
        .collect();
    match groups.as_slice() {
        [alphabetic, ideographic] => format!("{alphabetic} ({ideographic})"),
        [only] => only.clone(),
        _ => String::new(),
    }
}

/// Studies, the last received first.
#[utoipa::path(get, path = "/studies",
    extensions(("x-hilum-action" = json!("view-studies"))), tag = "imaging", params(StudiesQuery),
    responses((status = 200, body = StudyList), (status = 400, body = ProblemBody)))]
pub(crate) async fn list_studies(
    May(scope, _): May<doors::ViewStudies>,
    State(service): State<ImagingService>,
    Query(query): Query<StudiesQuery>,
) -> Result<Json<StudyList>, Problem> {
    let after = query
        .cursor
        .as_deref()
        .map(str::parse::<WorklistCursor>)
        .transpose()?;
    let limit = query.limit.unwrap_or(50).clamp(1, LIST_MAX);
    let filter = filter(&query)?;
    let page = service
        .archive
        .worklist(&scope, &filter, after, limit)
        .await?;
    Ok(Json(StudyList {
        items: page.studies.into_iter().map(Study::from).collect(),
        next: page.next.map(|cursor| cursor.to_string()),
    }))
}

fn filter(query: &StudiesQuery) -> Result<StudyFilter, ServiceError> {
    let given = |text: &Option<String>| {
        text.as_deref()
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(ToOwned::to_owned)
    };
    let part_of_name = |name: String| {
        let name = fold(&name.replace([',', '^'], " "));
        let words: Vec<_> = name.split_whitespace().collect();
        NamePattern::AnyGroup(TextPattern(format!("*{}*", words.join("*"))))
    };
    let date = DateRange {
        from: given(&query.from).map(|text| date(&text)).transpose()?,
        to: given(&query.to).map(|text| date(&text)).transpose()?,
    };
    Ok(StudyFilter {
        patient_id: given(&query.patient_id).map(TextPattern),
        patient_name: given(&query.patient_name).map(part_of_name),
        accession: given(&query.accession).map(TextPattern),
        modalities: given(&query.modality).into_iter().collect(),
        date: (date != DateRange::default()).then_some(date),
        ..StudyFilter::default()
    })
}

fn date(text: &str) -> Result<String, ServiceError> {
    let digits = text.replace('-', "");
    if digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(digits)
    } else {
        Err(ServiceError::invalid(
            "A date is written YYYYMMDD or YYYY-MM-DD.",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_as_people_write_it() {
        assert_eq!(display_name("Doe^Jane^M^Dr"), "Doe, Jane M");
        assert_eq!(display_name("Doe"), "Doe");
        assert_eq!(
            display_name("Yamada^Tarou=山田^太郎=やまだ^たろう"),
            "Yamada, Tarou (山田, 太郎)"
        );
        assert_eq!(display_name(""), "");
    }
}
