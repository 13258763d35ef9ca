//! `GET|PATCH /settings`

use axum::Json;
use axum::extract::State;
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::config::{ResendPolicy, Retention, UnknownDevices};
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::http_body::{Body, given};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::IdentityService;
use crate::domain::text;
use crate::store::tenants::{self, TenantRow};

/// `null` is the installation's default.
#[derive(Serialize, ToSchema)]
pub(crate) struct TenantSettings {
    /// The name in paths and links.
    name: String,
    display_name: String,
    /// The AE title that images are sent to.
    ae_title: String,
    /// Minutes without a request after which a session ends.
    session_idle_minutes: Option<u32>,
    /// Hours after which a session ends in any case.
    session_hours: Option<u32>,
    /// `reject` or `admit-from-loopback`.
    #[schema(value_type = Option<String>)]
    unknown_devices: Option<UnknownDevices>,
    /// Requests that one principal may make in a minute.
    requests_per_minute: Option<u32>,
    quota_bytes: Option<u64>,
    quota_instances: Option<u64>,
    /// How long studies are kept: `modalities`, `since` (`study-date` or
    /// `reception`), `keep_days`, `expire_days`.
    #[schema(value_type = Vec<Object>)]
    retention: Vec<Retention>,
    /// What happens to images that come again after they were deleted: `refuse`
    /// or `accept`.
    #[schema(value_type = String)]
    resend: ResendPolicy,
    /// Whether quota, retention and resend stand in the configuration file: they
    /// are changed there.
    archive_configured: bool,
}

/// What is absent stays; `null` is the installation's default.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsChange {
    display_name: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    session_idle_minutes: Option<Option<u32>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    session_hours: Option<Option<u32>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    unknown_devices: Option<Option<UnknownDevices>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    requests_per_minute: Option<Option<u32>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    quota_bytes: Option<Option<u64>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    quota_instances: Option<Option<u64>>,
    #[schema(value_type = Option<Vec<Object>>)]
    retention: Option<Vec<Retention>>,
    #[schema(value_type = Option<String>)]
    resend: Option<ResendPolicy>,
}

impl SettingsChange {
    /// What it changes, by name.
    fn named(&self) -> Vec<&'static str> {
        [
            ("display_name", self.display_name.is_some()),
            ("session_idle_minutes", self.session_idle_minutes.is_some()),
            ("session_hours", self.session_hours.is_some()),
            ("unknown_devices", self.unknown_devices.is_some()),
            ("requests_per_minute", self.requests_per_minute.is_some()),
            ("quota_bytes", self.quota_bytes.is_some()),
            ("quota_instances", self.quota_instances.is_some()),
            ("retention", self.retention.is_some()),
            ("resend", self.resend.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, is_named)| is_named.then_some(name))
        .collect()
    }
}

/// What the organisation decided for itself.
#[utoipa::path(get, path = "/settings",
    extensions(("x-hilum-action" = json!("view-settings"))), tag = "settings",
    responses((status = 200, body = TenantSettings), (status = 403, body = ProblemBody)))]
pub(crate) async fn get_settings(
    May(scope, _): May<doors::ViewSettings>,
    State(service): State<IdentityService>,
) -> Result<Json<TenantSettings>, Problem> {
    service.looks_at(&scope, "settings", "").await?;
    let row = service.store.tenant(&scope).await;
    let row = row.map_err(|error| database_error(&error))?;
    let row = row.ok_or_else(|| ServiceError::not_found("There is no such organisation."))?;
    Ok(Json(service.shown(row)))
}

/// Changes what the organisation decides for itself.
#[utoipa::path(patch, path = "/settings",
    extensions(("x-hilum-action" = json!("manage-settings"))), tag = "settings",
    request_body = SettingsChange,
    responses((status = 200, body = TenantSettings), (status = 400, body = ProblemBody),
        (status = 409, body = ProblemBody)))]
pub(crate) async fn change_settings(
    May(scope, _): May<doors::ManageSettings>,
    State(service): State<IdentityService>,
    Body(change): Body<SettingsChange>,
) -> Result<Json<TenantSettings>, Problem> {
    let failed = |error| Problem(database_error(&error));
    let changed = change.named();
    let of_archive = change.quota_bytes.is_some()
        || change.quota_instances.is_some()
        || change.retention.is_some()
        || change.resend.is_some();
    if of_archive && service.rules.names_archive_of(scope.tenant()) {
        let text =
            "Quota, retention and resend stand in the configuration file: change them there.";
        return Err(ServiceError::new(ErrorCode::Conflict, text).into());
    }
    let mut tx = service.store.begin().await.map_err(failed)?;
    let row = tenants::get(&mut tx, &scope).await.map_err(failed)?;
    let mut row = row.ok_or_else(|| ServiceError::not_found("There is no such organisation."))?;
    apply(&mut row, change)?;
    tenants::update(&mut tx, &scope, &row.display_name, &row.settings)
        .await
        .map_err(failed)?;
    let entry = Entry::new(Act::ChangeSettings).with(Detail::Setting, changed.join(" "));
    service.tell(&mut tx, &scope, entry).await?;
    tx.commit().await.map_err(failed)?;
    service.publish().await?;
    service.changed(&scope).await;
    Ok(Json(service.shown(row)))
}

fn apply(row: &mut TenantRow, change: SettingsChange) -> Result<(), ServiceError> {
    fn set<T>(value: &mut T, change: Option<T>) {
        if let Some(change) = change {
            *value = change;
        }
    }
    if let Some(name) = change.display_name {
        row.display_name = text::name(&name, "The organisation's name")?;
    }
    let settings = &mut row.settings;
    set(
        &mut settings.session_idle_minutes,
        change.session_idle_minutes,
    );
    set(&mut settings.session_hours, change.session_hours);
    set(&mut settings.unknown_devices, change.unknown_devices);
    set(
        &mut settings.requests_per_minute,
        change.requests_per_minute,
    );
    set(&mut settings.archive.quota_bytes, change.quota_bytes);
    set(
        &mut settings.archive.quota_instances,
        change.quota_instances,
    );
    set(&mut settings.archive.retention, change.retention);
    set(&mut settings.archive.resend, change.resend);
    settings.check()
}

impl IdentityService {
    fn shown(&self, row: TenantRow) -> TenantSettings {
        let archive = self.rules.archive_of(&row.name, row.settings.archive);
        TenantSettings {
            archive_configured: self.rules.names_archive_of(&row.name),
            name: row.name.to_string(),
            display_name: row.display_name,
            ae_title: row.ae_title,
            session_idle_minutes: row.settings.session_idle_minutes,
            session_hours: row.settings.session_hours,
            unknown_devices: row.settings.unknown_devices,
            requests_per_minute: row.settings.requests_per_minute,
            quota_bytes: archive.quota_bytes,
            quota_instances: archive.quota_instances,
            retention: archive.retention,
            resend: archive.resend,
        }
    }
}
