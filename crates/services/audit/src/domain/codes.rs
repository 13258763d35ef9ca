//! What an act is called elsewhere: DICOM PS3.15 §A.5 (event identifiers and
//! types, CID 400 and 401) and FHIR R4 AuditEvent.action.

use hilum_contracts::audit::Act;

/// A code of the DICOM ontology and what it means.
pub(crate) type Dcm = (&'static str, &'static str);

/// FHIR's letter: create, read, update, delete or execute.
pub(crate) const fn letter(act: Act) -> &'static str {
    match act {
        Act::Store
        | Act::Import
        | Act::SignUp
        | Act::Publish
        | Act::Hold
        | Act::MakeTenant
        | Act::Restore
        | Act::BeginAudit => "C",
        Act::ViewStudy
        | Act::ViewPatient
        | Act::Retrieve
        | Act::ViewReceived
        | Act::ViewQuarantine
        | Act::ViewAdministration
        | Act::Export
        | Act::ExportAudit
        | Act::ViewAudit
        | Act::Backup => "R",
        Act::Correct
        | Act::Move
        | Act::MergePatients
        | Act::DecideConflict
        | Act::Reject
        | Act::AcceptInput
        | Act::LiftHold
        | Act::ChangePassword
        | Act::VerifyEmail
        | Act::ChangePerson
        | Act::ChangeRole
        | Act::ChangeDevice
        | Act::ChangeKey
        | Act::ChangeSettings
        | Act::RotateMasterKey
        | Act::ReviewBreakGlass => "U",
        Act::DeleteQuarantined | Act::Delete | Act::Erase | Act::RemoveAudit | Act::EndTenant => {
            "D"
        }
        Act::SignIn
        | Act::SignInFailed
        | Act::SignOut
        | Act::Refused
        | Act::DeviceRefused
        | Act::Query
        | Act::StoreRefused
        | Act::Retry
        | Act::Redrive
        | Act::ModelRun
        | Act::Delivery
        | Act::BreakGlass
        | Act::EndBreakGlass => "E",
    }
}

/// The event and, where there is one, its type.
pub(crate) const fn dicom(act: Act) -> (Dcm, Option<Dcm>) {
    const AUTHENTICATION: Dcm = ("110114", "User Authentication");
    const ALERT: Dcm = ("110113", "Security Alert");
    const ACTIVITY: Dcm = ("110100", "Application Activity");
    const ACCESSED: Dcm = ("110103", "DICOM Instances Accessed");
    const TRANSFERRED: Dcm = ("110104", "DICOM Instances Transferred");
    match act {
        Act::SignIn | Act::SignInFailed => (AUTHENTICATION, Some(("110122", "Login"))),
        Act::SignOut => (AUTHENTICATION, Some(("110123", "Logout"))),
        Act::Refused => (ALERT, Some(("110132", "Use of Restricted Function"))),
        Act::DeviceRefused => (ALERT, Some(("110126", "Node Authentication"))),
        Act::BreakGlass => (ALERT, Some(("110127", "Emergency Override Started"))),
        Act::EndBreakGlass | Act::ReviewBreakGlass => {
            (ALERT, Some(("110138", "Emergency Override Stopped")))
        }
        Act::ChangeRole => (ALERT, Some(("110136", "Security Roles Changed"))),
        Act::SignUp
        | Act::ChangePassword
        | Act::VerifyEmail
        | Act::ChangePerson
        | Act::ChangeKey => (ALERT, Some(("110137", "User security Attributes Changed"))),
        Act::ChangeDevice => (ALERT, Some(("110134", "Network Configuration"))),
        Act::ChangeSettings
        | Act::RotateMasterKey
        | Act::MakeTenant
        | Act::EndTenant
        | Act::Hold
        | Act::LiftHold => (ALERT, Some(("110129", "Security Configuration"))),
        Act::Query => (("110112", "Query"), None),
        Act::Import => (("110107", "Import"), None),
        Act::Export => (("110106", "Export"), None),
        Act::Delete | Act::Erase => (("110105", "DICOM Study Deleted"), None),
        Act::Store | Act::StoreRefused | Act::Redrive | Act::Delivery => (TRANSFERRED, None),
        Act::ViewStudy
        | Act::Retrieve
        | Act::ViewReceived
        | Act::ViewQuarantine
        | Act::Correct
        | Act::Move
        | Act::Reject
        | Act::Publish
        | Act::DeleteQuarantined
        | Act::DecideConflict => (ACCESSED, None),
        Act::ViewPatient | Act::MergePatients => (("110110", "Patient Record"), None),
        Act::ViewAudit | Act::ExportAudit | Act::RemoveAudit | Act::BeginAudit => {
            (("110101", "Audit Log Used"), None)
        }
        Act::AcceptInput
        | Act::Retry
        | Act::ViewAdministration
        | Act::ModelRun
        | Act::Backup
        | Act::Restore => (ACTIVITY, None),
    }
}
