//! Which passwords are taken (NIST SP 800-63B-4 §3.1.1.2): long ones that
//! nobody guesses first. No rules about kinds of characters, no expiry.

use std::collections::HashSet;
use std::sync::LazyLock;

use hilum_contracts::error::ServiceError;

use crate::limits::{PASSWORD_MAX, PASSWORD_MIN};

/// Passwords that lists of breached accounts hold most often, from zxcvbn
/// (MIT): those that are long enough, and the 5,000 first of the shorter ones,
/// which people make longer with figures.
static COMMON: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("common_passwords.txt").lines().collect());

/// Characters that a common word must be joined by before it counts as one's
/// own.
const OWN_MIN: usize = 6;

/// Takes a password, or says why not. `context` is what an attacker tries
/// first: the person's name and address, the organisation.
pub(crate) fn check(password: &str, context: &[&str]) -> Result<(), ServiceError> {
    let refused = |text: String| Err(ServiceError::invalid(text));
    let characters = password.chars().count();
    if characters < PASSWORD_MIN {
        return refused(format!(
            "A password has at least {PASSWORD_MIN} characters."
        ));
    }
    if password.len() > PASSWORD_MAX {
        return refused(format!("A password has at most {PASSWORD_MAX} bytes."));
    }
    let folded = password.to_lowercase();
    if is_common(&folded) || is_pattern(&folded) {
        return refused("That password is among the first that are tried: take another.".into());
    }
    let words = context
        .iter()
        .flat_map(|text| text.split(|c: char| !c.is_alphanumeric()))
        .chain(["hilum"])
        .map(str::to_lowercase)
        .filter(|word| word.chars().count() >= 3);
    let rest = words.fold(folded, |rest, word| rest.replace(&word, ""));
    if rest.chars().count() < OWN_MIN {
        return refused("That password is made of your name or organisation: take another.".into());
    }
    Ok(())
}

fn is_common(folded: &str) -> bool {
    if COMMON.contains(folded) {
        return true;
    }
    let word = folded.trim_matches(|c: char| !c.is_alphabetic());
    let own = folded.chars().count() - word.chars().count();
    let unit = (1..=word.len() / 2)
        .filter(|length| word.len() % length == 0)
        .filter_map(|length| word.get(..length))
        .find(|unit| unit.repeat(word.len() / unit.len()) == word)
        .unwrap_or(word);
    own < OWN_MIN + 2 && COMMON.contains(unit)
}

/// Few different characters, or mostly steps of the same size: `aaaa`, `1234`.
fn is_pattern(folded: &str) -> bool {
    let codes: Vec<i64> = folded.chars().map(|c| i64::from(u32::from(c))).collect();
    let distinct: HashSet<i64> = codes.iter().copied().collect();
    let steps = codes
        .windows(2)
        .filter(|pair| matches!(pair, [a, b] if (b - a).abs() <= 1))
        .count();
    distinct.len() < 5 || steps * 4 >= codes.len() * 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ones_of_one_s_own_are_taken_whatever_they_are_made_of() {
        for good in [
            "correct horse battery staple",
            "ein langer satz ohne zahlen",
            "tr0ub4dor&3-vulpix",
            "パスワードはとても長いです",
        ] {
            assert!(check(good, &["ann@example.org", "Ann"]).is_ok(), "{good}");
        }
    }

    #[test]
    fn what_is_tried_first_is_refused() {
        for bad in [
            "short",
            "Password1234!",
            "passwordpassword",
            "123456789012",
            "abcdefghijklm",
            "aaaaaaaaaaaaaaa",
            "1qaz2wsx3edc4rfv",
            "Qwerty123456",
            "annabel.lee2026",
            "Hilum!St-Mary1",
        ] {
            let context = ["annabel.lee@st-mary.example", "Annabel Lee", "St Mary"];
            assert!(check(bad, &context).is_err(), "{bad}");
        }
        assert!(check(&"xyz!".repeat(100), &[]).is_err());
    }
}
