//! For an index that is made again: which instances were moved since an object
//! was written, so that what they left is not taken for them.

use std::collections::{HashMap, HashSet};

use crate::descriptor::hex;
use crate::format::Kind;
use crate::index::commit::Record;
use crate::note::Note;

/// One content of a tenant.
type Content = (String, String, [u8; 32]);

/// Objects of moves that were made, and what is in them.
#[derive(Debug, Default)]
pub(crate) struct MovedAway {
    objects: HashSet<[u8; 16]>,
    /// When it was last sealed anew.
    since: HashMap<Content, i64>,
}

impl MovedAway {
    /// Takes in a note.
    pub(crate) fn note(&mut self, note: &Note) {
        if let Note::Moved { object, .. } = note {
            self.objects.extend(hex::decode::<16>(object));
        }
    }

    /// Whether an object of a move counts: its note says that it was made.
    pub(crate) fn counts(&self, object: &[u8; 16]) -> bool {
        self.objects.contains(object)
    }

    /// Takes in what an object of a move holds.
    pub(crate) fn object(&mut self, tenant: &str, records: &[Record], created: i64) {
        for record in records {
            let since = self.since.entry(content(tenant, record)).or_insert(created);
            *since = created.max(*since);
        }
    }

    /// Whether a record of an object that was begun then is where it belongs.
    pub(crate) fn stays(
        &self,
        tenant: &str,
        record: &Record,
        (kind, created): (Kind, i64),
    ) -> bool {
        let since = self.since.get(&content(tenant, record));
        since.is_none_or(|since| match kind {
            Kind::Moved => *since <= created,
            // What is moved within the millisecond in which it came has moved.
            _ => *since < created,
        })
    }

    /// Whether a content of a pack that was begun then has moved since.
    pub(crate) fn left(
        &self,
        tenant: &str,
        (uid, sha256): (&str, &[u8; 32]),
        created: i64,
    ) -> bool {
        if self.since.is_empty() {
            return false;
        }
        let content = (tenant.to_owned(), uid.to_owned(), *sha256);
        self.since
            .get(&content)
            .is_some_and(|since| *since >= created)
    }
}

fn content(tenant: &str, of: &Record) -> Content {
    let uid = of.descriptor.sop_instance.clone();
    (tenant.to_owned(), uid, of.descriptor.sha256)
}
