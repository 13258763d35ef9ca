//! What STOW-RS and webhooks share: how another server is asked, and what its
//! status means for a delivery.

use std::path::Path;

use axum::body::Body;
use hilum_platform::http_client::{Answer, HttpClient};
use http::{Request, StatusCode};
use zeroize::Zeroizing;

use super::{Failure, Sending};
use crate::limits::{REQUEST, SECRET_MAX};

/// Asks the destination.
pub(super) async fn ask(sending: &Sending<'_>, request: Request<Body>) -> Result<Answer, Failure> {
    let asked = client(sending)?.send(request, REQUEST).await;
    let name = &sending.destination().name;
    asked.map_err(|error| Failure::Passing(format!("{name}: {error}.")))
}

/// One for an attempt, by its files as they are at its first request.
fn client<'a>(sending: &'a Sending<'_>) -> Result<&'a HttpClient, Failure> {
    if let Some(client) = sending.client.get() {
        return Ok(client);
    }
    let authorities = sending.destination().tls_ca.as_deref();
    let client = HttpClient::new(authorities, sending.own_tls());
    let client = client.map_err(|error| Failure::Lasting(error.to_string()))?;
    Ok(sending.client.get_or_init(|| client))
}

/// What a status that is no success means.
pub(super) fn refusal(sending: &Sending<'_>, status: StatusCode) -> Failure {
    let name = &sending.destination().name;
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

/// The first line of a file with a secret. What is in it goes nowhere else.
pub(super) async fn secret(path: &Path) -> Result<Zeroizing<String>, Failure> {
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
