//! Attributes by keyword, tag or dotted path (PS3.18 §8.3.4.1), and the table
//! of those that can be matched (PS3.18 tables 10.6.1-5 and what is indexed
//! besides).

use dicom_core::Tag;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;

use crate::Refusal;
use crate::limits;

/// What is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Studies.
    Study,
    /// Series.
    Series,
    /// Instances.
    Instance,
}

/// An attribute, behind the sequences that lead to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path(pub Vec<Tag>);

impl Path {
    /// The outermost attribute: the one itself, or the sequence that holds it.
    #[must_use]
    pub fn first(&self) -> Option<Tag> {
        self.0.first().copied()
    }
}

/// Parses `PatientName`, `00100010` or `00400275.00401001`.
///
/// # Errors
/// [`Refusal::BadRequest`] when it names no attribute.
pub fn parse_path(text: &str) -> Result<Path, Refusal> {
    let mut tags = Vec::new();
    for piece in text.split('.') {
        if tags.len() == limits::PATH_DEPTH {
            return Err(Refusal::bad("an attribute's path is too deep"));
        }
        tags.push(parse_name(piece.trim()).ok_or_else(|| {
            Refusal::bad(
                "a parameter is neither known nor the keyword or tag (eight hexadecimal digits) of an attribute",
            )
        })?);
    }
    Ok(Path(tags))
}

fn parse_name(name: &str) -> Option<Tag> {
    if name.len() == 8 && name.bytes().all(|b| b.is_ascii_hexdigit()) {
        let number = u32::from_str_radix(name, 16).ok()?;
        let group = u16::try_from(number >> 16).ok()?;
        let element = u16::try_from(number & 0xffff).ok()?;
        return Some(Tag(group, element));
    }
    StandardDataDictionary
        .by_name(name)
        .map(DataDictionaryEntry::tag)
}

/// How a value of an attribute is matched (PS3.4 §C.2.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Single value or wild cards.
    Text,
    /// Single value only.
    Exact,
    /// A list of UIDs.
    Uids,
    /// A list of coded values without wild cards.
    Codes,
    /// A date or a range of dates.
    Date,
    /// A time or a range of times.
    Time,
    /// A whole number.
    Number,
}

macro_rules! attributes {
    ($($(#[$doc:meta])* $name:ident, $keyword:literal, [$($tag:literal),+], $level:ident, $kind:ident;)+) => {
        /// An attribute that can be matched.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Attribute { $($(#[$doc])* $name,)+ }

        impl Attribute {
            /// All of them, by level.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its keyword, behind that of its sequence.
            #[must_use]
            pub const fn keyword(self) -> &'static str {
                match self { $(Self::$name => $keyword,)+ }
            }

            /// The level that it belongs to.
            #[must_use]
            pub const fn level(self) -> Level {
                match self { $(Self::$name => Level::$level,)+ }
            }

            pub(super) const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)+ }
            }

            const fn path(self) -> &'static [u32] {
                match self { $(Self::$name => &[$($tag),+],)+ }
            }
        }
    };
}

attributes! {
    /// Study Date (0008,0020).
    StudyDate, "StudyDate", [0x0008_0020], Study, Date;
    /// Study Time (0008,0030).
    StudyTime, "StudyTime", [0x0008_0030], Study, Time;
    /// Accession Number (0008,0050).
    AccessionNumber, "AccessionNumber", [0x0008_0050], Study, Text;
    /// Modalities in Study (0008,0061).
    ModalitiesInStudy, "ModalitiesInStudy", [0x0008_0061], Study, Codes;
    /// Referring Physician's Name (0008,0090).
    ReferringPhysicianName, "ReferringPhysicianName", [0x0008_0090], Study, Text;
    /// Study Description (0008,1030).
    StudyDescription, "StudyDescription", [0x0008_1030], Study, Text;
    /// Patient's Name (0010,0010).
    PatientName, "PatientName", [0x0010_0010], Study, Text;
    /// Patient ID (0010,0020).
    PatientId, "PatientID", [0x0010_0020], Study, Text;
    /// Issuer of Patient ID (0010,0021).
    IssuerOfPatientId, "IssuerOfPatientID", [0x0010_0021], Study, Exact;
    /// Patient's Birth Date (0010,0030).
    PatientBirthDate, "PatientBirthDate", [0x0010_0030], Study, Date;
    /// Patient's Sex (0010,0040).
    PatientSex, "PatientSex", [0x0010_0040], Study, Exact;
    /// Study Instance UID (0020,000D).
    StudyInstanceUid, "StudyInstanceUID", [0x0020_000d], Study, Uids;
    /// Study ID (0020,0010).
    StudyId, "StudyID", [0x0020_0010], Study, Text;
    /// Modality (0008,0060).
    Modality, "Modality", [0x0008_0060], Series, Codes;
    /// Series Description (0008,103E).
    SeriesDescription, "SeriesDescription", [0x0008_103e], Series, Text;
    /// Body Part Examined (0018,0015).
    BodyPartExamined, "BodyPartExamined", [0x0018_0015], Series, Text;
    /// Series Instance UID (0020,000E).
    SeriesInstanceUid, "SeriesInstanceUID", [0x0020_000e], Series, Uids;
    /// Series Number (0020,0011).
    SeriesNumber, "SeriesNumber", [0x0020_0011], Series, Number;
    /// Performed Procedure Step Start Date (0040,0244).
    PerformedProcedureStepStartDate, "PerformedProcedureStepStartDate", [0x0040_0244], Series, Date;
    /// Performed Procedure Step Start Time (0040,0245).
    PerformedProcedureStepStartTime, "PerformedProcedureStepStartTime", [0x0040_0245], Series, Time;
    /// Scheduled Procedure Step ID (0040,0009) in the Request Attributes Sequence.
    ScheduledProcedureStepId, "RequestAttributesSequence.ScheduledProcedureStepID", [0x0040_0275, 0x0040_0009], Series, Text;
    /// Requested Procedure ID (0040,1001) in the Request Attributes Sequence.
    RequestedProcedureId, "RequestAttributesSequence.RequestedProcedureID", [0x0040_0275, 0x0040_1001], Series, Text;
    /// SOP Class UID (0008,0016).
    SopClassUid, "SOPClassUID", [0x0008_0016], Instance, Uids;
    /// SOP Instance UID (0008,0018).
    SopInstanceUid, "SOPInstanceUID", [0x0008_0018], Instance, Uids;
    /// Instance Number (0020,0013).
    InstanceNumber, "InstanceNumber", [0x0020_0013], Instance, Number;
    /// Number of Frames (0028,0008).
    NumberOfFrames, "NumberOfFrames", [0x0028_0008], Instance, Number;
    /// Rows (0028,0010).
    Rows, "Rows", [0x0028_0010], Instance, Number;
    /// Columns (0028,0011).
    Columns, "Columns", [0x0028_0011], Instance, Number;
}

impl Attribute {
    /// The attribute at a path, when it can be matched.
    #[must_use]
    pub fn at(path: &Path) -> Option<Self> {
        let numbers = path
            .0
            .iter()
            .map(|tag| u32::from(tag.0) << 16 | u32::from(tag.1));
        Self::ALL
            .iter()
            .copied()
            .find(|attribute| numbers.clone().eq(attribute.path().iter().copied()))
    }

    /// The attribute itself, innermost of its path.
    #[must_use]
    pub fn tag(self) -> Tag {
        let number = self.path().last().copied().unwrap_or_default();
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of a tag")]
        Tag((number >> 16) as u16, number as u16)
    }
}
