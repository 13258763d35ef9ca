//! `GET /runs`

use axum::Json;
use axum::extract::State;
use hilum_contracts::access::doors;
use hilum_contracts::error::ServiceError;
use hilum_platform::clock::from_millis;
use hilum_platform::http::{May, Problem, ProblemBody, RepeatedQuery, database_error};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::limits::RUNS_PAGE_MAX;
use crate::pipeline::Measured;
use crate::service::InferenceService;
use crate::store::{RunFilter, RunRow};

const PAGE_DEFAULT: u32 = 50;

#[derive(Serialize, ToSchema)]
pub(crate) struct RunList {
    items: Vec<Run>,
    /// Give it back as `cursor` for the next page.
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Run {
    id: String,
    study_uid: String,
    series_uid: String,
    input_set_id: String,
    input_revision: i64,
    model: RunModel,
    /// `queued`, `running`, `publishing`, `succeeded`, `refused`, `failed` or `superseded`.
    state: String,
    /// 0 to 1.
    progress: f64,
    step: Option<String>,
    attempts: i64,
    /// Why it was refused or failed, for people.
    reason: Option<String>,
    /// The refusal's stable name.
    reason_code: Option<String>,
    warnings: Vec<RunWarning>,
    measurements: Vec<RunMeasurement>,
    result_instances: Vec<ResultInstanceItem>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    queued_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    last_slice_at: OffsetDateTime,
    /// Seconds that the model itself took.
    seconds_model: Option<f64>,
    intended_use: String,
    not_for_clinical_use: bool,
}

#[derive(Serialize, ToSchema)]
struct RunModel {
    name: String,
    version: String,
    title: String,
    digest: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
struct RunWarning {
    code: String,
    text: String,
}

#[derive(Serialize, ToSchema)]
struct RunMeasurement {
    code: String,
    meaning: String,
    value: f64,
    unit: String,
    segment: String,
}

/// An instance that a run published.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ResultInstanceItem {
    pub(crate) sop_class_uid: String,
    pub(crate) sop_instance_uid: String,
    pub(crate) series_uid: String,
    /// `SEG`, `SR` or `KO`.
    pub(crate) kind: String,
}

/// Runs of models, the newest first.
#[utoipa::path(get, path = "/runs",
    extensions(("x-hilum-action" = json!("view-studies"))), tag = "inference",
    params(("study_uid" = Option<Vec<String>>, Query, description = "Study Instance UID; repeat it, up to 200 times"),
        ("state" = Option<String>, Query, description = "Only in this state"),
        ("limit" = Option<u32>, Query, description = "At most 200; 50 when absent"),
        ("cursor" = Option<String>, Query, description = "Where the last page ended")),
    responses((status = 200, body = RunList), (status = 400, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub(crate) async fn list_runs(
    May(scope, _): May<doors::ViewStudies>,
    State(service): State<InferenceService>,
    query: RepeatedQuery,
) -> Result<Json<RunList>, Problem> {
    let studies = query.values("study_uid", RUNS_PAGE_MAX as usize)?;
    let limit = match query.first("limit").map(str::parse::<u32>) {
        None => PAGE_DEFAULT,
        Some(Ok(limit)) if (1..=RUNS_PAGE_MAX).contains(&limit) => limit,
        Some(_) => {
            let text = format!("limit is a number from 1 to {RUNS_PAGE_MAX}.");
            return Err(Problem(ServiceError::invalid(text)));
        }
    };
    let filter = RunFilter {
        studies: &studies,
        state: query.first("state"),
        before: query.first("cursor"),
        limit: limit + 1,
    };
    let mut rows = service
        .store
        .runs(&scope, &filter)
        .await
        .map_err(|error| database_error(&error))?;
    let page = limit as usize;
    let more = rows.len() > page;
    rows.truncate(page);
    let next = rows.last().filter(|_| more).map(|r| r.id.clone());
    let items = rows.into_iter().map(|row| item(&service, row)).collect();
    Ok(Json(RunList { items, next }))
}

fn item(service: &InferenceService, row: RunRow) -> Run {
    let model = service.model(&row.model);
    let measured: Vec<Measured> = serde_json::from_str(&row.measurements).unwrap_or_default();
    let measurement = |m: Measured| RunMeasurement {
        code: m.concept.code,
        meaning: m.concept.meaning,
        value: m.value,
        unit: m.unit.code,
        segment: m.segment,
    };
    Run {
        id: row.id,
        study_uid: row.study_uid,
        series_uid: row.series_uid,
        input_set_id: row.input_set,
        input_revision: row.revision,
        model: RunModel {
            title: model
                .as_ref()
                .map_or_else(|| row.model.clone(), |m| m.manifest.model.title.clone()),
            name: row.model,
            version: row.version,
            digest: row.model_digest,
        },
        state: row.state,
        progress: row.progress,
        step: row.step,
        attempts: row.attempts,
        reason: row.reason,
        reason_code: row.reason_code,
        warnings: serde_json::from_str(&row.warnings).unwrap_or_default(),
        measurements: measured.into_iter().map(measurement).collect(),
        result_instances: serde_json::from_str(&row.result_instances).unwrap_or_default(),
        queued_at: from_millis(row.queued_at),
        started_at: row.started_at.map(from_millis),
        finished_at: row.finished_at.map(from_millis),
        last_slice_at: from_millis(row.last_slice_at),
        seconds_model: row.seconds_model,
        intended_use: model
            .as_ref()
            .map(|m| m.manifest.intended_use.statement.clone())
            .unwrap_or_default(),
        // A model that is no longer there was never cleared for more.
        not_for_clinical_use: model
            .as_ref()
            .is_none_or(|m| m.manifest.intended_use.not_for_clinical_use),
    }
}
