//! A deflated data set (PS3.5 §A.5) as a source of its inflated bytes. Inflates
//! forward through a window of a few kilobytes; going back starts over, so that
//! memory is bounded whatever the size.

use std::cell::RefCell;
use std::io::{self, Read};

use flate2::read::{DeflateDecoder, DeflateEncoder};

use crate::error::{Limit, Place, Refusal, ScanError};
use crate::source::ByteSource;

/// A data set as a deflated stream (PS3.5 §A.5), padded to an even length.
#[must_use]
pub fn deflate(plain: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(plain, flate2::Compression::default());
    let mut out = Vec::new();
    // Reading from memory into memory does not fail.
    let _ = encoder.read_to_end(&mut out);
    if out.len() % 2 == 1 {
        out.push(0);
    }
    out
}

struct Reader<S> {
    source: S,
    position: u64,
}

impl<S: ByteSource> Read for Reader<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read_at(self.position, buf)?;
        self.position += count as u64;
        Ok(count)
    }
}

struct State<S> {
    decoder: DeflateDecoder<Reader<S>>,
    position: u64,
}

/// The inflated bytes of a source. Ranges of a [`crate::Scan`] whose
/// `inflated` is true are read from this.
pub struct Inflated<S> {
    source: S,
    length: u64,
    state: RefCell<State<S>>,
}

fn start<S: ByteSource>(source: S) -> State<S> {
    State {
        decoder: DeflateDecoder::new(Reader {
            source,
            position: 0,
        }),
        position: 0,
    }
}

impl<S: ByteSource + Clone> Inflated<S> {
    /// Inflates once to learn the length, of at most `limit` bytes.
    ///
    /// # Errors
    /// [`Refusal::Truncated`] when the stream is broken, [`Refusal::OverLimit`]
    /// when it is longer.
    pub fn open(source: S, limit: u64) -> Result<Self, ScanError> {
        let mut counted = start(source.clone());
        let mut buffer = [0; 16 << 10];
        loop {
            match counted.decoder.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => counted.position += count as u64,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::InvalidInput
                            | io::ErrorKind::InvalidData
                            | io::ErrorKind::UnexpectedEof
                    ) =>
                {
                    let (place, at) = (Place::Deflate, counted.position);
                    return Err(Refusal::Truncated { place, at }.into());
                }
                Err(error) => return Err(error.into()),
            }
            if counted.position > limit {
                let what = Limit::Inflated;
                return Err(Refusal::OverLimit { what }.into());
            }
        }
        Ok(Self {
            length: counted.position,
            state: RefCell::new(start(source.clone())),
            source,
        })
    }
}

impl<S: ByteSource + Clone> ByteSource for Inflated<S> {
    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        if offset >= self.length {
            return Ok(0);
        }
        let mut state = self.state.borrow_mut();
        if offset < state.position {
            *state = start(self.source.clone());
        }
        let mut passed = [0; 16 << 10];
        while state.position < offset {
            let wanted = usize::try_from(offset - state.position).unwrap_or(usize::MAX);
            let room = passed.get_mut(..wanted.min(16 << 10)).unwrap_or_default();
            let count = state.decoder.read(room)?;
            if count == 0 {
                return Ok(0);
            }
            state.position += count as u64;
        }
        let count = state.decoder.read(buf)?;
        state.position += count as u64;
        Ok(count)
    }
}
