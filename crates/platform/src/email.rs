//! E-mail addresses, in the one form in which they are compared.

use hilum_contracts::error::ServiceError;
use unicode_normalization::UnicodeNormalization as _;

use crate::limits::{EMAIL_LOCAL_MAX, EMAIL_MAX};

/// The address in lower case (no mail system in use tells case apart), or why
/// it is none. Quoted local parts and comments of RFC 5322 are refused: nobody
/// has one, and they are a way to smuggle a second address.
///
/// # Errors
/// When it is none.
pub fn email(text: &str) -> Result<String, ServiceError> {
    let wrong = || ServiceError::invalid("That is not an e-mail address.");
    let address: String = text.trim().nfc().collect::<String>().to_lowercase();
    let (local, domain) = address.rsplit_once('@').ok_or_else(wrong)?;
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"@<>()[],;:\\\"".contains(c);
    let labels = domain.split('.').all(|label| {
        let letters = label.chars().all(|c| c.is_alphanumeric() || c == '-');
        !label.is_empty() && label.len() <= 63 && letters && !label.starts_with('-')
    });
    let fine = address.len() <= EMAIL_MAX
        && (1..=EMAIL_LOCAL_MAX).contains(&local.len())
        && local.chars().all(plain)
        && labels;
    if fine { Ok(address) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_compared_without_case() {
        assert_eq!(email(" Ann@Example.ORG ").unwrap(), "ann@example.org");
        assert!(email("jörg@klinik-süd.example").is_ok());
        assert!(email("root@localhost").is_ok());
    }

    #[test]
    fn what_could_carry_a_second_address_or_a_header_is_none() {
        for bad in [
            "",
            "ann",
            "@example.org",
            "ann@",
            "ann@@example.org",
            "ann@example..org",
            "ann\r\nbcc:eve@example.org@example.org",
            "ann@example.org,eve@example.org",
            "<ann@example.org>",
            "a b@example.org",
            "ann@example.org\n",
            "ann@-x.org",
        ] {
            let trimmed_only = bad == "ann@example.org\n";
            assert_eq!(email(bad).is_ok(), trimmed_only, "{bad:?}");
        }
    }
}
