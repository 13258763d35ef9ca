//! When two identities under one key contradict each other. Only two values
//! that are both present and different do: a missing value is no statement,
//! and names are written in too many ways to tell anything.

use std::fmt;

/// An attribute that can contradict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attribute {
    BirthDate,
    Sex,
}

impl Attribute {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::BirthDate => "birth_date",
            Self::Sex => "sex",
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an image or a record says of a person. Empty means absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Demographics {
    pub(crate) birth_date: String,
    pub(crate) sex: String,
}

/// A known and a new value that can't both be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Contradiction {
    pub(crate) attribute: Attribute,
    pub(crate) kept: String,
    pub(crate) other: String,
}

impl Demographics {
    /// `birth_date` and `sex` as DICOM has them, trimmed. The sex is compared
    /// in upper case (PS3.3 C.7.1.1: M, F, O).
    pub(crate) fn new(birth_date: &str, sex: &str) -> Self {
        Self {
            birth_date: birth_date.trim().to_owned(),
            sex: sex.trim().to_ascii_uppercase(),
        }
    }

    /// Everything in which `other` contradicts this.
    pub(crate) fn contradictions(&self, other: &Self) -> Vec<Contradiction> {
        let pairs = [
            (Attribute::BirthDate, &self.birth_date, &other.birth_date),
            (Attribute::Sex, &self.sex, &other.sex),
        ];
        pairs
            .into_iter()
            .filter(|(_, kept, other)| !kept.is_empty() && !other.is_empty() && kept != other)
            .map(|(attribute, kept, other)| Contradiction {
                attribute,
                kept: kept.clone(),
                other: other.clone(),
            })
            .collect()
    }

    /// This, completed with what only `other` says.
    pub(crate) fn completed(&self, other: &Self) -> Self {
        let first = |a: &str, b: &str| if a.is_empty() { b } else { a }.to_owned();
        Self {
            birth_date: first(&self.birth_date, &other.birth_date),
            sex: first(&self.sex, &other.sex),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_present_and_different_values_contradict() {
        let known = Demographics::new("19730204", "F");
        assert!(known.contradictions(&Demographics::new("", "")).is_empty());
        assert!(
            known
                .contradictions(&Demographics::new("19730204 ", "f"))
                .is_empty()
        );
        assert!(Demographics::default().contradictions(&known).is_empty());
        let both = known.contradictions(&Demographics::new("19730205", "M"));
        assert_eq!(both.len(), 2);
        assert_eq!(both[0].attribute, Attribute::BirthDate);
    }

    #[test]
    fn a_missing_value_is_filled_in() {
        let known = Demographics::new("", "F");
        let seen = Demographics::new("19730204", "M");
        assert_eq!(known.completed(&seen), Demographics::new("19730204", "F"));
    }
}
