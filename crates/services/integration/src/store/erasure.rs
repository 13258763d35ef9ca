//! What is destroyed of an erased study.

/// Statements that destroy what this service holds of the study `$2` of the
/// tenant `$1`, in this order.
pub(crate) const FORGET: &[&str] = &[
    "DELETE FROM jobs WHERE tenant = $1 AND subject IN
        (SELECT id FROM deliveries WHERE tenant = $1 AND study_uid = $2)",
    "DELETE FROM deliveries WHERE tenant = $1 AND study_uid = $2",
];
