//! The body of a request that may have to be sent again: whoever sends it has it only
//! from the first byte that is asked of it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, SizeHint};

/// A body, until somebody has begun to read it.
pub(super) struct Lent(Shelf);

#[derive(Clone)]
struct Shelf(Arc<Mutex<Option<Body>>>);

impl Shelf {
    fn body(&self) -> MutexGuard<'_, Option<Body>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent {
    pub(super) fn new(body: Body) -> Self {
        Self(Shelf(Arc::new(Mutex::new(Some(body)))))
    }

    /// The body to send. Only the first one that is read has anything.
    pub(super) fn lend(&self) -> Body {
        Body::new(Borrowed {
            shelf: self.0.clone(),
            read: None,
        })
    }

    /// Whether nobody has begun to read it.
    pub(super) fn is_whole(&self) -> bool {
        self.0.body().is_some()
    }
}

struct Borrowed {
    shelf: Shelf,
    read: Option<Body>,
}

impl HttpBody for Borrowed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.read.is_none() {
            let taken = self.shelf.body().take();
            self.read = taken;
        }
        match &mut self.read {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match (&self.read, &*self.shelf.body()) {
            (Some(body), _) | (None, Some(body)) => body.is_end_stream(),
            (None, None) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.read, &*self.shelf.body()) {
            (Some(body), _) | (None, Some(body)) => body.size_hint(),
            (None, None) => SizeHint::with_exact(0),
        }
    }
}
