//! Validators and ranges (RFC 9110 §8.8, §13, §14): a client that holds an
//! answer already is told so before a byte of it is read, and one that was cut
//! off goes on where it stopped.

use std::ops::{Bound, Range};

use axum::response::{IntoResponse, Response};
use headers::{ContentRange, ETag, HeaderMapExt as _, IfNoneMatch, IfRange};
use hilum_archive::{InstanceRow, MetadataScope};
use hilum_dicomweb::multipart::Boundary;
use hilum_platform::scope::TenantScope;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::base::Base;
use super::error::Failure;
use crate::ImagingService;

/// Images are of one person: no shared cache keeps them, and a client's own
/// asks each time whether they are still true.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("private, no-cache");

/// Names one version of one answer.
#[derive(Debug, Clone)]
pub(super) struct Validator {
    tag: ETag,
    digest: u128,
}

impl Validator {
    /// Of an answer that is made from nothing but one instance's bytes and
    /// `form`: every byte of it is the same again.
    pub(super) fn of_bytes(row: &InstanceRow, form: &[&str]) -> Self {
        Self::new("", &row.sha256, form)
    }

    /// Of an answer about `resource`, whose `revision` grows with every change.
    fn of_revision(resource: &str, revision: u64, form: &[&str]) -> Self {
        let mut all = vec![resource];
        all.extend_from_slice(form);
        Self::new("W/", &revision.to_be_bytes(), &all)
    }

    /// Of what is in a study, series or instance, from the index alone: who has
    /// the answer already costs no read of it.
    pub(super) async fn of_index(
        service: &ImagingService,
        scope: &TenantScope,
        base: &Base,
        of: &MetadataScope,
        form: &[&str],
    ) -> Result<Self, Failure> {
        let revision = service.archive.revision(scope, of).await?;
        let revision = revision.ok_or_else(Failure::not_found)?;
        let resource = match of {
            MetadataScope::Study(study) => base.study(study),
            MetadataScope::Series { study, series } => base.series(study, series),
            MetadataScope::Instance {
                study,
                series,
                instance,
            } => base.instance(study, series, instance),
        };
        Ok(Self::of_revision(&resource, revision, form))
    }

    fn new(weakness: &str, of: &[u8], form: &[&str]) -> Self {
        let form = form.iter().map(|part| part.as_bytes());
        let digest = digest(std::iter::once(of).chain(form));
        let tag = format!("{weakness}\"{digest:032x}\"").parse();
        Self {
            tag: tag.unwrap_or_else(|_| unreachable!("hexadecimal digits make an entity tag")),
            digest,
        }
    }

    /// The boundary of a multipart answer, always the same so that the answer
    /// is. A digest over the parts' bytes can't be foretold to stand in them.
    pub(super) fn boundary(&self) -> Boundary {
        Boundary::from_bits(self.digest)
    }

    /// 304 when the client has just this answer (RFC 9110 §13.1.2).
    pub(super) fn not_modified(&self, headers: &HeaderMap) -> Option<Response> {
        let known = headers.typed_get::<IfNoneMatch>()?;
        (!known.precondition_passes(&self.tag))
            .then(|| self.mark(StatusCode::NOT_MODIFIED.into_response()))
    }

    /// The answer with its validator.
    pub(super) fn mark(&self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        headers.typed_insert(self.tag.clone());
        headers.insert(header::CACHE_CONTROL, CACHE_CONTROL);
        // Set by the middleware too where it compresses; the rest is chosen here.
        headers.append(header::VARY, HeaderValue::from_static("accept"));
        response
    }

    /// What of an answer of `length` bytes is asked for. A client that asks
    /// for several ranges gets everything, as RFC 9110 §14.2 allows.
    pub(super) fn wanted(&self, headers: &HeaderMap, length: u64) -> Wanted {
        let Some(range) = headers.typed_get::<headers::Range>() else {
            return Wanted::Whole;
        };
        if let Some(condition) = headers.typed_get::<IfRange>()
            && condition.is_modified(Some(&self.tag), None)
        {
            return Wanted::Whole;
        }
        let mut ranges = range.satisfiable_ranges(length);
        match (ranges.next(), ranges.next()) {
            (Some(one), None) => match within(one, length) {
                Some(range) => Wanted::Part(range),
                None => Wanted::Nothing,
            },
            (Some(_), Some(_)) => Wanted::Whole,
            (None, _) => Wanted::Nothing,
        }
    }
}

/// The first half of the SHA-256 of these parts and the program's version:
/// another one may write the same answer otherwise.
pub(super) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u128 {
    let mut digest = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in std::iter::once(env!("CARGO_PKG_VERSION").as_bytes()).chain(parts) {
        digest.update(&(part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest
        .finish()
        .as_ref()
        .iter()
        .take(16)
        .fold(0, |all: u128, byte| all << 8 | u128::from(*byte))
}

/// How much of an answer is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Whole,
    Part(Range<u64>),
    /// No byte of the range exists.
    Nothing,
}

impl Wanted {
    /// The bytes to give of `length`; for [`Wanted::Nothing`] the answer.
    pub(super) fn range(&self, length: u64) -> Result<Range<u64>, Box<Response>> {
        match self {
            Self::Whole => Ok(0..length),
            Self::Part(range) => Ok(range.clone()),
            Self::Nothing => {
                let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
                response
                    .headers_mut()
                    .typed_insert(ContentRange::unsatisfied_bytes(length));
                Err(Box::new(response))
            }
        }
    }

    /// Says in a whole answer that parts can be asked for, in a part which.
    pub(super) fn mark(&self, mut response: Response, length: u64) -> Response {
        let headers = response.headers_mut();
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if let Self::Part(range) = self
            && let Ok(content_range) = ContentRange::bytes(range.clone(), length)
        {
            headers.typed_insert(content_range);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        response
    }
}

fn within((start, end): (Bound<u64>, Bound<u64>), length: u64) -> Option<Range<u64>> {
    let start = match start {
        Bound::Included(start) => start,
        Bound::Excluded(before) => before.checked_add(1)?,
        Bound::Unbounded => 0,
    };
    let end = match end {
        Bound::Included(last) => last.saturating_add(1).min(length),
        Bound::Excluded(end) => end.min(length),
        Bound::Unbounded => length,
    };
    (start < end).then_some(start..end)
}

/// The parts of consecutive pieces, each (offset, length), that `wanted` of
/// their concatenation touches.
pub(super) fn cut(pieces: &[(u64, u64)], wanted: &Range<u64>) -> Vec<(u64, u64)> {
    let mut at = 0_u64;
    let mut parts = Vec::with_capacity(pieces.len());
    for (offset, length) in pieces {
        let end = at.saturating_add(*length);
        let (from, to) = (wanted.start.clamp(at, end), wanted.end.clamp(at, end));
        if from < to {
            parts.push((offset.saturating_add(from - at), to - from));
        }
        at = end;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&'static str, &str)| {
            (http::HeaderName::from_static(name), value.parse().unwrap())
        };
        pairs.iter().map(header).collect()
    }

    fn validator() -> Validator {
        Validator::new("", &[7; 32], &["file", "1.2.840.10008.1.2.1"])
    }

    fn tag(validator: &Validator) -> String {
        let marked = validator.mark(StatusCode::OK.into_response());
        marked.headers()["etag"].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_client_that_holds_the_answer_is_told_so() {
        let validator = validator();
        let known = tag(&validator);
        let same = asking(&[("if-none-match", &format!("\"other\", {known}"))]);
        let answer = validator.not_modified(&same).unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(answer.headers()["etag"], known.as_str());
        let other = asking(&[("if-none-match", "\"other\"")]);
        assert!(validator.not_modified(&other).is_none());
        assert!(validator.not_modified(&HeaderMap::new()).is_none());
    }

    #[test]
    fn form_and_revision_make_another_answer() {
        let of = |revision, form| tag(&Validator::of_revision("1.2.3", revision, &[form]));
        assert_eq!(of(1, "metadata"), of(1, "metadata"));
        assert_ne!(of(1, "metadata"), of(2, "metadata"));
        assert_ne!(of(1, "metadata"), of(1, "rendered"));
        assert!(of(1, "metadata").starts_with("W/"));
    }

    #[test]
    fn one_range_is_given_and_several_are_the_whole() {
        let wanted = |range: &str| validator().wanted(&asking(&[("range", range)]), 100);
        assert_eq!(wanted("bytes=0-0"), Wanted::Part(0..1));
        assert_eq!(wanted("bytes=90-"), Wanted::Part(90..100));
        assert_eq!(wanted("bytes=90-500"), Wanted::Part(90..100));
        assert_eq!(wanted("bytes=-10"), Wanted::Part(90..100));
        assert_eq!(wanted("bytes=0-1,5-6"), Wanted::Whole);
        assert_eq!(wanted("bytes=100-"), Wanted::Nothing);
        assert_eq!(wanted("lines=1-2"), Wanted::Whole);
        let none = validator().wanted(&HeaderMap::new(), 100);
        assert_eq!(none, Wanted::Whole);
    }

    #[test]
    fn a_range_of_another_version_is_the_whole() {
        let validator = validator();
        let known = tag(&validator);
        let asked = |condition: &str| {
            validator.wanted(
                &asking(&[("range", "bytes=1-2"), ("if-range", condition)]),
                9,
            )
        };
        assert_eq!(asked(&known), Wanted::Part(1..3));
        assert_eq!(asked("\"other\""), Wanted::Whole);
    }

    #[test]
    fn a_range_is_cut_from_the_pieces_that_it_touches() {
        let pieces = [(100, 10), (500, 20), (900, 5)];
        assert_eq!(cut(&pieces, &(0..35)), pieces);
        assert_eq!(cut(&pieces, &(8..12)), [(108, 2), (500, 2)]);
        assert_eq!(cut(&pieces, &(30..31)), [(900, 1)]);
        assert!(cut(&pieces, &(40..50)).is_empty());
    }
}
