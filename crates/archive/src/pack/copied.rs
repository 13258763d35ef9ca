//! A stored body as what is written again reads it.

use std::io::Read;

use bytes::Bytes;

use crate::error::ArchiveError;
use crate::read::OpenSegment;

/// A stored body, piece by piece.
pub(crate) struct Copied {
    segment: OpenSegment,
    at: u64,
    length: u64,
    piece: Bytes,
}

impl Copied {
    pub(crate) fn new(segment: OpenSegment, length: u64) -> Self {
        Self {
            segment,
            at: 0,
            length,
            piece: Bytes::new(),
        }
    }
}

impl Read for Copied {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.piece.is_empty() && self.at < self.length {
            let end = self.segment.piece_end(self.at, self.length);
            self.piece = self
                .segment
                .read(self.at..end)
                .map_err(|error| match error {
                    ArchiveError::Disk(kind) => kind.into(),
                    _ => std::io::Error::from(std::io::ErrorKind::InvalidData),
                })?;
            self.at = end;
        }
        let take = into.len().min(self.piece.len());
        let now = self.piece.split_to(take);
        if let Some(into) = into.get_mut(..take) {
            into.copy_from_slice(&now);
        }
        Ok(take)
    }
}
