//! Senders, the packer, the sweep and the reader, step by step.

use super::{
    Disk, INSTANCES, Laws, Log, NAMES, Object, Pack, Read, Rule, State, Store, Sweep, World,
};

impl World {
    /// A name that nothing ever had.
    fn fresh(&self, laws: &Laws) -> Option<usize> {
        let names = self.objects.iter().take(laws.bounds.names);
        names.into_iter().position(|object| {
            object.state == State::Unused
                || (!laws.keep(Rule::NamesOnce) && object.state == State::Gone)
        })
    }

    fn reserve(&mut self, name: usize) {
        self.objects[name].state = State::Reserved(self.opening);
        self.objects[name].holds = [false; INSTANCES];
    }

    pub(super) fn store(&self, instance: usize, laws: &Laws, all: &mut Vec<Self>) {
        let at = |store: Store| move |next: &mut Self| next.store[instance] = store;
        match self.store[instance] {
            Store::Idle => {
                if self.place[instance].is_some() || self.tombstone {
                    return self.to(all, at(Store::Refused));
                }
                if let Some(name) = self.fresh(laws) {
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
                        if laws.keep(Rule::KeyBeforeSealing) {
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
                if !laws.keep(Rule::SyncBeforeCommit) {
                    self.commit(instance, (name, key), laws, all);
                }
            }
            Store::Synced(name, key) => {
                self.commit(instance, (name, key), laws, all);
                if !laws.keep(Rule::AcknowledgeAfterCommit) {
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
    fn commit(&self, instance: usize, (name, key): (usize, u8), laws: &Laws, all: &mut Vec<Self>) {
        let ours = self.objects[name].state == State::Reserved(self.opening);
        let dead = self.tombstone || self.dead_key == Some(key);
        // A second guard: while sweeps spare this opening, the name is ours.
        if !ours || (laws.keep(Rule::CommitAsksDeadKeys) && dead) {
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
            next.series_changed();
            next.services = true;
            next.log = Log::Holds;
            next.store[instance] = Store::Committed;
        });
    }

    pub(super) fn pack(&self, laws: &Laws, all: &mut Vec<Self>) {
        match self.pack {
            Pack::Idle if self.place.iter().any(Option::is_some) => {
                if let Some(name) = self.fresh(laws) {
                    let held = self.place.map(|place| place.is_some());
                    self.to(all, |next| {
                        next.reserve(name);
                        next.objects[name].disk = Disk::Dirty;
                        next.objects[name].holds = held;
                        next.objects[name].key = next.key.unwrap_or(0);
                        next.pack = Pack::Written(name, held, false);
                    });
                }
            }
            Pack::Written(name, held, changed) => self.to(all, |next| {
                next.objects[name].disk = Disk::Durable;
                next.pack = Pack::Synced(name, held, changed);
            }),
            Pack::Synced(name, held, changed) => {
                let stale = changed || self.objects[name].state != State::Reserved(self.opening);
                self.to(all, |next| {
                    next.pack = Pack::Done;
                    if laws.keep(Rule::PackAsksRevision) && stale {
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

    /// The series' revision is another one now.
    pub(super) fn series_changed(&mut self) {
        if let Pack::Written(_, _, changed) | Pack::Synced(_, _, changed) = &mut self.pack {
            *changed = true;
        }
    }

    /// Live objects that nothing names any more die in the same transaction.
    pub(super) fn bury_unused(&mut self) {
        for name in 0..NAMES {
            if self.objects[name].state == State::Live && !self.place.contains(&Some(name)) {
                self.objects[name].state = State::Dead;
            }
        }
    }

    pub(super) fn sweep(&self, laws: &Laws, all: &mut Vec<Self>) {
        match self.sweep {
            Sweep::Idle => {
                let spared = |opening: u8| {
                    laws.keep(Rule::SweepSparesThisOpening) && opening >= self.opening
                };
                let mut next = self.clone();
                for object in &mut next.objects {
                    if matches!(object.state, State::Reserved(opening) if !spared(opening)) {
                        object.state = State::Dead;
                    }
                }
                let dead = next.objects.map(|object| {
                    object.state == State::Dead
                        // Without the rule files go by what is live when listed.
                        || (!laws.keep(Rule::DeadBeforeRemoved)
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
                        // What it held nobody finds any more.
                        next.objects[name] = Object {
                            state: State::Gone,
                            disk: next.objects[name].disk,
                            ..Object::default()
                        };
                    }
                }
                next.sweep = Sweep::Idle;
            }),
        }
    }

    pub(super) fn read(&self, all: &mut Vec<Self>) {
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
}
