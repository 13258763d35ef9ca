//! `GET|POST /sign-in-providers`, `PATCH|DELETE /sign-in-providers/{id}`

use axum::Json;
use axum::extract::{Path, State};
use hilum_contracts::access::doors;
use hilum_contracts::audit::{Act, Detail, Entry};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::clock::from_millis;
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::http_body::{Body, Confidential};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::id;
use crate::IdentityService;
use crate::domain::text;
use crate::limits::PROVIDERS;
use crate::store::providers::{self, Provider};

/// Google's issuer (OpenID Connect Discovery).
const GOOGLE: &str = "https://accounts.google.com";

#[derive(Serialize, ToSchema)]
pub(crate) struct ProviderList {
    items: Vec<ProviderItem>,
    /// What a provider has to know: where it sends people back to.
    redirect_uri: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ProviderItem {
    id: String,
    name: String,
    issuer: String,
    client_id: String,
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
}

impl From<Provider> for ProviderItem {
    fn from(provider: Provider) -> Self {
        Self {
            id: provider.id.to_string(),
            name: provider.name,
            issuer: provider.issuer,
            client_id: provider.client_id,
            created_at: from_millis(provider.created_at),
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewProvider {
    /// What the button says; `Google` when the issuer is Google's.
    name: Option<String>,
    /// An https address, or `google`.
    issuer: String,
    client_id: String,
    client_secret: Confidential,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderChange {
    name: Option<String>,
    #[schema(value_type = Option<String>)]
    client_secret: Option<Confidential>,
}

/// The providers that the organisation's people sign in with.
#[utoipa::path(get, path = "/sign-in-providers",
    extensions(("x-hilum-action" = json!("view-settings"))), tag = "settings",
    responses((status = 200, body = ProviderList), (status = 403, body = ProblemBody)))]
pub(crate) async fn list_providers(
    May(scope, _): May<doors::ViewSettings>,
    State(service): State<IdentityService>,
) -> Result<Json<ProviderList>, Problem> {
    service.looks_at(&scope, "sign-in-providers", "").await?;
    let rows = service.store.providers(&scope).await;
    let rows = rows.map_err(|error| database_error(&error))?;
    Ok(Json(ProviderList {
        items: rows.into_iter().map(Into::into).collect(),
        redirect_uri: service.redirect_uri(),
    }))
}

/// Lets people sign in with a provider, after it answered as one.
#[utoipa::path(post, path = "/sign-in-providers",
    extensions(("x-hilum-action" = json!("manage-settings"))), tag = "settings",
    request_body = NewProvider,
    responses((status = 200, body = ProviderItem), (status = 400, body = ProblemBody),
        (status = 409, body = ProblemBody)))]
pub(crate) async fn add_provider(
    May(scope, _): May<doors::ManageSettings>,
    State(service): State<IdentityService>,
    Body(asked): Body<NewProvider>,
) -> Result<Json<ProviderItem>, Problem> {
    let failed = |error| Problem(database_error(&error));
    let is_google = asked.issuer == "google" || asked.issuer == GOOGLE;
    let issuer = if is_google {
        GOOGLE.to_owned()
    } else {
        asked.issuer
    };
    let name = asked
        .name
        .or_else(|| is_google.then(|| "Google".to_owned()));
    let name = text::name(&name.unwrap_or_default(), "A provider's name")?;
    let client_id = text::name(&asked.client_id, "A client id")?;
    service.check_issuer(&issuer).await?;
    let id = Uuid::now_v7();
    let secret = asked.client_secret.reveal().as_bytes();
    let provider = Provider {
        id,
        tenant: scope.tenant().clone(),
        name,
        issuer,
        client_id,
        secret: service
            .sealer
            .seal(scope.tenant(), &format!("secret {id}"), secret)
            .await?,
        created_at: service.clock.now_millis(),
    };
    let mut tx = service.store.begin().await.map_err(failed)?;
    let kept = providers::insert(&mut tx, &scope, &provider, PROVIDERS).await;
    if !kept.map_err(failed)? {
        let text = format!("There is such a provider, or there are {PROVIDERS} already.");
        return Err(ServiceError::new(ErrorCode::Conflict, text).into());
    }
    let entry = Entry::new(Act::ChangeSettings)
        .with(Detail::Provider, id)
        .with(Detail::Change, "added");
    service.tell(&mut tx, &scope, entry).await?;
    tx.commit().await.map_err(failed)?;
    service.changed(&scope).await;
    Ok(Json(provider.into()))
}

/// Changes what a provider's button says, or the secret that it knows.
#[utoipa::path(patch, path = "/sign-in-providers/{id}",
    extensions(("x-hilum-action" = json!("manage-settings"))), tag = "settings",
    params(("id" = String, Path)), request_body = ProviderChange,
    responses((status = 204), (status = 400, body = ProblemBody), (status = 404, body = ProblemBody)))]
pub(crate) async fn change_provider(
    May(scope, _): May<doors::ManageSettings>,
    State(service): State<IdentityService>,
    Path(provider): Path<String>,
    Body(change): Body<ProviderChange>,
) -> Result<StatusCode, Problem> {
    let failed = |error| Problem(database_error(&error));
    let provider: Uuid = id(&provider, "provider")?;
    let name = change
        .name
        .map(|name| text::name(&name, "A provider's name"));
    let name = name.transpose()?;
    let mut secret = None;
    if let Some(shown) = change.client_secret {
        let what = format!("secret {provider}");
        let sealed = service
            .sealer
            .seal(scope.tenant(), &what, shown.reveal().as_bytes());
        secret = Some(sealed.await?);
    }
    let mut tx = service.store.begin().await.map_err(failed)?;
    let changed = providers::update(
        &mut tx,
        &scope,
        provider,
        name.as_deref(),
        secret.as_deref(),
    )
    .await;
    if !changed.map_err(failed)? {
        return Err(ServiceError::not_found("There is no such provider.").into());
    }
    let entry = Entry::new(Act::ChangeSettings)
        .with(Detail::Provider, provider)
        .with(Detail::Change, "changed");
    service.tell(&mut tx, &scope, entry).await?;
    tx.commit().await.map_err(failed)?;
    service.changed(&scope).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a provider; the sessions that it vouched for end.
#[utoipa::path(delete, path = "/sign-in-providers/{id}",
    extensions(("x-hilum-action" = json!("manage-settings"))), tag = "settings",
    params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
pub(crate) async fn remove_provider(
    May(scope, _): May<doors::ManageSettings>,
    State(service): State<IdentityService>,
    Path(provider): Path<String>,
) -> Result<StatusCode, Problem> {
    let failed = |error| Problem(database_error(&error));
    let provider: Uuid = id(&provider, "provider")?;
    let mut tx = service.store.begin().await.map_err(failed)?;
    let gone = providers::delete(&mut tx, &scope, provider).await;
    if !gone.map_err(failed)? {
        return Err(ServiceError::not_found("There is no such provider.").into());
    }
    let entry = Entry::new(Act::ChangeSettings)
        .with(Detail::Provider, provider)
        .with(Detail::Change, "removed");
    service.tell(&mut tx, &scope, entry).await?;
    tx.commit().await.map_err(failed)?;
    service.changed(&scope).await;
    Ok(StatusCode::NO_CONTENT)
}
