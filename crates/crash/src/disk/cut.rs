//! The state of the disk after the power went. What was synced is there. Of
//! what was not, any part may be: of a file every sector of 512 bytes of every
//! write by itself, and its length; of a folder every entry made, renamed or
//! removed. A seed decides. Stricter than any file system in use: one that
//! keeps the order of entries or of writes shows fewer states, all of them here.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::live::overwrite;
use super::{Node, Op, ROOT};
use crate::chance::Chance;

const SECTOR: usize = 512;

enum Change {
    Write { at: u64, bytes: Arc<[u8]> },
    Resize(u64),
}

enum Entry {
    Set(String, Node),
    Unset(String),
    Rename { from: String, to: String },
}

#[derive(Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Default)]
struct Folder {
    durable: BTreeMap<String, Node>,
    /// As programs see it; to know which node a rename moves.
    seen: BTreeMap<String, Node>,
    pending: Vec<(Entry, Option<Node>)>,
}

/// How much of what was not synced is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Nothing,
    Everything,
    /// The first changes, the last of them torn.
    First,
    /// Each by itself.
    Some,
}

/// Plays a record and stops where the power goes.
#[derive(Default)]
pub(crate) struct Replay {
    files: HashMap<Node, File>,
    folders: HashMap<Node, Folder>,
    played: usize,
}

impl Replay {
    pub(crate) fn new() -> Self {
        let mut replay = Self::default();
        replay.folders.insert(ROOT, Folder::default());
        replay
    }

    /// Plays `ops` up to (without) number `end`, as if the syncs whose numbers
    /// `ignored` picks had never been called.
    pub(crate) fn play(&mut self, ops: &[Op], end: usize, ignored: &dyn Fn(usize) -> bool) {
        for (number, op) in ops.iter().enumerate().take(end).skip(self.played) {
            if !matches!(op, Op::Sync { .. }) || !ignored(number) {
                self.apply(op);
            }
        }
        self.played = self.played.max(end);
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Make {
                folder,
                name,
                node,
                is_folder,
            } => {
                if *is_folder {
                    self.folders.insert(*node, Folder::default());
                } else {
                    self.files.insert(*node, File::default());
                }
                let entry = Entry::Set(name.clone(), *node);
                self.change(*folder, entry, Some(*node));
            }
            Op::Remove { folder, name } => self.change(*folder, Entry::Unset(name.clone()), None),
            Op::Rename { folder, from, to } => {
                let moved = self
                    .folders
                    .get(folder)
                    .and_then(|folder| folder.seen.get(from).copied());
                let entry = Entry::Rename {
                    from: from.clone(),
                    to: to.clone(),
                };
                self.change(*folder, entry, moved);
            }
            Op::Write { node, at, bytes } => {
                if let Some(file) = self.files.get_mut(node) {
                    let (at, bytes) = (*at, Arc::clone(bytes));
                    file.pending.push(Change::Write { at, bytes });
                }
            }
            Op::Resize { node, length } => {
                if let Some(file) = self.files.get_mut(node) {
                    file.pending.push(Change::Resize(*length));
                }
            }
            Op::Sync { node, .. } => {
                if let Some(file) = self.files.get_mut(node) {
                    for change in std::mem::take(&mut file.pending) {
                        match change {
                            Change::Write { at, bytes } => {
                                overwrite(&mut file.durable, at, &bytes);
                            }
                            Change::Resize(length) => resize(&mut file.durable, length),
                        }
                    }
                }
                if let Some(folder) = self.folders.get_mut(node) {
                    folder.pending.clear();
                    folder.durable = folder.seen.clone();
                }
            }
            Op::SyncFailed { node } => {
                // What was dirty is clean now; it did not get to the disk.
                if let Some(file) = self.files.get_mut(node) {
                    file.pending.clear();
                }
            }
            Op::Said(_) => {}
        }
    }

    fn change(&mut self, folder: Node, entry: Entry, node: Option<Node>) {
        let Some(folder) = self.folders.get_mut(&folder) else {
            return;
        };
        put(&mut folder.seen, &entry, node);
        folder.pending.push((entry, node));
    }

    /// Makes one state that the disk may be in now, in the empty folder `to`.
    pub(crate) fn materialise(&self, seed: u64, to: &Path) -> io::Result<()> {
        let mut chance = Chance::new(seed);
        self.folder(ROOT, to, &mut chance)
    }

    fn folder(&self, node: Node, to: &Path, chance: &mut Chance) -> io::Result<()> {
        let Some(folder) = self.folders.get(&node) else {
            return Ok(());
        };
        let mut entries = folder.durable.clone();
        let keep = keep(chance);
        let first = chance.below(folder.pending.len() + 1);
        for (index, (entry, node)) in folder.pending.iter().enumerate() {
            let kept = match keep {
                Keep::Nothing => false,
                Keep::Everything => true,
                Keep::First => index < first,
                Keep::Some => chance.coin(),
            };
            if kept {
                put(&mut entries, entry, *node);
            }
        }
        for (name, node) in entries {
            let path = to.join(name);
            if self.folders.contains_key(&node) {
                std::fs::create_dir(&path)?;
                self.folder(node, &path, chance)?;
            } else if let Some(file) = self.files.get(&node) {
                std::fs::write(&path, file.after(chance))?;
            }
        }
        Ok(())
    }
}

impl File {
    fn after(&self, chance: &mut Chance) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let keep = keep(chance);
        let first = chance.below(self.pending.len() + 1);
        for (index, change) in self.pending.iter().enumerate() {
            let torn = keep == Keep::First && index + 1 == first;
            let kept = match keep {
                Keep::Nothing => false,
                Keep::Everything => true,
                Keep::First => index < first,
                Keep::Some => chance.coin(),
            };
            if !kept {
                continue;
            }
            match change {
                Change::Resize(length) => resize(&mut bytes, *length),
                Change::Write { at, bytes: new } if torn || keep == Keep::Some => {
                    // Its length may be there and its bytes not.
                    if chance.coin() {
                        let end = at.saturating_add(new.len() as u64);
                        resize(&mut bytes, end.max(self.durable.len() as u64));
                    }
                    sectors(&mut bytes, *at, new, chance);
                }
                Change::Write { at, bytes: new } => overwrite(&mut bytes, *at, new),
            }
        }
        bytes
    }
}

/// Writes some of the sectors that `new` touches.
fn sectors(bytes: &mut Vec<u8>, at: u64, new: &[u8], chance: &mut Chance) {
    let mut done = 0;
    while done < new.len() {
        let here = at + done as u64;
        let room = SECTOR - usize::try_from(here % SECTOR as u64).unwrap_or(0);
        let end = (done + room).min(new.len());
        if chance.coin() {
            overwrite(bytes, here, &new[done..end]);
        }
        done = end;
    }
}

fn keep(chance: &mut Chance) -> Keep {
    match chance.below(8) {
        0 | 1 => Keep::Nothing,
        2 => Keep::Everything,
        3 | 4 => Keep::First,
        _ => Keep::Some,
    }
}

fn resize(bytes: &mut Vec<u8>, length: u64) {
    bytes.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
}

fn put(entries: &mut BTreeMap<String, Node>, entry: &Entry, node: Option<Node>) {
    match entry {
        Entry::Set(name, node) => {
            entries.insert(name.clone(), *node);
        }
        Entry::Unset(name) => {
            entries.remove(name);
        }
        Entry::Rename { from, to } => {
            entries.remove(from);
            if let Some(node) = node {
                entries.insert(to.clone(), node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::live::Disk;
    use super::*;

    /// Every state that `files` may have after a cut now, as name=content.
    fn states(disk: &Disk, ignored: &dyn Fn(usize) -> bool) -> BTreeSet<Vec<(String, Vec<u8>)>> {
        let ops = disk.record();
        let mut replay = Replay::new();
        replay.play(&ops, ops.len(), ignored);
        (0..200)
            .map(|seed| {
                let to = tempfile::tempdir().unwrap();
                replay.materialise(seed, to.path()).unwrap();
                let mut files: Vec<_> = std::fs::read_dir(to.path())
                    .unwrap()
                    .map(|entry| {
                        let path = entry.unwrap().path();
                        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                        (name, std::fs::read(path).unwrap())
                    })
                    .collect();
                files.sort();
                files
            })
            .collect()
    }

    fn file(disk: &Disk, name: &str, bytes: &[u8]) -> Node {
        let mut world = disk.world();
        let node = world.make(ROOT, name, false).unwrap();
        world.write(node, 0, bytes).unwrap();
        node
    }

    fn one(name: &str, bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        vec![(name.to_owned(), bytes.to_vec())]
    }

    #[test]
    fn what_was_synced_with_its_folder_is_always_there() {
        let disk = Disk::new();
        let node = file(&disk, "a", b"all of it");
        disk.world().sync(node).unwrap();
        disk.world().sync(ROOT).unwrap();
        let found = states(&disk, &|_| false);
        assert_eq!(found, [one("a", b"all of it")].into());
    }

    #[test]
    fn a_synced_file_whose_folder_was_not_may_be_gone() {
        let disk = Disk::new();
        let node = file(&disk, "a", b"x");
        disk.world().sync(node).unwrap();
        assert_eq!(states(&disk, &|_| false), [vec![], one("a", b"x")].into());
    }

    #[test]
    fn an_unsynced_write_may_be_there_in_part() {
        let disk = Disk::new();
        let node = file(&disk, "a", &[0; 1_024]);
        disk.world().sync(node).unwrap();
        disk.world().sync(ROOT).unwrap();
        disk.world().write(node, 0, &[1; 1_024]).unwrap();
        let found = states(&disk, &|_| false);
        for (first, second) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let bytes = [[first; 512], [second; 512]].concat();
            assert!(found.contains(&one("a", &bytes)), "{first} {second}");
        }
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn a_rename_that_was_not_synced_leaves_the_old_name_or_the_new_one() {
        let disk = Disk::new();
        let node = file(&disk, "a", b"x");
        disk.world().sync(node).unwrap();
        disk.world().sync(ROOT).unwrap();
        disk.world().rename(ROOT, "a", "b").unwrap();
        let found = states(&disk, &|_| false);
        assert_eq!(found, [one("a", b"x"), one("b", b"x")].into());
    }

    #[test]
    fn a_removal_that_was_not_synced_may_be_undone() {
        let disk = Disk::new();
        let node = file(&disk, "a", b"x");
        disk.world().sync(node).unwrap();
        disk.world().sync(ROOT).unwrap();
        disk.world().remove(ROOT, "a", false).unwrap();
        assert_eq!(states(&disk, &|_| false), [vec![], one("a", b"x")].into());
    }

    #[test]
    fn after_a_failed_sync_a_later_one_does_not_bring_the_bytes_back() {
        let disk = Disk::new();
        let node = file(&disk, "a", b"x");
        disk.world().sync(ROOT).unwrap();
        disk.fail(super::super::live::Fault {
            call: super::super::live::Call::Sync,
            path: "a".to_owned(),
            after: 0,
            times: 1,
            errno: libc::EIO,
            torn: 0,
        });
        assert_eq!(disk.world().sync(node), Err(libc::EIO));
        disk.world().sync(node).unwrap();
        assert_eq!(states(&disk, &|_| false), [one("a", b"")].into());
    }

    #[test]
    fn an_ignored_sync_is_none() {
        let disk = Disk::new();
        let node = file(&disk, "a", b"x");
        disk.world().sync(node).unwrap();
        disk.world().sync(ROOT).unwrap();
        let found = states(
            &disk,
            &|number| matches!(&disk.record()[number], Op::Sync { path, .. } if path == "/a"),
        );
        assert!(found.contains(&one("a", b"")));
    }
}
