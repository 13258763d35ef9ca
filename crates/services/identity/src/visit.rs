//! What a request says of who sends it: address, browser, cookies.

use axum::extract::FromRequestParts;
use hilum_platform::http::{Caller, Problem};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::domain::settings::millis;
use crate::domain::text::printable;
use crate::limits::{BROWSER_LIFE, BROWSER_MAX, OIDC_FLOW_LIFE, SESSION_LIFE};
use crate::secret::{Hash, Token, hash};

/// The name of the cookie that holds a session's token. The prefix `__Host-`
/// binds it to this host and to TLS (RFC 6265bis §4.1.3.2); plain HTTP is for
/// loopback, where browsers take no `Secure` cookie.
#[must_use]
pub const fn session_cookie(secure: bool) -> &'static str {
    if secure {
        "__Host-hilum-session"
    } else {
        "hilum-session"
    }
}

const fn browser_cookie(secure: bool) -> &'static str {
    if secure {
        "__Host-hilum-browser"
    } else {
        "hilum-browser"
    }
}

/// The name of the cookie that a browser keeps while its person is away at a
/// provider.
pub(crate) const fn flow_cookie(secure: bool) -> &'static str {
    if secure {
        "__Host-hilum-flow"
    } else {
        "hilum-flow"
    }
}

/// The value of a cookie; nothing when it is sent twice, for then somebody
/// else may have set one of them.
#[must_use]
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(found, _)| *found == name)
        .map(|(_, value)| value);
    let value = found.next()?;
    found.next().is_none().then_some(value)
}

/// A request's sender.
pub(crate) struct Visit {
    pub(crate) caller: Caller,
    /// The browser's own name, printable and short.
    pub(crate) agent: String,
    /// Of the session's token.
    pub(crate) session: Option<Hash>,
    /// Of the browser's token.
    pub(crate) browser: Option<Hash>,
}

impl<S: Send + Sync> FromRequestParts<S> for Visit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let agent = parts.headers.get(header::USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok()).unwrap_or("");
        let of = |name| cookie(&parts.headers, name).map(hash);
        Ok(Self {
            caller,
            agent: printable(agent, BROWSER_MAX),
            session: of(session_cookie(caller.secure)),
            browser: of(browser_cookie(caller.secure)),
        })
    }
}

/// Headers that set or end cookies.
pub(crate) type SetCookies = axum::response::AppendHeaders<Vec<(HeaderName, HeaderValue)>>;

impl Visit {
    /// Hands the browser what it shows from now on.
    pub(crate) fn cookies(&self, session: &Token, browser: Option<&Token>) -> SetCookies {
        let secure = self.caller.secure;
        let mut all = set_cookie(
            session_cookie(secure),
            session.reveal(),
            SESSION_LIFE,
            secure,
        );
        if let Some(browser) = browser {
            let name = browser_cookie(secure);
            all.extend(set_cookie(name, browser.reveal(), BROWSER_LIFE, secure));
        }
        axum::response::AppendHeaders(all)
    }

    /// What the browser keeps while its person is away at a provider.
    pub(crate) fn flow(&self, sealed: &str) -> Vec<(HeaderName, HeaderValue)> {
        let secure = self.caller.secure;
        set_cookie(flow_cookie(secure), sealed, OIDC_FLOW_LIFE, secure)
    }

    /// They are back.
    pub(crate) fn no_flow(&self) -> Vec<(HeaderName, HeaderValue)> {
        let secure = self.caller.secure;
        set_cookie(flow_cookie(secure), "", std::time::Duration::ZERO, secure)
    }

    /// Takes the session's token from the browser.
    pub(crate) fn no_session(&self) -> SetCookies {
        let secure = self.caller.secure;
        let gone = std::time::Duration::ZERO;
        axum::response::AppendHeaders(set_cookie(session_cookie(secure), "", gone, secure))
    }
}

fn set_cookie(
    name: &str,
    value: &str,
    life: std::time::Duration,
    secure: bool,
) -> Vec<(HeaderName, HeaderValue)> {
    let seconds = millis(life) / 1_000;
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    let value = HeaderValue::try_from(text).ok();
    value
        .map(|mut value| {
            value.set_sensitive(true);
            (header::SET_COOKIE, value)
        })
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_comes_twice_is_nobody_s() {
        let mut headers = HeaderMap::new();
        headers.append(
            header::COOKIE,
            HeaderValue::from_static("a=1; hilum-session=x"),
        );
        assert_eq!(cookie(&headers, "hilum-session"), Some("x"));
        headers.append(header::COOKIE, HeaderValue::from_static("hilum-session=y"));
        assert_eq!(cookie(&headers, "hilum-session"), None);
    }
}
