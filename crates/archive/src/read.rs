//! Range reads: opens a segment, decrypts only the chunks that a range
//! touches, and hands plain pieces on as they are wanted. Memory is bounded
//! whatever the size of the instance, and no thread waits for a slow reader.

use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio::task::JoinHandle;

use crate::error::{ArchiveError, Result};
use crate::format::{
    BLOCK_SEGMENT, HEADER_MAX, ObjectHeader, SEGMENT_HEADER, SegmentHeader, TAG, sealed_len,
};
use crate::keys::KeyStore;
use crate::limits::{READ_PIECE_BYTES, READ_WHOLE_BYTES};
use crate::objects::{Object, Objects};
use crate::seal::{Part, SegmentKeys};

/// Sealed bytes that a thread keeps room for: of two chunks of a pack.
const SEALED_KEPT: usize = (2 << 20) + 2 * TAG;

thread_local! {
    /// Sealed bytes on their way: fresh memory costs more than what is done
    /// with it.
    static SEALED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A range of stored bytes as it streams out, in order, in bounded pieces.
/// After an error nothing follows.
pub struct RangeReader {
    length: u64,
    pieces: BoxStream<'static, Result<Bytes>>,
}

impl std::fmt::Debug for RangeReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RangeReader")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl RangeReader {
    /// Length of the range in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// All of it in memory: for ranges that the caller knows to be small.
    ///
    /// # Errors
    /// As the stream's.
    pub async fn collect(self) -> Result<Bytes> {
        let mut pieces = self.pieces;
        let first = pieces.try_next().await?.unwrap_or_default();
        let Some(second) = pieces.try_next().await? else {
            return Ok(first);
        };
        let mut all = BytesMut::with_capacity(usize::try_from(self.length).unwrap_or(0));
        all.extend_from_slice(&first);
        all.extend_from_slice(&second);
        while let Some(piece) = pieces.try_next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// Of bytes that are there already.
    pub(crate) fn of(bytes: Bytes) -> Self {
        Self {
            length: bytes.len() as u64,
            pieces: stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed(),
        }
    }
}

impl Stream for RangeReader {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pieces.poll_next_unpin(cx)
    }
}

/// The received bytes of an instance, read at random. Blocks.
pub struct InstanceSource {
    segment: OpenSegment,
    /// What was opened last, and where: small reads follow each other.
    last: Mutex<(u64, Bytes)>,
}

impl std::fmt::Debug for InstanceSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InstanceSource")
            .field("length", &self.segment.length)
            .finish_non_exhaustive()
    }
}

impl InstanceSource {
    pub(crate) fn of(segment: OpenSegment) -> Self {
        Self {
            segment,
            last: Mutex::default(),
        }
    }

    /// Length of the data set in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.segment.length
    }

    /// Reads at most `buf.len()` bytes at `offset`; 0 only at or past the end.
    ///
    /// # Errors
    /// When the bytes are not what was written, or can't be read.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        if offset >= self.segment.length || buf.is_empty() {
            return Ok(0);
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, piece) = &*last;
        let known = offset
            .checked_sub(*at)
            .filter(|into| *into < piece.len() as u64);
        let into = match known {
            Some(into) => into,
            None => {
                let step = self.segment.step();
                let start = offset / step * step;
                let end = self.segment.piece_end(start, self.segment.length);
                let piece = self.segment.read(start..end).map_err(io::Error::other)?;
                *last = (start, piece);
                offset - start
            }
        };
        let into = usize::try_from(into).map_err(io::Error::other)?;
        let bytes = last.1.get(into..).unwrap_or_default();
        let count = bytes.len().min(buf.len());
        for (to, from) in buf.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(count)
    }
}

/// Where a segment is said to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whereabouts<'a> {
    pub tenant: &'a str,
    pub object: &'a [u8; 16],
    pub offset: u64,
    pub segment: u32,
    pub length: u64,
}

/// A segment whose object is open: its bytes stay readable even when the object
/// dies meanwhile.
pub(crate) struct OpenSegment {
    object: Object,
    keys: SegmentKeys,
    descriptor_at: u64,
    descriptor_length: u32,
    body_at: u64,
    length: u64,
    /// Its body is read past the page cache.
    once: bool,
    /// Plain bytes of a full chunk.
    chunk: u64,
}

impl OpenSegment {
    /// Opens and checks the headers against what the index says. Blocks.
    /// `Missing`: there is no such object.
    pub(crate) fn open(objects: &Objects, keys: &KeyStore, at: Whereabouts<'_>) -> Result<Self> {
        let mut object = objects.get(at.tenant, at.object)?;
        object.expect(at.offset, at.length);
        let (header, encoded) = read_header(&object)?;
        if header.tenant != at.tenant || header.object != *at.object {
            return Err(ArchiveError::Corrupt);
        }
        let shape = header.shape();
        let mut encoded_segment = [0; SEGMENT_HEADER];
        let (segment, body_at) = match header.key {
            Some(key) if at.segment != BLOCK_SEGMENT => {
                let segment = SegmentHeader::bare(at.segment, key, at.length);
                encoded_segment = segment.encode();
                (segment, at.offset)
            }
            _ => {
                object.read_exact(&mut encoded_segment, at.offset)?;
                let segment = SegmentHeader::decode(&encoded_segment)?;
                (segment, at.offset + shape.body_offset(&segment))
            }
        };
        if segment.ordinal != at.segment || segment.body != at.length {
            return Err(ArchiveError::Corrupt);
        }
        let key = keys.by_id(at.tenant, &segment.key)?;
        let (secret, salt) = (&key.secret, &header.salt);
        Ok(Self {
            object,
            keys: SegmentKeys::derive(secret, salt, &encoded, &encoded_segment, shape)?,
            descriptor_at: at.offset + SEGMENT_HEADER as u64,
            descriptor_length: segment.descriptor,
            body_at,
            length: segment.body,
            once: false,
            chunk: shape.chunk() as u64,
        })
    }

    /// The same segment for one walk through its body, after which nobody is
    /// expected to ask for it again.
    pub(crate) fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// The descriptor's plain bytes. Blocks.
    pub(crate) fn descriptor(&self) -> Result<Vec<u8>> {
        if self.descriptor_length == 0 {
            return Ok(Vec::new());
        }
        let sealed = sealed_len(u64::from(self.descriptor_length));
        let mut text = vec![0; usize::try_from(sealed).map_err(|_| ArchiveError::Corrupt)?];
        self.object.read_exact(&mut text, self.descriptor_at)?;
        let plain = self.keys.open_run(Part::Descriptor, 0, true, &mut text)?;
        text.truncate(plain);
        Ok(text)
    }

    /// Plain bytes of `range`, which must lie inside the body. Blocks.
    pub(crate) fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let (plain, within) = self.read_chunks(range)?;
        Ok(plain.slice(within))
    }

    /// Plain bytes of the chunks that `range` touches, and where it is in them.
    pub(crate) fn read_chunks(&self, range: Range<u64>) -> Result<(Bytes, Range<usize>)> {
        let chunk = self.chunk;
        let first = range.start / chunk;
        let after = range.end.div_ceil(chunk);
        let sealed_chunk = chunk + TAG as u64;
        let plain_end = (after * chunk).min(self.length);
        let sealed = (plain_end - first * chunk) + (after - first) * TAG as u64;
        let size = |bytes: u64| usize::try_from(bytes).map_err(|_| ArchiveError::Corrupt);
        let size_sealed = size(sealed)?;
        let mut plain = BytesMut::zeroed(size(plain_end.saturating_sub(first * chunk))?);
        let index = u32::try_from(first).map_err(|_| ArchiveError::Corrupt)?;
        let ends = plain_end == self.length;
        SEALED.with_borrow_mut(|kept| {
            if kept.len() < size_sealed {
                kept.resize(size_sealed, 0);
            }
            let sealed = kept.get_mut(..size_sealed).unwrap_or_default();
            let at = self.body_at + first * sealed_chunk;
            if self.once {
                self.object.read_once(sealed, at)?;
            } else {
                self.object.read_exact(sealed, at)?;
            }
            self.keys
                .open_into(Part::Body, index, ends, sealed, &mut plain)?;
            if kept.len() > SEALED_KEPT {
                *kept = Vec::new();
            }
            Ok::<_, ArchiveError>(())
        })?;
        let (from, to) = (
            size(range.start - first * chunk)?,
            size(range.end - first * chunk)?,
        );
        let plain = plain.freeze();
        if to > plain.len() {
            return Err(ArchiveError::Corrupt);
        }
        Ok((plain, from..to))
    }

    /// Bytes that are read at a time: no chunk is opened twice.
    fn step(&self) -> u64 {
        self.chunk.max(READ_PIECE_BYTES as u64)
    }

    /// Where the piece that begins at `start` ends.
    pub(crate) fn piece_end(&self, start: u64, end: u64) -> u64 {
        let step = self.step();
        (start / step + 1).saturating_mul(step).min(end)
    }

    /// Streams `range`; `first` is its first piece, read already.
    pub(crate) fn stream(self: Arc<Self>, range: Range<u64>, first: Bytes) -> RangeReader {
        let length = range.end - range.start;
        let next = range.start + first.len() as u64;
        let head = stream::once(std::future::ready(Ok(first)));
        let pending = piece(&self, next, range.end);
        let rest = stream::try_unfold(pending, move |pending| {
            let segment = Arc::clone(&self);
            async move {
                let Some((task, after)) = pending else {
                    return Ok(None);
                };
                let bytes = task.await.map_err(|_| ArchiveError::Closed)??;
                // The next piece is read while this one is sent.
                Ok(Some((bytes, piece(&segment, after, range.end))))
            }
        });
        RangeReader {
            length,
            pieces: head.chain(rest).boxed(),
        }
    }
}

/// Starts to read the piece at `start`; also where the next one begins.
fn piece(
    segment: &Arc<OpenSegment>,
    start: u64,
    end: u64,
) -> Option<(JoinHandle<Result<Bytes>>, u64)> {
    if start >= end {
        return None;
    }
    let stop = segment.piece_end(start, end);
    let segment = Arc::clone(segment);
    let task = tokio::task::spawn_blocking(move || segment.read(start..stop));
    Some((task, stop))
}

/// The header of an object and its encoded bytes. Blocks.
pub(crate) fn read_header(object: &Object) -> Result<(ObjectHeader, Vec<u8>)> {
    let mut bytes = vec![0; HEADER_MAX];
    let filled = object.read_beginning(&mut bytes)?;
    bytes.truncate(filled);
    let (header, length) = ObjectHeader::decode(&bytes)?;
    bytes.truncate(length);
    Ok((header, bytes))
}

/// Starts to read a range. Blocks for the first piece.
pub(crate) fn stream(segment: OpenSegment, range: Range<u64>) -> Result<RangeReader> {
    let first = match range.end - range.start {
        0 => return Ok(RangeReader::of(Bytes::new())),
        1..=READ_WHOLE_BYTES => segment.read(range.clone())?,
        _ => segment.read(range.start..segment.piece_end(range.start, range.end))?,
    };
    Ok(Arc::new(segment).stream(range, first))
}
