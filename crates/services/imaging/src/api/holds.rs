//! `GET /holds`, `POST /holds`, `DELETE /holds/{id}`

use axum::Json;
use axum::extract::{Path, State};
use hilum_archive::{HoldOn, HoldRow};
use hilum_contracts::access::doors;
use hilum_contracts::error::ServiceError;
use hilum_platform::http::{May, Problem, ProblemBody};
use hilum_platform::notices::Topic;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::ImagingService;
use crate::limits::LIST_MAX;

#[derive(Serialize, ToSchema)]
pub(crate) struct HoldList {
    items: Vec<Hold>,
}

/// A legal hold: nothing that it is on is deleted.
#[derive(Serialize, ToSchema)]
pub(crate) struct Hold {
    id: i64,
    /// The study that it is on; absent when it is on a patient.
    study_uid: Option<String>,
    /// The patient that it is on.
    patient_id: Option<String>,
    /// Issuer of Patient ID; absent: whoever issued it.
    issuer: Option<String>,
    reason: String,
    by: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    placed_at: OffsetDateTime,
}

impl From<HoldRow> for Hold {
    fn from(row: HoldRow) -> Self {
        let (study_uid, patient_id, issuer) = match row.on {
            HoldOn::Study { study } => (Some(study), None, None),
            HoldOn::Patient { issuer, id } => (None, Some(id), issuer),
        };
        Self {
            id: row.id,
            study_uid,
            patient_id,
            issuer,
            reason: row.reason,
            by: row.by,
            placed_at: row.placed_at,
        }
    }
}

/// What a hold is on, either a study or a patient, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewHold {
    study_uid: Option<String>,
    patient_id: Option<String>,
    /// Absent: every patient of this ID, whoever issued it.
    issuer: Option<String>,
    reason: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct HoldPlaced {
    id: i64,
}

/// Legal holds that stand, the newest first.
#[utoipa::path(get, path = "/holds",
    extensions(("x-hilum-action" = json!("view-holds"))), tag = "imaging",
    responses((status = 200, body = HoldList)))]
pub(crate) async fn list_holds(
    May(scope, _): May<doors::ViewHolds>,
    State(service): State<ImagingService>,
) -> Result<Json<HoldList>, Problem> {
    let rows = service.archive.holds(&scope, LIST_MAX).await?;
    let items = rows.into_iter().map(Hold::from).collect();
    Ok(Json(HoldList { items }))
}

/// Places a legal hold on a study or a patient: from here on nothing of it is
/// deleted, by nobody and by no rule, until the hold is lifted.
#[utoipa::path(post, path = "/holds",
    extensions(("x-hilum-action" = json!("manage-holds"))), tag = "imaging", request_body = NewHold,
    responses((status = 200, body = HoldPlaced), (status = 400, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
pub(crate) async fn place_hold(
    May(scope, _): May<doors::ManageHolds>,
    State(service): State<ImagingService>,
    Json(new): Json<NewHold>,
) -> Result<Json<HoldPlaced>, Problem> {
    let study = new.study_uid.clone();
    let on = match (new.study_uid, new.patient_id) {
        (Some(study), None) => HoldOn::Study { study },
        (None, Some(id)) => HoldOn::Patient {
            issuer: new.issuer,
            id,
        },
        _ => {
            let text = "A hold is either on a study or on a patient.";
            return Err(Problem(ServiceError::invalid(text)));
        }
    };
    let by = scope.principal().to_string();
    let id = service
        .archive
        .place_hold(&scope, on, new.reason, by)
        .await?;
    tracing::info!(by = %scope.principal(), hold = id, "a legal hold was placed");
    service
        .notices
        .tell(scope.tenant(), Topic::Studies, study.as_deref());
    Ok(Json(HoldPlaced { id }))
}

/// Lifts a legal hold.
#[utoipa::path(delete, path = "/holds/{id}",
    extensions(("x-hilum-action" = json!("manage-holds"))), tag = "imaging",
    params(("id" = i64, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
pub(crate) async fn lift_hold(
    May(scope, _): May<doors::ManageHolds>,
    State(service): State<ImagingService>,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    let by = scope.principal().to_string();
    service.archive.lift_hold(&scope, id, by).await?;
    tracing::info!(by = %scope.principal(), hold = id, "a legal hold was lifted");
    service.notices.tell(scope.tenant(), Topic::Studies, None);
    Ok(StatusCode::NO_CONTENT)
}
