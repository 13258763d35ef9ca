//! `GET /storage`

use axum::Json;
use axum::extract::State;
use hilum_contracts::access::doors;
use hilum_contracts::error::ServiceError;
use hilum_platform::config::{Retention, RetentionSince};
use hilum_platform::http::{May, Problem, ProblemBody};
use hilum_platform::scope::TenantScope;
use serde::Serialize;
use utoipa::ToSchema;

use crate::ImagingService;

/// What the archive holds of this tenant.
#[derive(Serialize, ToSchema)]
pub(crate) struct Storage {
    studies: u64,
    series: u64,
    instances: u64,
    objects: u64,
    /// Bytes of all objects.
    bytes: u64,
    /// Instances with two contents, waiting for a person.
    conflicts: u64,
    quarantine_items: u64,
    quarantine_bytes: u64,
    /// Objects that hold settled series.
    packs: u64,
    /// Objects that hold instances that arrived together.
    bundles: u64,
    /// Bytes that may be held; absent: as many as there is room for.
    quota_bytes: Option<u64>,
    /// Instances that may be held.
    quota_instances: Option<u64>,
    /// Bytes of this tenant's look-up by UID.
    lookup_bytes: u64,
    /// Bytes of the index of all tenants.
    index_bytes: u64,
    /// Bytes of the wrapped keys of all tenants.
    key_bytes: u64,
    /// Legal holds that stand.
    holds: u64,
    /// Rules that say how long studies are kept.
    retention: Vec<RetentionRule>,
}

/// How long studies are kept. Of several rules that match, the longest times
/// count.
#[derive(Serialize, ToSchema)]
struct RetentionRule {
    /// Modalities of the studies that it matches; empty: all.
    modalities: Vec<String>,
    /// What days are counted from: `study-date` or `reception`.
    since: &'static str,
    /// Before, nobody deletes the study.
    keep_days: Option<u32>,
    /// After, it is deleted.
    expire_days: Option<u32>,
}

impl From<&Retention> for RetentionRule {
    fn from(rule: &Retention) -> Self {
        Self {
            modalities: rule.modalities.clone(),
            since: match rule.since {
                RetentionSince::StudyDate => "study-date",
                RetentionSince::Reception => "reception",
            },
            keep_days: rule.keep_days,
            expire_days: rule.expire_days,
        }
    }
}

/// What the archive holds.
#[utoipa::path(get, path = "/storage",
    extensions(("x-hilum-action" = json!("view-storage"))), tag = "imaging",
    responses((status = 200, body = Storage), (status = 503, body = ProblemBody)))]
pub(crate) async fn storage_report(
    May(scope, _): May<doors::ViewStorage>,
    State(service): State<ImagingService>,
) -> Result<Json<Storage>, Problem> {
    Ok(Json(report(&service, &scope).await?))
}

impl ImagingService {
    /// The same as JSON, for who opened the service without its doors.
    ///
    /// # Errors
    /// When the archive does not answer.
    pub async fn storage_report(
        &self,
        scope: &TenantScope,
    ) -> Result<serde_json::Value, ServiceError> {
        let report = report(self, scope).await?;
        serde_json::to_value(report).map_err(|error| ServiceError::internal(error.to_string()))
    }
}

async fn report(service: &ImagingService, scope: &TenantScope) -> hilum_archive::Result<Storage> {
    let report = service.archive.storage(Some(scope)).await?;
    let quota = service.archive.quota(scope.tenant());
    let files = service.archive.files(scope).await?;
    let holds = service.archive.holds(scope, u32::MAX).await?;
    let known = service.tenants.known();
    let tenant = known.tenant(scope.tenant());
    let rules = tenant
        .into_iter()
        .flat_map(|tenant| &tenant.archive.retention);
    Ok(Storage {
        studies: report.studies,
        series: report.series,
        instances: report.instances,
        objects: report.objects,
        bytes: report.object_bytes,
        conflicts: report.conflicts,
        quarantine_items: report.quarantined,
        quarantine_bytes: report.quarantined_bytes,
        packs: report.packs,
        bundles: report.bundles,
        quota_bytes: quota.bytes,
        quota_instances: quota.instances,
        lookup_bytes: files.lookup,
        index_bytes: files.index,
        key_bytes: files.keys,
        holds: u64::try_from(holds.len()).unwrap_or(u64::MAX),
        retention: rules.map(RetentionRule::from).collect(),
    })
}
