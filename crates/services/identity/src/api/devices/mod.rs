//! `GET|POST /devices`, `PATCH|DELETE /devices/{id}`

pub(crate) mod unknown;

use axum::Json;
use axum::extract::{Path, Query, State};
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::clock::from_millis;
use hilum_platform::config::is_ae_title;
use hilum_platform::db::Tx;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::http_body::{Body, given};
use hilum_platform::scope::TenantScope;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::id;
use super::page::PageQuery;
use crate::IdentityService;
use crate::domain::text;
use crate::limits::DEVICES;
use crate::store::devices::{self, DeviceRow};
use crate::tenants::certificate;
use hilum_platform::network::device_address;

#[derive(Serialize, ToSchema)]
pub(crate) struct DeviceList {
    items: Vec<DeviceItem>,
    /// `after` of the next page, when there may be one.
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DeviceItem {
    id: String,
    /// What it calls itself.
    ae_title: String,
    /// The address or network that it calls from.
    address: Option<String>,
    /// SHA-256 of its TLS client certificate, in hexadecimal.
    certificate_sha256: Option<String>,
    /// Issuer of Patient ID for images that name none.
    issuer: Option<String>,
    /// Seconds without a new image after which its series are believed
    /// complete.
    quiet_seconds: Option<f64>,
    /// Specific Character Set of its images that name none.
    fallback_charset: Option<String>,
    /// Whether the configuration file names it: it is changed there.
    configured: bool,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    /// To the minute.
    #[serde(with = "time::serde::rfc3339::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    seen_at: Option<OffsetDateTime>,
    seen_from: Option<String>,
}

impl From<DeviceRow> for DeviceItem {
    fn from(row: DeviceRow) -> Self {
        let there = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            id: row.id.to_string(),
            ae_title: row.ae_title,
            address: there(row.address),
            certificate_sha256: there(row.certificate),
            issuer: row.issuer,
            quiet_seconds: row.quiet_seconds,
            fallback_charset: row.fallback_charset,
            configured: row.configured,
            created_at: from_millis(row.created_at),
            seen_at: row.seen_at.map(from_millis),
            seen_from: row.seen_from,
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDevice {
    /// What it calls itself.
    ae_title: String,
    /// The address or network that it calls from; this or a certificate.
    address: Option<String>,
    /// SHA-256 of its TLS client certificate, in hexadecimal.
    certificate_sha256: Option<String>,
    issuer: Option<String>,
    quiet_seconds: Option<f64>,
    fallback_charset: Option<String>,
}

/// What is absent stays; `null` takes it away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceChange {
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    address: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    certificate_sha256: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    issuer: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<f64>)]
    quiet_seconds: Option<Option<f64>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    fallback_charset: Option<Option<String>>,
}

/// The devices that may send, in the order in which they came.
#[utoipa::path(get, path = "/devices",
    extensions(("x-hilum-action" = json!("view-devices"))), tag = "devices", params(PageQuery),
    responses((status = 200, body = DeviceList), (status = 400, body = ProblemBody)))]
pub(crate) async fn list_devices(
    May(scope, _): May<doors::ViewDevices>,
    State(service): State<IdentityService>,
    Query(page): Query<PageQuery>,
) -> Result<Json<DeviceList>, Problem> {
    service.looks_at(&scope, "devices", page.q()?).await?;
    let rows = service
        .store
        .devices(&scope, page.q()?, page.after, page.limit())
        .await
        .map_err(|error| database_error(&error))?;
    let next = page.next(&rows, |row| row.id.to_string());
    let items = rows.into_iter().map(Into::into).collect();
    Ok(Json(DeviceList { items, next }))
}

/// Lets a device send from now on.
#[utoipa::path(post, path = "/devices",
    extensions(("x-hilum-action" = json!("manage-devices"))), tag = "devices",
    request_body = NewDevice,
    responses((status = 200, body = DeviceItem), (status = 400, body = ProblemBody),
        (status = 409, body = ProblemBody)))]
pub(crate) async fn add_device(
    May(scope, _): May<doors::ManageDevices>,
    State(service): State<IdentityService>,
    Body(asked): Body<NewDevice>,
) -> Result<Json<DeviceItem>, Problem> {
    let failed = |error| Problem(database_error(&error));
    if !is_ae_title(&asked.ae_title) {
        let text = "An AE title has 1 to 16 printable characters and no backslash.";
        return Err(ServiceError::invalid(text).into());
    }
    let mut row = DeviceRow {
        id: Uuid::now_v7(),
        tenant: scope.tenant().clone(),
        ae_title: asked.ae_title,
        address: String::new(),
        certificate: String::new(),
        issuer: None,
        quiet_seconds: None,
        fallback_charset: None,
        configured: false,
        created_at: service.clock.now_millis(),
        seen_at: None,
        seen_from: None,
    };
    let all = DeviceChange {
        address: Some(asked.address),
        certificate_sha256: Some(asked.certificate_sha256),
        issuer: Some(asked.issuer),
        quiet_seconds: Some(asked.quiet_seconds),
        fallback_charset: Some(asked.fallback_charset),
    };
    apply(&mut row, all)?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    let kept = devices::insert(&mut tx, &scope, &row, DEVICES).await;
    if !kept.map_err(failed)? {
        return Err(refused().into());
    }
    service
        .device_changed(tx, &scope, &row.ae_title, "added")
        .await?;
    Ok(Json(row.into()))
}

/// Changes what a device is known by and what it needs.
#[utoipa::path(patch, path = "/devices/{id}",
    extensions(("x-hilum-action" = json!("manage-devices"))), tag = "devices",
    params(("id" = String, Path)), request_body = DeviceChange,
    responses((status = 200, body = DeviceItem), (status = 400, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn change_device(
    May(scope, _): May<doors::ManageDevices>,
    State(service): State<IdentityService>,
    Path(device): Path<String>,
    Body(change): Body<DeviceChange>,
) -> Result<Json<DeviceItem>, Problem> {
    let failed = |error| Problem(database_error(&error));
    let mut row = service.own_device(&scope, &device).await?;
    apply(&mut row, change)?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    if !devices::update(&mut tx, &scope, &row)
        .await
        .map_err(failed)?
    {
        return Err(refused().into());
    }
    service
        .device_changed(tx, &scope, &row.ae_title, "changed")
        .await?;
    Ok(Json(row.into()))
}

/// Removes a device: its next association is rejected.
#[utoipa::path(delete, path = "/devices/{id}",
    extensions(("x-hilum-action" = json!("manage-devices"))), tag = "devices",
    params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
pub(crate) async fn remove_device(
    May(scope, _): May<doors::ManageDevices>,
    State(service): State<IdentityService>,
    Path(device): Path<String>,
) -> Result<StatusCode, Problem> {
    let failed = |error| Problem(database_error(&error));
    let row = service.own_device(&scope, &device).await?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    let removed = devices::delete(&mut tx, &scope, row.id).await;
    if removed.map_err(failed)?.is_none() {
        return Err(ServiceError::not_found("There is no such device.").into());
    }
    service
        .device_changed(tx, &scope, &row.ae_title, "removed")
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

impl IdentityService {
    /// Records a change of a device, and lets it hold from now on.
    async fn device_changed(
        &self,
        mut tx: Tx,
        scope: &TenantScope,
        ae_title: &str,
        change: &'static str,
    ) -> Result<(), ServiceError> {
        let entry = Entry::new(Act::ChangeDevice)
            .with(Detail::Device, ae_title)
            .with(Detail::Change, change);
        self.tell(&mut tx, scope, entry).await?;
        tx.commit().await.map_err(|error| database_error(&error))?;
        self.publish().await?;
        self.changed(scope).await;
        Ok(())
    }

    /// A device that the tenant itself made.
    async fn own_device(&self, scope: &TenantScope, device: &str) -> Result<DeviceRow, Problem> {
        let row = self
            .store
            .device(scope, id(device, "device")?)
            .await
            .map_err(|error| database_error(&error))?
            .ok_or_else(|| ServiceError::not_found("There is no such device."))?;
        if row.configured {
            let text = "This device stands in the configuration file: change it there.";
            return Err(ServiceError::new(ErrorCode::Conflict, text).into());
        }
        Ok(row)
    }
}

fn apply(row: &mut DeviceRow, change: DeviceChange) -> Result<(), ServiceError> {
    if let Some(address) = change.address {
        let address = address.as_deref().map(device_address).transpose()?;
        row.address = address.unwrap_or_default();
    }
    if let Some(shown) = change.certificate_sha256 {
        row.certificate = shown
            .as_deref()
            .map(certificate)
            .transpose()?
            .unwrap_or_default();
    }
    if let Some(issuer) = change.issuer {
        let issuer = issuer.map(|text| text::name(&text, "An issuer"));
        row.issuer = issuer.transpose()?;
    }
    if let Some(seconds) = change.quiet_seconds {
        if seconds.is_some_and(|seconds| !(0.0..=86_400.0).contains(&seconds)) {
            return Err(ServiceError::invalid(
                "quiet_seconds is between 0 and 86400.",
            ));
        }
        row.quiet_seconds = seconds;
    }
    if let Some(set) = change.fallback_charset {
        if let Some(set) = &set {
            check_charset(set)?;
        }
        row.fallback_charset = set;
    }
    if row.address.is_empty() && row.certificate.is_empty() {
        let text = "A device is known by its AE title with an address or a certificate: an AE \
                    title alone proves nothing.";
        return Err(ServiceError::invalid(text));
    }
    Ok(())
}

/// A defined term of Specific Character Set is a Code String: at most 16 of
/// `A-Z`, `0-9`, space and underscore (PS3.5 §6.2, PS3.3 C.12.1.1.2).
fn check_charset(set: &str) -> Result<(), ServiceError> {
    let fine = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ' || b == b'_';
    if (1..=16).contains(&set.len()) && set.bytes().all(fine) {
        return Ok(());
    }
    Err(ServiceError::invalid(
        "A character set is a defined term of DICOM, such as ISO_IR 100.",
    ))
}

fn refused() -> ServiceError {
    let text = format!("There is such a device, or there are {DEVICES} already.");
    ServiceError::new(ErrorCode::Conflict, text)
}
