//! File IDs (PS3.10 §8.2, §8.5).

use std::fmt;

/// Most files, folders, or folders in a folder that a name can count.
pub(crate) const COUNTED: u32 = 999_999;

/// Names a file of a File-set: `DICOM/PA000001/ST000001/SE000001/IM000001`.
/// Every component has at most eight characters of `A` to `Z`, `0` to `9` and
/// `_`, so that the names survive any medium (PS3.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId {
    patient: u32,
    study: u32,
    series: u32,
    instance: u32,
}

impl FileId {
    /// The file of these numbers, counted from 1 in the File-set, the patient,
    /// the study and the series; `None` when one has more than six digits.
    #[must_use]
    pub fn new(patient: u32, study: u32, series: u32, instance: u32) -> Option<Self> {
        [patient, study, series, instance]
            .iter()
            .all(|number| *number <= COUNTED)
            .then_some(Self {
                patient,
                study,
                series,
                instance,
            })
    }

    /// Referenced File ID (0004,1500).
    pub(crate) fn value(self) -> String {
        self.to_string().replace('/', "\\")
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "DICOM/PA{:06}/ST{:06}/SE{:06}/IM{:06}",
            self.patient, self.study, self.series, self.instance
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_components_of_eight_plain_characters() {
        let id = FileId::new(1, 22, 333, 999_999).unwrap();
        assert_eq!(id.to_string(), "DICOM/PA000001/ST000022/SE000333/IM999999");
        for component in id.to_string().split('/') {
            assert!(component.len() <= 8);
            let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
            assert!(component.bytes().all(plain));
        }
        assert!(FileId::new(1, 1, 1, 1_000_000).is_none());
    }
}
