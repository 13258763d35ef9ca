//! Reads `multipart/related` part by part over multer, with the bounds that
//! multer lacks: it buffers a body until the first boundary, or the end of a
//! part's headers, comes, and drains its source for as long as that is ready.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::stream::Stream;
use http::{HeaderMap, header};

use crate::limits;
use crate::media_type::MediaType;
use crate::{Refusal, accept};

/// Why a body could not be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum MultipartError {
    /// It ended before the closing boundary, or its structure is broken.
    #[error(
        "the body is not multipart/related to its end: a boundary or a part's headers are missing"
    )]
    Malformed,
    /// No boundary came within [`limits::STRUCTURE_BYTES`].
    #[error("no boundary came within {} bytes", limits::STRUCTURE_BYTES)]
    NoBoundary,
    /// More parts than allowed.
    #[error("the body has more than {0} parts")]
    TooManyParts(usize),
    /// A part is larger than allowed.
    #[error("a part is larger than {0} bytes")]
    PartTooLarge(u64),
    /// The connection failed.
    #[error("the connection failed before the body's end")]
    Connection,
}

impl From<MultipartError> for Refusal {
    fn from(error: MultipartError) -> Self {
        match error {
            MultipartError::TooManyParts(_) | MultipartError::PartTooLarge(_) => {
                Self::TooLarge(error.to_string())
            }
            _ => Self::BadRequest(error.to_string()),
        }
    }
}

/// What a body may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most parts.
    pub parts: usize,
    /// Most bytes of one part.
    pub part_bytes: u64,
}

/// The boundary in a Content-Type header's value of a Store request of
/// `application/dicom` (PS3.18 §10.5.1).
///
/// # Errors
/// [`Refusal::UnsupportedMediaType`] when it is another media type,
/// [`Refusal::BadRequest`] when it has no usable boundary.
pub fn boundary_of(content_type: Option<&str>) -> Result<String, Refusal> {
    let unsupported = || {
        Refusal::UnsupportedMediaType(
            "instances are taken as multipart/related; type=\"application/dicom\"".into(),
        )
    };
    let media =
        MediaType::parse(content_type.ok_or_else(unsupported)?).map_err(|_| unsupported())?;
    let holds_dicom = media
        .parameter("type")
        .is_none_or(|kind| kind.eq_ignore_ascii_case(accept::DICOM));
    if media.essence != "multipart/related" || !holds_dicom {
        return Err(unsupported());
    }
    match media.parameter("boundary") {
        Some(boundary)
            if (1..=limits::BOUNDARY_BYTES).contains(&boundary.len())
                && boundary.bytes().all(|b| (0x20..0x7f).contains(&b)) =>
        {
            Ok(boundary.to_owned())
        }
        _ => Err(Refusal::bad("the Content-Type has no usable `boundary`")),
    }
}

/// A body as its parts come.
pub struct Reader {
    multipart: multer::Multipart<'static>,
    current: Option<multer::Field<'static>>,
    budget: Arc<Budget>,
    limits: Limits,
    seen: usize,
    finished: bool,
}

/// A part's headers; its bytes come from [`Reader::chunk`].
#[derive(Clone, Debug)]
pub struct Part {
    /// The headers.
    pub headers: HeaderMap,
}

impl Part {
    /// The media type, without parameters, in lower case; `None` when absent
    /// or malformed.
    #[must_use]
    pub fn media_type(&self) -> Option<String> {
        let value = self.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        MediaType::parse(value).ok().map(|media| media.essence)
    }
}

impl Reader {
    /// Reads `body`, whose parts are separated by `boundary`.
    pub fn new<S, E>(body: S, boundary: &str, limits: Limits) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        let budget = Arc::new(Budget::default());
        let source = Metered {
            inner: Box::pin(body),
            waiting: VecDeque::new(),
            pause: false,
            budget: Arc::clone(&budget),
        };
        Self {
            multipart: multer::Multipart::new(source, boundary),
            current: None,
            budget,
            limits,
            seen: 0,
            finished: false,
        }
    }

    /// The next part, whatever was left of the last one being skipped; `None`
    /// at the closing boundary.
    ///
    /// # Errors
    /// [`MultipartError`]; every later call then gives `None`.
    pub async fn next_part(&mut self) -> Result<Option<Part>, MultipartError> {
        while self.chunk().await?.is_some() {}
        if self.finished {
            return Ok(None);
        }
        self.budget.restart();
        match self.multipart.next_field().await {
            Ok(Some(_)) if self.seen == self.limits.parts => {
                self.finished = true;
                Err(MultipartError::TooManyParts(self.limits.parts))
            }
            Ok(Some(field)) => {
                self.seen += 1;
                let headers = field.headers().clone();
                self.budget.begin_part();
                self.current = Some(field);
                Ok(Some(Part { headers }))
            }
            Ok(None) => {
                self.finished = true;
                Ok(None)
            }
            Err(error) => Err(self.fail(&error)),
        }
    }

    /// The next bytes of the part, at most about [`limits::CHUNK_BYTES`];
    /// `None` at its end.
    ///
    /// # Errors
    /// [`MultipartError`]; the body can't be read on.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, MultipartError> {
        let Some(field) = &mut self.current else {
            return Ok(None);
        };
        match field.chunk().await {
            Ok(Some(bytes)) => {
                let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                if self.budget.spend_part(length) > self.limits.part_bytes {
                    self.finished = true;
                    self.current = None;
                    return Err(MultipartError::PartTooLarge(self.limits.part_bytes));
                }
                Ok(Some(bytes))
            }
            Ok(None) => {
                self.current = None;
                Ok(None)
            }
            Err(error) => Err(self.fail(&error)),
        }
    }

    fn fail(&mut self, error: &multer::Error) -> MultipartError {
        self.finished = true;
        self.current = None;
        match error {
            multer::Error::StreamReadFailed(cause) if cause.is::<OverBudget>() => {
                MultipartError::NoBoundary
            }
            multer::Error::StreamReadFailed(_) => MultipartError::Connection,
            _ => MultipartError::Malformed,
        }
    }
}

/// Bytes spent on structure since a part ended, or on a part since it began.
#[derive(Default)]
struct Budget {
    structure: AtomicU64,
    part: AtomicU64,
}

/// The structure's counter while a part is being read, in which bytes are its
/// own matter.
const IN_PART: u64 = u64::MAX;

impl Budget {
    fn restart(&self) {
        self.structure.store(0, Ordering::Relaxed);
    }

    fn begin_part(&self) {
        self.structure.store(IN_PART, Ordering::Relaxed);
        self.part.store(0, Ordering::Relaxed);
    }

    fn spend_part(&self, bytes: u64) -> u64 {
        self.part
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes)
    }

    /// False when too much came without a part beginning.
    fn spend_structure(&self, bytes: usize) -> bool {
        let spent = self.structure.load(Ordering::Relaxed);
        if spent == IN_PART {
            return true;
        }
        let limit = u64::try_from(limits::STRUCTURE_BYTES).unwrap_or(u64::MAX);
        let spent = spent.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.structure
            .store(spent.min(IN_PART - 1), Ordering::Relaxed);
        spent <= limit
    }
}

#[derive(Debug, thiserror::Error)]
#[error("too much came without a boundary")]
struct OverBudget;

/// Hands on its source in bounded pieces, one per poll: multer takes all that
/// is ready before it looks at any of it.
struct Metered<S> {
    inner: Pin<Box<S>>,
    waiting: VecDeque<Bytes>,
    pause: bool,
    budget: Arc<Budget>,
}

impl<S, E> Stream for Metered<S>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: std::error::Error + Send + Sync + 'static,
{
    type Item = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.pause {
            this.pause = false;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if this.waiting.is_empty() {
            match this.inner.as_mut().poll_next(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(Box::new(error)))),
                Poll::Ready(Some(Ok(mut bytes))) => {
                    while bytes.len() > limits::CHUNK_BYTES {
                        this.waiting.push_back(bytes.split_to(limits::CHUNK_BYTES));
                    }
                    this.waiting.push_back(bytes);
                }
            }
        }
        let piece = this.waiting.pop_front().unwrap_or_default();
        this.pause = true;
        if this.budget.spend_structure(piece.len()) {
            Poll::Ready(Some(Ok(piece)))
        } else {
            Poll::Ready(Some(Err(Box::new(OverBudget))))
        }
    }
}
