//! A run: an immutable file of sorted entries, as docs/formats/lookup-v1.md
//! describes it. It knows neither index nor tenants.

use std::fs::File;
use std::path::Path;

use aws_lc_rs::{constant_time, hmac};

use super::{Entry, Hash, Name};
use crate::disk::{Disk, ObjectFile};
use crate::error::{ArchiveError, Result};
use crate::objects::read_exact;

/// What one read brings: a page of a file system.
const PAGE: usize = 4_096;
const TAG: usize = 16;
const ENTRY: usize = 22;
const PER_PAGE: usize = (PAGE - TAG) / ENTRY;
const MAGIC: &[u8; 8] = b"HILUMLKP";
const VERSION: u16 = 1;
/// Pages written and scanned at a time: 256 KiB.
const PAGES_AT_ONCE: usize = 64;
/// Interpolations before halving: hashes are uniform, so three are usual.
const INTERPOLATIONS: u32 = 8;

/// A run, open for reading.
pub(super) struct Run {
    file: File,
    key: hmac::Key,
    name: Name,
    entries: u64,
    pages: u64,
    /// Beginnings of the first and the last hash.
    ends: (u64, u64),
}

impl Run {
    /// Opens a run and checks its length and its last page.
    pub(super) fn open(path: &Path, key: &hmac::Key, name: Name) -> Result<Self> {
        let file = File::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => ArchiveError::Missing,
            _ => error.into(),
        })?;
        let length = file.metadata()?.len();
        let pages = (length / PAGE as u64)
            .checked_sub(1)
            .filter(|_| length % PAGE as u64 == 0)
            .ok_or(ArchiveError::Corrupt)?;
        let mut run = Self {
            file,
            key: key.clone(),
            name,
            entries: 0,
            pages,
            ends: (0, 0),
        };
        let last = run.page(pages)?;
        let mut rest = last.as_slice();
        let magic: [u8; 8] = take(&mut rest)?;
        let version = u16::from_le_bytes(take(&mut rest)?);
        if magic != *MAGIC || version != VERSION {
            return Err(ArchiveError::Corrupt);
        }
        run.entries = u64::from_le_bytes(take(&mut rest)?);
        let first: Hash = take(&mut rest)?;
        run.ends = (beginning(&first), beginning(&take(&mut rest)?));
        if run.entries == 0 || run.entries.div_ceil(PER_PAGE as u64) != pages {
            return Err(ArchiveError::Corrupt);
        }
        Ok(run)
    }

    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    /// Adds where the entries of this hash point to.
    pub(super) fn find(&self, hash: &Hash, found: &mut Vec<(u64, u32)>) -> Result<()> {
        let Some((at, page)) = self.locate(hash)? else {
            return Ok(());
        };
        self.collect(at, &page, hash, found)?;
        // Equal hashes may go on in the pages beside.
        let (mut before, mut first) = (at, self.entry(&page, 0)?);
        while before > 0 && first.hash == *hash {
            before -= 1;
            let page = self.page(before)?;
            self.collect(before, &page, hash, found)?;
            first = self.entry(&page, 0)?;
        }
        let (mut after, mut last) = (at, self.entry(&page, self.count(at) - 1)?);
        while after + 1 < self.pages && last.hash == *hash {
            after += 1;
            let page = self.page(after)?;
            self.collect(after, &page, hash, found)?;
            last = self.entry(&page, self.count(after) - 1)?;
        }
        Ok(())
    }

    /// Every entry in order.
    pub(super) fn entries_of(&self) -> Scan<'_> {
        Scan {
            run: self,
            buffer: Vec::new(),
            page: 0,
            next: 0,
        }
    }

    /// A page between whose first and last hash this one lies.
    fn locate(&self, hash: &Hash) -> Result<Option<(u64, Vec<u8>)>> {
        let wanted = beginning(hash);
        let (mut low, mut high) = (0, self.pages);
        let (mut least, mut most) = self.ends;
        let mut steps = 0;
        while low < high {
            let at = if steps < INTERPOLATIONS {
                interpolate(wanted, (least, most), (low, high))
            } else {
                low + (high - low) / 2
            };
            steps += 1;
            let page = self.page(at)?;
            let first = self.entry(&page, 0)?.hash;
            let last = self.entry(&page, self.count(at) - 1)?.hash;
            if *hash < first {
                (high, most) = (at, beginning(&first));
            } else if *hash > last {
                (low, least) = (at + 1, beginning(&last));
            } else {
                return Ok(Some((at, page)));
            }
        }
        Ok(None)
    }

    fn collect(
        &self,
        at: u64,
        page: &[u8],
        hash: &Hash,
        found: &mut Vec<(u64, u32)>,
    ) -> Result<()> {
        let (mut low, mut high) = (0, self.count(at));
        while low < high {
            let middle = low + (high - low) / 2;
            if self.entry(page, middle)?.hash < *hash {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        for index in low..self.count(at) {
            let entry = self.entry(page, index)?;
            if entry.hash != *hash {
                break;
            }
            found.push((entry.pack, entry.ordinal));
        }
        Ok(())
    }

    /// How many entries a page holds: all are full but the last.
    fn count(&self, page: u64) -> usize {
        let before = page * PER_PAGE as u64;
        usize::try_from(self.entries.saturating_sub(before)).map_or(PER_PAGE, |n| n.min(PER_PAGE))
    }

    #[expect(clippy::unused_self, reason = "pages mean nothing without their run")]
    fn entry(&self, page: &[u8], index: usize) -> Result<Entry> {
        let mut rest = page.get(index * ENTRY..).ok_or(ArchiveError::Corrupt)?;
        let hash = take(&mut rest)?;
        let [a, b, c, d, e, f] = take(&mut rest)?;
        Ok(Entry {
            hash,
            pack: u64::from_le_bytes([a, b, c, d, e, f, 0, 0]),
            ordinal: u32::from_le_bytes(take(&mut rest)?),
        })
    }

    /// A page that is as written.
    fn page(&self, at: u64) -> Result<Vec<u8>> {
        let mut page = vec![0; PAGE];
        read_exact(&self.file, &mut page, at * PAGE as u64)?;
        check(&self.key, &self.name, at, &page)?;
        Ok(page)
    }
}

/// Reads a run from end to end.
pub(super) struct Scan<'a> {
    run: &'a Run,
    buffer: Vec<u8>,
    page: u64,
    next: usize,
}

impl Scan<'_> {
    fn advance(&mut self) -> Result<Option<Entry>> {
        if self.next == self.run.count(self.page) {
            self.page += 1;
            self.next = 0;
        }
        if self.page >= self.run.pages {
            return Ok(None);
        }
        let within = usize::try_from(self.page % PAGES_AT_ONCE as u64).unwrap_or_default();
        if self.next == 0 {
            if within == 0 {
                let left = usize::try_from(self.run.pages - self.page).unwrap_or(usize::MAX);
                self.buffer.resize(left.min(PAGES_AT_ONCE) * PAGE, 0);
                read_exact(&self.run.file, &mut self.buffer, self.page * PAGE as u64)?;
            }
            let page = self.buffer.get(within * PAGE..(within + 1) * PAGE);
            let page = page.ok_or(ArchiveError::Corrupt)?;
            check(&self.run.key, &self.run.name, self.page, page)?;
        }
        let page = self.buffer.get(within * PAGE..).unwrap_or_default();
        let entry = self.run.entry(page, self.next)?;
        self.next += 1;
        Ok(Some(entry))
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.advance();
        if next.is_err() {
            // Nothing after it is known to be in order.
            self.page = self.run.pages;
            self.next = 0;
        }
        next.transpose()
    }
}

/// Writes a run.
pub(super) struct RunWriter<'a> {
    file: Box<dyn ObjectFile>,
    key: &'a hmac::Key,
    name: Name,
    buffer: Vec<u8>,
    pages: u64,
    entries: u64,
    ends: Option<(Hash, Entry)>,
}

impl<'a> RunWriter<'a> {
    pub(super) fn create(
        disk: &dyn Disk,
        path: &Path,
        key: &'a hmac::Key,
        name: Name,
    ) -> Result<Self> {
        Ok(Self {
            file: disk.create(path)?,
            key,
            name,
            buffer: Vec::with_capacity(PAGES_AT_ONCE * PAGE),
            pages: 0,
            entries: 0,
            ends: None,
        })
    }

    /// Appends an entry, which must not be less than the one before; the same
    /// one again is left out.
    pub(super) fn push(&mut self, entry: Entry) -> Result<()> {
        match &mut self.ends {
            None => self.ends = Some((entry.hash, entry)),
            Some((_, last)) if *last == entry => return Ok(()),
            Some((_, last)) if *last < entry => *last = entry,
            Some(_) => return Err(ArchiveError::Corrupt),
        }
        let [a, b, c, d, e, f, ..] = entry.pack.to_le_bytes();
        self.buffer.extend_from_slice(&entry.hash);
        self.buffer.extend_from_slice(&[a, b, c, d, e, f]);
        self.buffer.extend_from_slice(&entry.ordinal.to_le_bytes());
        self.entries += 1;
        if self.entries.is_multiple_of(PER_PAGE as u64) {
            self.end_page();
            if self.buffer.len() >= PAGES_AT_ONCE * PAGE {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Ends the run and returns once its file is durable: how many entries.
    pub(super) fn finish(mut self) -> Result<u64> {
        let Some((first, last)) = self.ends else {
            return Err(ArchiveError::Invalid("a run has entries"));
        };
        if !self.entries.is_multiple_of(PER_PAGE as u64) {
            self.end_page();
        }
        self.buffer.extend_from_slice(MAGIC);
        self.buffer.extend_from_slice(&VERSION.to_le_bytes());
        self.buffer.extend_from_slice(&self.entries.to_le_bytes());
        self.buffer.extend_from_slice(&first);
        self.buffer.extend_from_slice(&last.hash);
        self.end_page();
        self.flush()?;
        let synced = self.file.sync();
        if let Err(error) = synced {
            self.file.release();
            return Err(error.into());
        }
        Ok(self.entries)
    }

    /// Gives the space back.
    pub(super) fn abandon(mut self) {
        self.file.release();
    }

    fn end_page(&mut self) {
        let end = self.buffer.len().next_multiple_of(PAGE) - TAG;
        let begin = end + TAG - PAGE;
        self.buffer.resize(end, 0);
        let content = self.buffer.get(begin..).unwrap_or_default();
        let tag = tag(self.key, &self.name, self.pages, content);
        self.buffer.extend(tag.as_ref().iter().take(TAG));
        self.pages += 1;
    }

    fn flush(&mut self) -> Result<()> {
        let written = self.file.append(&[&self.buffer]);
        if let Err(error) = written {
            self.file.release();
            return Err(error.into());
        }
        self.buffer.clear();
        Ok(())
    }
}

fn tag(key: &hmac::Key, name: &Name, page: u64, content: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    context.update(name);
    context.update(&page.to_le_bytes());
    context.update(content);
    context.sign()
}

fn check(key: &hmac::Key, name: &Name, at: u64, page: &[u8]) -> Result<()> {
    let (content, stored) = page
        .split_last_chunk::<TAG>()
        .ok_or(ArchiveError::Corrupt)?;
    let tag = tag(key, name, at, content);
    let expected = tag.as_ref().get(..TAG).unwrap_or_default();
    constant_time::verify_slices_are_equal(expected, stored).map_err(|_| ArchiveError::Corrupt)
}

/// Where in `low..high` a hash lies when hashes are uniform between the ends.
fn interpolate(wanted: u64, (least, most): (u64, u64), (low, high): (u64, u64)) -> u64 {
    let span = u128::from(most.saturating_sub(least)) + 1;
    let ahead = u128::from(wanted.clamp(least, most.max(least)) - least);
    let step = ahead * u128::from(high - low) / span;
    (low + u64::try_from(step).unwrap_or(u64::MAX)).min(high - 1)
}

fn beginning(hash: &Hash) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *hash;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (head, tail) = rest.split_first_chunk().ok_or(ArchiveError::Corrupt)?;
    *rest = tail;
    Ok(*head)
}
