//! Who may come in, until identity exists: the person at this machine. The
//! server listens on loopback; this keeps out web pages of other sites that
//! the person's own browser would carry in (DNS rebinding, cross-site forms).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_platform::auth;
use hilum_platform::config::Config;
use hilum_platform::http::Problem;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// The local operator's commands name the tenant that they are about. A page of
/// another site can't send it: no answer allows it this header (Fetch, CORS).
pub(crate) const TENANT_HEADER: HeaderName = HeaderName::from_static("hilum-tenant");

/// Lets a request in with the local operator's scope, or refuses it.
pub(crate) async fn admit_this_machine(
    State(config): State<Arc<Config>>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Err(refusal) = check(request.method(), request.headers()) {
        return Problem(refusal).into_response();
    }
    let tenant = match request.headers().get(TENANT_HEADER) {
        None => config.tenants.first(),
        Some(name) => {
            let named = config
                .tenants
                .iter()
                .find(|tenant| name.as_bytes() == tenant.name.as_str().as_bytes());
            if named.is_none() {
                let text = "There is no such tenant in the configuration.";
                return Problem(ServiceError::not_found(text)).into_response();
            }
            named
        }
    };
    if let Some(tenant) = tenant {
        request
            .extensions_mut()
            .insert(auth::local_operator(&tenant.name));
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
    response
}

fn check(method: &Method, headers: &HeaderMap) -> Result<(), ServiceError> {
    let refused = |text: &str| Err(ServiceError::new(ErrorCode::NotFound, text));
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    if host.is_some_and(|host| !is_loopback(host)) {
        return refused("Hilum answers to this machine's own names only, such as localhost.");
    }
    let origin = headers.get(header::ORIGIN).and_then(|o| o.to_str().ok());
    let foreign_origin = origin.is_some_and(|origin| {
        origin
            .split_once("://")
            .is_none_or(|(_, host)| !is_loopback(host))
    });
    let site = headers
        .get("sec-fetch-site")
        .and_then(|site| site.to_str().ok());
    let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    if changes && (foreign_origin || site == Some("cross-site")) {
        return refused("A page of another site may not change anything here.");
    }
    Ok(())
}

fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn this_machine_is_let_in() {
        for host in [
            "localhost:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "LOCALHOST",
        ] {
            assert!(
                check(&Method::POST, &headers(&[("host", host)])).is_ok(),
                "{host}"
            );
        }
    }

    #[test]
    fn a_name_that_was_rebound_to_this_machine_is_not() {
        assert!(check(&Method::GET, &headers(&[("host", "evil.example:8080")])).is_err());
    }

    #[test]
    fn a_page_of_another_site_changes_nothing() {
        let form = headers(&[
            ("host", "localhost:8080"),
            ("origin", "https://evil.example"),
        ]);
        assert!(check(&Method::POST, &form).is_err());
        assert!(check(&Method::GET, &form).is_ok());
        let fetch = headers(&[("host", "localhost"), ("sec-fetch-site", "cross-site")]);
        assert!(check(&Method::DELETE, &fetch).is_err());
    }
}
