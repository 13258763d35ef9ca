//! `GET /studies/{study_uid}`: a study with its series and input sets.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use hilum_archive::{InstanceFilter, InstanceRow, Page, SeriesFilter, SeriesRow, StudyFilter};
use hilum_contracts::access::doors;
use hilum_contracts::error::ServiceError;
use hilum_platform::clock::from_millis;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::holds::Hold;
use super::studies::Study;
use crate::ImagingService;
use crate::store::input_sets::InputSetRow;

/// A study with its series and input sets.
#[derive(Serialize, ToSchema)]
pub(crate) struct StudyDetail {
    #[serde(flatten)]
    study: Study,
    series: Vec<Series>,
    /// Instances that rejection notes hide; the counts are without them.
    rejected: Vec<Rejected>,
    /// Legal holds on it or its patient: it is not deleted while one stands.
    holds: Vec<Hold>,
    /// A retention rule keeps it until then.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    keep_until: Option<OffsetDateTime>,
    /// A retention rule deletes it then.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<OffsetDateTime>,
}

#[derive(Serialize, ToSchema)]
struct Series {
    series_uid: String,
    number: Option<i64>,
    modality: String,
    description: String,
    instance_count: u64,
    /// What is odd about its instances, and was stored all the same.
    oddities: Vec<Oddity>,
    /// Every revision of its input set, the oldest first. Empty for what
    /// Hilum made itself.
    input_sets: Vec<InputSet>,
}

#[derive(Serialize, ToSchema)]
struct Rejected {
    /// Code Value (DCM) of the note's title: 113001, 113037, 113038 or 113039;
    /// where several notes name an instance, the strictest.
    code: String,
    instances: u64,
}

#[derive(Serialize, ToSchema)]
struct Oddity {
    /// `wrong-vr:00280106`: what is odd, and the attribute that it is about.
    code: String,
    /// How many instances it concerns.
    instances: u64,
}

#[derive(Serialize, ToSchema)]
struct InputSet {
    id: String,
    revision: i64,
    /// `receiving`, `incomplete`, `ready` or `superseded`.
    state: String,
    /// `association-released`, `stow-ended`, `association-aborted`, `imported`,
    /// `accepted-by-person` or `content-changed`.
    reason_code: Option<String>,
    /// The same as a sentence.
    reason: Option<String>,
    quiet_seconds: Option<f64>,
    instance_count: i64,
    correlation_id: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    opened_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    last_instance_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    ready_at: Option<OffsetDateTime>,
}

impl From<&InputSetRow> for InputSet {
    fn from(row: &InputSetRow) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a quiet time is at most a day")]
        let seconds = |millis: i64| millis as f64 / 1000.0;
        Self {
            id: row.id.clone(),
            revision: row.revision,
            state: row.state.clone(),
            reason_code: row.reason_code.clone(),
            reason: row.reason.clone(),
            quiet_seconds: row.quiet_ms.map(seconds),
            instance_count: row.instance_count,
            correlation_id: row.correlation_id.clone(),
            opened_at: from_millis(row.opened_at),
            last_instance_at: from_millis(row.last_instance_at),
            ready_at: row.ready_at.map(from_millis),
        }
    }
}

/// One study with its series, and why each input set was considered complete.
#[utoipa::path(get, path = "/studies/{study_uid}",
    extensions(("x-hilum-action" = json!("view-studies"))), tag = "imaging",
    params(("study_uid" = String, Path)),
    responses((status = 200, body = StudyDetail), (status = 404, body = ProblemBody)))]
pub(crate) async fn get_study(
    May(scope, _): May<doors::ViewStudies>,
    State(service): State<ImagingService>,
    Path(study_uid): Path<String>,
) -> Result<Json<StudyDetail>, Problem> {
    let study = service
        .archive
        .study(&scope, &study_uid)
        .await?
        .ok_or_else(|| ServiceError::not_found("There is no such study."))?;
    let filter = SeriesFilter {
        study: StudyFilter {
            uids: vec![study_uid.clone()],
            ..StudyFilter::default()
        },
        ..SeriesFilter::default()
    };
    let page = Page::first(hilum_archive::limits::PAGE_ROWS);
    let series = service.archive.series(&scope, &filter, page).await?;
    let input_sets = service
        .store
        .input_sets_of_study(&scope, &study_uid)
        .await
        .map_err(|error| database_error(&error))?;
    let instances = InstanceFilter {
        series: filter,
        ..InstanceFilter::default()
    };
    let instances = service.archive.instances(&scope, &instances, page).await?;
    let series = series
        .into_iter()
        .map(|(row, _)| describe(row, &input_sets, &instances))
        .collect();
    let keeping = service.archive.keeping(&scope, &study_uid).await?;
    let rejected = service.archive.rejected(&scope, &study_uid).await?;
    let rejected = rejected.into_iter().map(|(reason, instances)| Rejected {
        code: reason.code().to_string(),
        instances,
    });
    Ok(Json(StudyDetail {
        study: study.into(),
        series,
        rejected: rejected.collect(),
        holds: keeping.holds.into_iter().map(Hold::from).collect(),
        keep_until: keeping.keep_until,
        expires_at: keeping.expires_at,
    }))
}

fn describe(row: SeriesRow, input_sets: &[InputSetRow], instances: &[InstanceRow]) -> Series {
    let mut oddities: BTreeMap<&str, u64> = BTreeMap::new();
    for instance in instances.iter().filter(|one| one.series == row.uid) {
        for flag in &instance.flags {
            let count = oddities.entry(flag).or_default();
            *count = count.saturating_add(1);
        }
    }
    let oddities = oddities
        .into_iter()
        .map(|(code, instances)| Oddity {
            code: code.to_owned(),
            instances,
        })
        .collect();
    Series {
        oddities,
        input_sets: input_sets
            .iter()
            .filter(|set| set.series_uid == row.uid)
            .map(InputSet::from)
            .collect(),
        series_uid: row.uid,
        number: row.attributes.number,
        modality: row.attributes.modality.unwrap_or_default(),
        description: row
            .attributes
            .description
            .map(|text| text.value)
            .unwrap_or_default(),
        instance_count: row.instances,
    }
}
