//! `POST /api/v1/erasures`: destroys everything of a patient, everywhere, and
//! certifies it; `GET /api/v1/erasures`. Owns the order in which the archive
//! and the services are asked; each destroys its own. What a crash broke off is
//! ended at the next start.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use hilum_archive::{Archive, BackupCopy, BackupState, ErasedPatient, ErasureRecord};
use hilum_contracts::access::doors;
use hilum_contracts::audit::Subject;
use hilum_contracts::erasure::Forgets;
use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::TenantId;
use hilum_contracts::scope::TenantScope;
use hilum_platform::auth;
use hilum_platform::clock::SharedClock;
use hilum_platform::events::Transit;
use hilum_platform::http::{May, Problem, ProblemBody};
use hilum_platform::notices::{Notices, Topic};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::Own;

/// Most certificates that a list answers.
const LISTED: u32 = 200;

/// Whom to erase. In the body, not in the address: addresses end in logs.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ErasureRequest {
    /// Patient ID.
    patient_id: String,
    /// Issuer of Patient ID; absent for studies that name none.
    issuer: Option<String>,
}

/// What was destroyed. Names nobody.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Certificate {
    /// Form of this document.
    version: u32,
    tenant: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    at: OffsetDateTime,
    by: String,
    studies: u64,
    instances: u64,
    /// Objects of which nothing was left; their files are gone, or go when the
    /// backup that was running has ended: nobody has their keys.
    objects: u64,
    quarantined: u64,
    /// Ids of the destroyed study keys.
    keys: Vec<String>,
    /// Rows that each service destroyed.
    services: Vec<ServiceRows>,
    /// What still holds it.
    #[schema(value_type = Vec<BackupOfPatient>)]
    backups: Backups,
    /// What `hilum restore --erasures` reads, so that a backup from before does
    /// not bring the patient back. Hashes under a key of the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    record: Option<ErasureRecord>,
    /// SHA-256 of this document with this field empty, in hexadecimal.
    sha256: String,
}

/// The known backups that were made before, or the sentence that certificates
/// of version 1 have in their place.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Backups {
    Known(Vec<BackupOfPatient>),
    Unknown(String),
}

/// A backup that was made before an erasure.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct BackupOfPatient {
    /// When it was begun.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    made_at: OffsetDateTime,
    /// Where it was made.
    folder: String,
    /// `told`: it holds the destroyed keys and objects until it is deleted, and
    /// erases them again when it is restored. `unreachable`: it may hold them,
    /// and knows nothing of the erasure. `gone`: its folder was removed.
    #[schema(value_type = String)]
    state: BackupState,
}

impl From<BackupCopy> for BackupOfPatient {
    fn from(copy: BackupCopy) -> Self {
        Self {
            made_at: copy.at,
            folder: copy.folder.display().to_string(),
            state: copy.state,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ServiceRows {
    pub(super) name: String,
    pub(super) rows: u64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CertificateList {
    items: Vec<Certificate>,
}

/// Erases a patient: images, results, keys, rows, events. It can't be undone.
#[utoipa::path(post, path = "/erasures",
    extensions(("x-hilum-action" = json!("erase-patients"))), tag = "platform", request_body = ErasureRequest,
    responses((status = 200, body = Certificate), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody)))]
pub(crate) async fn erase_patient(
    May(scope, _): May<doors::ErasePatients>,
    State(own): State<Own>,
    Json(request): Json<ErasureRequest>,
) -> Result<Json<Certificate>, Problem> {
    if request.patient_id.trim().is_empty() {
        return Err(ServiceError::invalid("Name the Patient ID that is to be erased.").into());
    }
    let by = scope.principal().to_string();
    let patient = ErasedPatient {
        id: request.patient_id,
        issuer: request.issuer.filter(|issuer| !issuer.is_empty()),
    };
    // To its end, also when whoever asked goes away.
    let erasures = own.erasures.clone();
    let erasing = tokio::spawn(async move { erasures.erase(&scope, patient, by).await });
    match erasing.await {
        Ok(certified) => Ok(Json(certified?)),
        Err(_) => Err(ServiceError::internal("The erasure broke off; ask again.").into()),
    }
}

/// Erases patients: the archive first, then every service, then the certificate.
#[derive(Clone)]
pub(crate) struct Erasures {
    pub(super) archive: Archive,
    pub(super) forgetful: Arc<[Arc<dyn Forgets>]>,
    pub(super) transit: Transit,
    pub(super) clock: SharedClock,
    notices: Notices,
    /// One after the other: each empties the write-ahead logs.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
}

impl Erasures {
    pub(crate) fn new(
        archive: Archive,
        forgetful: Arc<[Arc<dyn Forgets>]>,
        transit: Transit,
        clock: SharedClock,
        notices: Notices,
    ) -> Self {
        Self {
            archive,
            forgetful,
            transit,
            clock,
            notices,
            turn: Arc::default(),
        }
    }

    /// Ends the erasures of these tenants that were begun before.
    pub(crate) async fn resume(self, tenants: Vec<TenantId>) {
        let turn = Arc::clone(&self.turn);
        let _turn = turn.lock().await;
        for tenant in tenants {
            let scope = auth::service(&tenant, "erasures");
            if let Err(error) = self.resume_in(&scope).await {
                tracing::error!(%error, "an erasure that was begun is not ended: ask for it again");
            }
        }
    }

    async fn resume_in(&self, scope: &TenantScope) -> Result<(), ServiceError> {
        self.archive.scrub_certified().await?;
        for (patient, by) in self.archive.unfinished_erasures(scope).await? {
            self.in_turn(scope, patient, by).await?;
        }
        Ok(())
    }

    async fn erase(
        &self,
        scope: &TenantScope,
        patient: ErasedPatient,
        by: String,
    ) -> Result<Certificate, ServiceError> {
        let _turn = self.turn.lock().await;
        self.in_turn(scope, patient, by).await
    }

    async fn in_turn(
        &self,
        scope: &TenantScope,
        patient: ErasedPatient,
        by: String,
    ) -> Result<Certificate, ServiceError> {
        let elements = hilum_imaging::patient_id_elements(&patient.id);
        let erased = self
            .archive
            .erase(scope, patient.clone(), &elements, &by)
            .await?;
        let whom = Subject::patient(&*patient.id, patient.issuer.as_deref());
        let services = self.forget(scope, &[whom], &erased.studies).await?;
        let (record, backups) = self
            .archive
            .record_erasure(scope, &patient, &erased)
            .await?;
        let mut certificate = Certificate {
            version: 2,
            tenant: scope.tenant().as_str().to_owned(),
            at: self.clock.now(),
            by,
            studies: u64::try_from(erased.studies.len()).unwrap_or(u64::MAX),
            instances: erased.instances,
            objects: erased.objects,
            quarantined: erased.quarantined,
            keys: erased.keys,
            services,
            backups: Backups::Known(backups.into_iter().map(Into::into).collect()),
            record: Some(record),
            sha256: String::new(),
        };
        certificate.sha256 = sha256_of(&certificate)?;
        let text = json(&certificate)?;
        self.archive.certify(scope, patient, text).await?;
        tracing::info!(
            studies = certificate.studies,
            instances = certificate.instances,
            "a patient was erased"
        );
        for topic in [Topic::Studies, Topic::Patients, Topic::Quarantine] {
            self.notices.tell(scope.tenant(), topic, None);
        }
        Ok(certificate)
    }

    /// Has every service forget these studies; how many rows of each went.
    async fn forget(
        &self,
        scope: &TenantScope,
        patients: &[Subject],
        studies: &[String],
    ) -> Result<Vec<ServiceRows>, ServiceError> {
        let studies_of = studies.iter().map(|uid| Subject::study(&**uid));
        let subjects: Vec<Subject> = patients.iter().cloned().chain(studies_of).collect();
        self.forget_audited(scope, &subjects).await?;
        let mut services = Vec::new();
        for service in self.forgetful.iter() {
            let words = service.forget_named(scope, &subjects).await?;
            let rows = words + service.forget(scope, studies).await?;
            services.push(ServiceRows {
                name: service.name().to_owned(),
                rows,
            });
        }
        // What was told from one to the other meanwhile, with nothing on its way.
        let halted = self.transit.halt().await?;
        self.archive.forget_events(scope, studies).await?;
        self.archive.forget_audited(scope, &subjects).await?;
        self.forget_audited(scope, &subjects).await?;
        for (service, told) in self.forgetful.iter().zip(&mut services) {
            told.rows += service.forget(scope, studies).await?;
        }
        drop(halted);
        Ok(services)
    }

    /// Makes entries of the services' trails about these name nobody; the archive's
    /// it forgets itself. What is left in free pages goes when the services forget.
    async fn forget_audited(
        &self,
        scope: &TenantScope,
        subjects: &[Subject],
    ) -> Result<(), ServiceError> {
        for service in self.forgetful.iter() {
            service.forget_audited(scope, subjects).await?;
        }
        Ok(())
    }

    /// Whether there are erasures that a restored backup does not know.
    pub(crate) async fn are_due(&self) -> Result<bool, ServiceError> {
        Ok(!self.archive.due_erasures().await?.is_empty())
    }

    /// Carries out the erasures that a restored backup does not know, when the
    /// tenants that were ended since [are](super::Endings::carry_out_due).
    /// Nothing may be served before.
    pub(crate) async fn carry_out_due(&self) -> Result<(), ServiceError> {
        let _turn = self.turn.lock().await;
        for record in self.archive.due_erasures().await? {
            let tenant = TenantId::new(&record.tenant)
                .map_err(|_| ServiceError::internal("A record of an erasure names no tenant."))?;
            let scope = auth::service(&tenant, "erasures");
            // Before nothing of them is to be found any more.
            let subjects = self.archive.audited_in(&scope, &record).await?;
            self.archive.forget_audited(&scope, &subjects).await?;
            self.forget_audited(&scope, &subjects).await?;
            let studies = self
                .archive
                .erase_again(&scope, &record, hilum_imaging::patient_id_elements)
                .await?;
            self.forget(&scope, &subjects, &studies).await?;
            self.archive.erased_again(&record).await?;
            tracing::info!(
                studies = studies.len(),
                "an erasure from after the restored backup was carried out again"
            );
        }
        Ok(())
    }
}

/// The certificates of what was erased, the newest first.
#[utoipa::path(get, path = "/erasures",
    extensions(("x-hilum-action" = json!("view-erasures"))), tag = "platform",
    responses((status = 200, body = CertificateList)))]
pub(crate) async fn list_erasures(
    May(scope, _): May<doors::ViewErasures>,
    State(own): State<Own>,
) -> Result<Json<CertificateList>, Problem> {
    let rows = own.archive.certificates(&scope, LISTED).await?;
    let items = rows
        .iter()
        .filter_map(|row| serde_json::from_str(&row.certificate).ok())
        .collect();
    Ok(Json(CertificateList { items }))
}

fn json(certificate: &impl Serialize) -> Result<String, ServiceError> {
    serde_json::to_string(certificate)
        .map_err(|_| ServiceError::internal("The certificate can't be written."))
}

/// The digest that a certificate carries, made of it while it carries none.
pub(super) fn sha256_of(certificate: &impl Serialize) -> Result<String, ServiceError> {
    let text = json(certificate)?;
    Ok(hilum_archive::sha256_hex(text.as_bytes()))
}
