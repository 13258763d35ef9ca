//! Which directory record lists an instance (PS3.3 table F.4-1), and with
//! which keys (PS3.3 §F.5).

/// What is written for a key whose attribute is absent or empty.
#[derive(Clone, Copy)]
pub(crate) enum Lack {
    /// Nothing: the key is conditional or optional.
    LeaveOut,
    /// An empty value: type 2, and type 1 where nothing true could be written.
    Empty,
    /// A date that the study has, or that nobody takes for a true one.
    Date,
    /// `OT`, other (PS3.3 §C.7.3.1.1.1).
    Modality,
    /// Midnight.
    Time,
    /// The place among its siblings, counted from 1.
    Ordinal,
    /// `NONE` and that place, so that what has no name stays apart.
    Named,
}

pub(crate) type Key = (&'static str, &'static str, Lack);

pub(crate) const PATIENT: &[Key] = &[
    ("00100010", "PN", Lack::Empty),
    ("00100020", "LO", Lack::Named),
];
pub(crate) const STUDY: &[Key] = &[
    ("00080020", "DA", Lack::Date),
    ("00080030", "TM", Lack::Time),
    ("00080050", "SH", Lack::Empty),
    ("00081030", "LO", Lack::Empty),
    ("0020000D", "UI", Lack::Empty),
    ("00200010", "SH", Lack::Ordinal),
];
pub(crate) const SERIES: &[Key] = &[
    ("00080060", "CS", Lack::Modality),
    ("0020000E", "UI", Lack::Empty),
    ("00200011", "IS", Lack::Ordinal),
];

const NUMBER: Key = ("00200013", "IS", Lack::Ordinal);
const DATE: Key = ("00080023", "DA", Lack::Date);
const TIME: Key = ("00080033", "TM", Lack::Time);
const LABEL: Key = ("00700080", "CS", Lack::Named);
const DESCRIPTION: Key = ("00700081", "LO", Lack::Empty);
const CREATOR: Key = ("00700084", "PN", Lack::Empty);
const CONCEPT: Key = ("0040A043", "SQ", Lack::Empty);
const CONTENT: Key = ("0040A730", "SQ", Lack::LeaveOut);

const IDENTIFIED: &[Key] = &[DATE, TIME, NUMBER, LABEL, DESCRIPTION, CREATOR];
const TREATED: &[Key] = &[
    NUMBER,
    ("30080250", "DA", Lack::Empty),
    ("30080251", "TM", Lack::Empty),
];

/// The lowest record of an instance of this SOP class: Directory Record Type
/// (0004,1430) and keys. Everything that has no record of its own is an image.
pub(crate) fn of(sop_class: &str) -> (&'static str, &'static [Key]) {
    let class = sop_class
        .strip_prefix("1.2.840.10008.5.1.4.1.1.")
        .unwrap_or_default();
    match class {
        "481.2" => ("RT DOSE", &[NUMBER, ("3004000A", "CS", Lack::Empty)]),
        "481.3" => (
            "RT STRUCTURE SET",
            &[
                NUMBER,
                ("30060002", "SH", Lack::Named),
                ("30060008", "DA", Lack::Empty),
                ("30060009", "TM", Lack::Empty),
            ],
        ),
        "481.5" | "481.8" => (
            "RT PLAN",
            &[
                NUMBER,
                ("300A0002", "SH", Lack::Named),
                ("300A0006", "DA", Lack::Empty),
                ("300A0007", "TM", Lack::Empty),
            ],
        ),
        "481.4" | "481.6" | "481.7" | "481.9" => ("RT TREAT RECORD", TREATED),
        "481.10" | "481.11" | "481.12" | "481.13" | "481.14" | "481.15" | "481.16" | "481.17"
        | "481.18" | "481.22" | "481.23" | "481.24" => (
            "RADIOTHERAPY",
            &[
                NUMBER,
                DESCRIPTION,
                CREATOR,
                ("30100033", "SH", Lack::LeaveOut),
                ("30100034", "LO", Lack::LeaveOut),
            ],
        ),
        "4.2" => (
            "SPECTROSCOPY",
            &[
                ("00080008", "CS", Lack::Empty),
                DATE,
                TIME,
                ("00089154", "SQ", Lack::LeaveOut),
                NUMBER,
                ("00280008", "IS", Lack::Empty),
                ("00280010", "US", Lack::Empty),
                ("00280011", "US", Lack::Empty),
                ("00289001", "UL", Lack::Empty),
                ("00289002", "UL", Lack::Empty),
            ],
        ),
        "66" => ("RAW DATA", &[DATE, TIME, NUMBER]),
        "66.1" | "66.3" => ("REGISTRATION", IDENTIFIED),
        "66.2" => ("FIDUCIAL", IDENTIFIED),
        "66.5" => ("SURFACE", IDENTIFIED),
        "66.6" => ("TRACT", IDENTIFIED),
        "67" => ("VALUE MAP", IDENTIFIED),
        "68.1" | "68.2" => ("SURFACE SCAN", &[DATE, TIME]),
        "77.1.5.3" => ("STEREOMETRIC", &[]),
        "78.1" | "78.2" | "78.3" | "78.4" | "78.5" | "78.7" | "80.1" => ("MEASUREMENT", IDENTIFIED),
        "88.59" => ("KEY OBJECT DOC", &[DATE, TIME, NUMBER, CONCEPT, CONTENT]),
        "90.1" => (
            "ASSESSMENT",
            &[
                ("00080012", "DA", Lack::Date),
                ("00080013", "TM", Lack::Empty),
                NUMBER,
            ],
        ),
        "131" => PRESENTATION,
        _ if class.starts_with("9.") => ("WAVEFORM", &[DATE, TIME, NUMBER]),
        _ if class.starts_with("11.") => PRESENTATION,
        _ if class.starts_with("104.") => (
            "ENCAP DOC",
            &[
                ("00080023", "DA", Lack::Empty),
                ("00080033", "TM", Lack::Empty),
                NUMBER,
                CONCEPT,
                ("0040E001", "ST", Lack::LeaveOut),
                ("00420010", "ST", Lack::Empty),
                ("00420012", "LO", Lack::Empty),
            ],
        ),
        _ if class.starts_with("88.") || matches!(class, "78.6" | "79.1") => (
            "SR DOCUMENT",
            &[
                DATE,
                TIME,
                NUMBER,
                ("0040A030", "DT", Lack::LeaveOut),
                CONCEPT,
                ("0040A491", "CS", Lack::Empty),
                ("0040A493", "CS", Lack::Empty),
                CONTENT,
            ],
        ),
        _ => ("IMAGE", &[NUMBER]),
    }
}

const PRESENTATION: (&str, &[Key]) = (
    "PRESENTATION",
    &[
        ("00081115", "SQ", Lack::LeaveOut),
        NUMBER,
        LABEL,
        DESCRIPTION,
        ("00700082", "DA", Lack::Date),
        ("00700083", "TM", Lack::Time),
        CREATOR,
        ("00700402", "SQ", Lack::LeaveOut),
    ],
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_has_the_record_of_its_class() {
        let of = |class: &str| of(&format!("1.2.840.10008.5.1.4.1.1.{class}")).0;
        assert_eq!(of("2"), "IMAGE");
        assert_eq!(of("66.4"), "IMAGE", "segmentations");
        assert_eq!(of("88.33"), "SR DOCUMENT");
        assert_eq!(of("88.59"), "KEY OBJECT DOC");
        assert_eq!(of("9.1.1"), "WAVEFORM");
        assert_eq!(super::of("1.2.3").0, "IMAGE");
    }

    #[test]
    fn keys_stand_in_the_order_of_their_tags() {
        let classes = [
            "2", "481.2", "481.3", "481.5", "481.4", "481.10", "4.2", "66", "66.1", "68.1",
            "88.59", "88.33", "90.1", "131", "9.1.1", "11.1", "104.1",
        ];
        let tables = classes
            .iter()
            .map(|class| of(&format!("1.2.840.10008.5.1.4.1.1.{class}")).1);
        for keys in tables.chain([PATIENT, STUDY, SERIES]) {
            assert!(keys.is_sorted_by(|a, b| a.0 < b.0));
        }
    }
}
