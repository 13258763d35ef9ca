//! Matching keys: text without case, accents and width, so that `MÜLLER`,
//! `Müller` and `muller` are one.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Folds text for matching. Wildcards, `^` and `=` stay; runs of spaces become
/// one; the Japanese voiced marks stay, because they tell syllables apart.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    if text.is_ascii() {
        push_words(text, &mut folded);
        folded.make_ascii_lowercase();
        return folded;
    }
    let plain: String = text
        .nfkd()
        .filter(|c| !is_combining_mark(*c) || matches!(c, '\u{3099}' | '\u{309A}'))
        .flat_map(char::to_lowercase)
        .collect();
    let mut spelt = String::with_capacity(plain.len());
    for c in plain.chars() {
        match c {
            'ß' => spelt.push_str("ss"),
            'æ' => spelt.push_str("ae"),
            'œ' => spelt.push_str("oe"),
            'þ' => spelt.push_str("th"),
            'ø' => spelt.push('o'),
            'ł' => spelt.push('l'),
            'đ' | 'ð' => spelt.push('d'),
            'ħ' => spelt.push('h'),
            'ı' => spelt.push('i'),
            'ς' => spelt.push('σ'),
            c if is_combining_mark(c) && !matches!(c, '\u{3099}' | '\u{309A}') => {}
            c => spelt.push(c),
        }
    }
    push_words(&spelt.nfc().collect::<String>(), &mut folded);
    folded
}

fn push_words(text: &str, to: &mut String) {
    for word in text.split_whitespace() {
        if !to.is_empty() {
            to.push(' ');
        }
        to.push_str(word);
    }
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn case_accents_and_width_do_not_matter() {
        assert_eq!(fold("MÜLLER^Jürgen"), "muller^jurgen");
        assert_eq!(fold("Straße  Łódź"), "strasse lodz");
        assert_eq!(fold("ﾔﾏﾀﾞ"), fold("ヤマダ"));
        assert_ne!(fold("ハ"), fold("バ"));
        assert_eq!(fold("김희중"), "김희중");
        assert_eq!(fold("Διονυσιος"), fold("ΔΙΟΝΥΣΙΟΣ"));
        assert_eq!(fold(" SMITH*^J? "), "smith*^j?");
    }
}
