//! `GET /devices/unknown`, `POST /devices/unknown/{id}/admit`,
//! `DELETE /devices/unknown/{id}`

use axum::Json;
use axum::extract::{Path, State};
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::ServiceError;
use hilum_platform::clock::from_millis;
use hilum_platform::config::is_ae_title;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use http::StatusCode;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{DeviceItem, refused};
use crate::IdentityService;
use crate::api::id;
use crate::limits::{DEVICES, UNKNOWN_DEVICES};
use crate::store::devices::{self, DeviceRow};

#[derive(Serialize, ToSchema)]
pub(crate) struct UnknownDeviceList {
    items: Vec<UnknownDevice>,
}

#[derive(Serialize, ToSchema)]
struct UnknownDevice {
    id: String,
    /// What it called itself; what is no printable ASCII stands as `?`.
    ae_title: String,
    /// The address that it called from.
    address: String,
    /// SHA-256 of the certificate that it showed, in hexadecimal.
    certificate_sha256: Option<String>,
    /// How often it called.
    count: i64,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    first_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    last_at: OffsetDateTime,
}

/// Devices that called and were rejected, the last one ahead; at most 200.
#[utoipa::path(get, path = "/devices/unknown",
    extensions(("x-hilum-action" = json!("view-devices"))), tag = "devices",
    responses((status = 200, body = UnknownDeviceList), (status = 403, body = ProblemBody)))]
pub(crate) async fn list_unknown_devices(
    May(scope, _): May<doors::ViewDevices>,
    State(service): State<IdentityService>,
) -> Result<Json<UnknownDeviceList>, Problem> {
    service.looks_at(&scope, "unknown-devices", "").await?;
    let rows = service
        .store
        .unknown_devices(&scope, UNKNOWN_DEVICES)
        .await
        .map_err(|error| database_error(&error))?;
    let items = rows
        .into_iter()
        .map(|row| UnknownDevice {
            id: row.id.to_string(),
            ae_title: row.ae_title,
            address: row.address,
            certificate_sha256: Some(row.certificate).filter(|text| !text.is_empty()),
            count: row.count,
            first_at: from_millis(row.first_at),
            last_at: from_millis(row.last_at),
        })
        .collect();
    Ok(Json(UnknownDeviceList { items }))
}

/// Lets a device that called send from now on: by the certificate that it
/// showed, or else by its address. A device of another organisation stays that.
#[utoipa::path(post, path = "/devices/unknown/{id}/admit",
    extensions(("x-hilum-action" = json!("manage-devices"))), tag = "devices",
    params(("id" = String, Path)),
    responses((status = 200, body = DeviceItem), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody)))]
pub(crate) async fn admit_unknown_device(
    May(scope, _): May<doors::ManageDevices>,
    State(service): State<IdentityService>,
    Path(device): Path<String>,
) -> Result<Json<DeviceItem>, Problem> {
    let failed = |error| Problem(database_error(&error));
    let mut tx = service.store.begin().await.map_err(failed)?;
    let called = devices::take_unknown(&mut tx, &scope, id(&device, "device")?)
        .await
        .map_err(failed)?
        .ok_or_else(|| ServiceError::not_found("There is no such device."))?;
    if !is_ae_title(&called.ae_title) {
        let text = "It called itself nothing that is an AE title.";
        return Err(ServiceError::invalid(text).into());
    }
    let by_certificate = !called.certificate.is_empty();
    let row = DeviceRow {
        id: Uuid::now_v7(),
        tenant: scope.tenant().clone(),
        ae_title: called.ae_title,
        address: if by_certificate {
            String::new()
        } else {
            called.address
        },
        certificate: called.certificate,
        issuer: None,
        quiet_seconds: None,
        fallback_charset: None,
        configured: false,
        created_at: service.clock.now_millis(),
        seen_at: None,
        seen_from: None,
    };
    let kept = devices::insert(&mut tx, &scope, &row, DEVICES).await;
    if !kept.map_err(failed)? {
        return Err(refused().into());
    }
    service
        .device_changed(tx, &scope, &row.ae_title, "admitted")
        .await?;
    Ok(Json(row.into()))
}

/// Takes a device out of the list; it comes back when it calls again.
#[utoipa::path(delete, path = "/devices/unknown/{id}",
    extensions(("x-hilum-action" = json!("manage-devices"))), tag = "devices",
    params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
pub(crate) async fn forget_unknown_device(
    May(scope, _): May<doors::ManageDevices>,
    State(service): State<IdentityService>,
    Path(device): Path<String>,
) -> Result<StatusCode, Problem> {
    let failed = |error| Problem(database_error(&error));
    let mut tx = service.store.begin().await.map_err(failed)?;
    let row = devices::take_unknown(&mut tx, &scope, id(&device, "device")?)
        .await
        .map_err(failed)?
        .ok_or_else(|| ServiceError::not_found("There is no such device."))?;
    let entry = Entry::new(Act::ChangeDevice)
        .with(Detail::Device, &row.ae_title)
        .with(Detail::Change, "forgotten");
    service.tell(&mut tx, &scope, entry).await?;
    tx.commit().await.map_err(failed)?;
    service.changed(&scope).await;
    Ok(StatusCode::NO_CONTENT)
}
