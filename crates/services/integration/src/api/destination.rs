//! `PATCH|DELETE /destinations/{id}`, `POST /destinations/{id}/test` and `…/secret`

use axum::Json;
use axum::extract::{Path, State};
use hilum_contracts::access::doors;
use hilum_contracts::error::ServiceError;
use hilum_platform::clock::from_millis;
use hilum_platform::http::{May, Problem, ProblemBody};
use hilum_platform::http_body::{Body, Confidential, given};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

use super::destinations::secret_fits;
use crate::IntegrationService;
use crate::domain::settings::{self, Kind, Settings};
use crate::store::destinations::Made;

/// What is absent stays; `null` takes away.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DestinationChange {
    name: Option<String>,
    address: Option<String>,
    ae_title: Option<String>,
    calling_ae_title: Option<String>,
    tls: Option<bool>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    authorities: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    user: Option<Option<String>>,
    /// Asked for again when a server that has one moves: it was given for where that was.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    secret: Option<Option<Confidential>>,
    models: Option<Vec<String>>,
    modalities: Option<Vec<String>>,
    body_parts: Option<Vec<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    study_description: Option<Option<String>>,
    paused: Option<bool>,
}

impl DestinationChange {
    /// The names of what is given, for the audit trail.
    fn fields(&self) -> String {
        let given = [
            (self.name.is_some(), "name"),
            (self.address.is_some(), "address"),
            (self.ae_title.is_some(), "ae_title"),
            (self.calling_ae_title.is_some(), "calling_ae_title"),
            (self.tls.is_some(), "tls"),
            (self.authorities.is_some(), "authorities"),
            (self.user.is_some(), "user"),
            (self.secret.is_some(), "secret"),
            (self.models.is_some(), "models"),
            (self.modalities.is_some(), "modalities"),
            (self.body_parts.is_some(), "body_parts"),
            (self.study_description.is_some(), "study_description"),
            (self.paused.is_some(), "paused"),
        ];
        let names = given.iter().filter(|(is_given, _)| *is_given);
        names.map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
    }

    /// The destination with it, but for its secret.
    fn of(&self, before: &Made) -> Result<Made, ServiceError> {
        let old = before.settings.clone();
        let mut rule = old.rule;
        for (part, given) in [
            (&mut rule.models, &self.models),
            (&mut rule.modalities, &self.modalities),
            (&mut rule.body_parts, &self.body_parts),
        ] {
            if let Some(given) = given {
                part.clone_from(given);
            }
        }
        if let Some(given) = &self.study_description {
            rule.study_description.clone_from(given);
        }
        let settings = Settings {
            address: self.address.clone().unwrap_or(old.address),
            ae_title: self.ae_title.clone().or(old.ae_title),
            calling_ae_title: self.calling_ae_title.clone().or(old.calling_ae_title),
            tls: self.tls.unwrap_or(old.tls),
            authorities: self.authorities.clone().unwrap_or(old.authorities),
            user: self.user.clone().unwrap_or(old.user),
            rule,
            ..old
        };
        let name = self.name.as_deref().map(settings::name).transpose()?;
        Ok(Made {
            name: name.unwrap_or_else(|| before.name.clone()),
            paused: self.paused.unwrap_or(before.paused),
            settings: settings.checked()?,
            ..before.clone()
        })
    }
}

/// Changes a destination. What waits for it is sent as it says from now on.
#[utoipa::path(patch, path = "/destinations/{id}",
    extensions(("x-hilum-action" = json!("manage-settings"))), tag = "integration",
    params(("id" = String, Path)), request_body = DestinationChange,
    responses((status = 204), (status = 400, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub(crate) async fn change_destination(
    May(scope, _): May<doors::ManageSettings>,
    State(service): State<IntegrationService>,
    Path(id): Path<String>,
    Body(change): Body<DestinationChange>,
) -> Result<StatusCode, Problem> {
    let before = service.own(&scope, &id).await?;
    let mut made = change.of(&before)?;
    let moved = !made.settings.is_at_the_same_as(&before.settings);
    match &change.secret {
        Some(Some(secret)) => {
            secret_fits(&made.settings, true)?;
            let secret = settings::token(secret.reveal())?;
            made.secret = Some(service.seal(&scope, &id, &[secret]).await?);
        }
        Some(None) if made.settings.kind == Kind::Stow => made.secret = None,
        Some(None) => {}
        None if moved && made.settings.kind == Kind::Stow && made.secret.is_some() => {
            let text = "Give its token or password again: it was given for another server.";
            return Err(ServiceError::invalid(text).into());
        }
        None => {}
    }
    if made.settings.kind == Kind::Stow {
        secret_fits(&made.settings, made.secret.is_some())?;
    }
    service
        .change(&scope, &before, made, &change.fields())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a destination. What waits for it is given up, and says why.
#[utoipa::path(delete, path = "/destinations/{id}",
    extensions(("x-hilum-action" = json!("manage-settings"))), tag = "integration",
    params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 503, body = ProblemBody)))]
pub(crate) async fn remove_destination(
    May(scope, _): May<doors::ManageSettings>,
    State(service): State<IntegrationService>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    service.remove(&scope, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DestinationTest {
    /// Whether results could be sent there now.
    reached: bool,
    /// What it answered, or why it can't be reached.
    message: String,
}

/// Tests a destination: C-ECHO to a DICOM node, a STOW-RS request without an instance,
/// a signed message of the type `test` to a webhook, a mail.
#[utoipa::path(post, path = "/destinations/{id}/test",
    extensions(("x-hilum-action" = json!("manage-settings"))), tag = "integration",
    params(("id" = String, Path)),
    responses((status = 200, body = DestinationTest), (status = 404, body = ProblemBody),
        (status = 429, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub(crate) async fn test_destination(
    May(scope, _): May<doors::ManageSettings>,
    State(service): State<IntegrationService>,
    Path(id): Path<String>,
) -> Result<Json<DestinationTest>, Problem> {
    let tested = service.test(&scope, &id).await?;
    Ok(Json(DestinationTest {
        reached: tested.reached,
        message: tested.message,
    }))
}

#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookSecret {
    /// What messages are signed with from now on; told this once.
    secret: String,
    /// Until when they are signed with the former one, too.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    former_until: OffsetDateTime,
}

/// Makes a new secret for a webhook. Messages bear a signature by each for a day.
#[utoipa::path(post, path = "/destinations/{id}/secret",
    extensions(("x-hilum-action" = json!("manage-settings"))), tag = "integration",
    params(("id" = String, Path)),
    responses((status = 200, body = WebhookSecret), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub(crate) async fn renew_secret(
    May(scope, _): May<doors::ManageSettings>,
    State(service): State<IntegrationService>,
    Path(id): Path<String>,
) -> Result<Json<WebhookSecret>, Problem> {
    let before = service.own(&scope, &id).await?;
    let (secret, until) = service.renew_secret(&scope, &before).await?;
    Ok(Json(WebhookSecret {
        secret: secret.to_string(),
        former_until: from_millis(until),
    }))
}
