//! The DICOM JSON model (PS3.18 Annex F), written straight into bytes while the
//! data set is walked. Bulk data URIs are written relative; [`with_bulk_addresses`]
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

/// Appends to `out` a document written by this crate, with `prefix` before
/// every bulk data URI and `suffix` after it. Unambiguous: a quote inside a
/// string is always escaped, and the URIs that are written have none.
pub fn with_bulk_addresses(json: &[u8], prefix: &str, suffix: &str, out: &mut Vec<u8>) {
    const KEY: &[u8] = b"\"BulkDataURI\":\"";
    let escaped = |text: &str| {
        let mut quoted = Json::default();
        quoted.string(text);
        let bytes = quoted.into_bytes();
        bytes.get(1..bytes.len() - 1).unwrap_or_default().to_vec()
    };
    let mut rest = json;
    let mut around = None;
    while let Some(at) = memchr::memmem::find(rest, KEY) {
        let (before, uri) = rest.split_at(at + KEY.len());
        let end = memchr::memchr(b'"', uri).unwrap_or(uri.len());
        let (uri, after) = uri.split_at(end);
        let (prefix, suffix) = around.get_or_insert_with(|| (escaped(prefix), escaped(suffix)));
        out.extend_from_slice(before);
        out.extend_from_slice(prefix);
        out.extend_from_slice(uri);
        out.extend_from_slice(suffix);
        rest = after;
    }
    out.extend_from_slice(rest);
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
        let mut out = Vec::new();
        with_bulk_addresses(&json.into_bytes(), "/b/", "?v=1", &mut out);
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            value["00100010"]["Value"][0],
            "a\"BulkDataURI\":\"b\\\n\u{1}"
        );
        assert_eq!(value["7FE00010"]["BulkDataURI"], "/b/7FE00010?v=1");
    }
}
