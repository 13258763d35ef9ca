//! Versions in addresses: an address that carries the version of what it names
//! is answered with that or with nothing, so that its answer never changes and
//! clients may keep it. Plain addresses are asked again each time.

use axum::response::{IntoResponse, Response};
use hilum_archive::{InstanceRow, Overlay};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

/// The query parameter.
const NAME: &str = "v";
/// Answers of one version: of one person, so kept by no shared cache, and true
/// for ever (RFC 9111 §5.2.2, RFC 8246).
const KEPT: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

/// Names the received bytes of an instance and what is laid over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    content: String,
    overlay: Option<String>,
}

impl Version {
    pub(super) fn of(sha256: &[u8; 32], overlay: Option<&Overlay>) -> Self {
        let overlay = overlay.map(|overlay| {
            let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
            for part in [&overlay.study, &overlay.series] {
                let text = part.as_deref().unwrap_or_default();
                digest.update(&(text.len() as u64).to_be_bytes());
                digest.update(text.as_bytes());
            }
            digest.update(overlay.placed.as_deref().unwrap_or_default().as_bytes());
            hexadecimal(digest.finish().as_ref())
        });
        Self {
            content: hexadecimal(sha256),
            overlay,
        }
    }

    pub(super) fn of_row(row: &InstanceRow) -> Self {
        Self::of(&row.sha256, row.overlay.as_ref())
    }

    /// `?v=…`, for an address without a query.
    pub(super) fn query(&self) -> String {
        match &self.overlay {
            None => format!("?{NAME}={}", self.content),
            Some(overlay) => format!("?{NAME}={}-{overlay}", self.content),
        }
    }

    fn parse(text: &str) -> Self {
        let (content, overlay) = match text.split_once('-') {
            None => (text, None),
            Some((content, overlay)) => (content, Some(overlay.to_owned())),
        };
        Self {
            content: content.to_owned(),
            overlay,
        }
    }
}

/// Enough that no two versions of one instance meet.
fn hexadecimal(digest: &[u8]) -> String {
    use std::fmt::Write as _;
    digest.iter().take(8).fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// What an address says of the version.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing: what is there now.
    Any,
    /// The one that is there.
    This,
    /// The same bytes under another correction: its address now.
    Moved(String),
    /// Other bytes.
    Gone,
}

impl Asked {
    pub(super) fn of(query: Option<&str>, row: &InstanceRow) -> Self {
        Self::among(query.unwrap_or_default(), &Version::of_row(row))
    }

    fn among(query: &str, now: &Version) -> Self {
        let version = |pair: &str| {
            let (name, value) = pair.split_once('=')?;
            (name == NAME).then(|| Version::parse(value))
        };
        let Some(asked) = query.split('&').find_map(version) else {
            return Self::Any;
        };
        if asked == *now {
            Self::This
        } else if asked.content == now.content {
            let others = query.split('&').filter(|pair| version(pair).is_none());
            let others: String = others.map(|pair| format!("&{pair}")).collect();
            Self::Moved(format!("{}{others}", now.query()))
        } else {
            Self::Gone
        }
    }

    /// The answer instead, when there is nothing of that version here. Pixels
    /// of other bytes than the metadata that gave the address told of are
    /// never given: a client would lay one over the other.
    pub(super) fn instead(&self) -> Option<Response> {
        match self {
            Self::Any | Self::This => None,
            Self::Moved(query) => {
                let mut response = StatusCode::TEMPORARY_REDIRECT.into_response();
                // Relative: the same address with another query (RFC 3986 §5.2).
                let location = HeaderValue::from_str(query).ok()?;
                response.headers_mut().insert(header::LOCATION, location);
                Some(response)
            }
            Self::Gone => {
                let body = json!({
                    "type": "about:blank",
                    "title": "Gone",
                    "status": 410,
                    "detail": "This address is of a version that is not served any more; ask for the metadata again.",
                    "code": "not_found",
                });
                let mut response = (StatusCode::GONE, body.to_string()).into_response();
                let kind = HeaderValue::from_static("application/problem+json");
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
                Some(response)
            }
        }
    }

    /// Says of an answer of this version that it stays.
    pub(super) fn mark(&self, mut response: Response) -> Response {
        if *self == Self::This && response.status() != StatusCode::RANGE_NOT_SATISFIABLE {
            response.headers_mut().insert(header::CACHE_CONTROL, KEPT);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlay(text: &str) -> Overlay {
        Overlay {
            study: Some(text.into()),
            series: None,
            placed: None,
        }
    }

    #[test]
    fn an_address_of_this_version_stays_and_every_other_leads_elsewhere() {
        let plain = Version::of(&[7; 32], None);
        let corrected = Version::of(&[7; 32], Some(&overlay("a")));
        assert_eq!(plain.query(), "?v=0707070707070707");
        let asked = |query: &str, now| Asked::among(query, now);
        assert_eq!(asked("", &plain), Asked::Any);
        assert_eq!(asked("accept=image/jpeg&vv=1", &plain), Asked::Any);
        for version in [&plain, &corrected] {
            assert_eq!(
                asked(version.query().trim_start_matches('?'), version),
                Asked::This
            );
        }
        let moved = Asked::Moved(format!("{}&accept=a/b", corrected.query()));
        assert_eq!(asked("accept=a/b&v=0707070707070707", &corrected), moved);
        let again = Version::of(&[7; 32], Some(&overlay("b")));
        assert_ne!(again, corrected);
        for other in ["v=", "v=08", "v=0808080808080808", "v=x-y"] {
            assert_eq!(asked(other, &plain), Asked::Gone);
        }
    }

    #[test]
    fn only_an_answer_of_the_version_asked_for_is_kept() {
        let of = |asked: Asked| asked.mark(StatusCode::OK.into_response());
        let kept = of(Asked::This);
        assert_eq!(kept.headers()["cache-control"], KEPT);
        assert!(of(Asked::Any).headers().get("cache-control").is_none());
        assert!(Asked::This.instead().is_none());
        assert_eq!(Asked::Gone.instead().unwrap().status(), 410);
        let moved = Asked::Moved("?v=1".into()).instead().unwrap();
        assert_eq!(
            (moved.status().as_u16(), &moved.headers()["location"]),
            (307, &"?v=1".parse().unwrap())
        );
    }
}
