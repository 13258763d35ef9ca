//! What the audit trail tells: the closed set of acts, whom and what an entry
//! is about, and how it ended. Patient data may stand in a [`Subject`] only,
//! which is stored sealed; everything else of an entry is stored in the clear.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::CorrelationId;

/// Longest text of a subject, in characters; what is longer is cut.
pub const SUBJECT_TEXT_MAX: usize = 1_024;
/// Longest value of a detail, in characters; what is longer is cut.
pub const DETAIL_TEXT_MAX: usize = 200;
/// Most subjects of an entry; a caller that has more makes more entries.
pub const SUBJECTS_MAX: usize = 64;

macro_rules! named {
    ($(#[$enum_doc:meta])* $enum:ident, $unknown:ident $says:literal:
        $($(#[$doc:meta])* $variant:ident $name:literal;)*) => {
        $(#[$enum_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $enum {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl $enum {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name, as it is stored and shown.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),*
                }
            }
        }

        impl fmt::Display for $enum {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        #[doc = $says]
        #[derive(Clone, Copy, Debug, thiserror::Error)]
        #[error($says)]
        pub struct $unknown;

        impl FromStr for $enum {
            type Err = $unknown;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let all = Self::ALL.iter().copied();
                all.into_iter().find(|one| one.name() == text).ok_or($unknown)
            }
        }
    };
}

named! {
    /// What was done. Names are stored: they are added to and never changed.
    Act, UnknownAct "the text names no act of the audit trail":
    /// A person's session was begun.
    SignIn "sign-in";
    /// Somebody could not prove who they are.
    SignInFailed "sign-in-failed";
    /// A person's session was ended, by them or by another.
    SignOut "sign-out";
    /// Somebody who is known asked for what they may not do.
    Refused "refused";
    /// A DICOM association was rejected.
    DeviceRefused "device-refused";
    /// A person made an account, or took an invitation.
    SignUp "sign-up";
    /// A password was set, reset or changed.
    ChangePassword "change-password";
    /// An e-mail address was proved.
    VerifyEmail "verify-email";
    /// Studies, series, instances or patients were searched for.
    Query "query";
    /// A study's page, results or metadata were looked at.
    ViewStudy "view-study";
    /// What is known of a patient was looked at.
    ViewPatient "view-patient";
    /// Images were retrieved, whole, in part or rendered.
    Retrieve "retrieve";
    /// An image was retrieved as it was received.
    ViewReceived "view-received";
    /// Images were taken in.
    Store "store";
    /// Images were sent and not taken in.
    StoreRefused "store-refused";
    /// Files of this machine were imported.
    Import "import";
    /// Studies were written to a folder or disc.
    Export "export";
    /// Attributes of a patient, study or series were corrected.
    Correct "correct";
    /// Instances, series or studies were moved.
    Move "move";
    /// Patients were merged, or a merge was undone.
    MergePatients "merge-patients";
    /// A conflict of identity or content was decided.
    DecideConflict "decide-conflict";
    /// Instances were rejected by a note.
    Reject "reject";
    /// An input set was accepted although it is not known to be complete.
    AcceptInput "accept-input";
    /// A run, delivery or event was let be tried again.
    Retry "retry";
    /// What was refused was looked at.
    ViewQuarantine "view-quarantine";
    /// What was refused was taken in again.
    Redrive "redrive";
    /// What was refused was deleted.
    DeleteQuarantined "delete-quarantined";
    /// Studies, series or instances were deleted.
    Delete "delete";
    /// A patient was erased.
    Erase "erase";
    /// A legal hold was placed.
    Hold "hold";
    /// A legal hold was lifted.
    LiftHold "lift-hold";
    /// Holds, certificates, storage, people, devices, keys or settings were looked at.
    ViewAdministration "view-administration";
    /// A model ran.
    ModelRun "model-run";
    /// A model's results were published.
    Publish "publish";
    /// Images were sent to a destination.
    Delivery "delivery";
    /// A person was invited, changed or removed.
    ChangePerson "change-person";
    /// A person was given another role.
    ChangeRole "change-role";
    /// A device was admitted, changed or removed.
    ChangeDevice "change-device";
    /// An API key was made or revoked.
    ChangeKey "change-key";
    /// Settings of the tenant were changed, sign-in providers among them.
    ChangeSettings "change-settings";
    /// Emergency access was taken.
    BreakGlass "break-glass";
    /// Emergency access was ended.
    EndBreakGlass "end-break-glass";
    /// Emergency access was reviewed.
    ReviewBreakGlass "review-break-glass";
    /// The audit trail was searched or verified.
    ViewAudit "view-audit";
    /// The audit trail was exported.
    ExportAudit "export-audit";
    /// Entries that were kept long enough were removed.
    RemoveAudit "remove-audit";
    /// A chain of the audit trail was begun anew, after its index was made again.
    BeginAudit "begin-audit";
    /// A tenant was made.
    MakeTenant "make-tenant";
    /// A tenant was exported or ended.
    EndTenant "end-tenant";
    /// The installation was backed up.
    Backup "backup";
    /// The installation's master key was changed.
    RotateMasterKey "rotate-master-key";
    /// The installation was made from a backup.
    Restore "restore";
}

named! {
    /// How an act ended.
    Outcome, UnknownOutcome "an outcome is success, refused or failed":
    /// It was done.
    Success "success";
    /// Whoever asked may not, or a rule forbids it.
    Refused "refused";
    /// It was tried and not done.
    Failed "failed";
}

named! {
    /// What a detail says. Never patient data, and no free text of a person.
    Detail, UnknownDetail "the text names no detail of an entry":
    /// The person who was acted on.
    Person "person";
    /// A role that was given.
    Role "role";
    /// An API key's id.
    Key "key";
    /// A session's id.
    Session "session";
    /// A device's AE title.
    Device "device";
    /// A destination's name.
    Destination "destination";
    /// A tenant's name.
    Tenant "tenant";
    /// Which setting.
    Setting "setting";
    /// A sign-in provider.
    Provider "provider";
    /// An invitation's id.
    Invitation "invitation";
    /// An emergency access's id.
    Access "access";
    /// An action of the role matrix.
    Action "action";
    /// A model and its version.
    Model "model";
    /// A run's id.
    Run "run";
    /// A delivery's id.
    Delivery "delivery";
    /// An input set's id.
    InputSet "input-set";
    /// A conflict's id.
    Conflict "conflict";
    /// A hold's id.
    Hold "hold";
    /// A quarantined item's id.
    Item "item";
    /// An event's id.
    Event "event";
    /// What was decided or changed, as a word of the product's own.
    Change "change";
    /// Why it was refused or failed, as a code of the product's own.
    Reason "reason";
    /// How many instances.
    Instances "instances";
    /// How many studies.
    Studies "studies";
    /// How many bytes.
    Bytes "bytes";
    /// A form of answer: a media type, `csv`, `fhir`.
    Form "form";
    /// Repeats of an access that an earlier entry tells of.
    Repeats "repeats";
    /// A position in a chain of the trail.
    Position "position";
    /// A hash that a chain of the trail goes on from.
    Continues "continues";
    /// SHA-256 of a certificate, in hexadecimal.
    Certificate "certificate";
    /// An export's id.
    Export "export";
    /// How much: `studies`, `patient` or `everything`.
    Extent "extent";
    /// How many instances could not be given.
    Missing "missing";
}

/// Whom or what an entry is about: the only part of it that may identify a
/// patient. Stored sealed under a key of its own, and found by a keyed hash.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A patient.
    Patient {
        /// Patient ID.
        id: String,
        /// Issuer of Patient ID.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issuer: Option<String>,
    },
    /// A study, by its Study Instance UID.
    Study(String),
    /// What was searched for, decoded, as the person or program wrote it.
    Query(String),
    /// Why somebody did it, in their own words.
    Reason(String),
    /// The e-mail address that somebody tried to sign in with.
    Account(String),
}

impl Subject {
    /// A patient by Patient ID and issuer, of which an empty one is none.
    #[must_use]
    pub fn patient(id: impl Into<String>, issuer: Option<&str>) -> Self {
        Self::Patient {
            id: cut(id.into(), SUBJECT_TEXT_MAX),
            issuer: issuer
                .filter(|issuer| !issuer.is_empty())
                .map(|issuer| cut(issuer.to_owned(), SUBJECT_TEXT_MAX)),
        }
    }

    /// A study.
    #[must_use]
    pub fn study(uid: impl Into<String>) -> Self {
        Self::Study(cut(uid.into(), SUBJECT_TEXT_MAX))
    }

    /// A search.
    #[must_use]
    pub fn query(text: impl Into<String>) -> Self {
        Self::Query(cut(text.into(), SUBJECT_TEXT_MAX))
    }

    /// A reason.
    #[must_use]
    pub fn reason(text: impl Into<String>) -> Self {
        Self::Reason(cut(text.into(), SUBJECT_TEXT_MAX))
    }

    /// An e-mail address that was tried.
    #[must_use]
    pub fn account(address: impl Into<String>) -> Self {
        Self::Account(cut(address.into(), SUBJECT_TEXT_MAX))
    }

    /// What a person wrote in their own words, which may name anybody.
    #[must_use]
    pub fn free_text(&self) -> Option<&str> {
        match self {
            Self::Query(text) | Self::Reason(text) => Some(text),
            Self::Patient { .. } | Self::Study(_) | Self::Account(_) => None,
        }
    }
}

/// Something that was done, as whoever did it tells the trail. Who, by which
/// right and from where come from the scope, when from the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What was done.
    pub act: Act,
    /// How it ended.
    pub outcome: Outcome,
    /// Whom and what it is about.
    pub subjects: Vec<Subject>,
    /// How often, or how many instances.
    pub count: u64,
    /// What else is worth knowing.
    pub details: BTreeMap<Detail, String>,
    /// From where, when the scope does not know.
    pub from: Option<IpAddr>,
    /// The work it belongs to.
    pub correlation: Option<CorrelationId>,
}

impl Entry {
    /// That `act` was done, once.
    #[must_use]
    pub fn new(act: Act) -> Self {
        Self {
            act,
            outcome: Outcome::Success,
            subjects: Vec::new(),
            count: 1,
            details: BTreeMap::new(),
            from: None,
            correlation: None,
        }
    }

    /// It is about this one too. What goes beyond [`SUBJECTS_MAX`] is left out.
    #[must_use]
    pub fn about(mut self, subject: Subject) -> Self {
        if self.subjects.len() < SUBJECTS_MAX && !self.subjects.contains(&subject) {
            self.subjects.push(subject);
        }
        self
    }

    /// It ended like this.
    #[must_use]
    pub fn ended(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// So often, or with so many instances.
    #[must_use]
    pub fn count(mut self, count: u64) -> Self {
        self.count = count;
        self
    }

    /// With this detail, which holds no patient data.
    #[must_use]
    pub fn with(mut self, detail: Detail, value: impl fmt::Display) -> Self {
        self.details
            .insert(detail, cut(value.to_string(), DETAIL_TEXT_MAX));
        self
    }

    /// Without this detail.
    #[must_use]
    pub fn without(mut self, detail: Detail) -> Self {
        self.details.remove(&detail);
        self
    }

    /// From this address, where the scope's principal is not whoever called.
    #[must_use]
    pub fn from(mut self, address: Option<IpAddr>) -> Self {
        self.from = address;
        self
    }

    /// As a part of this work.
    #[must_use]
    pub fn part_of(mut self, correlation: CorrelationId) -> Self {
        self.correlation = Some(correlation);
        self
    }
}

fn cut(text: String, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => text.get(..at).unwrap_or_default().to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_serde_writes() {
        for act in Act::ALL {
            assert_eq!(serde_json::to_value(act).unwrap(), act.name());
            assert_eq!(act.name().parse::<Act>().unwrap(), *act);
        }
        for detail in Detail::ALL {
            assert_eq!(serde_json::to_value(detail).unwrap(), detail.name());
        }
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        let long = "ä".repeat(SUBJECT_TEXT_MAX + 1);
        let Subject::Query(text) = Subject::query(long) else {
            panic!("a query is a query");
        };
        assert_eq!(text.chars().count(), SUBJECT_TEXT_MAX);
    }

    #[test]
    fn an_issuer_that_is_empty_is_none() {
        assert_eq!(Subject::patient("1", Some("")), Subject::patient("1", None));
    }
}
