//! The columns that a block's entries are written in: each attribute of all
//! instances side by side, where it compresses best. Bytes in memory only.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{ArchiveError, Result};
use crate::format::Cursor;

/// Writes columns; numbers as LEB128.
#[derive(Default)]
pub(super) struct Columns(pub Vec<u8>);

impl Columns {
    pub(super) fn number(&mut self, mut value: u64) {
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                self.0.push(low);
                return;
            }
            self.0.push(low | 0x80);
        }
    }

    pub(super) fn size(&mut self, value: usize) {
        self.number(value as u64);
    }

    pub(super) fn numbers(&mut self, values: impl Iterator<Item = u64>) {
        for value in values {
            self.number(value);
        }
    }

    /// Each as its difference from the one before: rising columns are small.
    pub(super) fn deltas(&mut self, values: impl Iterator<Item = i64>) {
        let mut before = 0_i64;
        for value in values {
            self.number(zigzag(value.wrapping_sub(before)));
            before = value;
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.size(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// The distinct values once, then an index for each.
    pub(super) fn dictionary<T: AsRef<[u8]>>(&mut self, values: &[T]) {
        let mut known: HashMap<&[u8], usize> = HashMap::new();
        let mut distinct: Vec<&[u8]> = Vec::new();
        let mut indexes = Vec::with_capacity(values.len());
        for value in values {
            let value = value.as_ref();
            let index = *known.entry(value).or_insert_with(|| {
                distinct.push(value);
                distinct.len() - 1
            });
            indexes.push(index as u64);
        }
        self.size(distinct.len());
        for value in distinct {
            self.bytes(value);
        }
        self.numbers(indexes.into_iter());
    }

    /// Texts that begin alike, each without what it shares with the one before.
    pub(super) fn front_coded<'a>(&mut self, texts: impl Iterator<Item = &'a str>) {
        let mut before: &[u8] = &[];
        let mut rest = Vec::new();
        for text in texts {
            let text = text.as_bytes();
            let shared = text.iter().zip(before).take_while(|(a, b)| a == b).count();
            let own = text.get(shared..).unwrap_or_default();
            self.size(shared);
            self.size(own.len());
            rest.extend_from_slice(own);
            before = text;
        }
        self.bytes(&rest);
    }
}

/// Reads columns; anything that does not fit is damage.
pub(super) struct Reader<'a> {
    cursor: Cursor<'a>,
    /// Rows in each column.
    pub rows: usize,
}

impl<'a> Reader<'a> {
    /// `rows` must have been held against the length of `bytes` or a limit.
    pub(super) fn new(bytes: &'a [u8], rows: usize) -> Self {
        Self {
            cursor: Cursor(bytes),
            rows,
        }
    }

    pub(super) fn number(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.cursor.take()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ArchiveError::Corrupt)
    }

    pub(super) fn size(&mut self) -> Result<usize> {
        usize::try_from(self.number()?).map_err(|_| ArchiveError::Corrupt)
    }

    /// A count of things that take at least a byte each.
    pub(super) fn count(&mut self) -> Result<usize> {
        let count = self.size()?;
        if count > self.cursor.0.len() {
            return Err(ArchiveError::Corrupt);
        }
        Ok(count)
    }

    pub(super) fn numbers(&mut self) -> Result<Vec<u64>> {
        (0..self.rows).map(|_| self.number()).collect()
    }

    pub(super) fn deltas(&mut self) -> Result<Vec<i64>> {
        let mut before = 0_i64;
        (0..self.rows)
            .map(|_| {
                before = before.wrapping_add(unzigzag(self.number()?));
                Ok(before)
            })
            .collect()
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.size()?;
        self.cursor.slice(length)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.cursor.take()
    }

    pub(super) fn dictionary<T>(
        &mut self,
        mut value: impl FnMut(&'a [u8]) -> Result<Arc<T>>,
    ) -> Result<Vec<Arc<T>>>
    where
        T: ?Sized,
    {
        let count = self.count()?;
        let distinct = (0..count)
            .map(|_| value(self.bytes()?))
            .collect::<Result<Vec<_>>>()?;
        (0..self.rows)
            .map(|_| {
                let index = self.size()?;
                distinct.get(index).cloned().ok_or(ArchiveError::Corrupt)
            })
            .collect()
    }

    pub(super) fn front_coded(&mut self) -> Result<Vec<Box<str>>> {
        let lengths = (0..self.rows)
            .map(|_| Ok((self.size()?, self.size()?)))
            .collect::<Result<Vec<_>>>()?;
        let mut rest = Cursor(self.bytes()?);
        let mut before: Vec<u8> = Vec::new();
        lengths
            .into_iter()
            .map(|(shared, own)| {
                if shared > before.len() {
                    return Err(ArchiveError::Corrupt);
                }
                before.truncate(shared);
                before.extend_from_slice(rest.slice(own)?);
                let text = std::str::from_utf8(&before).map_err(|_| ArchiveError::Corrupt)?;
                Ok(text.into())
            })
            .collect()
    }

    pub(super) fn finish(self) -> Result<()> {
        if self.cursor.0.is_empty() {
            Ok(())
        } else {
            Err(ArchiveError::Corrupt)
        }
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_at_their_borders_come_back() {
        let unsigned = [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::MAX];
        let signed = [0, -1, 1, i64::MIN, i64::MAX, i64::MIN, 5];
        let mut columns = Columns::default();
        columns.numbers(unsigned.into_iter());
        columns.deltas(signed.into_iter());
        let mut reader = Reader::new(&columns.0, 7);
        assert_eq!(reader.numbers().unwrap(), unsigned);
        assert_eq!(reader.deltas().unwrap(), signed);
        reader.finish().unwrap();
    }

    #[test]
    fn texts_come_back_whatever_they_share() {
        let texts = ["1.2.3", "1.2.31", "1.2", "", "é", "è"];
        let mut columns = Columns::default();
        columns.front_coded(texts.into_iter());
        columns.dictionary(&texts);
        let mut reader = Reader::new(&columns.0, texts.len());
        let read = reader.front_coded().unwrap();
        assert!(read.iter().map(AsRef::as_ref).eq(texts));
        let again = reader
            .dictionary(|bytes| Ok(Arc::<[u8]>::from(bytes)))
            .unwrap();
        assert!(again.iter().map(AsRef::as_ref).eq(texts.map(str::as_bytes)));
    }

    #[test]
    fn a_number_without_end_is_damage() {
        assert!(Reader::new(&[0xff; 11], 1).number().is_err());
        assert!(Reader::new(&[0x80], 1).number().is_err());
        assert!(Reader::new(&[0x7f], 1).count().is_err());
    }
}
