//! What each request is to the audit trail, and links that are none.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hilum_contracts::audit::{Act, Detail, Entry, Outcome};
use hilum_platform::audit::Told;
use hilum_platform::http::{Caller, Problem};
use http::{Method, StatusCode};

use crate::IdentityService;
use hilum_platform::network::plain;

/// Of REST below `/api/v1`: changes stand in their own transactions, lists are
/// recorded with what was searched for.
pub(crate) fn rest(method: &Method, address: &str) -> Option<Told> {
    let part = address.split('/').nth(1).unwrap_or_default();
    Some(match (method, part) {
        // The matrix is the same for everybody.
        (&Method::GET, "roles") => Told::Elsewhere,
        (&Method::GET, "account" | "tenants") => Told::Look(Act::ViewAdministration),
        (&Method::GET, _) => Told::Elsewhere,
        (&Method::POST, "account") if address.ends_with("/password") => {
            Told::Own(Act::ChangePassword)
        }
        (&Method::DELETE, "account" | "people") if address.contains("/sessions") => {
            Told::Own(Act::SignOut)
        }
        (_, "account" | "people" | "invitations") => Told::Own(Act::ChangePerson),
        (_, "keys") => Told::Own(Act::ChangeKey),
        (_, "devices") => Told::Own(Act::ChangeDevice),
        (_, "settings" | "sign-in-providers" | "tenant") => Told::Own(Act::ChangeSettings),
        (_, "break-glass") => Told::Own(Act::ReviewBreakGlass),
        (_, "tenants") => Told::Own(Act::MakeTenant),
        _ => return None,
    })
}

/// Of the doors below `/auth` that ask for a scope.
pub(crate) fn emergency(method: &Method, _: &str) -> Option<Told> {
    Some(match *method {
        Method::POST => Told::Own(Act::BreakGlass),
        _ => Told::Own(Act::EndBreakGlass),
    })
}

/// Doors that a link opens.
const LINKS: [&str; 5] = [
    "/set-up",
    "/verify-email",
    "/password-reset/finish",
    "/invitation",
    "/invitation/accept",
];

/// Records that a link was shown which is none, or none any more: whoever
/// guesses one begins so. A middleware of the doors that need no scope.
pub(crate) async fn wrong_links(
    State(service): State<IdentityService>,
    caller: Caller,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    let link = LINKS.iter().find(|link| path.as_str().ends_with(*link));
    let is_wrong = matches!(
        response.status(),
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN
    );
    let Some(link) = link.filter(|_| is_wrong) else {
        return response;
    };
    let entry = Entry::new(Act::SignInFailed)
        .ended(Outcome::Failed)
        .with(Detail::Reason, "wrong-link")
        .with(Detail::Setting, link);
    let from = plain(caller.address);
    match service.tell_of_stranger(entry, None, from).await {
        Ok(()) => response,
        Err(error) => Problem(error).into_response(),
    }
}
