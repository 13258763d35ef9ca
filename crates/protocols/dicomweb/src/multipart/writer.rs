//! Writes `multipart/related`: heads between streams of bytes, nothing copied.

use std::fmt::Write as _;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};

/// What separates the parts. 128 random bits, so that no part holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boundary(String);

impl Boundary {
    /// From random bits, which the caller draws.
    #[must_use]
    pub fn from_bits(random: u128) -> Self {
        Self(format!("hilum-{random:032x}"))
    }

    /// The Content-Type header's value of a body whose parts are of `media_type`.
    #[must_use]
    pub fn content_type(&self, media_type: &str) -> String {
        format!(
            "multipart/related; type=\"{media_type}\"; boundary={}",
            self.0
        )
    }

    fn head(&self, head: &PartHead) -> Bytes {
        let mut text = format!(
            "\r\n--{}\r\nContent-Type: {}\r\n",
            self.0, head.content_type
        );
        // Writing to a String can't fail.
        if let Some(location) = &head.location {
            let _ = write!(text, "Content-Location: {location}\r\n");
        }
        if let Some(length) = head.length {
            let _ = write!(text, "Content-Length: {length}\r\n");
        }
        text.push_str("\r\n");
        Bytes::from(text)
    }

    fn closing(&self) -> Bytes {
        Bytes::from(format!("\r\n--{}--\r\n", self.0))
    }
}

/// The headers of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartHead {
    /// Content-Type.
    pub content_type: String,
    /// Content-Location, absolute.
    pub location: Option<String>,
    /// Content-Length in bytes.
    pub length: Option<u64>,
}

/// The body: each part's head, then its bytes, then the closing boundary. An
/// error of a part or of the stream of parts goes through, and nothing follows
/// it: the receiver sees a body without its closing boundary.
pub fn write<P, B, E>(boundary: Boundary, parts: P) -> impl Stream<Item = Result<Bytes, E>>
where
    P: Stream<Item = Result<(PartHead, B), E>>,
    B: Stream<Item = Result<Bytes, E>>,
{
    let closing = boundary.closing();
    parts
        .map_ok(move |(head, body)| {
            let head = boundary.head(&head);
            stream::once(async move { Ok(head) }).chain(body)
        })
        .try_flatten()
        .chain(stream::once(async move { Ok(closing) }))
        .scan(false, |failed, item| {
            let stop = *failed;
            *failed = item.is_err();
            std::future::ready((!stop).then_some(item))
        })
}

/// The length of the body in bytes when the lengths of all parts are known.
#[must_use]
pub fn body_length<'a>(
    boundary: &Boundary,
    heads: impl IntoIterator<Item = &'a PartHead>,
) -> Option<u64> {
    let length = |bytes: Bytes| u64::try_from(bytes.len()).ok();
    heads
        .into_iter()
        .try_fold(length(boundary.closing())?, |sum, head| {
            sum.checked_add(length(boundary.head(head))?)?
                .checked_add(head.length?)
        })
}
