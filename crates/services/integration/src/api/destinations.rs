//! `GET|POST /destinations`

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use hilum_contracts::access::doors;
use hilum_contracts::error::ServiceError;
use hilum_platform::clock::from_millis;
use hilum_platform::config::{Destination, Way};
use hilum_platform::http::{May, Problem, ProblemBody, database_error};
use hilum_platform::http_body::{Body, Confidential};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::IntegrationService;
use crate::domain::rule::Rule;
use crate::domain::settings::{self, Kind, Settings};
use crate::store::destinations::Made;

#[derive(Serialize, ToSchema)]
pub(crate) struct DestinationList {
    items: Vec<DestinationItem>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct DestinationItem {
    id: String,
    name: String,
    /// Named in the configuration file, and changed there only.
    configured: bool,
    /// Nothing is sent there for now; what is for it waits.
    paused: bool,
    /// How results get there: `dicom` (C-STORE), `stow` (STOW-RS), `webhook` or `mail`.
    kind: &'static str,
    /// Of a DICOM node.
    #[serde(skip_serializing_if = "Option::is_none")]
    ae_title: Option<String>,
    /// What Hilum calls itself at a DICOM node.
    #[serde(skip_serializing_if = "Option::is_none")]
    calling_ae_title: Option<String>,
    /// `host:port`, an http address, or one for mail.
    address: String,
    /// Whether a DICOM node is spoken to over TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<bool>,
    /// Whether authorities of its own vouch for its TLS.
    has_authorities: bool,
    /// Who signs in to a DICOMweb server, where that is not by a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// Whether it has a token, password or secret, which is never shown.
    has_secret: bool,
    /// Until when a webhook's former secret signs, too.
    #[serde(
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, format = DateTime)]
    former_secret_until: Option<OffsetDateTime>,
    #[serde(flatten)]
    rule: Rule,
    /// Deliveries that wait for it or are being sent.
    waiting: i64,
    #[serde(
        with = "time::serde::rfc3339::option",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, format = DateTime)]
    changed_at: Option<OffsetDateTime>,
}

impl DestinationItem {
    fn of(destination: &Destination) -> Self {
        let (ae_title, calling_ae_title) = match destination.way.clone() {
            Way::Dicom {
                ae_title,
                calling_ae_title,
                ..
            } => (Some(ae_title), Some(calling_ae_title)),
            Way::Stow { .. } | Way::Webhook { .. } | Way::Mail { .. } => (None, None),
        };
        let has_authorities = destination.tls_ca.is_some();
        Self {
            id: destination.name.clone(),
            name: destination.name.clone(),
            configured: true,
            paused: false,
            kind: destination.way.kind(),
            tls: ae_title.is_some().then_some(has_authorities),
            ae_title,
            calling_ae_title,
            address: destination.address().to_owned(),
            has_authorities,
            user: None,
            has_secret: matches!(
                destination.way,
                Way::Webhook { .. }
                    | Way::Stow {
                        token_file: Some(_),
                        ..
                    }
            ),
            former_secret_until: None,
            rule: Rule {
                models: destination.models.clone(),
                ..Rule::default()
            },
            waiting: 0,
            changed_at: None,
        }
    }

    fn made(made: Made, now: i64) -> Self {
        let Made {
            id,
            name,
            paused,
            settings,
            ..
        } = made;
        let former = settings.former_until.filter(|until| *until > now);
        Self {
            id,
            name,
            configured: false,
            paused,
            kind: settings.kind.name(),
            tls: (settings.kind == Kind::Dicom).then_some(settings.tls),
            ae_title: settings.ae_title,
            calling_ae_title: settings.calling_ae_title,
            address: settings.address,
            has_authorities: settings.authorities.is_some(),
            user: settings.user,
            has_secret: made.secret.is_some(),
            former_secret_until: former.map(from_millis),
            rule: settings.rule,
            waiting: 0,
            changed_at: Some(from_millis(made.changed_at)),
        }
    }
}

/// Where this tenant's results are delivered.
#[utoipa::path(get, path = "/destinations",
    extensions(("x-hilum-action" = json!("view-studies"))), tag = "integration",
    responses((status = 200, body = DestinationList), (status = 503, body = ProblemBody)))]
pub(crate) async fn list_destinations(
    May(scope, _): May<doors::ViewStudies>,
    State(service): State<IntegrationService>,
) -> Result<Json<DestinationList>, Problem> {
    let made = service.store.destinations(&scope).await;
    let made = made.map_err(|error| database_error(&error))?;
    let waiting = service.store.waiting(&scope).await;
    let waiting: HashMap<String, i64> = waiting
        .map_err(|error| database_error(&error))?
        .into_iter()
        .collect();
    let now = service.clock.now_millis();
    let own = |one: &&Destination| one.tenant == *scope.tenant();
    let configured = service.destinations.iter().filter(own);
    let items = configured
        .map(DestinationItem::of)
        .chain(made.into_iter().map(|one| DestinationItem::made(one, now)))
        .map(|mut item| {
            item.waiting = waiting.get(&item.id).copied().unwrap_or_default();
            item
        });
    Ok(Json(DestinationList {
        items: items.collect(),
    }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDestination {
    name: String,
    kind: Kind,
    /// `host:port` of a DICOM node, an https address, or one for mail.
    address: String,
    /// Of a DICOM node.
    ae_title: Option<String>,
    /// What Hilum calls itself at a DICOM node; none: `HILUM`.
    calling_ae_title: Option<String>,
    /// Whether a DICOM node is spoken to over TLS.
    #[serde(default)]
    tls: bool,
    /// The authorities of its TLS (PEM); none: those that the system trusts.
    authorities: Option<String>,
    /// Who signs in to a DICOMweb server with `secret` as a password; none: `secret` is
    /// a bearer token.
    user: Option<String>,
    /// What a DICOMweb server is shown. A webhook's is made here.
    #[schema(value_type = Option<String>)]
    secret: Option<Confidential>,
    /// The models whose results go there; none named: every model's.
    #[serde(default)]
    models: Vec<String>,
    /// Only studies with one of these modalities: `MR`.
    #[serde(default)]
    modalities: Vec<String>,
    /// Only studies with a series of one of these body parts: `HEAD`.
    #[serde(default)]
    body_parts: Vec<String>,
    /// Only studies that are described so; `*` and `?` are wild cards.
    study_description: Option<String>,
    /// What is for it waits until it is resumed.
    #[serde(default)]
    paused: bool,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct MadeDestination {
    #[serde(flatten)]
    destination: DestinationItem,
    /// What a webhook's messages are signed with; told this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// Has results delivered to another place from now on.
#[utoipa::path(post, path = "/destinations",
    extensions(("x-hilum-action" = json!("manage-settings"))), tag = "integration",
    request_body = NewDestination,
    responses((status = 200, body = MadeDestination), (status = 400, body = ProblemBody),
        (status = 409, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub(crate) async fn add_destination(
    May(scope, _): May<doors::ManageSettings>,
    State(service): State<IntegrationService>,
    Body(asked): Body<NewDestination>,
) -> Result<Json<MadeDestination>, Problem> {
    let settings = Settings {
        kind: asked.kind,
        address: asked.address,
        ae_title: asked.ae_title,
        calling_ae_title: asked.calling_ae_title,
        tls: asked.tls,
        authorities: asked.authorities,
        user: asked.user,
        former_until: None,
        rule: Rule {
            models: asked.models,
            modalities: asked.modalities,
            body_parts: asked.body_parts,
            study_description: asked.study_description,
        },
    };
    let settings = settings.checked()?;
    let secret = asked.secret.as_ref();
    let secret = secret
        .map(|one| settings::token(one.reveal()))
        .transpose()?;
    secret_fits(&settings, secret.is_some())?;
    let now = service.clock.now_millis();
    let made = Made {
        id: Uuid::now_v7().to_string(),
        name: settings::name(&asked.name)?,
        paused: asked.paused,
        settings,
        secret: None,
        created_at: now,
        changed_at: now,
    };
    let (made, own) = service.make(&scope, made, secret).await?;
    Ok(Json(MadeDestination {
        destination: DestinationItem::made(made, now),
        secret: own.map(|own| own.to_string()),
    }))
}

/// Whether a destination of this kind is given a secret, and has one that it needs.
pub(super) fn secret_fits(settings: &Settings, has_secret: bool) -> Result<(), ServiceError> {
    let wrong = match (settings.kind, has_secret) {
        (Kind::Stow, false) if settings.user.is_some() => "A user needs a password in `secret`.",
        (Kind::Dicom | Kind::Mail, true) => "This kind of destination takes no secret.",
        (Kind::Webhook, true) => {
            "A webhook's secret is made by Hilum: leave it out, and take the one of the answer."
        }
        _ => return Ok(()),
    };
    Err(ServiceError::invalid(wrong))
}
