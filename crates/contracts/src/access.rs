//! Who may do what: the roles, the actions and the one matrix between them.
//! Every check in the product asks [`allows`]; `hilum roles` and
//! `docs/compliance/roles.md` print it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a person, a key or a device is to a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Answers for the tenant: everything in it, its end included.
    Owner,
    /// Runs it: people, devices, keys, settings, storage. Sees who was
    /// examined, no images.
    Administrator,
    /// Reads images and results.
    Radiologist,
    /// Brings images in and puts right what is wrong with them.
    Technologist,
    /// Reads the audit trail, and changes nothing.
    Auditor,
    /// Another program, by an API key.
    Integration,
    /// A DICOM device, by its association.
    Device,
    /// Whoever can read the data folder of the installation. Nobody is given
    /// this role.
    Operator,
}

impl Role {
    /// Every role, in the order in which the matrix prints them.
    pub const ALL: [Self; 8] = [
        Self::Owner,
        Self::Administrator,
        Self::Radiologist,
        Self::Technologist,
        Self::Auditor,
        Self::Integration,
        Self::Device,
        Self::Operator,
    ];

    /// What a person can be.
    pub const OF_PEOPLE: [Self; 5] = [
        Self::Owner,
        Self::Administrator,
        Self::Radiologist,
        Self::Technologist,
        Self::Auditor,
    ];

    /// What an API key can be. A key outlives attention: none owns a tenant.
    pub const OF_KEYS: [Self; 5] = [
        Self::Administrator,
        Self::Radiologist,
        Self::Technologist,
        Self::Auditor,
        Self::Integration,
    ];

    /// Its name, as it is stored and shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Administrator => "administrator",
            Self::Radiologist => "radiologist",
            Self::Technologist => "technologist",
            Self::Auditor => "auditor",
            Self::Integration => "integration",
            Self::Device => "device",
            Self::Operator => "operator",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no role.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "a role is owner, administrator, radiologist, technologist, auditor, integration, device or \
     operator"
)]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or(UnknownRole)
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident $name:literal $says:literal: $($role:ident)*;)*) => {
        /// What can be done. A door names the one that it is for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Action {
            $($(#[$doc])* #[doc = $says] $action,)*
        }

        impl Action {
            /// Every action, in the order in which the matrix prints them.
            pub const ALL: &[Self] = &[$(Self::$action),*];

            /// Its name, as it is stored and shown.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$action => $name),*
                }
            }

            /// What it is, in a sentence for who gives roles.
            #[must_use]
            pub const fn says(self) -> &'static str {
                match self {
                    $(Self::$action => $says),*
                }
            }

            const fn roles(self) -> u8 {
                match self {
                    $(Self::$action => 0 $(| Role::$role.bit())*),*
                }
            }
        }

        /// An action as a type, for [`Allowed`] doors.
        pub mod doors {
            use super::{Action, Allowed};
            $(
                #[doc = $says]
                #[derive(Clone, Copy, Debug)]
                pub struct $action;
                impl Allowed for $action {
                    const ACTION: Action = Action::$action;
                }
            )*
        }
    };
}

/// An [`Action`] that a door names in its own signature.
pub trait Allowed: Send + Sync + 'static {
    /// The action.
    const ACTION: Action;
}

// The matrix. A line is an action: its type, its name, what it is, and who may.
actions! {
    ViewStudies "view-studies" "See the worklist, studies, patients and what became of them.":
        Owner Administrator Radiologist Technologist Integration Operator;
    RetrieveImages "retrieve-images" "Retrieve images and results, whole or rendered.":
        Owner Radiologist Technologist Integration Operator;
    ViewReceived "view-received" "Retrieve an image as it was received, before any correction.":
        Owner Radiologist Operator;
    StoreImages "store-images" "Send images in.":
        Owner Technologist Integration Device Operator;
    CorrectStudies "correct-studies" "Correct, move and merge studies and patients.":
        Owner Administrator Technologist Operator;
    DecideConflicts "decide-conflicts" "Decide conflicts of identity and of content.":
        Owner Administrator Radiologist Technologist Operator;
    AcceptInput "accept-input" "Let models work on an input that is not known to be complete.":
        Owner Radiologist Technologist Operator;
    RetryWork "retry-work" "Run a model or a delivery again.":
        Owner Administrator Radiologist Technologist Operator;
    ViewQuarantine "view-quarantine" "See what was refused.":
        Owner Administrator Technologist Operator;
    ManageQuarantine "manage-quarantine" "Take in again or delete what was refused.":
        Owner Administrator Technologist Operator;
    DeleteImages "delete-images" "Delete studies, series and images.":
        Owner Administrator Operator;
    ErasePatients "erase-patients" "Destroy everything of a patient, for good, with a certificate.":
        Owner Operator;
    ViewErasures "view-erasures" "See certificates of erasure and deletion.":
        Owner Administrator Auditor Operator;
    ViewHolds "view-holds" "See legal holds.":
        Owner Administrator Auditor Operator;
    ManageHolds "manage-holds" "Place and lift legal holds.":
        Owner Administrator Operator;
    ExportStudies "export-studies" "Export studies to a folder or disc.":
        Owner Operator;
    ViewStorage "view-storage" "See what is kept and how much it takes.":
        Owner Administrator Auditor Operator;
    ViewDeadLetters "view-dead-letters" "See work that was given up.":
        Owner Administrator Operator;
    ReplayDeadLetters "replay-dead-letters" "Let work that was given up be tried again.":
        Owner Administrator Operator;
    ViewLive "view-live" "Be told that something changed.":
        Owner Administrator Radiologist Technologist Auditor Operator;
    ViewStatus "view-status" "See whether the services work.":
        Owner Administrator Radiologist Technologist Auditor Integration Operator;
    ViewPeople "view-people" "See people, invitations and sessions.":
        Owner Administrator Auditor Operator;
    ManagePeople "manage-people" "Invite people, give roles, end sessions and memberships.":
        Owner Administrator Operator;
    ViewDevices "view-devices" "See devices, also unknown ones that called.":
        Owner Administrator Technologist Auditor Operator;
    ManageDevices "manage-devices" "Admit, change and remove devices.":
        Owner Administrator Operator;
    ViewKeys "view-keys" "See API keys, never their secrets.":
        Owner Administrator Auditor Operator;
    ManageKeys "manage-keys" "Make and revoke API keys.":
        Owner Administrator Operator;
    ViewSettings "view-settings" "See the tenant's settings.":
        Owner Administrator Auditor Operator;
    ManageSettings "manage-settings" "Change the tenant's settings: rules, limits, sign-in.":
        Owner Administrator Operator;
    EndTenant "end-tenant" "Export everything of the tenant, or erase it with a certificate.":
        Owner Operator;
    ViewAudit "view-audit" "Search and verify the audit trail.":
        Owner Administrator Auditor Operator;
    ExportAudit "export-audit" "Export the audit trail and its seals.":
        Owner Auditor Operator;
    BreakGlass "break-glass" "Take emergency access to images; it is alerted and reviewed.":
        Administrator Auditor;
    ReviewBreakGlass "review-break-glass" "Review emergency access that was taken.":
        Owner Auditor Operator;
    OwnAccount "own-account" "See and change one's own account and sessions.":
        Owner Administrator Radiologist Technologist Auditor;
    Operate "operate" "Back up, rotate the master key, make tenants.":
        Operator;
}

/// What emergency access adds to a role.
pub const BREAK_GLASS: [Action; 3] = [
    Action::ViewStudies,
    Action::RetrieveImages,
    Action::AcceptInput,
];

/// The matrix: whether `role` may do `action`.
#[must_use]
pub const fn allows(role: Role, action: Action) -> bool {
    action.roles() & role.bit() != 0
}

/// A set of actions, such as what a key is limited to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Action>", into = "Vec<Action>")]
pub struct Actions(u64);

impl Actions {
    /// Whether `action` is among them.
    #[must_use]
    pub const fn contains(self, action: Action) -> bool {
        self.0 & (1 << action as u64) != 0
    }
}

impl From<Vec<Action>> for Actions {
    fn from(actions: Vec<Action>) -> Self {
        actions.into_iter().collect()
    }
}

impl From<Actions> for Vec<Action> {
    fn from(set: Actions) -> Self {
        Action::ALL
            .iter()
            .copied()
            .filter(|action| set.contains(*action))
            .collect()
    }
}

impl FromIterator<Action> for Actions {
    fn from_iter<T: IntoIterator<Item = Action>>(actions: T) -> Self {
        Self(
            actions
                .into_iter()
                .fold(0, |set, action| set | (1 << action as u64)),
        )
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no action.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("there is no such action: `hilum roles` lists them")]
pub struct UnknownAction;

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|action| action.name() == text)
            .ok_or(UnknownAction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_serde_writes_and_actions_fit_a_set() {
        assert!(Action::ALL.len() <= 64);
        for action in Action::ALL {
            let text = serde_json::to_value(action).unwrap();
            assert_eq!(text, action.name());
            assert_eq!(action.name().parse::<Action>().unwrap(), *action);
        }
        for role in Role::ALL {
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
            assert_eq!(role.name().parse::<Role>().unwrap(), role);
        }
    }

    #[test]
    fn an_owner_may_whatever_anybody_of_the_tenant_may() {
        for action in Action::ALL {
            let anybody = Role::OF_PEOPLE.iter().any(|role| allows(*role, *action));
            if anybody && *action != Action::BreakGlass {
                assert!(allows(Role::Owner, *action), "{action}");
            }
        }
    }

    #[test]
    fn who_reads_the_trail_changes_nothing() {
        let may: Vec<_> = Action::ALL
            .iter()
            .filter(|action| allows(Role::Auditor, **action))
            .map(|action| action.name())
            .collect();
        for action in may {
            let reads = action.starts_with("view-") || action.starts_with("export-");
            let own = ["own-account", "break-glass", "review-break-glass"].contains(&action);
            assert!(reads || own, "{action}");
        }
    }

    #[test]
    fn nobody_is_given_the_operator_s_role() {
        assert!(!Role::OF_PEOPLE.contains(&Role::Operator));
        assert!(!Role::OF_KEYS.contains(&Role::Operator));
        assert!(!Role::OF_KEYS.contains(&Role::Owner));
    }
}
