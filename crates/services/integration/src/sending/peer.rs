//! A destination while it is talked to: how it is reached and asked, and what its
//! answers mean, for deliveries and for tests alike.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hilum_platform::config::Tls;
use hilum_platform::http_client::{Answer, HttpClient, HttpError};
use http::{HeaderValue, Request, StatusCode};
use zeroize::Zeroizing;

use super::Failure;
use crate::IntegrationService;
use crate::domain::target::{Credential, Secret, Target};
use crate::limits::SECRET_MAX;

/// A destination while it is talked to.
pub(super) struct Peer<'a> {
    pub(super) service: &'a IntegrationService,
    pub(super) target: &'a Target,
    client: OnceLock<HttpClient>,
}

impl<'a> Peer<'a> {
    pub(super) fn new(service: &'a IntegrationService, target: &'a Target) -> Self {
        Self {
            service,
            target,
            client: OnceLock::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.target.name
    }

    /// The certificate that it is shown.
    pub(super) fn own_tls(&self) -> Option<&Tls> {
        let own = self.service.tls.as_ref();
        own.filter(|_| self.target.is_shown_ours)
    }

    /// Asks it over HTTP.
    pub(super) async fn ask(
        &self,
        request: Request<Body>,
        within: Duration,
    ) -> Result<Answer, Failure> {
        let asked = self.client()?.send(request, within).await;
        asked.map_err(|error| match error {
            HttpError::OutOfReach => self.out_of_reach(),
            error => Failure::Passing(format!("{}: {error}.", self.name())),
        })
    }

    /// One for an attempt, by its files as they are at its first request.
    fn client(&self) -> Result<&HttpClient, Failure> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let reach = self.target.reach.clone();
        let client = HttpClient::within(reach, self.target.trusted(), self.own_tls());
        let client = client.map_err(|error| Failure::Lasting(error.to_string()))?;
        Ok(self.client.get_or_init(|| client))
    }

    /// Its address is one that tenants may not name. It may be allowed soon.
    pub(super) fn out_of_reach(&self) -> Failure {
        Failure::Passing(format!(
            "{}: its address is within a network that is not public, and this installation does \
             not allow it. Ask its operator for it (`deliveries.networks`).",
            self.name()
        ))
    }

    /// What a status that is no success means.
    pub(super) fn refusal(&self, status: StatusCode) -> Failure {
        let name = self.name();
        let status_says = status.as_u16();
        let may_pass = status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
            || matches!(
                status,
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
            );
        match may_pass {
            true => Failure::Passing(format!("{name} could not take it now ({status_says}).")),
            false => Failure::Lasting(format!(
                "{name} refused it ({status_says}). Change its settings, then retry."
            )),
        }
    }
}

/// What the header `Authorization` says (RFC 6750 §2.1, RFC 7617 §2).
pub(super) async fn authorization(credential: &Credential) -> Result<HeaderValue, Failure> {
    let text = match credential {
        Credential::Bearer(token) => {
            let token = secret(token).await?;
            Zeroizing::new(format!("Bearer {}", *token))
        }
        Credential::Basic { user, password } => {
            let password = secret(password).await?;
            let pair = Zeroizing::new(format!("{user}:{}", *password));
            Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes())))
        }
    };
    let mut value = HeaderValue::from_str(&text).map_err(|error| unaskable(error.into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A secret as it is now. What is in it goes nowhere else.
pub(super) async fn secret(secret: &Secret) -> Result<Zeroizing<String>, Failure> {
    match secret {
        Secret::File(path) => first_line(path).await,
        Secret::Kept(text) => Ok(text.clone()),
    }
}

/// The first line of a file with a secret.
async fn first_line(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let wrong = |what: &str| Failure::Lasting(format!("{} {what}.", path.display()));
    let file = tokio::fs::metadata(path).await;
    if file.map_err(|_| wrong("can't be read"))?.len() > SECRET_MAX {
        return Err(wrong("is too long for a secret"));
    }
    let text = tokio::fs::read_to_string(path).await;
    let text = Zeroizing::new(text.map_err(|_| wrong("can't be read"))?);
    match text.lines().next().map(str::trim) {
        Some(line) if !line.is_empty() => Ok(Zeroizing::new(line.to_owned())),
        _ => Err(wrong("is empty")),
    }
}

pub(super) fn unaskable(_: http::Error) -> Failure {
    Failure::Lasting(
        "The request can't be made: a secret has characters that no header has.".to_owned(),
    )
}
