//! A small model of the archive's protocol: two senders, a packer, a sweep, a
//! deletion and a reader, all of whose steps may follow each other in any order,
//! with a crash (power cut) between any two. Every state that can be reached is
//! visited, and the invariants of ARCHITECTURE.md ("What a crash leaves") are
//! asked in each. `Rule` names what the protocol relies on; without any one of
//! them some invariant falls, which the tests show.

use std::collections::{HashSet, VecDeque};

/// Object names there are; enough for both instances, two packs and a crash.
const NAMES: usize = 4;
const CRASHES: u8 = 1;
const INSTANCES: usize = 2;

/// What the protocol relies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    SyncBeforeCommit,
    AcknowledgeAfterCommit,
    KeyBeforeSealing,
    SweepSparesThisOpening,
    DeadBeforeRemoved,
    CommitAsksDeadKeys,
    PackAsksRevision,
    NamesOnce,
}

pub(crate) const RULES: [Rule; 8] = [
    Rule::SyncBeforeCommit,
    Rule::AcknowledgeAfterCommit,
    Rule::KeyBeforeSealing,
    Rule::SweepSparesThisOpening,
    Rule::DeadBeforeRemoved,
    Rule::CommitAsksDeadKeys,
    Rule::PackAsksRevision,
    Rule::NamesOnce,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum State {
    #[default]
    Unused,
    Reserved(u8),
    Live,
    Dead,
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Disk {
    #[default]
    Absent,
    /// Written, not synced.
    Dirty,
    Durable,
}

/// An object: its row, its file, and which instances the file holds, sealed
/// under which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
struct Object {
    state: State,
    disk: Disk,
    holds: [bool; INSTANCES],
    key: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Store {
    #[default]
    Idle,
    Named(usize),
    Keyed(usize, u8),
    Written(usize, u8),
    Synced(usize, u8),
    Committed,
    Told,
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Pack {
    #[default]
    Idle,
    /// Name, revision read, what it holds.
    Written(usize, u8, [bool; INSTANCES]),
    Synced(usize, u8, [bool; INSTANCES]),
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Sweep {
    #[default]
    Idle,
    /// Listed as dead, by name.
    Removing([bool; NAMES]),
    Removed([bool; NAMES]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Delete {
    #[default]
    Idle,
    Committed,
    Told,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Read {
    #[default]
    Idle,
    /// Looked up instance 0: in this object, under this key.
    Found(usize),
    Done,
}

/// One state of everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct World {
    opening: u8,
    crashes: u8,
    objects: [Object; NAMES],
    /// Which object the index places an instance in; in a pack or not.
    place: [Option<usize>; INSTANCES],
    /// Durable keys, by number: 1 and, after a deletion, 2; 0 is none.
    key: Option<u8>,
    keys_made: u8,
    dead_key: Option<u8>,
    tombstone: bool,
    revision: u8,
    told: [bool; INSTANCES],
    told_deleted: bool,
    store: [Store; INSTANCES],
    pack: Pack,
    sweep: Sweep,
    delete: Delete,
    read: Read,
    wrong: Option<&'static str>,
}

/// What a check found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checked {
    pub(crate) states: u64,
    pub(crate) wrong: Option<&'static str>,
}

/// Visits every state; `without`: the rule that is broken.
pub(crate) fn check(without: Option<Rule>) -> Checked {
    let keeps = |rule: Rule| without != Some(rule);
    let start = World {
        opening: 1,
        ..World::default()
    };
    let mut seen = HashSet::new();
    let mut open = VecDeque::from([start]);
    let mut checked = Checked::default();
    while let Some(world) = open.pop_front() {
        if let Some(wrong) = world.wrong.or_else(|| world.invariants()) {
            checked.wrong = Some(wrong);
            break;
        }
        for next in world.next(&keeps) {
            if seen.insert(next.clone()) {
                open.push_back(next);
            }
        }
    }
    checked.states = seen.len() as u64;
    checked
}

impl World {
    /// The first invariant that does not hold.
    fn invariants(&self) -> Option<&'static str> {
        for (instance, place) in self.place.iter().enumerate() {
            if self.told[instance] && !self.tombstone && place.is_none() {
                return Some("what was acknowledged is in the index");
            }
            let Some(name) = *place else { continue };
            let object = self.objects[name];
            if object.state != State::Live {
                return Some("the index names live objects only");
            }
            if object.disk != Disk::Durable || !object.holds[instance] {
                return Some("a live object is whole on the disk");
            }
            if self.key != Some(object.key) {
                return Some("what the index names has its key");
            }
            if self.tombstone {
                return Some("what was deleted stays deleted");
            }
        }
        for object in &self.objects {
            if object.disk != Disk::Absent && matches!(object.state, State::Unused | State::Gone) {
                return Some("every file has a row");
            }
        }
        if self.told_deleted && self.key.is_some() && self.key == self.dead_key {
            return Some("what was erased has no key");
        }
        None
    }

    fn next(&self, keeps: &dyn Fn(Rule) -> bool) -> Vec<Self> {
        let mut all = Vec::new();
        for instance in 0..INSTANCES {
            self.store(instance, keeps, &mut all);
        }
        self.pack(keeps, &mut all);
        self.sweep(keeps, &mut all);
        self.delete(&mut all);
        self.read(&mut all);
        if self.crashes < CRASHES {
            self.crash(&mut all);
        }
        all
    }

    fn to(&self, all: &mut Vec<Self>, change: impl FnOnce(&mut Self)) {
        let mut next = self.clone();
        change(&mut next);
        all.push(next);
    }

    /// A name that nothing ever had.
    fn fresh(&self, keeps: &dyn Fn(Rule) -> bool) -> Option<usize> {
        self.objects.iter().position(|object| {
            object.state == State::Unused
                || (!keeps(Rule::NamesOnce) && object.state == State::Gone)
        })
    }

    fn reserve(&mut self, name: usize) {
        self.objects[name].state = State::Reserved(self.opening);
        self.objects[name].holds = [false; INSTANCES];
    }

    fn store(&self, instance: usize, keeps: &dyn Fn(Rule) -> bool, all: &mut Vec<Self>) {
        let at = |store: Store| move |next: &mut Self| next.store[instance] = store;
        match self.store[instance] {
            Store::Idle => {
                if self.place[instance].is_some() || self.tombstone {
                    return self.to(all, at(Store::Refused));
                }
                if let Some(name) = self.fresh(keeps) {
                    self.to(all, |next| {
                        next.reserve(name);
                        next.store[instance] = Store::Named(name);
                    });
                }
            }
            Store::Named(name) => self.to(all, |next| {
                let key = match next.key {
                    Some(key) => key,
                    None => {
                        next.keys_made += 1;
                        if keeps(Rule::KeyBeforeSealing) {
                            next.key = Some(next.keys_made);
                        }
                        next.keys_made
                    }
                };
                next.store[instance] = Store::Keyed(name, key);
            }),
            Store::Keyed(name, key) => self.to(all, |next| {
                next.objects[name].disk = Disk::Dirty;
                next.objects[name].holds[instance] = true;
                next.objects[name].key = key;
                next.store[instance] = Store::Written(name, key);
            }),
            Store::Written(name, key) => {
                self.to(all, |next| {
                    next.objects[name].disk = Disk::Durable;
                    next.store[instance] = Store::Synced(name, key);
                });
                if !keeps(Rule::SyncBeforeCommit) {
                    self.commit(instance, (name, key), keeps, all);
                }
            }
            Store::Synced(name, key) => {
                self.commit(instance, (name, key), keeps, all);
                if !keeps(Rule::AcknowledgeAfterCommit) {
                    self.to(all, |next| next.told[instance] = true);
                }
            }
            Store::Committed => self.to(all, |next| {
                next.told[instance] = true;
                next.store[instance] = Store::Told;
            }),
            Store::Told | Store::Refused => {}
        }
    }

    /// The transaction: all of it or nothing.
    fn commit(
        &self,
        instance: usize,
        (name, key): (usize, u8),
        keeps: &dyn Fn(Rule) -> bool,
        all: &mut Vec<Self>,
    ) {
        let ours = self.objects[name].state == State::Reserved(self.opening);
        let dead = self.tombstone || self.dead_key == Some(key);
        // A second guard: while sweeps spare this opening, the name is ours.
        if !ours || (keeps(Rule::CommitAsksDeadKeys) && dead) {
            return self.to(all, |next| {
                if ours {
                    next.objects[name].state = State::Dead;
                }
                next.store[instance] = Store::Refused;
            });
        }
        self.to(all, |next| {
            next.objects[name].state = State::Live;
            next.place[instance] = Some(name);
            next.revision += 1;
            next.store[instance] = Store::Committed;
        });
    }

    fn pack(&self, keeps: &dyn Fn(Rule) -> bool, all: &mut Vec<Self>) {
        match self.pack {
            Pack::Idle if self.place.iter().any(Option::is_some) => {
                if let Some(name) = self.fresh(keeps) {
                    let held = self.place.map(|place| place.is_some());
                    self.to(all, |next| {
                        next.reserve(name);
                        next.objects[name].disk = Disk::Dirty;
                        next.objects[name].holds = held;
                        next.objects[name].key = next.key.unwrap_or(0);
                        next.pack = Pack::Written(name, next.revision, held);
                    });
                }
            }
            Pack::Written(name, revision, held) => self.to(all, |next| {
                next.objects[name].disk = Disk::Durable;
                next.pack = Pack::Synced(name, revision, held);
            }),
            Pack::Synced(name, revision, held) => {
                let stale = revision != self.revision
                    || self.objects[name].state != State::Reserved(self.opening);
                self.to(all, |next| {
                    next.pack = Pack::Done;
                    if keeps(Rule::PackAsksRevision) && stale {
                        if next.objects[name].state == State::Reserved(next.opening) {
                            next.objects[name].state = State::Dead;
                        }
                        return;
                    }
                    next.objects[name].state = State::Live;
                    for (instance, held) in held.into_iter().enumerate() {
                        if held {
                            next.place[instance] = Some(name);
                        }
                    }
                    next.bury_unused();
                });
            }
            Pack::Idle | Pack::Done => {}
        }
    }

    /// Live objects that nothing names any more die in the same transaction.
    fn bury_unused(&mut self) {
        for name in 0..NAMES {
            if self.objects[name].state == State::Live && !self.place.contains(&Some(name)) {
                self.objects[name].state = State::Dead;
            }
        }
    }

    fn sweep(&self, keeps: &dyn Fn(Rule) -> bool, all: &mut Vec<Self>) {
        match self.sweep {
            Sweep::Idle => {
                let spared =
                    |opening: u8| keeps(Rule::SweepSparesThisOpening) && opening >= self.opening;
                let mut next = self.clone();
                for object in &mut next.objects {
                    if matches!(object.state, State::Reserved(opening) if !spared(opening)) {
                        object.state = State::Dead;
                    }
                }
                let dead = next.objects.map(|object| {
                    object.state == State::Dead
                        // Without the rule files go by what is live when listed.
                        || (!keeps(Rule::DeadBeforeRemoved)
                            && matches!(object.state, State::Reserved(_)))
                });
                if dead.contains(&true) {
                    next.sweep = Sweep::Removing(dead);
                    all.push(next);
                }
            }
            Sweep::Removing(dead) => self.to(all, |next| {
                for name in (0..NAMES).filter(|name| dead[*name]) {
                    next.objects[name].disk = Disk::Absent;
                }
                next.sweep = Sweep::Removed(dead);
            }),
            Sweep::Removed(dead) => self.to(all, |next| {
                for name in (0..NAMES).filter(|name| dead[*name]) {
                    if next.objects[name].state == State::Dead {
                        next.objects[name].state = State::Gone;
                    }
                }
                next.sweep = Sweep::Idle;
            }),
        }
    }

    fn delete(&self, all: &mut Vec<Self>) {
        match self.delete {
            Delete::Idle if self.place.iter().any(Option::is_some) => self.to(all, |next| {
                next.place = [None; INSTANCES];
                next.tombstone = true;
                next.dead_key = next.key;
                next.revision += 1;
                next.bury_unused();
                next.delete = Delete::Committed;
            }),
            Delete::Committed => self.to(all, |next| {
                next.destroy_dead_key();
                next.told_deleted = true;
                next.delete = Delete::Told;
            }),
            Delete::Idle | Delete::Told => {}
        }
    }

    fn destroy_dead_key(&mut self) {
        if self.key == self.dead_key {
            self.key = None;
        }
    }

    fn read(&self, all: &mut Vec<Self>) {
        match self.read {
            Read::Idle => {
                if let Some(name) = self.place[0] {
                    self.to(all, |next| next.read = Read::Found(name));
                }
            }
            // Opening the file: gone means asking the index again; what opens
            // must be the instance, for a name is used once.
            Read::Found(name) => self.to(all, |next| {
                let object = next.objects[name];
                next.read = Read::Done;
                if object.disk == Disk::Absent {
                    let moved = next.place[0] != Some(name);
                    if !moved {
                        next.wrong = Some("what the index names can be read");
                    }
                } else if !object.holds[0] {
                    next.wrong = Some("an object is never another one");
                }
            }),
            Read::Done => self.to(all, |next| next.read = Read::Idle),
        }
    }

    /// The power goes and comes back: what was not synced is there or not, and
    /// the next opening destroys the keys of what was deleted.
    fn crash(&self, all: &mut Vec<Self>) {
        let dirty: Vec<usize> = (0..NAMES)
            .filter(|name| self.objects[*name].disk == Disk::Dirty)
            .collect();
        for kept in 0..1_u32 << dirty.len() {
            self.to(all, |next| {
                for (bit, name) in dirty.iter().enumerate() {
                    // What is there without a sync is torn: it holds nothing.
                    next.objects[*name].holds = [false; INSTANCES];
                    if kept >> bit & 1 == 0 {
                        next.objects[*name].disk = Disk::Absent;
                    }
                }
                next.crashes += 1;
                next.opening += 1;
                next.store = next.store.map(|store| match store {
                    Store::Told => Store::Told,
                    _ => Store::Idle,
                });
                next.pack = Pack::Idle;
                next.sweep = Sweep::Idle;
                next.read = Read::Idle;
                if next.tombstone {
                    next.destroy_dead_key();
                    next.delete = Delete::Told;
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_invariant_holds_in_every_state() {
        let checked = check(None);
        assert_eq!(checked.wrong, None);
        assert!(checked.states > 100_000, "{}", checked.states);
    }

    #[test]
    fn without_any_one_rule_an_invariant_falls() {
        for rule in RULES {
            let checked = check(Some(rule));
            assert!(checked.wrong.is_some(), "{rule:?} is not needed");
        }
    }
}
