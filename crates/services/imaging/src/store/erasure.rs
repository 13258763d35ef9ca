//! What is destroyed of an erased study.

/// Statements that destroy what this service holds of the study `$2` of the
/// tenant `$1`, in this order.
pub(crate) const FORGET: &[&str] = &[
    "DELETE FROM input_set_instances WHERE input_set IN
        (SELECT id FROM input_sets WHERE tenant = $1 AND study_uid = $2)",
    "DELETE FROM input_sets WHERE tenant = $1 AND study_uid = $2",
    "DELETE FROM senders WHERE tenant = $1 AND study_uid = $2",
    "DELETE FROM patient_merges WHERE tenant = $1 AND id IN
        (SELECT merge FROM patient_merge_studies WHERE tenant = $1 AND study_uid = $2)",
    "DELETE FROM patient_merge_studies WHERE tenant = $1 AND study_uid = $2",
];

/// The same for what of the tenant `$1` stands in tables without its name.
pub(crate) const FORGET_TENANT: &[&str] = &["DELETE FROM input_set_instances WHERE input_set IN
    (SELECT id FROM input_sets WHERE tenant = $1)"];
