//! What is destroyed of an erased study.

/// Statements that destroy what this service holds of the study `$2` of the
/// tenant `$1`, in this order. A record goes with the last study of its patient.
pub(crate) const FORGET: &[&str] = &[
    "DELETE FROM conflicts WHERE tenant = $1 AND other_study_uid = $2",
    "DELETE FROM studies WHERE tenant = $1 AND study_uid = $2",
    "DELETE FROM conflicts WHERE tenant = $1 AND $2 IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM studies WHERE studies.patient = conflicts.patient)",
    "DELETE FROM patients WHERE tenant = $1 AND $2 IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM studies WHERE studies.patient = patients.id)",
];
