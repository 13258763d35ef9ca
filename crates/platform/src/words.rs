//! Names that people give to things.

use unicode_normalization::UnicodeNormalization as _;

/// A name of at most `most` characters on one line, trimmed; none where it is none.
/// Characters that turn the direction of text are refused: they make one name look
/// like another.
#[must_use]
pub fn one_line(text: &str, most: usize) -> Option<String> {
    let name: String = text.trim().nfc().collect();
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let fine = !name.is_empty()
        && name.chars().count() <= most
        && !name.chars().any(|c| c.is_control() || turns(c));
    fine.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_that_reads_one_way() {
        assert_eq!(one_line("  Ann Lee ", 10).as_deref(), Some("Ann Lee"));
        for bad in ["", " ", "a\nb", "a\u{202e}b", "12345678901"] {
            assert_eq!(one_line(bad, 10), None, "{bad:?}");
        }
    }
}
