//! `DELETE /studies/{study_uid}` and, below it, of a series or an instance;
//! `GET /deletions`.

use axum::Json;
use axum::extract::{Path, State};
use hilum_archive::{Cause, MetadataScope, NewDeletion};
use hilum_contracts::access::doors;
use hilum_contracts::error::ServiceError;
use hilum_platform::http::{May, Problem, ProblemBody};
use hilum_platform::notices::Topic;
use hilum_platform::scope::TenantScope;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::ImagingService;
use crate::limits::LIST_MAX;

/// Why something is deleted.
#[derive(Deserialize, ToSchema)]
pub(crate) struct DeletionReason {
    /// In a person's words; it is kept, so it should not name the patient.
    reason: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Deleted {
    /// How many instances are gone.
    instances: u64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DeletionList {
    items: Vec<Deletion>,
}

/// A deletion as it is remembered: it names nothing that was deleted.
#[derive(Serialize, ToSchema)]
struct Deletion {
    id: i64,
    /// `study`, `series` or `instance`.
    level: String,
    /// `person`, `rejected`, `retention` or `erased`.
    cause: String,
    reason: String,
    by: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
    instances: u64,
}

/// Deletes a study for good: rows, bytes and its key. A resend is refused
/// unless the tenant accepts resends.
#[utoipa::path(delete, path = "/studies/{study_uid}",
    extensions(("x-hilum-action" = json!("delete-images"))), tag = "imaging",
    params(("study_uid" = String, Path)), request_body = DeletionReason,
    responses((status = 200, body = Deleted), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody)))]
pub(crate) async fn delete_study(
    May(scope, _): May<doors::DeleteImages>,
    State(service): State<ImagingService>,
    Path(study_uid): Path<String>,
    Json(reason): Json<DeletionReason>,
) -> Result<Json<Deleted>, Problem> {
    delete(&service, &scope, MetadataScope::Study(study_uid), reason).await
}

/// Deletes a series for good.
#[utoipa::path(delete, path = "/studies/{study_uid}/series/{series_uid}",
    extensions(("x-hilum-action" = json!("delete-images"))), tag = "imaging",
    params(("study_uid" = String, Path), ("series_uid" = String, Path)),
    request_body = DeletionReason,
    responses((status = 200, body = Deleted), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody)))]
pub(crate) async fn delete_series(
    May(scope, _): May<doors::DeleteImages>,
    State(service): State<ImagingService>,
    Path((study, series)): Path<(String, String)>,
    Json(reason): Json<DeletionReason>,
) -> Result<Json<Deleted>, Problem> {
    let of = MetadataScope::Series { study, series };
    delete(&service, &scope, of, reason).await
}

/// Deletes an instance for good, with whatever was kept beside it under its
/// UID in this series.
#[utoipa::path(delete,
    path = "/studies/{study_uid}/series/{series_uid}/instances/{sop_instance_uid}",
    extensions(("x-hilum-action" = json!("delete-images"))),
    tag = "imaging",
    params(("study_uid" = String, Path), ("series_uid" = String, Path),
        ("sop_instance_uid" = String, Path)),
    request_body = DeletionReason,
    responses((status = 200, body = Deleted), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody)))]
pub(crate) async fn delete_instance(
    May(scope, _): May<doors::DeleteImages>,
    State(service): State<ImagingService>,
    Path((study, series, instance)): Path<(String, String, String)>,
    Json(reason): Json<DeletionReason>,
) -> Result<Json<Deleted>, Problem> {
    let of = MetadataScope::Instance {
        study,
        series,
        instance,
    };
    delete(&service, &scope, of, reason).await
}

async fn delete(
    service: &ImagingService,
    scope: &TenantScope,
    of: MetadataScope,
    reason: DeletionReason,
) -> Result<Json<Deleted>, Problem> {
    let reason = reason.reason.trim().to_owned();
    if reason.is_empty() {
        return Err(ServiceError::invalid("Say why it is deleted.").into());
    }
    let deletion = NewDeletion {
        of,
        cause: Cause::Person,
        reason,
        by: scope.principal().to_string(),
    };
    let deleted = service.archive.delete(scope, deletion).await?;
    tracing::info!(
        by = %scope.principal(),
        instances = deleted.instances, objects = deleted.objects, "deleted"
    );
    metrics::counter!("hilum_deleted_instances_total").increment(deleted.instances);
    service.notices.tell(scope.tenant(), Topic::Studies, None);
    Ok(Json(Deleted {
        instances: deleted.instances,
    }))
}

/// What was deleted, when, by whom and why; the newest first.
#[utoipa::path(get, path = "/deletions",
    extensions(("x-hilum-action" = json!("view-erasures"))), tag = "imaging",
    responses((status = 200, body = DeletionList)))]
pub(crate) async fn list_deletions(
    May(scope, _): May<doors::ViewErasures>,
    State(service): State<ImagingService>,
) -> Result<Json<DeletionList>, Problem> {
    let rows = service.archive.deletions(&scope, LIST_MAX).await?;
    let items = rows
        .into_iter()
        .map(|row| Deletion {
            id: row.id,
            level: row.level.to_owned(),
            cause: row.cause.as_str().to_owned(),
            reason: row.reason,
            by: row.by,
            at: row.at,
            instances: row.instances,
        })
        .collect();
    Ok(Json(DeletionList { items }))
}
