//! Who comes in: an operator's token, an API key or a person's session, found
//! before anything else looks at a request. Who is nobody gets no scope, and a
//! door that needs one answers 401. Pages of other sites, which a person's own
//! browser would carry in with its cookie, change nothing (CSRF, DNS rebinding).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hilum_contracts::error::{ErrorCode, ServiceError};
use hilum_contracts::identity::Identity;
use hilum_contracts::ids::TenantId;
use hilum_contracts::scope::{Principal, TenantScope};
use hilum_identity::{cookie, session_cookie};
use hilum_platform::auth;
use hilum_platform::clock::SharedClock;
use hilum_platform::config::Config;
use hilum_platform::http::{Caller, Problem};
use hilum_platform::tenants::Directory;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::operator::OperatorToken;
use super::rates::Rates;

/// The operator's commands name the tenant that they are about. A page of
/// another site can't send it: no answer allows it this header (Fetch, CORS).
pub(crate) const TENANT_HEADER: HeaderName = HeaderName::from_static("hilum-tenant");

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
const CROSS_ORIGIN_OPENER_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-opener-policy");

/// A browser that came over TLS once never comes without it (OWASP ASVS: for a
/// year at least, and all names below).
const ALWAYS_TLS: &str = "max-age=31536000; includeSubDomains";

/// Where trails are searched and verified.
const TRAIL: &str = "/api/v1/audit/";

/// What is about every tenant, whichever the operator names.
const OF_INSTALLATION: [&str; 3] = [
    "/api/v1/backups",
    "/api/v1/tenants/ended",
    "/api/v1/keys/rotate-master",
];

/// What says who a request is from.
pub(crate) struct Admission {
    pub(crate) operator: OperatorToken,
    pub(crate) identity: Arc<dyn Identity>,
    pub(crate) tenants: Directory,
    pub(crate) names: Names,
    pub(crate) rates: Rates,
    pub(crate) clock: SharedClock,
}

/// Lets a request in with the scope of whoever sent it, or refuses it.
pub(crate) async fn admit(
    State(admission): State<Arc<Admission>>,
    mut request: Request,
    next: Next,
) -> Response {
    // What has no socket comes from a command in this process.
    let caller = request.extensions().get().copied().unwrap_or(Caller {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        secure: false,
    });
    request.extensions_mut().insert(caller);
    let mut response = match admission.enter(&mut request, caller).await {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
        (CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if caller.secure {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static(ALWAYS_TLS),
        );
    }
    // Nothing that somebody was admitted to is kept on the way, unless its own
    // door says how; what has a validator is asked for again before it is used.
    let kept = match headers.contains_key(header::ETAG) {
        true => "private, no-cache",
        false => "no-store",
    };
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static(kept));
    response
}

/// The same requests, from whoever shows the operator's token alone: a door for
/// the commands of this machine.
pub(crate) fn for_operator(router: Router, operator: OperatorToken) -> Router {
    router.layer(axum::middleware::from_fn(
        move |request: Request, next: Next| {
            let shown = bearer(request.headers()).is_some_and(|token| operator.is(token));
            async move {
                if shown {
                    return next.run(request).await;
                }
                let text = "This door is for the commands of this machine.";
                Problem(ServiceError::new(ErrorCode::Unauthenticated, text)).into_response()
            }
        },
    ))
}

impl Admission {
    /// Gives the request the scope of whoever sent it, or says why not.
    async fn enter(&self, request: &mut Request, caller: Caller) -> Result<(), Response> {
        let refused = |refusal| Problem(refusal).into_response();
        let checked = self.names.check(request.method(), request.headers());
        checked.map_err(refused)?;
        let found = self
            .scope_of(request.uri().path(), request.headers(), caller)
            .await;
        let Some(scope) = found.map_err(refused)? else {
            return Ok(());
        };
        let path = request.uri().path();
        let counts = path.starts_with("/api/") || path.starts_with("/dicomweb/");
        if counts && *scope.principal() != Principal::LocalOperator {
            let now = self.clock.now_millis();
            if let Err(seconds) = self.rates.take(&scope, now) {
                let text = "More requests than this organisation allows in a minute.";
                let mut response = refused(ServiceError::new(ErrorCode::TooMany, text));
                response
                    .headers_mut()
                    .insert(header::RETRY_AFTER, seconds.into());
                return Err(response);
            }
        }
        request.extensions_mut().insert(scope);
        Ok(())
    }

    async fn scope_of(
        &self,
        path: &str,
        headers: &HeaderMap,
        caller: Caller,
    ) -> Result<Option<TenantScope>, ServiceError> {
        let from = Some(caller.address);
        if headers.contains_key(header::AUTHORIZATION) {
            let unknown = || {
                let text = "This bearer token is not known, or not any more.";
                ServiceError::new(ErrorCode::Unauthenticated, text)
            };
            let token = bearer(headers).ok_or_else(unknown)?;
            if self.operator.is(token) {
                return self.operator_s(path, headers).map(Some);
            }
            let admitted = self.identity.api_key(token, from).await?;
            let admitted = admitted.ok_or_else(unknown)?;
            return Ok(Some(auth::admitted(&admitted.tenant, admitted.acting)));
        }
        let Some(token) = cookie(headers, session_cookie(caller.secure)) else {
            return Ok(None);
        };
        let admitted = self.identity.session(token, from).await?;
        Ok(admitted.map(|one| auth::admitted(&one.tenant, one.acting)))
    }

    /// The operator's scope: of the tenant that is named, or the first; of the
    /// installation for its own trail, which is all that it has.
    fn operator_s(&self, path: &str, headers: &HeaderMap) -> Result<TenantScope, ServiceError> {
        let installation = TenantId::installation();
        let named = headers.get(TENANT_HEADER).map(HeaderValue::as_bytes);
        if named == Some(installation.as_str().as_bytes()) && path.starts_with(TRAIL) {
            return Ok(auth::local_operator(&installation));
        }
        let known = self.tenants.known();
        let tenant = match headers.get(TENANT_HEADER) {
            // Recorded with one whose trail is here.
            _ if OF_INSTALLATION.contains(&path) => {
                let mut all = known.tenants().iter();
                all.find(|one| self.tenants.is_here(&one.name))
                    .or(known.tenants().first())
            }
            None => known.tenants().first(),
            Some(name) => {
                let name = name.to_str().ok().and_then(|name| TenantId::new(name).ok());
                name.and_then(|name| known.tenant(&name))
            }
        };
        let tenant = tenant.ok_or_else(|| ServiceError::not_found("There is no such tenant."))?;
        Ok(auth::local_operator(&tenant.name))
    }
}

/// The token of `Authorization: Bearer`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The names that this server answers to.
pub(crate) struct Names {
    /// Host of the public address, in lower case, with its port if it has one.
    public: Option<String>,
    /// Others than this machine can reach it.
    exposed: bool,
}

impl Names {
    /// As the configuration has them.
    pub(crate) fn of(config: &Config) -> Self {
        let public = config.identity.public_url.as_deref();
        Self {
            public: public.and_then(host_of).map(str::to_ascii_lowercase),
            exposed: !config.http.ip().is_loopback(),
        }
    }

    /// A name that is not ours was rebound to us; a page of another site
    /// changes nothing here, whatever its browser sends along.
    fn check(&self, method: &Method, headers: &HeaderMap) -> Result<(), ServiceError> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(header::HOST);
        if host.is_some_and(|host| !self.is_ours(host)) {
            let text = "Hilum does not answer to this name; the configuration's public_url says \
                        which one it has.";
            return Err(ServiceError::not_found(text));
        }
        if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
            || headers.contains_key(header::AUTHORIZATION)
        {
            return Ok(());
        }
        let origin = text(header::ORIGIN);
        let site = text(HeaderName::from_static("sec-fetch-site"));
        let own_page = match (origin, site) {
            (_, Some(site)) if !matches!(site, "same-origin" | "none") => false,
            (Some(origin), _) => host_of(origin)
                .zip(host)
                .is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host)),
            (None, Some(_)) => true,
            // No browser: then no cookie comes along by itself.
            (None, None) => !headers.contains_key(header::COOKIE),
        };
        if own_page {
            return Ok(());
        }
        let text = "A page of another site may not change anything here.";
        Err(ServiceError::new(ErrorCode::Forbidden, text))
    }

    fn is_ours(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        let address = name.parse::<IpAddr>().ok();
        name == "localhost"
            || address.is_some_and(|address| self.exposed || address.is_loopback())
            || self
                .public
                .as_ref()
                .is_some_and(|public| *public == host || public.split(':').next() == Some(name))
    }
}

/// Host and port of an address or origin.
fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split('/').next()
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

    fn names(http: &str, public_url: Option<&str>) -> Names {
        let mut config = Config {
            http: http.parse().unwrap(),
            ..Config::default()
        };
        config.identity.public_url = public_url.map(ToOwned::to_owned);
        Names::of(&config)
    }

    fn here() -> Names {
        names("127.0.0.1:8080", None)
    }

    #[test]
    fn this_machine_is_let_in() {
        for host in [
            "localhost:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "LOCALHOST",
        ] {
            let asked = headers(&[("host", host)]);
            assert!(here().check(&Method::POST, &asked).is_ok(), "{host}");
        }
    }

    #[test]
    fn a_name_that_was_rebound_to_this_machine_is_not() {
        let rebound = headers(&[("host", "evil.example:8080")]);
        assert!(here().check(&Method::GET, &rebound).is_err());
        let exposed = names("0.0.0.0:443", Some("https://hilum.example"));
        assert!(exposed.check(&Method::GET, &rebound).is_err());
        let ours = headers(&[("host", "Hilum.example")]);
        assert!(exposed.check(&Method::GET, &ours).is_ok());
    }

    #[test]
    fn a_page_of_another_site_changes_nothing() {
        for form in [
            &[
                ("host", "localhost:8080"),
                ("origin", "https://evil.example"),
            ][..],
            &[
                ("host", "localhost:8080"),
                ("origin", "http://localhost:9090"),
            ],
            &[("host", "localhost"), ("sec-fetch-site", "cross-site")],
            &[("host", "localhost"), ("sec-fetch-site", "same-site")],
            &[("host", "localhost"), ("origin", "null")],
            &[("host", "localhost"), ("cookie", "hilum-session=1")],
        ] {
            assert!(
                here().check(&Method::POST, &headers(form)).is_err(),
                "{form:?}"
            );
        }
        let read = headers(&[("host", "localhost"), ("origin", "https://evil.example")]);
        assert!(here().check(&Method::GET, &read).is_ok());
    }

    #[test]
    fn our_own_pages_and_programs_with_a_key_do() {
        for form in [
            &[
                ("host", "localhost:8080"),
                ("origin", "http://localhost:8080"),
            ][..],
            &[("host", "localhost"), ("sec-fetch-site", "same-origin")],
            &[
                ("host", "localhost"),
                ("authorization", "Bearer x"),
                ("origin", "https://a.b"),
            ],
            &[("host", "localhost")],
        ] {
            assert!(
                here().check(&Method::POST, &headers(form)).is_ok(),
                "{form:?}"
            );
        }
    }
}
