//! Where the bytes come from, and the cursor that reads them. Owns the only
//! buffer of the scan (a few kilobytes, at most one inline value); never holds
//! a data set.

use std::fs::File;
use std::io;

use crate::error::{Place, Refusal, ScanError};
use crate::limits::READ_AHEAD;

/// Random access to bytes of a known length: a slice, a file, a window of
/// either, or an inflating reader.
pub trait ByteSource {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// Reads at most `buf.len()` bytes at `offset`; 0 only at or past the end.
    ///
    /// # Errors
    /// Whatever the underlying storage reports.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Whether there are no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ByteSource for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..))
            .unwrap_or_default();
        let count = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }
}

impl ByteSource for Vec<u8> {
    fn len(&self) -> u64 {
        ByteSource::len(self.as_slice())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.as_slice().read_at(offset, buf)
    }
}

impl<T: ByteSource + ?Sized> ByteSource for &T {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        (**self).read_at(offset, buf)
    }
}

/// A file and the length it had when it was opened.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    length: u64,
}

impl FileSource {
    /// Takes the length from the file's metadata.
    ///
    /// # Errors
    /// The metadata cannot be read.
    pub fn new(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }
}

impl ByteSource for FileSource {
    fn len(&self) -> u64 {
        self.length
    }

    #[cfg(unix)]
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(&self.file, buf, offset)
    }

    #[cfg(not(unix))]
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = &self.file;
        file.seek(SeekFrom::Start(offset))?;
        file.read(buf)
    }
}

/// The part of a source from `start` to its end: a data set in a file.
#[derive(Debug, Clone, Copy)]
pub struct Window<S> {
    inner: S,
    start: u64,
}

impl<S: ByteSource> Window<S> {
    /// The bytes of `inner` from `start` on; empty when `start` is past the end.
    pub fn new(inner: S, start: u64) -> Self {
        Self { inner, start }
    }
}

impl<S: ByteSource> ByteSource for Window<S> {
    fn len(&self) -> u64 {
        self.inner.len().saturating_sub(self.start)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        match self.start.checked_add(offset) {
            Some(at) => self.inner.read_at(at, buf),
            None => Ok(0),
        }
    }
}

/// Reads a source forward through one small buffer.
pub(crate) struct Cursor<S> {
    source: S,
    length: u64,
    position: u64,
    buffer: Vec<u8>,
    buffer_at: u64,
}

impl<S: ByteSource> Cursor<S> {
    pub(crate) fn new(source: S) -> Self {
        let length = source.len();
        Self {
            source,
            length,
            position: 0,
            buffer: Vec::new(),
            buffer_at: 0,
        }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    pub(crate) fn remaining(&self) -> u64 {
        self.length - self.position
    }

    /// The next `count` bytes without passing them; fewer only at the end.
    pub(crate) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        let count = usize::try_from(self.remaining()).map_or(count, |rest| count.min(rest));
        let start = match self.start_in_buffer() {
            Some(start) if self.buffer.len() - start >= count => start,
            _ => {
                self.fill(count)?;
                0
            }
        };
        Ok(self.buffer.get(start..start + count).unwrap_or_default())
    }

    /// The next `count` bytes, passed.
    pub(crate) fn take(&mut self, count: usize, place: Place) -> Result<&[u8], ScanError> {
        let at = self.position;
        if count as u64 > self.remaining() {
            return Err(Refusal::Truncated { place, at }.into());
        }
        self.peek(count)?;
        self.position += count as u64;
        let start = usize::try_from(at - self.buffer_at).unwrap_or(usize::MAX);
        Ok(self
            .buffer
            .get(start..start.saturating_add(count))
            .unwrap_or_default())
    }

    /// Passes `count` bytes without reading them.
    pub(crate) fn skip(&mut self, count: u64, place: Place) -> Result<(), ScanError> {
        if count > self.remaining() {
            let at = self.position;
            return Err(Refusal::Truncated { place, at }.into());
        }
        self.position += count;
        Ok(())
    }

    /// Bytes anywhere, the position unchanged; fewer only at the end.
    pub(crate) fn look(&self, at: u64, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        let mut filled = 0;
        while let Some(free) = bytes.get_mut(filled..).filter(|free| !free.is_empty()) {
            match self.source.read_at(at + filled as u64, free) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    fn start_in_buffer(&self) -> Option<usize> {
        let start = usize::try_from(self.position.checked_sub(self.buffer_at)?).ok()?;
        (start <= self.buffer.len()).then_some(start)
    }

    /// Reads from the position on: `count` bytes, more if they come cheap.
    fn fill(&mut self, count: usize) -> io::Result<()> {
        let rest = usize::try_from(self.remaining()).unwrap_or(usize::MAX);
        let wanted = count.max(READ_AHEAD).min(rest);
        self.buffer.resize(wanted, 0);
        self.buffer_at = self.position;
        let mut filled = 0;
        while filled < count {
            let free = self.buffer.get_mut(filled..).unwrap_or_default();
            match self.source.read_at(self.position + filled as u64, free) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read.min(wanted - filled),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.buffer.clear();
                    return Err(error);
                }
            }
        }
        self.buffer.truncate(filled);
        Ok(())
    }
}
