//! Query parameters (PS3.18 §8.3): percent-decoded UTF-8 names and values.

use percent_encoding::percent_decode_str;

use crate::Refusal;
use crate::limits;

/// The parameters of a query string in their order, decoded. Both `%20` and
/// `+` stand for a space, as clients of either habit exist.
///
/// # Errors
/// [`Refusal::BadRequest`] when it is too long or not UTF-8.
pub fn parse(query: &str) -> Result<Vec<(String, String)>, Refusal> {
    if query.len() > limits::QUERY_BYTES {
        return Err(Refusal::bad(format!(
            "the query is longer than {} bytes",
            limits::QUERY_BYTES
        )));
    }
    let mut parameters = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if parameters.len() == limits::PARAMETERS {
            return Err(Refusal::bad(format!(
                "the query has more than {} parameters",
                limits::PARAMETERS
            )));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        parameters.push((decode(name)?, decode(value)?));
    }
    Ok(parameters)
}

/// The value of a parameter that may come once.
///
/// # Errors
/// [`Refusal::BadRequest`] when it comes again.
pub fn single<'a>(
    parameters: &'a [(String, String)],
    name: &str,
) -> Result<Option<&'a str>, Refusal> {
    let mut values = parameters
        .iter()
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str());
    let first = values.next();
    if values.next().is_some() {
        return Err(Refusal::bad(format!("`{name}` is given more than once")));
    }
    Ok(first)
}

fn decode(text: &str) -> Result<String, Refusal> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced)
        .decode_utf8()
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| Refusal::bad("the query is not percent-encoded UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_utf_8_behind_percent_signs() {
        let got = parse("PatientName=M%C3%BCller%5EJ+A&b&=c&&d=%2B").unwrap();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            got,
            [
                pair("PatientName", "Müller^J A"),
                pair("b", ""),
                pair("", "c"),
                pair("d", "+")
            ]
        );
        assert!(parse("a=%ff").is_err());
        assert!(parse(&"a".repeat(limits::QUERY_BYTES + 1)).is_err());
    }

    proptest! {
        #[test]
        fn no_query_makes_it_panic(text in ".{0,300}") {
            let _ = parse(&text);
        }
    }
}
