//! `POST /studies/{study_uid}/corrections`, `GET /studies/{study_uid}/corrections`

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
use dicom_dictionary_std::StandardDataDictionary;
use hilum_archive::{
    ArchiveError, Corrected, NewCorrection, Page, SeriesFilter, SeriesRow, StudyFilter, StudyRow,
};
use hilum_contracts::access::doors;
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_dataset::patch::{Change, Correction};
use hilum_platform::http::{May, Problem, ProblemBody};
use hilum_platform::notices::Topic;
use hilum_platform::scope::TenantScope;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::format_description;
use utoipa::ToSchema;

use crate::ImagingService;
use crate::domain::correction::{Level, belongs, known, series_after, study_after};

/// Two people correct one study at the same time: the second one tries again.
pub(super) const ATTEMPTS: usize = 8;

/// What is wrong, and what is right.
#[derive(Deserialize, ToSchema)]
pub(crate) struct CorrectionRequest {
    /// The series whose attributes are corrected; absent: patient and study.
    series_uid: Option<String>,
    /// Attributes by keyword (`PatientName`) or tag (`00100010`) with their
    /// right values, as DICOM writes them: `Doe^Jane`, `19700131`.
    #[serde(default)]
    set: BTreeMap<String, String>,
    /// Attributes, by keyword or tag, that should not be there.
    #[serde(default)]
    remove: Vec<String>,
    /// Why, in a person's words.
    reason: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CorrectionVersion {
    /// Counts the corrections of the study, or of the series, from 1.
    version: u64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CorrectionList {
    items: Vec<CorrectionEntry>,
}

/// A correction: received bytes stay, every answer carries it.
#[derive(Serialize, ToSchema)]
struct CorrectionEntry {
    id: i64,
    /// Absent: patient and study.
    series_uid: Option<String>,
    version: u64,
    changes: Vec<ChangedAttribute>,
    reason: String,
    by: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
}

/// One attribute of a correction.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct ChangedAttribute {
    /// `00100010`
    pub(super) tag: String,
    /// `PatientName`
    pub(super) keyword: String,
    /// What it was, where the index knew it.
    pub(super) before: Option<String>,
    /// What it is; absent: removed.
    pub(super) after: Option<String>,
}

/// Corrects attributes of a patient and study, or of a series. What was
/// received stays and can still be asked for.
#[utoipa::path(post, path = "/studies/{study_uid}/corrections",
    extensions(("x-hilum-action" = json!("correct-studies"))), tag = "imaging",
    params(("study_uid" = String, Path)), request_body = CorrectionRequest,
    responses((status = 200, body = CorrectionVersion), (status = 400, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
pub(crate) async fn correct_study(
    May(scope, _): May<doors::CorrectStudies>,
    State(service): State<ImagingService>,
    Path(study_uid): Path<String>,
    Json(request): Json<CorrectionRequest>,
) -> Result<Json<CorrectionVersion>, Problem> {
    let level = match request.series_uid {
        None => Level::Study,
        Some(_) => Level::Series,
    };
    let changes = changes(level, &request)?;
    let reason = request.reason.trim().to_owned();
    if reason.is_empty() {
        return Err(ServiceError::invalid("Say why it is corrected.").into());
    }
    let of = (study_uid.as_str(), request.series_uid.as_deref());
    let version = correct(&service, &scope, of, &changes, &reason).await?;
    Ok(Json(CorrectionVersion { version }))
}

/// Makes a correction on the rows as they are; the version of the row after it.
pub(crate) async fn correct(
    service: &ImagingService,
    scope: &TenantScope,
    of: (&str, Option<&str>),
    changes: &[Change],
    reason: &str,
) -> Result<u64, ServiceError> {
    for _ in 0..ATTEMPTS {
        let correction = prepare(service, scope, of, changes, reason).await?;
        match service.archive.correct(scope, correction).await {
            Ok(version) => {
                tracing::info!(
                    by = %scope.principal(), version,
                    attributes = changes.len(), "corrected"
                );
                let topic = Topic::Studies;
                service.notices.tell(scope.tenant(), topic, Some(of.0));
                return Ok(version);
            }
            Err(ArchiveError::Outdated) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let text = "The study keeps changing. Try again when it has arrived.";
    Err(ServiceError::new(ErrorCode::Conflict, text))
}

/// The corrections of a study and its series, the oldest first.
#[utoipa::path(get, path = "/studies/{study_uid}/corrections",
    extensions(("x-hilum-action" = json!("view-studies"))), tag = "imaging",
    params(("study_uid" = String, Path)),
    responses((status = 200, body = CorrectionList), (status = 404, body = ProblemBody)))]
pub(crate) async fn list_corrections(
    May(scope, _): May<doors::ViewStudies>,
    State(service): State<ImagingService>,
    Path(study_uid): Path<String>,
) -> Result<Json<CorrectionList>, Problem> {
    study(&service, &scope, &study_uid).await?;
    let rows = service.archive.corrections(&scope, &study_uid).await?;
    let items = rows
        .into_iter()
        .map(|row| CorrectionEntry {
            id: row.id,
            series_uid: row.series,
            version: row.version,
            changes: serde_json::from_str(&row.detail).unwrap_or_default(),
            reason: row.reason,
            by: row.by,
            at: row.at,
        })
        .collect();
    Ok(Json(CorrectionList { items }))
}

async fn study(
    service: &ImagingService,
    scope: &TenantScope,
    uid: &str,
) -> Result<StudyRow, ServiceError> {
    let found = service.archive.study(scope, uid).await?;
    found.ok_or_else(|| ServiceError::not_found("There is no such study."))
}

async fn series(
    service: &ImagingService,
    scope: &TenantScope,
    study: &str,
    uid: &str,
) -> Result<SeriesRow, ServiceError> {
    find_series(service, scope, study, uid)
        .await?
        .ok_or_else(|| ServiceError::not_found("There is no such series."))
}

pub(super) async fn find_series(
    service: &ImagingService,
    scope: &TenantScope,
    study: &str,
    uid: &str,
) -> Result<Option<SeriesRow>, ServiceError> {
    let filter = SeriesFilter {
        study: StudyFilter {
            uids: vec![study.to_owned()],
            ..StudyFilter::default()
        },
        uids: vec![uid.to_owned()],
        ..SeriesFilter::default()
    };
    let found = service
        .archive
        .series(scope, &filter, Page::first(1))
        .await?;
    Ok(found.into_iter().next().map(|(series, _)| series))
}

/// The correction on the rows as they are now.
async fn prepare(
    service: &ImagingService,
    scope: &TenantScope,
    (study_uid, series_uid): (&str, Option<&str>),
    changes: &[Change],
    reason: &str,
) -> Result<NewCorrection, ServiceError> {
    let study = study(service, scope, study_uid).await?;
    let series = match series_uid {
        Some(uid) => Some(series(service, scope, study_uid, uid).await?),
        None => None,
    };
    let overlay = service
        .archive
        .overlay(scope, study_uid, series_uid)
        .await?;
    let mut steps: Vec<Correction> = match &overlay {
        Some(text) => serde_json::from_str(text)
            .map_err(|_| ServiceError::internal("A correction can't be read."))?,
        None => Vec::new(),
    };
    let level = series.as_ref().map(|series| &series.attributes);
    let detail: Vec<ChangedAttribute> = changes
        .iter()
        .map(|change| ChangedAttribute {
            tag: format!("{:08X}", change.tag()),
            keyword: keyword(change.tag()),
            before: earlier(&steps, change.tag())
                .or_else(|| known(&study.patient, &study.attributes, level, change.tag())),
            after: change.value().map(str::to_owned),
        })
        .collect();
    steps.push(Correction {
        at: date_time(service.clock.now()),
        system: "HILUM".to_owned(),
        source: String::new(),
        changes: changes.to_vec(),
    });
    let (corrected, revision) = match series {
        None => {
            let (mut patient, mut attributes) = (study.patient, study.attributes);
            study_after(&mut patient, &mut attributes, changes);
            let corrected = Corrected::Study {
                patient,
                attributes,
            };
            (corrected, study.revision)
        }
        Some(row) => {
            let mut attributes = row.attributes;
            series_after(&mut attributes, changes);
            let series = row.uid;
            (Corrected::Series { series, attributes }, row.revision)
        }
    };
    let json = |_| ServiceError::internal("The correction can't be written.");
    Ok(NewCorrection {
        study: study_uid.to_owned(),
        revision,
        corrected,
        overlay: serde_json::to_string(&steps).map_err(json)?,
        detail: serde_json::to_string(&detail).map_err(json)?,
        reason: reason.to_owned(),
        by: scope.principal().to_string(),
    })
}

/// What an earlier correction gave an attribute.
fn earlier(steps: &[Correction], tag: u32) -> Option<String> {
    let last = steps
        .iter()
        .flat_map(|step| &step.changes)
        .rfind(|change| change.tag() == tag)?;
    last.value().map(str::to_owned)
}

/// A DT value with its offset (PS3.5 §6.2).
pub(super) fn date_time(at: OffsetDateTime) -> String {
    let form =
        format_description!("[year][month][day][hour][minute][second].[subsecond digits:6]+0000");
    at.to_offset(time::UtcOffset::UTC)
        .format(&form)
        .unwrap_or_default()
}

fn changes(level: Level, request: &CorrectionRequest) -> Result<Vec<Change>, ServiceError> {
    let changes = changes_asked(level, &request.set, &request.remove)?;
    if changes.is_empty() {
        return Err(ServiceError::invalid(
            "Name the attributes that are to be corrected.",
        ));
    }
    Ok(changes)
}

/// What a request sets and removes.
pub(super) fn changes_asked(
    level: Level,
    set: &BTreeMap<String, String>,
    remove: &[String],
) -> Result<Vec<Change>, ServiceError> {
    let set = set
        .iter()
        .map(|(name, value)| (name, Some(value.trim().to_owned())));
    let removed = remove.iter().map(|name| (name, None));
    let mut changes = Vec::new();
    for (name, value) in set.chain(removed) {
        let tag = tag_of(name)
            .filter(|tag| belongs(level, *tag))
            .ok_or_else(|| {
                ServiceError::invalid("An attribute is named that can't be corrected here.")
            })?;
        let change = Change::new(tag, value)
            .map_err(|error| ServiceError::invalid(format!("{}: {error}.", keyword(tag))))?;
        changes.push(change);
    }
    if changes.len() > hilum_dataset::limits::MAX_CHANGES {
        return Err(ServiceError::invalid("Too many attributes are named."));
    }
    Ok(changes)
}

fn tag_of(name: &str) -> Option<u32> {
    if name.len() == 8 && name.bytes().all(|b| b.is_ascii_hexdigit()) {
        return u32::from_str_radix(name, 16).ok();
    }
    let tag = StandardDataDictionary.by_name(name)?.tag();
    Some(u32::from(tag.group()) << 16 | u32::from(tag.element()))
}

pub(super) fn keyword(tag: u32) -> String {
    let (group, element) = ((tag >> 16) as u16, (tag & 0xFFFF) as u16);
    StandardDataDictionary
        .by_tag(dicom_core::Tag(group, element))
        .map_or_else(|| format!("{tag:08X}"), |entry| entry.alias().to_owned())
}
