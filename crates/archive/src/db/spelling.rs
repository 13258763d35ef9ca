//! Statements are written as SQLite takes them; where PostgreSQL only numbers values
//! otherwise, they are spelt here.

/// `?1` as `$1`, and each `?` as the next one.
pub(super) fn spelt(text: &str) -> String {
    let mut spelt = String::with_capacity(text.len() + 16);
    let mut next = 0;
    let mut is_quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\'' => is_quoted = !is_quoted,
            '?' if !is_quoted => {
                spelt.push('$');
                if !characters.peek().is_some_and(char::is_ascii_digit) {
                    next += 1;
                    spelt.push_str(&format!("{next}"));
                }
                continue;
            }
            _ => {}
        }
        spelt.push(character);
    }
    spelt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_numbered_and_texts_left_alone() {
        assert_eq!(spelt("a = ?2 AND b = ?11"), "a = $2 AND b = $11");
        assert_eq!(
            spelt("a IN (?, ?) OR b = '?''?'"),
            "a IN ($1, $2) OR b = '?''?'"
        );
        assert_eq!(spelt("a = $1"), "a = $1");
    }
}
