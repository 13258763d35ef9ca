//! What each request to the server's own endpoints is to the audit trail.

use hilum_contracts::audit::Act;
use hilum_platform::audit::Told;
use http::Method;

pub(crate) fn rest(method: &Method, address: &str) -> Option<Told> {
    Some(match (method, address) {
        // They say that something changed, and whether the services work.
        (&Method::GET, "/events" | "/status") => Told::Nothing,
        (&Method::POST, "/backups") => Told::Change(Act::Backup),
        (&Method::POST, "/keys/rotate-master") => Told::Change(Act::RotateMasterKey),
        (&Method::POST, "/erasures") => Told::Own(Act::Erase),
        (&Method::GET, "/tenant/records") => Told::Change(Act::Export),
        (&Method::POST, "/tenant/end") => Told::Own(Act::EndTenant),
        (&Method::POST, "/dead-letters/{consumer}/{event_id}/replay") => Told::Change(Act::Retry),
        _ => return None,
    })
}
