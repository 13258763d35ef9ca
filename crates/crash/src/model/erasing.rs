//! Deletion and erasure, step by step, and what a crash does to all of it.

use super::{
    Delete, Disk, INSTANCES, Laws, Log, NAMES, Pack, Read, Remembered, Rule, Store, Sweep, World,
};

impl World {
    pub(super) fn delete(&self, laws: &Laws, all: &mut Vec<Self>) {
        let there = self.place.iter().any(Option::is_some);
        match self.delete {
            Delete::Idle if there => {
                self.to(all, |next| {
                    next.remove_rows();
                    next.delete = Delete::Committed;
                });
                if laws.bounds.erases {
                    self.to(all, |next| {
                        if laws.keep(Rule::ErasureIsRemembered) {
                            next.remembered = Remembered::Whom;
                        }
                        next.delete = Delete::Begun;
                    });
                }
            }
            // There is nothing any more, is the answer.
            Delete::Again => self.to(all, |next| {
                next.told_erased = true;
                next.delete = Delete::Told;
            }),
            Delete::Committed => self.to(all, |next| {
                next.destroy_dead_key();
                next.told_deleted = true;
                next.delete = Delete::Told;
            }),
            Delete::Begun => self.to(all, |next| {
                if !next.tombstone {
                    next.remove_rows();
                }
                next.delete = Delete::Erased;
            }),
            Delete::Erased => self.to(all, |next| {
                next.destroy_dead_key();
                next.delete = Delete::KeyGone;
            }),
            Delete::KeyGone => self.to(all, |next| {
                next.services = false;
                next.delete = Delete::Forgotten;
            }),
            Delete::Forgotten => self.to(all, |next| {
                if next.remembered == Remembered::Whom {
                    next.remembered = Remembered::Certified;
                }
                next.delete = Delete::Certified;
            }),
            Delete::Certified if self.log != Log::Cut => self.to(all, |next| {
                next.log = Log::Cut;
                if !laws.keep(Rule::LogSyncedBeforeErased) {
                    next.delete = Delete::Scrubbed;
                }
            }),
            Delete::Certified => self.to(all, |next| {
                next.log = Log::Empty;
                next.delete = Delete::Scrubbed;
            }),
            Delete::Scrubbed => self.to(all, |next| {
                next.remembered = Remembered::Nothing;
                next.told_deleted = true;
                next.told_erased = true;
                next.delete = Delete::Told;
            }),
            Delete::Idle | Delete::Told => {}
        }
    }

    /// The transaction of a deletion.
    fn remove_rows(&mut self) {
        self.place = [None; INSTANCES];
        self.tombstone = true;
        self.dead_key = self.key;
        self.series_changed();
        self.bury_unused();
    }

    fn destroy_dead_key(&mut self) {
        if self.key == self.dead_key {
            self.key = None;
        }
    }

    /// The power goes and comes back: what was not synced is there or not. The
    /// next opening destroys the keys of what was deleted, and goes on with an
    /// erasure that it remembers.
    pub(super) fn crash(&self, all: &mut Vec<Self>) {
        let dirty: Vec<usize> = (0..NAMES)
            .filter(|name| self.objects[*name].disk == Disk::Dirty)
            .collect();
        let logs: &[Log] = match self.log {
            Log::Empty => &[Log::Empty],
            Log::Holds => &[Log::Holds],
            Log::Cut => &[Log::Empty, Log::Holds],
        };
        for kept in 0..1_u32 << dirty.len() {
            for log in logs {
                self.to(all, |next| {
                    for (bit, name) in dirty.iter().enumerate() {
                        // What is there without a sync is torn: it holds nothing.
                        next.objects[*name].holds = [false; INSTANCES];
                        if kept >> bit & 1 == 0 {
                            next.objects[*name].disk = Disk::Absent;
                        }
                    }
                    next.log = *log;
                    next.crashes += 1;
                    next.opening += 1;
                    next.store = next.store.map(|store| match store {
                        Store::Told => Store::Told,
                        _ => Store::Idle,
                    });
                    next.pack = Pack::Idle;
                    next.sweep = Sweep::Idle;
                    next.read = Read::Idle;
                    next.reopen();
                });
            }
        }
    }

    fn reopen(&mut self) {
        if self.tombstone {
            self.destroy_dead_key();
        }
        let broke_off = !matches!(self.delete, Delete::Idle | Delete::Committed | Delete::Told);
        self.delete = match self.remembered {
            Remembered::Whom => Delete::Begun,
            Remembered::Certified => Delete::Certified,
            Remembered::Nothing if !self.tombstone => Delete::Idle,
            Remembered::Nothing if broke_off => Delete::Again,
            Remembered::Nothing => Delete::Told,
        };
    }
}
