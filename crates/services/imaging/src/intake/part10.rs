//! A part-10 file (PS3.10 §7.1) while it arrives: its head is read as soon as
//! it is complete, so that only the data set goes into the spool.

use hilum_dataset::part10::{Part10, split};
use hilum_dataset::{Refusal, ScanError};

use crate::spool::{Spool, SpoolError, Spooled};

/// Preamble and meta information are a few hundred bytes; private
/// information (0002,0102) may make them longer.
const HEAD: usize = 64 << 10;
/// Longest head that is waited for.
const HEAD_MAX: usize = 4 << 20;

/// A file while it arrives.
#[derive(Debug)]
pub(crate) struct FileSpool {
    head: Vec<u8>,
    want: usize,
    found: Option<Part10>,
    spool: Spool,
}

/// A file that has arrived, without its head.
#[derive(Debug)]
pub(crate) struct SpooledFile {
    pub(crate) part10: Part10,
    pub(crate) data_set: Spooled,
}

impl FileSpool {
    pub(crate) fn new(spool: Spool) -> Self {
        Self {
            head: Vec::new(),
            want: HEAD,
            found: None,
            spool,
        }
    }

    /// The next piece.
    pub(crate) fn write(&mut self, piece: &[u8]) -> Result<(), SpoolError> {
        if self.found.is_some() {
            return self.spool.write(piece);
        }
        self.head.extend_from_slice(piece);
        if self.head.len() < self.want {
            return Ok(());
        }
        match split(&self.head.as_slice()) {
            Ok(part10) => self.head_is(part10),
            // The head goes on beyond what is here.
            Err(_) if self.want < HEAD_MAX => {
                self.want = self.want.saturating_mul(4);
                Ok(())
            }
            // `finish` refuses it; until then nothing grows in memory.
            Err(_) => self.spool.write(&std::mem::take(&mut self.head)),
        }
    }

    fn head_is(&mut self, part10: Part10) -> Result<(), SpoolError> {
        let head = std::mem::take(&mut self.head);
        let start = usize::try_from(part10.data_set_offset).unwrap_or(usize::MAX);
        self.found = Some(part10);
        self.spool.write(head.get(start..).unwrap_or_default())
    }

    /// The file has arrived. What can't be a part-10 file comes back whole,
    /// with the reason.
    pub(crate) fn finish(mut self) -> Result<Result<SpooledFile, (Refusal, Spooled)>, SpoolError> {
        if self.found.is_none() && !self.head.is_empty() {
            match split(&self.head.as_slice()) {
                Ok(part10) => self.head_is(part10)?,
                Err(error) => {
                    let refusal = match error {
                        ScanError::Refused(refusal) => refusal,
                        ScanError::Source(error) => return Err(error.into()),
                    };
                    let head = std::mem::take(&mut self.head);
                    self.spool.write(&head)?;
                    return Ok(Err((refusal, self.spool.finish())));
                }
            }
        }
        let data_set = self.spool.finish();
        Ok(match self.found {
            Some(part10) => Ok(SpooledFile { part10, data_set }),
            None => Err((Refusal::NotDicom, data_set)),
        })
    }
}
