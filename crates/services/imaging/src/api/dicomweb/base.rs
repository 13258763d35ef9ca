//! The absolute address under which a client reached DICOMweb: Retrieve URLs
//! and bulk data addresses begin with it (PS3.18 §8.2 has them absolute).

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use hilum_platform::http::Caller;
use http::header::HOST;
use http::request::Parts;

use crate::ImagingService;

/// Where DICOMweb stands below the server's root (design.md, "Names and doors").
const ROOT: &str = "/dicomweb";

/// `https://host:port/dicomweb`, or with `http` in clear; without a slash at its end.
#[derive(Clone, Debug)]
pub(super) struct Base(String);

impl FromRequestParts<ImagingService> for Base {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &ImagingService,
    ) -> Result<Self, Infallible> {
        let host = parts
            .uri
            .authority()
            .map(http::uri::Authority::as_str)
            .or_else(|| parts.headers.get(HOST)?.to_str().ok())
            .and_then(|host| host.parse::<http::uri::Authority>().ok())
            .unwrap_or_else(|| http::uri::Authority::from_static("localhost"));
        let secure = parts.extensions.get::<Caller>().is_some_and(|c| c.secure);
        let scheme = if secure { "https" } else { "http" };
        Ok(Self(format!(
            "{scheme}://{}{ROOT}",
            with_port(&host, service.config.http.port())
        )))
    }
}

/// dicomweb-client sends its Host without the port. On loopback no proxy can
/// have another one, so that ours is meant.
fn with_port(host: &http::uri::Authority, ours: u16) -> String {
    let loopback = matches!(host.host(), "localhost" | "127.0.0.1" | "[::1]");
    match host.port() {
        None if loopback && !matches!(ours, 0 | 80) => format!("{}:{ours}", host.host()),
        Some(port) => format!("{}:{port}", host.host()),
        None => host.host().to_owned(),
    }
}

impl Base {
    pub(super) fn study(&self, study: &str) -> String {
        format!("{}/studies/{study}", self.0)
    }

    pub(super) fn series(&self, study: &str, series: &str) -> String {
        format!("{}/studies/{study}/series/{series}", self.0)
    }

    pub(super) fn instance(&self, study: &str, series: &str, instance: &str) -> String {
        format!("{}/instances/{instance}", self.series(study, series))
    }

    /// What precedes the relative bulk data addresses of an instance.
    pub(super) fn bulk_data(&self, study: &str, series: &str, instance: &str) -> String {
        format!("{}/bulkdata/", self.instance(study, series, instance))
    }
}
