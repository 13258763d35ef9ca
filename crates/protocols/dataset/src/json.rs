//! The DICOM JSON model (PS3.18 Annex F), written straight into bytes while the
//! data set is walked. Bulk data URIs are written relative; [`with_bulk_prefix`]
//! makes them absolute.

use std::io::Write;

/// Writes one document. Knows JSON and the model's shape, nothing of encodings.
#[derive(Default)]
pub(crate) struct Json(Vec<u8>);

const HEX: &[u8; 16] = b"0123456789ABCDEF";

impl Json {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A comma, unless something was just opened.
    pub(crate) fn separate(&mut self) {
        if !matches!(self.0.last(), None | Some(b'{' | b'[')) {
            self.0.push(b',');
        }
    }

    /// `"GGGGEEEE":{"vr":"XX"`, left open.
    pub(crate) fn attribute(&mut self, tag: u32, vr: &str) {
        self.separate();
        self.0.push(b'"');
        self.tag(tag);
        self.raw("\":{\"vr\":\"");
        self.raw(vr);
        self.0.push(b'"');
    }

    pub(crate) fn tag(&mut self, tag: u32) {
        for shift in [28, 24, 20, 16, 12, 8, 4, 0] {
            let digit = HEX.get(((tag >> shift) & 0xF) as usize);
            self.0.extend(digit);
        }
    }

    pub(crate) fn string(&mut self, text: &str) {
        self.0.push(b'"');
        let mut rest = text.as_bytes();
        while let Some(at) = rest
            .iter()
            .position(|b| *b < 0x20 || matches!(b, b'"' | b'\\'))
        {
            let (plain, tail) = rest.split_at(at);
            self.0.extend_from_slice(plain);
            match tail.first() {
                Some(b'"') => self.raw("\\\""),
                Some(b'\\') => self.raw("\\\\"),
                Some(b'\n') => self.raw("\\n"),
                Some(b'\r') => self.raw("\\r"),
                Some(b'\t') => self.raw("\\t"),
                Some(other) => {
                    // Writing to a vector cannot fail.
                    let _ = write!(self.0, "\\u{other:04x}");
                }
                None => {}
            }
            rest = tail.get(1..).unwrap_or_default();
        }
        self.0.extend_from_slice(rest);
        self.0.push(b'"');
    }

    /// Any number type that prints as JSON.
    pub(crate) fn integer(&mut self, number: impl std::fmt::Display) {
        let _ = write!(self.0, "{number}");
    }

    /// A float; PS3.18 §F.2.4 has no number for the non-finite ones, which
    /// become strings.
    pub(crate) fn float(&mut self, number: f64) {
        if number.is_finite() {
            let _ = serde_json::to_writer(&mut self.0, &number);
        } else {
            self.raw(non_finite(number));
        }
    }

    /// As [`Json::float`], in the shortest form of single precision.
    pub(crate) fn single(&mut self, number: f32) {
        if number.is_finite() {
            let _ = serde_json::to_writer(&mut self.0, &number);
        } else {
            self.raw(non_finite(f64::from(number)));
        }
    }
}

fn non_finite(number: f64) -> &'static str {
    if number.is_nan() {
        "\"NaN\""
    } else if number > 0.0 {
        "\"inf\""
    } else {
        "\"-inf\""
    }
}

/// Puts `prefix` before every bulk data URI of a document written by this
/// crate. Unambiguous: a quote inside a string is always escaped.
#[must_use]
pub fn with_bulk_prefix(json: &[u8], prefix: &str) -> Vec<u8> {
    const KEY: &[u8] = b"\"BulkDataURI\":\"";
    let mut out = Vec::with_capacity(json.len() + 8 * prefix.len());
    let mut from = 0;
    for at in memchr::memmem::find_iter(json, KEY) {
        let to = at + KEY.len();
        out.extend_from_slice(json.get(from..to).unwrap_or_default());
        let mut escaped = Json::default();
        escaped.string(prefix);
        let bytes = escaped.into_bytes();
        out.extend_from_slice(bytes.get(1..bytes.len() - 1).unwrap_or_default());
        from = to;
    }
    out.extend_from_slice(json.get(from..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_and_prefixes_placed() {
        let mut json = Json::default();
        json.raw("{");
        json.attribute(0x0010_0010, "LT");
        json.raw(",\"Value\":[");
        json.string("a\"BulkDataURI\":\"b\\\n\u{1}");
        json.raw("]}");
        json.attribute(0x7FE0_0010, "OW");
        json.raw(",\"BulkDataURI\":\"7FE00010\"}}");
        let out = with_bulk_prefix(&json.into_bytes(), "/b/");
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            value["00100010"]["Value"][0],
            "a\"BulkDataURI\":\"b\\\n\u{1}"
        );
        assert_eq!(value["7FE00010"]["BulkDataURI"], "/b/7FE00010");
    }
}
