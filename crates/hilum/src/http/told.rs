//! What each request to the server's own endpoints is to the audit trail.

use hilum_contracts::audit::Act;
use hilum_platform::audit::Told;
use http::Method;

pub(crate) fn rest(method: &Method, address: &str) -> Option<Told> {
    Some(match (method, address) {
        // They say that something changed, and whether the services work.
        (&Method::GET, "/events" | "/status") => Told::Elsewhere,
        // In every tenant's trail, by what carries them out.
        (&Method::POST, "/backups") => Told::Own(Act::Backup),
        (&Method::POST, "/keys/rotate-master") => Told::Own(Act::RotateMasterKey),
        (&Method::POST, "/erasures") => Told::Own(Act::Erase),
        (&Method::GET, "/tenant/records") => Told::Change(Act::Export),
        (&Method::POST, "/tenant/end") => Told::Own(Act::EndTenant),
        (
            &Method::POST,
            "/dead-letters/{consumer}/{event_id}/replay" | "/jobs/{service}/{id}/replay",
        ) => Told::Own(Act::Retry),
        _ => return None,
    })
}
