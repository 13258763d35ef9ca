//! `POST /api/v1/tenant/end`: ends a tenant for good, everywhere, and certifies
//! it; `GET /api/v1/tenants/ended`. Owns the order: Identity lets nobody in any
//! more, the archive closes, the end is written down for every backup, the key
//! is destroyed, and then each destroys its own. What a crash broke off goes on
//! before the next start serves.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use hilum_archive::{ErasureRecord, TenantHoldings};
use hilum_contracts::access::doors;
use hilum_contracts::erasure::{EndedTenant, EndsTenants};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::ids::TenantId;
use hilum_contracts::scope::{Principal, TenantScope};
use hilum_platform::auth;
use hilum_platform::clock::from_millis;
use hilum_platform::http::{May, Problem, ProblemBody};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::Own;
use super::erasures::{BackupOfPatient, Erasures, ServiceRows, sha256_of};

/// Form of the certificates that are written now.
const VERSION: u32 = 1;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndTenantRequest {
    /// The organisation's short name, typed anew.
    confirm: String,
    /// Go over legal holds. For the operator of the installation alone.
    #[serde(default)]
    override_holds: bool,
}

/// What was destroyed. Names nobody.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct EndCertificate {
    /// Form of this document.
    version: u32,
    tenant: String,
    /// From when on nobody got in.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    begun_at: OffsetDateTime,
    /// When everything was gone.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
    /// Who decided it, in the words of the audit trail.
    by: String,
    /// By which right: the role.
    right: String,
    /// Legal holds that the operator went over.
    overridden_holds: u64,
    people: u64,
    api_keys: u64,
    devices: u64,
    studies: u64,
    series: u64,
    instances: u64,
    /// Objects, and their bytes; their files are gone, or go when the backup
    /// that was running has ended: nobody has their keys.
    objects: u64,
    object_bytes: u64,
    quarantined: u64,
    /// Study keys that went with the tenant's key.
    keys: u64,
    /// SHA-256 of their ids, 16 bytes each, in ascending order.
    keys_sha256: String,
    /// Rows that each service destroyed; of what went before a crash, none.
    services: Vec<ServiceRows>,
    /// What still holds it.
    backups: Vec<BackupOfPatient>,
    /// What `hilum restore --erasures` reads, so that a backup from before ends
    /// the tenant again. Holds a hash under the key that was destroyed.
    #[schema(value_type = Object)]
    record: ErasureRecord,
    /// SHA-256 of this document with this field empty, in hexadecimal.
    sha256: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct EndedTenantList {
    items: Vec<EndedTenantItem>,
}

#[derive(Serialize, ToSchema)]
struct EndedTenantItem {
    name: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    begun_at: OffsetDateTime,
    /// Absent while it is going on.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<OffsetDateTime>,
    certificate: Option<EndCertificate>,
}

/// Ends the organisation: everybody is out at once, and everything of it is
/// destroyed, in all services and files. It can't be undone.
#[utoipa::path(post, path = "/tenant/end",
    extensions(("x-hilum-action" = json!("end-tenant"))), tag = "settings",
    request_body = EndTenantRequest,
    responses((status = 200, body = EndCertificate), (status = 400, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn end_tenant(
    May(scope, _): May<doors::EndTenant>,
    State(own): State<Own>,
    Json(asked): Json<EndTenantRequest>,
) -> Result<Json<EndCertificate>, Problem> {
    if asked.confirm != scope.tenant().as_str() {
        let text = format!(
            "Type the short name of the organisation, {}, to end it.",
            scope.tenant()
        );
        return Err(ServiceError::invalid(text).into());
    }
    if asked.override_holds && *scope.principal() != Principal::LocalOperator {
        let text = "Only the operator of the installation goes over legal holds.";
        return Err(ServiceError::new(ErrorCode::Forbidden, text).into());
    }
    // To its end, also when whoever asked goes away.
    let endings = own.endings.clone();
    let ending = tokio::spawn(async move { endings.end(&scope, asked.override_holds).await });
    match ending.await {
        Ok(certified) => Ok(Json(certified?)),
        Err(_) => {
            let text = "The end broke off; it goes on at the next start.";
            Err(ServiceError::internal(text).into())
        }
    }
}

/// Tenants that are being ended or were, with their certificates.
#[utoipa::path(get, path = "/tenants/ended",
    extensions(("x-hilum-action" = json!("operate"))), tag = "platform",
    responses((status = 200, body = EndedTenantList), (status = 403, body = ProblemBody)))]
pub(crate) async fn list_ended_tenants(
    _: May<doors::Operate>,
    State(own): State<Own>,
) -> Result<Json<EndedTenantList>, Problem> {
    let ended = own.endings.identity.ended_tenants().await?;
    let item = |one: EndedTenant| EndedTenantItem {
        name: one.name.to_string(),
        begun_at: from_millis(one.begun_at),
        ended_at: one.ended_at.map(from_millis),
        certificate: one
            .certificate
            .and_then(|text| serde_json::from_str(&text).ok()),
    };
    let items = ended.into_iter().map(item).collect();
    Ok(Json(EndedTenantList { items }))
}

/// Ends tenants, one after the other and none beside an erasure.
#[derive(Clone)]
pub(crate) struct Endings {
    erasures: Erasures,
    identity: Arc<dyn EndsTenants>,
}

impl Endings {
    pub(crate) fn new(erasures: Erasures, identity: Arc<dyn EndsTenants>) -> Self {
        Self { erasures, identity }
    }

    async fn end(
        &self,
        scope: &TenantScope,
        override_holds: bool,
    ) -> Result<EndCertificate, ServiceError> {
        let turn = Arc::clone(&self.erasures.turn);
        let _turn = turn.lock().await;
        let holds = self.erasures.archive.standing_holds(scope).await?;
        if holds > 0 && !override_holds {
            let text = match holds {
                1 => "A legal hold stands".to_owned(),
                _ => format!("{holds} legal holds stand"),
            };
            let text = format!("{text} against it: lift what is over first (see Storage).");
            return Err(ServiceError::new(ErrorCode::Conflict, text));
        }
        self.identity.begin_ending(scope, holds).await?;
        tracing::info!(tenant = %scope.tenant(), "a tenant is being ended: nobody gets in any more");
        self.go_on(scope).await
    }

    /// Ends what was begun before, and what the installation that a backup is of
    /// has ended since. Nothing may be served before.
    pub(crate) async fn carry_out_due(&self) -> Result<(), ServiceError> {
        let turn = Arc::clone(&self.erasures.turn);
        let _turn = turn.lock().await;
        for record in self.erasures.archive.due_erasures().await? {
            if record.ends_tenant() {
                self.end_again(&record).await?;
            }
        }
        for begun in self.identity.ended_tenants().await? {
            if begun.ended_at.is_none() {
                self.go_on(&auth::service(&begun.name, "endings")).await?;
            }
        }
        Ok(())
    }

    async fn end_again(&self, record: &ErasureRecord) -> Result<(), ServiceError> {
        // An error for one that was changed; nothing to destroy where there is no key.
        self.erasures.archive.is_ending_known(record).await?;
        let tenant = TenantId::new(&record.tenant)
            .map_err(|_| ServiceError::internal("A record of an erasure names no tenant."))?;
        let scope = auth::service(&tenant, "endings");
        self.identity.begin_ending_again(&scope).await?;
        self.go_on(&scope).await?;
        self.erasures.archive.erased_again(record).await?;
        tracing::info!(%tenant, "a tenant that was ended after the restored backup was ended again");
        Ok(())
    }

    /// From when nobody gets in any more to the certificate. Each step may have
    /// been done before.
    async fn go_on(&self, scope: &TenantScope) -> Result<EndCertificate, ServiceError> {
        let archive = &self.erasures.archive;
        let holdings = archive.close_tenant(scope).await?;
        let known = self
            .identity
            .keep_holdings(scope, &json(&holdings)?)
            .await?;
        if let Some(text) = known
            .certificate
            .as_deref()
            .filter(|_| known.ended_at.is_some())
        {
            return serde_json::from_str(text).map_err(|_| unwritten());
        }
        let (record, backups) = archive.record_ending(scope).await?;
        archive.destroy_tenant(scope).await?;
        let services = self.forget(scope).await?;
        let held = known.holdings.as_deref().unwrap_or_default();
        let held: TenantHoldings = serde_json::from_str(held).map_err(|_| unwritten())?;
        let mut certificate = EndCertificate {
            version: VERSION,
            tenant: scope.tenant().to_string(),
            begun_at: from_millis(known.begun_at),
            at: self.erasures.clock.now(),
            by: known.by,
            right: known.by_right,
            overridden_holds: known.holds,
            people: known.people,
            api_keys: known.api_keys,
            devices: known.devices,
            studies: held.studies,
            series: held.series,
            instances: held.instances,
            objects: held.objects,
            object_bytes: held.object_bytes,
            quarantined: held.quarantined,
            keys: held.keys,
            keys_sha256: held.keys_sha256,
            services,
            backups: backups.into_iter().map(Into::into).collect(),
            record,
            sha256: String::new(),
        };
        certificate.sha256 = sha256_of(&certificate)?;
        self.identity
            .certify_ending(scope, &json(&certificate)?, &certificate.sha256)
            .await?;
        tracing::info!(
            tenant = %scope.tenant(),
            studies = certificate.studies,
            instances = certificate.instances,
            "a tenant was ended"
        );
        Ok(certificate)
    }

    /// Has every service forget the tenant; how many rows of each went.
    async fn forget(&self, scope: &TenantScope) -> Result<Vec<ServiceRows>, ServiceError> {
        let erasures = &self.erasures;
        // Nothing is told from one to the other meanwhile.
        let halted = erasures.transit.halt().await?;
        let mut services = Vec::new();
        for service in erasures.forgetful.iter() {
            services.push(ServiceRows {
                name: service.name().to_owned(),
                rows: service.forget_tenant(scope).await?,
            });
        }
        drop(halted);
        Ok(services)
    }
}

fn json(value: &impl Serialize) -> Result<String, ServiceError> {
    serde_json::to_string(value).map_err(|_| unwritten())
}

fn unwritten() -> ServiceError {
    ServiceError::internal("The certificate can't be written or read.")
}
