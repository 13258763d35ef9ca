//! Names that people and devices give, and how they are searched.

use hilum_contracts::error::ServiceError;
use hilum_contracts::ids::{TENANT_ID_MAX, TenantId};
use hilum_platform::words::one_line;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use crate::limits::{NAME_MAX, REASON_MAX, REASON_MIN};

/// In lower case and without accents, for search.
pub(crate) fn fold(text: &str) -> String {
    text.nfkd()
        .filter(|c| !is_combining_mark(*c))
        .collect::<String>()
        .to_lowercase()
}

/// A name on one line, trimmed, or why it is none.
pub(crate) fn name(text: &str, what: &str) -> Result<String, ServiceError> {
    one_line(text, NAME_MAX).ok_or_else(|| {
        ServiceError::invalid(format!(
            "{what} has 1 to {NAME_MAX} characters on one line."
        ))
    })
}

/// Why somebody did something, in a few sentences.
pub(crate) fn reason(text: &str, what: &str) -> Result<String, ServiceError> {
    let reason: String = text.trim().nfc().collect();
    let fine = reason.chars().count() >= REASON_MIN
        && reason.chars().count() <= REASON_MAX
        && !reason.chars().any(|c| c.is_control() && c != '\n');
    if fine {
        Ok(reason)
    } else {
        Err(ServiceError::invalid(format!(
            "{what} has {REASON_MIN} to {REASON_MAX} characters."
        )))
    }
}

/// Printable ASCII of what a stranger sent, at most `most` of it.
pub(crate) fn printable(text: &str, most: usize) -> String {
    text.chars()
        .map(|c| if (' '..='~').contains(&c) { c } else { '?' })
        .take(most)
        .collect()
}

/// A tenant's name made of an organisation's; `nth` makes it another one.
pub(crate) fn tenant_name(organisation: &str, nth: u32) -> Option<TenantId> {
    let mut slug = String::new();
    for c in fold(organisation).chars() {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    let letter = slug.find(|c: char| c.is_ascii_lowercase());
    let slug = letter.and_then(|at| slug.get(at..)).unwrap_or("tenant");
    let suffix = if nth == 0 {
        String::new()
    } else {
        format!("-{}", nth + 1)
    };
    let room = TENANT_ID_MAX - suffix.len();
    let stem = slug.get(..slug.len().min(room))?.trim_end_matches('-');
    TenantId::new(format!("{stem}{suffix}")).ok()
}

/// An AE title made of a tenant's name; `nth` makes it another one.
pub(crate) fn ae_title(tenant: &TenantId, nth: u32) -> String {
    let suffix = if nth == 0 {
        String::new()
    } else {
        format!("_{}", nth + 1)
    };
    let stem: String = tenant
        .as_str()
        .chars()
        .map(|c| {
            if c == '-' {
                '_'
            } else {
                c.to_ascii_uppercase()
            }
        })
        .take(16 - suffix.len())
        .collect();
    format!("{}{suffix}", stem.trim_end_matches('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organisation_gets_a_name_and_an_ae_title() {
        let tenant = tenant_name("St. Mary’s Hospital, Zürich — Radiology Department", 0).unwrap();
        assert_eq!(tenant.as_str(), "st-mary-s-hospital-zurich-radiol");
        assert_eq!(ae_title(&tenant, 0), "ST_MARY_S_HOSPIT");
        assert_eq!(ae_title(&tenant, 1), "ST_MARY_S_HOSP_2");
        assert_eq!(tenant_name("東京", 0).unwrap().as_str(), "tenant");
        assert_eq!(tenant_name("A", 11).unwrap().as_str(), "a-12");
    }

    #[test]
    fn a_name_is_one_line() {
        assert_eq!(name("  Ann Lee ", "A name").unwrap(), "Ann Lee");
        for bad in ["", " ", "a\nb", "a\u{202e}b", &"x".repeat(101)] {
            assert!(name(bad, "A name").is_err(), "{bad:?}");
        }
        assert_eq!(printable("MR\n\u{1b}[31m", 5), "MR??[");
    }

    #[test]
    fn search_knows_no_accents_and_no_case() {
        assert_eq!(fold("Jörg MÜLLER"), "jorg muller");
    }
}
