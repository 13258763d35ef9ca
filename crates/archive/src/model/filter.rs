//! Typed filters. Every field is optional; what is set must all match
//! (PS3.4 §C.2.2.2, PS3.18 §8.3.4).

/// A text to match: `*` and `?` are wild cards (PS3.4 §C.2.2.2.4). Where the
/// attribute is [`crate::Folded`], the caller folds the pattern by the same rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TextPattern(pub String);

/// A person name to match, folded, per component group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NamePattern {
    /// One group was given: any group of the stored name may match it.
    AnyGroup(TextPattern),
    /// Groups were given apart: alphabetic, ideographic, phonetic; all of the
    /// given ones must match.
    Groups([Option<TextPattern>; 3]),
}

/// `YYYYMMDD` to `YYYYMMDD`, both inclusive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct DateRange {
    /// Earliest date.
    pub from: Option<String>,
    /// Latest date.
    pub to: Option<String>,
}

impl DateRange {
    /// False when it says nothing, which what has no date fulfils too.
    pub(crate) fn is_bounded(&self) -> bool {
        self.from.is_some() || self.to.is_some()
    }
}

/// `HHMMSS[.FFFFFF]` to `HHMMSS[.FFFFFF]`, both inclusive. `to` must be filled
/// up by the caller (`10` means `105959.999999`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// Earliest time.
    pub from: Option<String>,
    /// Latest time.
    pub to: Option<String>,
}

/// How studies are sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// Study date, then time, newest first, then as they first came.
    #[default]
    StudyDate,
    /// Latest reception first.
    Received,
}

/// Conditions on studies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct StudyFilter {
    /// Any of these Study Instance UIDs; empty: no condition.
    pub uids: Vec<String>,
    /// Patient ID.
    pub patient_id: Option<TextPattern>,
    /// Issuer of Patient ID, exactly.
    pub issuer: Option<String>,
    /// Patient's Name.
    pub patient_name: Option<NamePattern>,
    /// Patient's Birth Date.
    pub birth_date: Option<DateRange>,
    /// Patient's Sex, exactly.
    pub sex: Option<String>,
    /// Study Date.
    pub date: Option<DateRange>,
    /// Study Time.
    pub time: Option<TimeRange>,
    /// Study Date and Study Time as one value (PS3.4 §C.2.2.2.5.4) instead of
    /// each by itself.
    pub combined_date_time: bool,
    /// Accession Number.
    pub accession: Option<TextPattern>,
    /// Study ID.
    pub study_id: Option<TextPattern>,
    /// Study Description, folded.
    pub description: Option<TextPattern>,
    /// Referring Physician's Name.
    pub referring_physician: Option<NamePattern>,
    /// Any of these in Modalities in Study; empty: no condition.
    pub modalities: Vec<String>,
    /// Received at or after, Unix milliseconds.
    pub received_since: Option<i64>,
    /// Order of the answer; used by study queries only.
    pub order: Order,
}

/// Conditions on series.
#[derive(Debug, Clone, Default)]
pub struct SeriesFilter {
    /// Conditions on its study.
    pub study: StudyFilter,
    /// Any of these Series Instance UIDs; empty: no condition.
    pub uids: Vec<String>,
    /// Any of these modalities; empty: no condition.
    pub modalities: Vec<String>,
    /// Series Number.
    pub number: Option<i64>,
    /// Series Description, folded.
    pub description: Option<TextPattern>,
    /// Body Part Examined.
    pub body_part: Option<TextPattern>,
    /// Performed Procedure Step Start Date.
    pub performed_step_date: Option<DateRange>,
    /// Performed Procedure Step Start Time.
    pub performed_step_time: Option<TimeRange>,
    /// Scheduled Procedure Step ID.
    pub scheduled_step_id: Option<TextPattern>,
    /// Requested Procedure ID.
    pub requested_procedure_id: Option<TextPattern>,
}

/// Conditions on instances. Only served instances answer.
#[derive(Debug, Clone, Default)]
pub struct InstanceFilter {
    /// Conditions on its series and study.
    pub series: SeriesFilter,
    /// Any of these SOP Instance UIDs; empty: no condition.
    pub uids: Vec<String>,
    /// Any of these SOP Class UIDs; empty: no condition.
    pub sop_classes: Vec<String>,
    /// Instance Number.
    pub number: Option<i64>,
    /// Rows.
    pub rows: Option<u32>,
    /// Columns.
    pub columns: Option<u32>,
    /// Number of Frames.
    pub frames: Option<u32>,
}

/// Whose metadata to stream. The path of a DICOMweb URL: a series that is not
/// in the named study does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataScope {
    /// Everything of a study.
    Study(String),
    /// Everything of a series.
    Series {
        /// Study Instance UID.
        study: String,
        /// Series Instance UID.
        series: String,
    },
    /// One instance.
    Instance {
        /// Study Instance UID.
        study: String,
        /// Series Instance UID.
        series: String,
        /// SOP Instance UID.
        instance: String,
    },
}
