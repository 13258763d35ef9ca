//! What each request is to the audit trail.

use hilum_contracts::audit::Act;
use hilum_platform::audit::Told;
use http::Method;

/// Of REST below `/api/v1`.
pub(crate) fn rest(method: &Method, address: &str) -> Option<Told> {
    Some(match (method, address) {
        (&Method::GET, "/studies") => Told::Look(Act::Query),
        (&Method::GET, "/studies/{study_uid}" | "/studies/{study_uid}/corrections") => {
            Told::Look(Act::ViewStudy)
        }
        (&Method::GET, "/patient-merges") => Told::Look(Act::ViewPatient),
        (&Method::GET, "/quarantine") => Told::Look(Act::ViewQuarantine),
        (&Method::GET, address) if address.ends_with("/received") => Told::Look(Act::ViewReceived),
        (&Method::POST, "/studies/{study_uid}/corrections") => Told::Own(Act::Correct),
        (&Method::POST, "/studies/{study_uid}/moves") => Told::Own(Act::Move),
        (&Method::POST, "/instance-conflicts/{id}/decide") => Told::Own(Act::DecideConflict),
        (&Method::POST, "/holds") => Told::Own(Act::Hold),
        (&Method::DELETE, "/holds/{id}") => Told::Own(Act::LiftHold),
        (&Method::DELETE, "/quarantine/{id}") => Told::Own(Act::DeleteQuarantined),
        (&Method::DELETE, address) if address.starts_with("/studies/") => Told::Own(Act::Delete),
        // Instance by instance; the archive counts what was taken in.
        (&Method::POST, "/imports/{id}/instances") => Told::Own(Act::Import),
        (&Method::POST, "/exports/{id}" | "/exports/{id}/end") => Told::Own(Act::Export),
        (&Method::POST, "/patient-merges") => Told::Own(Act::MergePatients),
        (&Method::DELETE, "/patient-merges/{id}") => Told::Own(Act::MergePatients),
        (&Method::POST, "/input-sets/{id}/accept") => Told::Own(Act::AcceptInput),
        // The archive records what was taken in and what left the quarantine.
        (&Method::POST, "/quarantine/{id}/redrive") => Told::Change(Act::Redrive),
        _ => return None,
    })
}

/// Of DICOMweb (PS3.18 §10): what is stored the archive records.
pub(crate) fn dicomweb(method: &Method, address: &str) -> Option<Told> {
    let ends = |with: &[&str]| with.iter().any(|end| address.ends_with(end));
    Some(match *method {
        Method::GET | Method::HEAD if ends(&["/studies", "/series", "/instances"]) => {
            Told::Look(Act::Query)
        }
        Method::GET | Method::HEAD if ends(&["/metadata"]) => Told::Look(Act::ViewStudy),
        Method::GET | Method::HEAD => Told::Look(Act::Retrieve),
        Method::POST => Told::Own(Act::Store),
        _ => return None,
    })
}
