//! What was read lately, for who asks for it again: where addresses lead, and
//! bytes in the clear. Bytes are kept as they were opened, so none that was
//! not found untouched. An address is answered from here only while nothing
//! was written to the index that could change its answer; everything is
//! forgotten with every deletion, and before a destroyed key is told of.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::error::{ArchiveError, Result};
use crate::keys::KeyStore;
use crate::limits::{Limits, READ_WHOLE_BYTES};
use crate::lru::{Begun, Lru, Names, Weighed};
use crate::model::{InstanceLayout, Standing};
use crate::objects::Objects;
use crate::read::{self, OpenSegment, RangeReader, Whereabouts};

/// How often something was written to the index that answers may follow.
/// Counted after the commit and before anybody is told of it.
#[derive(Debug, Default)]
pub(crate) struct Changes(AtomicU64);

impl Changes {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// As of now: asked before a snapshot is taken whose answer is to be kept.
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// An instance as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub tenant: String,
    pub study: String,
    pub series: String,
    pub instance: String,
}

/// What was true before an address was looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    changes: u64,
    begun: Begun,
}

#[derive(Clone)]
struct Place {
    found: Arc<InstanceLayout>,
    /// [`Changes::now`] before it was looked up.
    seen: u64,
}

/// What a row takes beside its texts, and an entry beside the row.
const ROW_BYTES: usize = 1_024;

impl Weighed for Place {
    fn bytes(&self) -> usize {
        let overlay = self.found.row.overlay.as_ref().map_or(0, |overlay| {
            [&overlay.study, &overlay.series, &overlay.placed]
                .into_iter()
                .flatten()
                .map(|text| text.len())
                .sum()
        });
        ROW_BYTES + self.found.layout.len() + overlay
    }
}

/// A range of a body: all of a small one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Span {
    object: [u8; 16],
    offset: u64,
    within: Range<u64>,
}

#[derive(Clone)]
struct Plain {
    tenant: Arc<str>,
    segment: u32,
    length: u64,
    bytes: Bytes,
    /// Of the memory behind `bytes`.
    held: usize,
}

impl Weighed for Plain {
    fn bytes(&self) -> usize {
        self.held
    }
}

/// Whether what is read is worth another's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Somebody looks at it.
    Always,
    /// It is one of many.
    IfRoom,
}

pub(crate) struct Hot {
    changes: Arc<Changes>,
    places: Lru<Arc<Address>, Place>,
    bytes: Lru<Span, Plain>,
}

impl Hot {
    pub(crate) fn new(limits: &Limits, changes: Arc<Changes>) -> Self {
        let places = Names {
            total: "archive_address_cache_total",
            bytes: "archive_address_cache_bytes",
        };
        let bytes = Names {
            total: "archive_body_cache_total",
            bytes: "archive_body_cache_bytes",
        };
        Self {
            changes,
            places: Lru::new(limits.cached_address_bytes, places),
            bytes: Lru::new(limits.cached_body_bytes, bytes),
        }
    }

    /// For who is about to look an address up.
    pub(crate) fn seen(&self) -> Seen {
        Seen {
            changes: self.changes.now(),
            begun: self.places.begin(),
        }
    }

    /// Where an address leads, if that was asked since the index last changed.
    pub(crate) fn place(&self, address: &Arc<Address>) -> Option<Arc<InstanceLayout>> {
        let now = self.changes.now();
        let place = self.places.get_if(address, |place| place.seen == now)?;
        Some(place.found)
    }

    /// Keeps what is served there. What is given for want of that may change
    /// with what arrives.
    pub(crate) fn keep_place(&self, address: Arc<Address>, seen: Seen, found: Arc<InstanceLayout>) {
        if found.row.standing == Standing::Served {
            let place = Place {
                found,
                seen: seen.changes,
            };
            self.places.put_since(seen.begun, address, place);
        }
    }

    /// A range that was read lately.
    pub(crate) fn bytes(&self, at: Whereabouts<'_>, range: &Range<u64>) -> Option<Bytes> {
        let span = span(at, range)?;
        let within = at_most(range.start - span.within.start, range.end - range.start)?;
        let kept = self.bytes.get_if(&span, |kept| {
            *kept.tenant == *at.tenant && kept.segment == at.segment && kept.length == at.length
        })?;
        (within.end <= kept.bytes.len()).then(|| kept.bytes.slice(within))
    }

    /// Opens and starts a range read. Blocks for the first piece, which is kept
    /// when it is all.
    pub(crate) fn read(
        &self,
        objects: &Objects,
        keys: &KeyStore,
        at: Whereabouts<'_>,
        range: &Range<u64>,
        keep: Keep,
    ) -> Result<RangeReader> {
        let begun = self.bytes.begin();
        let segment = OpenSegment::open(objects, keys, at)?;
        let whole = match keep {
            Keep::Always => span(at, range),
            // No more is read than was asked for.
            Keep::IfRoom => span(at, range).filter(|span| span.within == *range),
        };
        let Some(span) = whole else {
            return read::stream(segment, range.clone());
        };
        let (plain, within) = segment.read_chunks(span.within.clone())?;
        let held = plain.len();
        let bytes = plain.slice(within);
        let wanted = at_most(range.start - span.within.start, range.end - range.start)
            .filter(|wanted| wanted.end <= bytes.len())
            .ok_or(ArchiveError::Corrupt)?;
        let wanted = bytes.slice(wanted);
        let kept = Plain {
            tenant: at.tenant.into(),
            segment: at.segment,
            length: at.length,
            bytes,
            held,
        };
        self.keep_bytes(begun, span, kept, keep);
        Ok(RangeReader::of(wanted))
    }

    fn keep_bytes(&self, begun: Begun, span: Span, kept: Plain, keep: Keep) {
        match keep {
            Keep::Always => self.bytes.put_since(begun, span, kept),
            Keep::IfRoom => self.bytes.put_if_room(begun, span, kept),
        }
    }

    /// After a deletion, and after keys were destroyed.
    pub(crate) fn forget(&self) {
        self.places.clear();
        self.bytes.clear();
    }
}

/// The bytes that are read and kept for a range; `None`: it streams.
fn span(at: Whereabouts<'_>, range: &Range<u64>) -> Option<Span> {
    if range.start >= range.end || range.end > at.length {
        return None;
    }
    let within = if at.length <= READ_WHOLE_BYTES {
        0..at.length
    } else if range.end - range.start <= READ_WHOLE_BYTES {
        range.clone()
    } else {
        return None;
    };
    Some(Span {
        object: *at.object,
        offset: at.offset,
        within,
    })
}

fn at_most(start: u64, length: u64) -> Option<Range<usize>> {
    let start = usize::try_from(start).ok()?;
    Some(start..start.checked_add(usize::try_from(length).ok()?)?)
}
