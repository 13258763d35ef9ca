//! What each request is to the audit trail.

use hilum_contracts::audit::Act;
use hilum_platform::audit::Told;
use http::Method;

/// Of REST below `/api/v1`.
pub(crate) fn rest(method: &Method, address: &str) -> Option<Told> {
    Some(match (method, address.split('/').nth(1)?) {
        (&Method::GET, "deliveries") => Told::Look(Act::Query),
        (&Method::POST, "deliveries") => Told::Own(Act::Retry),
        (&Method::GET, _) => return None,
        (_, "destinations") => Told::Own(Act::ChangeSettings),
        _ => return None,
    })
}
