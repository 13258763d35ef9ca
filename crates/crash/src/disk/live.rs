//! The disk as programs see it while they run: files and folders in memory,
//! and the record of what happened. It knows nothing of durability, and fails
//! where it was told to.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Node, Op, ROOT};

/// Files below this name take what programs say to their users; they are in no
/// state after a cut.
pub(crate) const SAID: &str = ".said";

pub(crate) enum Entry {
    Folder(BTreeMap<String, Node>),
    File(Vec<u8>),
}

/// A call that fails once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Sync,
    Write,
    Read,
    Make,
}

#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) call: Call,
    /// The path contains this; an object's is followed by what it is, such as
    /// `#pack` ([`kind`]).
    pub(crate) path: String,
    /// Passed over this many times before.
    pub(crate) after: u32,
    /// How often it fails then.
    pub(crate) times: u32,
    /// 0: none; a write that is only short.
    pub(crate) errno: i32,
    /// Of the first such write: how many bytes arrive, without an error. The
    /// next one fails.
    pub(crate) torn: usize,
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) entries: HashMap<Node, Entry>,
    paths: HashMap<Node, String>,
    next: Node,
    pub(crate) ops: Vec<Op>,
    pub(crate) faults: Vec<Fault>,
    /// Faults that happened.
    pub(crate) failed: u64,
    partial: String,
}

/// The disk; clones are the same one.
#[derive(Clone)]
pub(crate) struct Disk(Arc<Mutex<World>>);

impl Disk {
    pub(crate) fn new() -> Self {
        let mut world = World {
            next: ROOT + 1,
            ..World::default()
        };
        world.entries.insert(ROOT, Entry::Folder(BTreeMap::new()));
        world.paths.insert(ROOT, String::new());
        Self(Arc::new(Mutex::new(world)))
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn fail(&self, fault: Fault) {
        self.world().faults.push(fault);
    }

    /// Somebody was promised something.
    pub(crate) fn said(&self, line: &str) {
        self.world().ops.push(Op::Said(line.to_owned()));
    }

    pub(crate) fn record(&self) -> Vec<Op> {
        self.world().ops.clone()
    }
}

impl World {
    pub(crate) fn path(&self, node: Node) -> &str {
        self.paths.get(&node).map_or("", String::as_str)
    }

    pub(crate) fn child(&self, folder: Node, name: &str) -> Option<Node> {
        match self.entries.get(&folder)? {
            Entry::Folder(children) => children.get(name).copied(),
            Entry::File(_) => None,
        }
    }

    fn children(&mut self, folder: Node) -> Option<&mut BTreeMap<String, Node>> {
        match self.entries.get_mut(&folder)? {
            Entry::Folder(children) => Some(children),
            Entry::File(_) => None,
        }
    }

    /// What must fail here now: the error, and how much arrives.
    fn fault(&mut self, call: Call, path: &str) -> Option<(i32, usize)> {
        let fault = self
            .faults
            .iter_mut()
            .find(|fault| fault.call == call && fault.times > 0 && path.contains(&fault.path))?;
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        self.failed += 1;
        let torn = fault.torn;
        if fault.errno == 0 || torn == 0 {
            fault.times -= 1;
        } else {
            fault.torn = 0;
        }
        Some((fault.errno, torn))
    }

    pub(crate) fn make(&mut self, folder: Node, name: &str, is_folder: bool) -> Result<Node, i32> {
        let path = format!("{}/{name}", self.path(folder));
        if let Some((errno, _)) = self.fault(Call::Make, &path) {
            return Err(errno);
        }
        if self.child(folder, name).is_some() {
            return Err(libc::EEXIST);
        }
        let node = self.next;
        self.next += 1;
        self.children(folder)
            .ok_or(libc::ENOTDIR)?
            .insert(name.to_owned(), node);
        let entry = if is_folder {
            Entry::Folder(BTreeMap::new())
        } else {
            Entry::File(Vec::new())
        };
        self.entries.insert(node, entry);
        let said = self.is_said(&path);
        self.paths.insert(node, path);
        if !said {
            self.ops.push(Op::Make {
                folder,
                name: name.to_owned(),
                node,
                is_folder,
            });
        }
        Ok(node)
    }

    fn is_said(&self, path: &str) -> bool {
        path.strip_prefix('/') == Some(SAID)
    }

    pub(crate) fn remove(&mut self, folder: Node, name: &str, is_folder: bool) -> Result<(), i32> {
        let node = self.child(folder, name).ok_or(libc::ENOENT)?;
        match (self.entries.get(&node), is_folder) {
            (Some(Entry::Folder(children)), true) if !children.is_empty() => {
                return Err(libc::ENOTEMPTY);
            }
            (Some(Entry::Folder(_)), false) => return Err(libc::EISDIR),
            (Some(Entry::File(_)), true) => return Err(libc::ENOTDIR),
            _ => {}
        }
        // The node stays: whoever has it open goes on.
        if let Some(children) = self.children(folder) {
            children.remove(name);
        }
        self.ops.push(Op::Remove {
            folder,
            name: name.to_owned(),
        });
        Ok(())
    }

    pub(crate) fn rename(&mut self, folder: Node, from: &str, to: &str) -> Result<(), i32> {
        let node = self.child(folder, from).ok_or(libc::ENOENT)?;
        let path = format!("{}/{to}", self.path(folder));
        if let Some(children) = self.children(folder) {
            children.remove(from);
            children.insert(to.to_owned(), node);
        }
        self.paths.insert(node, path);
        self.ops.push(Op::Rename {
            folder,
            from: from.to_owned(),
            to: to.to_owned(),
        });
        Ok(())
    }

    pub(crate) fn read(&mut self, node: Node, at: u64, length: usize) -> Result<Vec<u8>, i32> {
        let path = self.path(node).to_owned();
        if let Some((errno, _)) = self.fault(Call::Read, &path) {
            return Err(errno);
        }
        match self.entries.get(&node) {
            Some(Entry::File(bytes)) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
                let to = from.saturating_add(length).min(bytes.len());
                Ok(bytes[from..to].to_vec())
            }
            _ => Err(libc::EISDIR),
        }
    }

    pub(crate) fn write(&mut self, node: Node, at: u64, bytes: &[u8]) -> Result<usize, i32> {
        if self.is_said(self.path(node)) {
            self.say(bytes);
            return Ok(bytes.len());
        }
        // Before its first write fails: a small object has no other one.
        self.name_kind(node, at, bytes);
        let path = self.path(node).to_owned();
        let mut bytes = bytes;
        let fault = self.fault(Call::Write, &path);
        if let Some((_, torn)) = fault {
            bytes = &bytes[..torn.min(bytes.len())];
        }
        if !bytes.is_empty() {
            let Some(Entry::File(held)) = self.entries.get_mut(&node) else {
                return Err(libc::EISDIR);
            };
            overwrite(held, at, bytes);
            self.ops.push(Op::Write {
                node,
                at,
                bytes: bytes.into(),
            });
        }
        match fault {
            // Some arrived: a short write, and the error comes with the next.
            Some((_, torn)) if torn > 0 => Ok(bytes.len()),
            Some((errno, _)) => Err(errno),
            None => Ok(bytes.len()),
        }
    }

    /// What an object is, from its first bytes.
    fn name_kind(&mut self, node: Node, at: u64, bytes: &[u8]) {
        if at == 0
            && let Some(kind) = kind(bytes)
            && let Some(path) = self.paths.get_mut(&node)
        {
            path.push('#');
            path.push_str(kind);
        }
    }

    /// Whole lines become what was said.
    fn say(&mut self, bytes: &[u8]) {
        self.partial.push_str(&String::from_utf8_lossy(bytes));
        while let Some(end) = self.partial.find('\n') {
            let line = self.partial[..end].to_owned();
            self.partial.drain(..=end);
            self.ops.push(Op::Said(line));
        }
    }

    pub(crate) fn resize(&mut self, node: Node, length: u64) -> Result<(), i32> {
        let path = self.path(node).to_owned();
        let Some(Entry::File(held)) = self.entries.get_mut(&node) else {
            return Err(libc::EISDIR);
        };
        held.resize(usize::try_from(length).map_err(|_| libc::EFBIG)?, 0);
        if !self.is_said(&path) {
            self.ops.push(Op::Resize { node, length });
        }
        Ok(())
    }

    pub(crate) fn sync(&mut self, node: Node) -> Result<(), i32> {
        let path = self.path(node).to_owned();
        if self.is_said(&path) {
            return Ok(());
        }
        if let Some((errno, _)) = self.fault(Call::Sync, &path) {
            self.ops.push(Op::SyncFailed { node });
            return Err(errno);
        }
        self.ops.push(Op::Sync { node, path });
        Ok(())
    }
}

/// What an object is, as its first bytes say (docs/formats/object-v1.md).
pub(crate) fn kind(bytes: &[u8]) -> Option<&'static str> {
    if !bytes.starts_with(b"HILUMOBJ") {
        return None;
    }
    Some(match bytes.get(10)? {
        1 => "bundle",
        2 => "streamed",
        3 => "quarantine",
        4 => "pack",
        5 => "note",
        _ => return None,
    })
}

/// Writes `bytes` at `at`, with zeros before it where nothing was.
pub(crate) fn overwrite(held: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let Ok(at) = usize::try_from(at) else { return };
    let end = at.saturating_add(bytes.len());
    if held.len() < end {
        held.resize(end, 0);
    }
    held[at..end].copy_from_slice(bytes);
}
