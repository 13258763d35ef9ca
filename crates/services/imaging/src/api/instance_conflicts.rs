//! `GET /instance-conflicts`, `POST /instance-conflicts/{id}/decide`

use axum::Json;
use axum::extract::{Path, State};
use hilum_archive::{Decision, Page};
use hilum_contracts::access::doors;
use hilum_platform::http::{May, Problem, ProblemBody};
use hilum_platform::notices::Topic;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::quarantine::describe;
use crate::ImagingService;
use crate::limits::LIST_MAX;

#[derive(Serialize, ToSchema)]
pub(crate) struct InstanceConflictList {
    items: Vec<InstanceConflict>,
}

/// Two contents that claim one SOP Instance UID.
#[derive(Serialize, ToSchema)]
struct InstanceConflict {
    id: i64,
    sop_instance_uid: String,
    study_uid: String,
    /// The study that the second one names.
    other_study_uid: String,
    first_source: String,
    second_source: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    first_received_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    second_received_at: OffsetDateTime,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct InstanceDecision {
    /// `keep-first` or `serve-second`. Both are kept either way.
    decision: InstanceChoice,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum InstanceChoice {
    KeepFirst,
    ServeSecond,
}

/// Instances whose SOP Instance UID came with two different contents.
#[utoipa::path(get, path = "/instance-conflicts",
    extensions(("x-hilum-action" = json!("view-studies"))), tag = "imaging",
    responses((status = 200, body = InstanceConflictList)))]
pub(crate) async fn list_instance_conflicts(
    May(scope, _): May<doors::ViewStudies>,
    State(service): State<ImagingService>,
) -> Result<Json<InstanceConflictList>, Problem> {
    let rows = service
        .archive
        .conflicts(&scope, Page::first(LIST_MAX))
        .await?;
    let items = rows
        .into_iter()
        .map(|row| InstanceConflict {
            id: row.id,
            sop_instance_uid: row.served.sop_instance,
            study_uid: row.served.study,
            other_study_uid: row.contender.study,
            first_source: describe(&row.served.origin),
            second_source: describe(&row.contender.origin),
            first_received_at: row.served.received_at,
            second_received_at: row.contender.received_at,
        })
        .collect();
    Ok(Json(InstanceConflictList { items }))
}

/// Decides which of two contents is served.
#[utoipa::path(post, path = "/instance-conflicts/{id}/decide",
    extensions(("x-hilum-action" = json!("decide-conflicts"))), tag = "imaging",
    params(("id" = i64, Path)), request_body = InstanceDecision,
    responses((status = 204), (status = 404, body = ProblemBody)))]
pub(crate) async fn decide_instance_conflict(
    May(scope, _): May<doors::DecideConflicts>,
    State(service): State<ImagingService>,
    Path(id): Path<i64>,
    Json(decision): Json<InstanceDecision>,
) -> Result<StatusCode, Problem> {
    let decision = match decision.decision {
        InstanceChoice::KeepFirst => Decision::KeepServed,
        InstanceChoice::ServeSecond => Decision::ServeContender,
    };
    service
        .archive
        .decide_conflict(&scope, id, decision)
        .await?;
    service.notices.tell(scope.tenant(), Topic::Studies, None);
    Ok(StatusCode::NO_CONTENT)
}
