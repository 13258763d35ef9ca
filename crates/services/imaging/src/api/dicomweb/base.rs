//! The absolute address under which a client reached DICOMweb: Retrieve URLs
//! and bulk data addresses begin with it (PS3.18 §8.2 has them absolute).

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::header::HOST;
use http::request::Parts;

/// Where DICOMweb stands below the server's root (design.md, "Names and doors").
const ROOT: &str = "/dicomweb";

/// `http://host:port/dicomweb`, without a slash at its end.
#[derive(Clone, Debug)]
pub(super) struct Base(String);

impl<S: Send + Sync> FromRequestParts<S> for Base {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let host = parts
            .uri
            .authority()
            .map(http::uri::Authority::as_str)
            .or_else(|| parts.headers.get(HOST)?.to_str().ok())
            .filter(|host| host.parse::<http::uri::Authority>().is_ok())
            .unwrap_or("localhost");
        Ok(Self(format!("http://{host}{ROOT}")))
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
