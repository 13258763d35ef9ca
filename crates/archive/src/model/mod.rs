//! The shapes that cross the archive's border: what is stored, what is asked
//! for, and what comes back. Plain data; nothing here reads or writes.

mod answer;
mod correction;
mod deletion;
mod erasure;
mod filter;
mod instance;
mod keeping;
mod metadata;
mod moving;
mod quarantine;
mod rejection;
mod report;

pub use answer::{
    ConflictRow, Decision, InstanceLayout, InstanceLocation, InstanceMetadata, InstancePart,
    InstanceRow, Page, PublishOutcome, SeriesRow, Standing, StoreOutcome, StudyRow, Uncompared,
    WorklistCursor, WorklistPage,
};
pub use correction::{Corrected, CorrectionRow, NewCorrection, Overlay};
pub use deletion::{Cause, Deleted, DeletionRow, NewDeletion, Resend};
pub use erasure::{
    BackupCopy, BackupState, Erased, ErasedMarks, ErasedPatient, ErasureRecord, ErasureRow,
    TenantHoldings,
};
pub use filter::{
    DateRange, InstanceFilter, MetadataScope, NamePattern, Order, SeriesFilter, StudyFilter,
    TextPattern, TimeRange,
};
pub use instance::{
    Body, Folded, InstanceAttributes, NewInstance, Origin, PatientIdentity, PersonName, ResultKey,
    SeriesAttributes, StudyAttributes,
};
pub use keeping::{HoldOn, HoldRow, Keeping, Quota, RetentionRule, Since};
pub use metadata::{MetadataBatch, MetadataForm, MetadataPiece, PieceInstance};
pub use moving::{Followed, MoveOf, MoveTo, Moved, NewMove};
pub use quarantine::{NewQuarantined, QuarantineItem, QuarantineOutcome};
pub use rejection::{Rejection, RejectionReason};
pub use report::{
    BackupReport, FilesReport, ObjectFault, PackReport, Progress, RebuildReport, RestoreReport,
    StorageReport, SweepReport, VerifyReport,
};
