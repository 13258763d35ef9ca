//! A file written past the page cache (`O_DIRECT`): what is about to be synced
//! is copied once into memory that the device reads, instead of into fresh
//! pages that the system then writes out and keeps. It owns alignment and the
//! ways back to ordinary writing, where the file system has no other or the
//! rest is shorter than a block; it knows nothing of what is written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::{ObjectFile, create_new};

/// What addresses, offsets and lengths are multiples of: the largest logical
/// block that disks have. One that wants more says so, and gets pages.
const ALIGN: usize = 4 << 10;
/// Bytes written at a time: enough that a disk is busy with it, not with us.
const BUFFER: usize = 1 << 20;
/// A file that is shorter than this costs less as pages than as two writes.
const DIRECT_FROM: usize = 64 << 10;
/// Buffers kept for the next file: the writer's and one streaming thread's.
const SPARE: usize = 2;

static SPARES: Mutex<Vec<Buffer>> = Mutex::new(Vec::new());

/// Memory at an address that is a multiple of [`ALIGN`].
struct Buffer {
    memory: Vec<u8>,
    start: usize,
    filled: usize,
}

impl Buffer {
    fn take() -> Self {
        let spare = SPARES.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| {
            let memory = vec![0; BUFFER + ALIGN];
            let start = memory.as_ptr().align_offset(ALIGN).min(ALIGN);
            Self {
                memory,
                start,
                filled: 0,
            }
        })
    }

    fn give_back(mut self) {
        self.filled = 0;
        let mut spares = SPARES.lock().unwrap_or_else(PoisonError::into_inner);
        if spares.len() < SPARE {
            spares.push(self);
        }
    }

    /// Takes as much of `bytes` as there is room for; how much.
    fn fill(&mut self, bytes: &[u8]) -> usize {
        let from = self.start + self.filled;
        let room = self.memory.get_mut(from..self.start + BUFFER);
        let room = room.unwrap_or_default();
        let taken = room.len().min(bytes.len());
        if let (Some(room), Some(bytes)) = (room.get_mut(..taken), bytes.get(..taken)) {
            room.copy_from_slice(bytes);
        }
        self.filled += taken;
        taken
    }

    /// The first `length` bytes, to be filled anew.
    fn room(&mut self, length: usize) -> &mut [u8] {
        let to = self.start + length.min(BUFFER);
        self.memory.get_mut(self.start..to).unwrap_or_default()
    }

    fn bytes(&self) -> &[u8] {
        self.memory
            .get(self.start..self.start + self.filled)
            .unwrap_or_default()
    }

    /// Moves what is behind the first `written` bytes to the front.
    fn forget(&mut self, written: usize) {
        let (from, to) = (self.start + written, self.start + self.filled);
        self.memory.copy_within(from..to, self.start);
        self.filled -= written;
    }
}

/// Fills `into` from `at` past the page cache: for what is read once and would
/// only push out what is read again. Fewer bytes than that are an error.
pub(super) fn read_exact(file: &File, into: &mut [u8], at: u64) -> io::Result<()> {
    let mut buffer = Buffer::take();
    let done = switch(file, true).and_then(|()| read_blocks(file, &mut buffer, into, at));
    buffer.give_back();
    match done {
        // No such reading here, or another alignment.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            switch(file, false)?;
            file.read_exact_at(into, at)
        }
        done => done,
    }
}

fn read_blocks(file: &File, buffer: &mut Buffer, into: &mut [u8], at: u64) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let from = at + done as u64;
        let skip = usize::try_from(from % ALIGN as u64).unwrap_or(0);
        let wanted = (skip + rest.len()).next_multiple_of(ALIGN).min(BUFFER);
        let read = file.read_at(buffer.room(wanted), from - skip as u64)?;
        buffer.filled = read;
        let found = buffer.bytes().get(skip..).unwrap_or_default();
        let taken = found.len().min(rest.len());
        if taken == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let (Some(rest), Some(found)) = (rest.get_mut(..taken), found.get(..taken)) {
            rest.copy_from_slice(found);
        }
        done += taken;
    }
    Ok(())
}

/// Has a file read and written past the cache, or no longer.
fn switch(file: &File, direct: bool) -> io::Result<()> {
    let mut flags = fcntl_getfl(file)?;
    flags.set(OFlags::DIRECT, direct);
    Ok(fcntl_setfl(file, flags)?)
}

pub(super) struct DirectFile {
    file: File,
    /// `None` once dropped.
    buffer: Option<Buffer>,
    /// Where in the file the buffer begins; a multiple of [`ALIGN`].
    at: u64,
    /// Whether the file can be written past the cache, as far as is known.
    can: bool,
    /// Whether it is now.
    direct: bool,
}

impl DirectFile {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: create_new(path)?,
            buffer: Some(Buffer::take()),
            at: 0,
            can: true,
            direct: false,
        })
    }

    fn buffer(&mut self) -> io::Result<&mut Buffer> {
        self.buffer
            .as_mut()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Writes the whole blocks of what is held back.
    fn flush(&mut self) -> io::Result<()> {
        let blocks = self.buffer()?.filled / ALIGN * ALIGN;
        self.write(blocks, true)?;
        self.buffer()?.forget(blocks);
        self.at += blocks as u64;
        Ok(())
    }

    /// Writes the first `length` bytes that are held back where they belong.
    fn write(&mut self, length: usize, direct: bool) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        self.switch(direct && self.can)?;
        let buffer = self.buffer.as_ref().map_or(&[][..], Buffer::bytes);
        let bytes = buffer.get(..length).unwrap_or_default();
        match self.file.write_all_at(bytes, self.at) {
            // It wants another alignment; nothing was written.
            Err(error) if self.direct && error.kind() == io::ErrorKind::InvalidInput => {
                self.can = false;
                self.switch(false)?;
                let buffer = self.buffer.as_ref().map_or(&[][..], Buffer::bytes);
                let bytes = buffer.get(..length).unwrap_or_default();
                self.file.write_all_at(bytes, self.at)
            }
            done => done,
        }
    }

    fn switch(&mut self, direct: bool) -> io::Result<()> {
        if direct == self.direct {
            return Ok(());
        }
        match switch(&self.file, direct) {
            Ok(()) => self.direct = direct,
            // A file system without it.
            Err(_) if direct => self.can = false,
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl ObjectFile for DirectFile {
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        for part in parts {
            let mut rest = *part;
            while !rest.is_empty() {
                let taken = self.buffer()?.fill(rest);
                rest = rest.get(taken..).unwrap_or_default();
                if !rest.is_empty() {
                    self.flush()?;
                }
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.at > 0 || self.buffer()?.filled >= DIRECT_FROM {
            self.flush()?;
        }
        // It stays in the buffer: what is appended behind it goes out with it.
        let rest = self.buffer()?.filled;
        self.write(rest, false)?;
        self.file.sync_data()
    }

    fn release(&mut self) {
        let _ = self.file.set_len(0);
    }
}

impl Drop for DirectFile {
    fn drop(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            buffer.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        (0..=250_u8).cycle().take(length).collect()
    }

    #[test]
    fn a_file_of_any_length_is_what_was_appended() {
        let dir = tempfile::tempdir().unwrap();
        for (number, length) in [
            0,
            1,
            ALIGN,
            DIRECT_FROM - 1,
            DIRECT_FROM,
            530_001,
            BUFFER,
            BUFFER + 1,
            3 * BUFFER + 77,
        ]
        .into_iter()
        .enumerate()
        {
            let path = dir.path().join(number.to_string());
            let bytes = noise(length);
            let mut file = DirectFile::create(&path).unwrap();
            let (head, rest) = bytes.split_at(length / 3);
            file.append(&[head, &[], rest]).unwrap();
            file.sync().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "{length}");
            let file = File::open(&path).unwrap();
            for (from, to) in [(0, length), (length / 3, length), (length / 2, length / 2)] {
                let mut read = vec![0; to - from];
                read_exact(&file, &mut read, from as u64).unwrap();
                assert_eq!(read, &bytes[from..to], "{length}: {from}..{to}");
            }
            let beyond = read_exact(&file, &mut [0; 2], (length as u64).saturating_sub(1));
            assert_eq!(beyond.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn what_is_appended_after_a_sync_follows_what_was_synced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("object");
        let bytes = noise(5 * BUFFER);
        let mut file = DirectFile::create(&path).unwrap();
        let mut to = 0;
        for length in [10, 100_000, 1, BUFFER + 5, 4_096, 2 * BUFFER] {
            file.append(&[&bytes[to..to + length]]).unwrap();
            to += length;
            file.sync().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), &bytes[..to]);
        }
    }

    #[test]
    fn where_the_cache_cannot_be_passed_it_is_used() {
        let Ok(dir) = tempfile::tempdir_in("/dev/shm") else {
            return;
        };
        let path = dir.path().join("object");
        let bytes = noise(2 * BUFFER + 9);
        let mut file = DirectFile::create(&path).unwrap();
        file.append(&[&bytes]).unwrap();
        file.sync().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        drop(file);
        assert!(DirectFile::create(&path).is_err(), "a name is used once");
    }
}
