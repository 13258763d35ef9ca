//! What each request is to the audit trail.

use hilum_contracts::audit::Act;
use hilum_platform::audit::Told;
use http::Method;

/// Of REST below `/api/v1`.
pub(crate) fn rest(method: &Method, address: &str) -> Option<Told> {
    Some(match (method, address) {
        (&Method::GET, "/patients" | "/patients/by-study") => Told::Look(Act::Query),
        (&Method::GET, "/patient-conflicts") => Told::Look(Act::ViewPatient),
        (&Method::POST, "/patient-conflicts/{id}/resolve") => Told::Own(Act::DecideConflict),
        _ => return None,
    })
}
