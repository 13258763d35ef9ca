//! A small model of the archive's protocol: two senders, a packer, a sweep, a
//! deletion or an erasure, and a reader, all of whose steps may follow each
//! other in any order, with crashes (power cuts) between any two. Within
//! [`Bounds`] every state that can be reached is visited ([`check`]); beyond
//! them chance walks through thousands of histories ([`walk`]). In each state
//! the invariants of ARCHITECTURE.md ("What a crash leaves") are asked. `Rule`
//! names what the protocol relies on; without any one of them some invariant
//! falls, which the tests show.

mod actors;
mod erasing;
mod tests;

use std::collections::{HashSet, VecDeque};

use crate::chance::Chance;

/// Object names there are at most.
const NAMES: usize = 8;
const INSTANCES: usize = 2;

/// How much there is of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Who finds no name any more stops.
    pub(crate) names: usize,
    pub(crate) crashes: u8,
    pub(crate) senders: usize,
    pub(crate) reads: bool,
    pub(crate) erases: bool,
}

/// What holds, and how much there is.
struct Laws {
    bounds: Bounds,
    without: Option<Rule>,
}

impl Laws {
    fn keep(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }
}

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
    ErasureIsRemembered,
    LogSyncedBeforeErased,
}

pub(crate) const RULES: [Rule; 10] = [
    Rule::SyncBeforeCommit,
    Rule::AcknowledgeAfterCommit,
    Rule::KeyBeforeSealing,
    Rule::SweepSparesThisOpening,
    Rule::DeadBeforeRemoved,
    Rule::CommitAsksDeadKeys,
    Rule::PackAsksRevision,
    Rule::NamesOnce,
    Rule::ErasureIsRemembered,
    Rule::LogSyncedBeforeErased,
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
    /// Name, what it holds, whether its series has changed since.
    Written(usize, [bool; INSTANCES], bool),
    Synced(usize, [bool; INSTANCES], bool),
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
    /// An erasure is remembered; or not, but begun all the same.
    Begun,
    /// Rows are gone.
    Erased,
    /// So is the key.
    KeyGone,
    /// So is what services knew.
    Forgotten,
    /// What is remembered names nobody any more.
    Certified,
    /// The log is empty, durably.
    Scrubbed,
    /// Asked for again after a crash; nothing remembers it.
    Again,
}

/// What an erasure has left behind for the case of a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Remembered {
    #[default]
    Nothing,
    Whom,
    Certified,
}

/// Where what was committed stands in clear beside its rows: free pages and
/// write-ahead logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Log {
    #[default]
    Empty,
    Holds,
    /// Made shorter and not synced.
    Cut,
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
    told: [bool; INSTANCES],
    told_deleted: bool,
    told_erased: bool,
    /// Whether services know of the patient.
    services: bool,
    log: Log,
    remembered: Remembered,
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
pub(crate) fn check(bounds: Bounds, without: Option<Rule>) -> Checked {
    let laws = Laws { bounds, without };
    let start = World::new();
    let mut seen = HashSet::new();
    let mut open = VecDeque::from([start]);
    let mut checked = Checked::default();
    while let Some(world) = open.pop_front() {
        if let Some(wrong) = world.wrong.or_else(|| world.invariants()) {
            checked.wrong = Some(wrong);
            break;
        }
        for next in world.next(&laws) {
            if seen.insert(next.clone()) {
                open.push_back(next);
            }
        }
    }
    checked.states = seen.len() as u64;
    checked
}

/// Takes steps by chance until none is left.
pub(crate) fn walk(bounds: Bounds, without: Option<Rule>, seed: u64) -> Checked {
    /// A reader never ends.
    const STEPS: u64 = 400;
    /// One step in so many is a crash, of those that could be.
    const CRASH: usize = 12;
    let laws = Laws { bounds, without };
    let (mut world, mut chance) = (World::new(), Chance::new(seed));
    let mut checked = Checked::default();
    while checked.states < STEPS {
        checked.states += 1;
        checked.wrong = world.wrong.or_else(|| world.invariants());
        if checked.wrong.is_some() {
            break;
        }
        let (mut steps, mut crashes) = (world.steps(&laws), Vec::new());
        if world.crashes < bounds.crashes && (steps.is_empty() || chance.below(CRASH) == 0) {
            world.crash(&mut crashes);
            steps = crashes;
        }
        if steps.is_empty() {
            break;
        }
        world = steps.swap_remove(chance.below(steps.len()));
    }
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
        // A log that was cut reads as empty until the power goes.
        if self.told_erased && (self.services || self.log == Log::Holds) {
            return Some("what was erased stands nowhere");
        }
        None
    }

    fn new() -> Self {
        Self {
            opening: 1,
            ..Self::default()
        }
    }

    fn next(&self, laws: &Laws) -> Vec<Self> {
        let mut all = self.steps(laws);
        if self.crashes < laws.bounds.crashes {
            self.crash(&mut all);
        }
        all
    }

    /// Every step that somebody can take now.
    fn steps(&self, laws: &Laws) -> Vec<Self> {
        let mut all = Vec::new();
        for instance in 0..laws.bounds.senders {
            self.store(instance, laws, &mut all);
        }
        self.pack(laws, &mut all);
        self.sweep(laws, &mut all);
        self.delete(laws, &mut all);
        if laws.bounds.reads {
            self.read(&mut all);
        }
        all
    }

    fn to(&self, all: &mut Vec<Self>, change: impl FnOnce(&mut Self)) {
        let mut next = self.clone();
        change(&mut next);
        all.push(next);
    }
}
