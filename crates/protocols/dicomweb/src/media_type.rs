//! Media types and ranges (RFC 9110 §8.3.1, §12.5.1) with the parameters that
//! DICOMweb gives them (PS3.18 §8.7.2).

use crate::Refusal;
use crate::limits;

/// A media type or range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType {
    /// `type/subtype` in lower case; either may be `*`.
    pub essence: String,
    /// Parameters in their order, names in lower case, values unquoted.
    pub parameters: Vec<(String, String)>,
    /// Weight in thousandths, 1000 when not given.
    pub q: u16,
}

impl MediaType {
    /// Parses one media type.
    ///
    /// # Errors
    /// [`Refusal::BadRequest`] when it is not one.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let mut list = parse_list(text)?;
        match (list.pop(), list.is_empty()) {
            (Some(one), true) => Ok(one),
            _ => Err(Refusal::bad("exactly one media type is expected")),
        }
    }

    /// The value of a parameter, its name in lower case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether this range takes `essence`, which has no wild cards.
    #[must_use]
    pub fn takes(&self, essence: &str) -> bool {
        range_takes(&self.essence, essence)
    }
}

/// Whether the range (`*/*`, `image/*`, `image/png`) takes the media type.
#[must_use]
pub(crate) fn range_takes(range: &str, essence: &str) -> bool {
    match range.split_once('/') {
        Some(("*", _)) => true,
        Some((kind, "*" | "")) => essence
            .split_once('/')
            .is_some_and(|(essence_kind, _)| essence_kind == kind),
        _ => range == essence,
    }
}

/// Parses a list of media ranges as an Accept header has it. Tolerates
/// unquoted `type=application/dicom`, which many clients send.
///
/// # Errors
/// [`Refusal::BadRequest`] when it is malformed or too long.
pub fn parse_list(text: &str) -> Result<Vec<MediaType>, Refusal> {
    if text.len() > limits::ACCEPT_BYTES {
        return Err(Refusal::bad("the list of media types is too long"));
    }
    let mut types = Vec::new();
    for range in split_outside_quotes(text, ',') {
        let range = range.trim();
        if range.is_empty() {
            continue;
        }
        if types.len() == limits::MEDIA_RANGES {
            return Err(Refusal::bad("too many media types"));
        }
        types.push(parse_one(range)?);
    }
    Ok(types)
}

fn parse_one(text: &str) -> Result<MediaType, Refusal> {
    let mut pieces = split_outside_quotes(text, ';').into_iter();
    let essence = pieces
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    // A lone `*` is what some HTTP libraries send for `*/*`.
    let essence = if essence == "*" {
        "*/*".to_owned()
    } else {
        essence
    };
    let is_token = |b: u8| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&b);
    let valid = essence.split_once('/').is_some_and(|(kind, sub)| {
        !kind.is_empty() && kind.bytes().all(is_token) && sub.bytes().all(is_token)
    });
    if !valid {
        return Err(Refusal::bad("a media type is not `type/subtype`"));
    }
    let mut media = MediaType {
        essence,
        parameters: Vec::new(),
        q: 1000,
    };
    for piece in pieces.map(str::trim).filter(|piece| !piece.is_empty()) {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let (name, value) = (name.trim().to_ascii_lowercase(), unquote(value.trim()));
        if name == "q" {
            media.q = parse_weight(&value)?;
        } else if media.parameters.len() == limits::MEDIA_PARAMETERS {
            return Err(Refusal::bad("a media type has too many parameters"));
        } else {
            media.parameters.push((name, value));
        }
    }
    Ok(media)
}

fn parse_weight(text: &str) -> Result<u16, Refusal> {
    let bad = || Refusal::bad("a weight (`q`) is a number from 0 to 1");
    let weight: f32 = text.parse().map_err(|_| bad())?;
    if !(0.0..=1.0).contains(&weight) {
        return Err(bad());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 1000 by the check above"
    )]
    Ok((weight * 1000.0).round() as u16)
}

fn unquote(text: &str) -> String {
    let Some(inner) = text
        .strip_prefix('"')
        .map(|rest| rest.strip_suffix('"').unwrap_or(rest))
    else {
        return text.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut escaped = false;
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            out.push(c);
        }
    }
    out
}

fn split_outside_quotes(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => return c == separator && !quoted,
        }
        false
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quoted_and_bare_parameters_mean_the_same() {
        for text in [
            r#"multipart/related; type="application/dicom"; transfer-syntax=*; q=0.5"#,
            "Multipart/Related;TYPE=application/dicom;Transfer-Syntax=\"*\";q=0.500",
        ] {
            let media = MediaType::parse(text).unwrap();
            assert_eq!(media.essence, "multipart/related");
            assert_eq!(media.parameter("type"), Some("application/dicom"));
            assert_eq!(media.parameter("transfer-syntax"), Some("*"));
            assert_eq!(media.q, 500);
        }
    }

    #[test]
    fn a_comma_inside_quotes_does_not_end_a_range() {
        let list = parse_list(r#"a/b; x="1,\"2;", c/d"#).unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(list[0].parameter("x"), Some("1,\"2;"));
    }

    #[test]
    fn ranges_take_what_they_should() {
        let takes = |range: &str, essence| MediaType::parse(range).unwrap().takes(essence);
        assert!(takes("*/*", "image/png"));
        assert!(takes("*", "image/png"));
        assert!(takes("image/*", "image/png"));
        assert!(!takes("image/*", "application/dicom"));
        assert!(takes("image/png", "image/png"));
    }

    #[test]
    fn what_is_no_media_type_is_refused() {
        for bad in ["", "image", "a/b;q=2", "a/b;q=x", "a/b, c/d", "/b", "a b/c"] {
            assert!(MediaType::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(text in ".{0,200}") {
            let _ = parse_list(&text);
        }
    }
}
