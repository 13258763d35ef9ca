//! `POST /patient-merges`, `GET /patient-merges`, `DELETE /patient-merges/{id}`

use axum::Json;
use axum::extract::{Path, State};
use hilum_contracts::access::doors;
use hilum_contracts::error::ServiceError;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::notices::Topic;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::ImagingService;
use crate::store::patient_merges::{PatientKey, PatientMerge};

/// A Patient ID and who issued it.
#[derive(Clone, Deserialize, Serialize, ToSchema)]
pub(crate) struct MergedPatient {
    /// Issuer of Patient ID (0010,0021); absent: none is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// Patient ID (0010,0020).
    id: String,
}

impl MergedPatient {
    fn key(&self) -> Result<PatientKey, ServiceError> {
        let text = |text: &str| text.trim().to_owned();
        let key = PatientKey {
            issuer: self.issuer.as_deref().map(text).unwrap_or_default(),
            id: text(&self.id),
        };
        // LO (PS3.5 §6.2).
        let valid = |text: &str| text.chars().count() <= 64 && !text.contains('\\');
        if key.id.is_empty() || !valid(&key.id) || !valid(&key.issuer) {
            return Err(ServiceError::invalid("A Patient ID is named that is none."));
        }
        Ok(key)
    }

    fn of(key: PatientKey) -> Self {
        Self {
            issuer: Some(key.issuer).filter(|issuer| !issuer.is_empty()),
            id: key.id,
        }
    }
}

/// Two patients that are one.
#[derive(Deserialize, ToSchema)]
pub(crate) struct MergeRequest {
    /// Who is to be no more.
    prior: MergedPatient,
    /// Who it is.
    surviving: MergedPatient,
    /// Why, in a person's words.
    reason: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct MergeAnswer {
    id: i64,
    /// How many studies were corrected; those that come later are, too.
    studies: u64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct MergeUndone {
    /// How many studies were given back.
    studies: u64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct MergeList {
    items: Vec<MergeEntry>,
}

/// A merge that stands.
#[derive(Serialize, ToSchema)]
struct MergeEntry {
    id: i64,
    prior: MergedPatient,
    surviving: MergedPatient,
    reason: String,
    by: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
    /// How many studies it corrected.
    studies: i64,
}

/// Merges a patient into another one: every study of the first is corrected to
/// the second, now and when more come. Asked again, it goes on.
#[utoipa::path(post, path = "/patient-merges",
    extensions(("x-hilum-action" = json!("correct-studies"))), tag = "imaging", request_body = MergeRequest,
    responses((status = 200, body = MergeAnswer), (status = 400, body = ProblemBody),
        (status = 409, body = ProblemBody)))]
pub(crate) async fn merge_patients(
    May(scope, _): May<doors::CorrectStudies>,
    State(service): State<ImagingService>,
    Json(request): Json<MergeRequest>,
) -> Result<Json<MergeAnswer>, Problem> {
    let (prior, surviving) = (request.prior.key()?, request.surviving.key()?);
    let reason = request.reason.trim().to_owned();
    if reason.is_empty() || reason.len() > hilum_archive::limits::REASON_BYTES {
        return Err(ServiceError::invalid("Say in a few words why they are one.").into());
    }
    if prior == surviving || service.leads_to(&scope, &surviving, &prior).await? {
        let text = "They are one already.";
        return Err(ServiceError::invalid(text).into());
    }
    let by = scope.principal().to_string();
    let now = service.clock.now_millis();
    let id = service
        .store
        .merge_patients(
            &scope,
            &service.trail,
            (&prior, &surviving),
            (&reason, &by, now),
        )
        .await
        .map_err(|error| database_error(&error))?;
    let merge = service.store.merge_of(&scope, &prior).await;
    let merge = merge.map_err(|error| database_error(&error))?;
    let merge: PatientMerge =
        merge.ok_or_else(|| ServiceError::internal("The merge was undone meanwhile."))?;
    let studies = service.carry_out_merge(&scope, &merge).await?;
    tracing::info!(%by, studies, "patients merged");
    service.notices.tell(scope.tenant(), Topic::Studies, None);
    Ok(Json(MergeAnswer { id, studies }))
}

/// Merges that stand, the newest first.
#[utoipa::path(get, path = "/patient-merges",
    extensions(("x-hilum-action" = json!("view-studies"))), tag = "imaging",
    responses((status = 200, body = MergeList)))]
pub(crate) async fn list_patient_merges(
    May(scope, _): May<doors::ViewStudies>,
    State(service): State<ImagingService>,
) -> Result<Json<MergeList>, Problem> {
    let merges = service.store.patient_merges(&scope).await;
    let merges = merges.map_err(|error| database_error(&error))?;
    let items = merges
        .into_iter()
        .map(|merge| MergeEntry {
            id: merge.id,
            prior: MergedPatient::of(merge.prior),
            surviving: MergedPatient::of(merge.surviving),
            reason: merge.reason,
            by: merge.by,
            at: merge.at,
            studies: merge.studies,
        })
        .collect();
    Ok(Json(MergeList { items }))
}

/// Undoes a merge: the studies that it corrected are the prior patient's again,
/// unless they belong to somebody else by now.
#[utoipa::path(delete, path = "/patient-merges/{id}",
    extensions(("x-hilum-action" = json!("correct-studies"))), tag = "imaging",
    params(("id" = i64, Path)),
    responses((status = 200, body = MergeUndone), (status = 404, body = ProblemBody)))]
pub(crate) async fn undo_patient_merge(
    May(scope, _): May<doors::CorrectStudies>,
    State(service): State<ImagingService>,
    Path(id): Path<i64>,
) -> Result<Json<MergeUndone>, Problem> {
    let studies = service
        .take_back_merge(&scope, id, "the merge of two patients was undone")
        .await?
        .ok_or_else(|| ServiceError::not_found("There is no such merge."))?;
    service.notices.tell(scope.tenant(), Topic::Studies, None);
    Ok(Json(MergeUndone { studies }))
}
