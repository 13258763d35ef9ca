//! The disk as a file system of the kernel (FUSE). Every call goes to `live`
//! one after the other; the kernel keeps clean pages only, except of what is
//! mapped into memory.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, Generation, INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::Node;
use super::live::{Disk, Entry, World};

/// Nobody else changes the disk: what the kernel knows stays true.
const KNOWN_FOR: Duration = Duration::from_secs(3_600);
const BLOCK: u32 = 4_096;

/// A mounted disk; unmounted when dropped.
pub(crate) struct Mounted {
    _session: BackgroundSession,
}

impl Mounted {
    /// Mounts `disk` at the folder `at`.
    pub(crate) fn new(disk: &Disk, at: &Path) -> io::Result<Self> {
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName("hilum-crash".to_owned()),
            MountOption::NoAtime,
        ];
        let session = fuser::spawn_mount(Layer(disk.clone()), at, &config)?;
        Ok(Self { _session: session })
    }
}

struct Layer(Disk);

fn attributes(world: &World, node: Node) -> Option<FileAttr> {
    let (kind, size, perm) = match world.entries.get(&node)? {
        Entry::Folder(_) => (FileType::Directory, 0, 0o700),
        Entry::File(bytes) => (FileType::RegularFile, bytes.len() as u64, 0o600),
    };
    Some(FileAttr {
        ino: INodeNo(node),
        size,
        blocks: size.div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm,
        nlink: 1,
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    })
}

fn name(name: &OsStr) -> Result<&str, Errno> {
    name.to_str().ok_or(Errno::EINVAL)
}

fn found(world: &World, node: Node) -> Result<FileAttr, Errno> {
    attributes(world, node).ok_or(Errno::ENOENT)
}

fn empty(outcome: Result<(), i32>, reply: ReplyEmpty) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(Errno::from_i32(errno)),
    }
}

impl Layer {
    fn make(&self, parent: INodeNo, name_of: &OsStr, folder: bool) -> Result<FileAttr, Errno> {
        let mut world = self.0.world();
        let node = world
            .make(parent.0, name(name_of)?, folder)
            .map_err(Errno::from_i32)?;
        found(&world, node)
    }
}

impl Filesystem for Layer {
    fn lookup(&self, _: &Request, parent: INodeNo, of: &OsStr, reply: ReplyEntry) {
        let world = self.0.world();
        let attributes = name(of)
            .and_then(|name| world.child(parent.0, name).ok_or(Errno::ENOENT))
            .and_then(|node| found(&world, node));
        drop(world);
        match attributes {
            Ok(attributes) => reply.entry(&KNOWN_FOR, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let attributes = found(&self.0.world(), node.0);
        match attributes {
            Ok(attributes) => reply.attr(&KNOWN_FOR, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        node: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut world = self.0.world();
        let resized = size.map_or(Ok(()), |size| world.resize(node.0, size));
        let attributes = resized
            .map_err(Errno::from_i32)
            .and_then(|()| found(&world, node.0));
        drop(world);
        match attributes {
            Ok(attributes) => reply.attr(&KNOWN_FOR, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, of: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        match self.make(parent, of, true) {
            Ok(attributes) => reply.entry(&KNOWN_FOR, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        of: &OsStr,
        _: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        match self.make(parent, of, false) {
            Ok(attributes) => reply.created(
                &KNOWN_FOR,
                &attributes,
                Generation(0),
                FileHandle(0),
                FopenFlags::empty(),
            ),
            Err(error) => reply.error(error),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, of: &OsStr, reply: ReplyEmpty) {
        match name(of) {
            Ok(name) => empty(self.0.world().remove(parent.0, name, false), reply),
            Err(error) => reply.error(error),
        }
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, of: &OsStr, reply: ReplyEmpty) {
        match name(of) {
            Ok(name) => empty(self.0.world().remove(parent.0, name, true), reply),
            Err(error) => reply.error(error),
        }
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        from: &OsStr,
        new_parent: INodeNo,
        to: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if parent != new_parent || !flags.is_empty() {
            return reply.error(Errno::EXDEV);
        }
        match name(from).and_then(|from| Ok((from, name(to)?))) {
            Ok((from, to)) => empty(self.0.world().rename(parent.0, from, to), reply),
            Err(error) => reply.error(error),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
    }

    fn read(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        at: u64,
        length: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = self.0.world().read(node.0, at, length as usize);
        match read {
            Ok(bytes) => reply.data(&bytes),
            Err(errno) => reply.error(Errno::from_i32(errno)),
        }
    }

    fn write(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        at: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = self.0.world().write(node.0, at, bytes);
        match written {
            Ok(count) => reply.written(u32::try_from(count).unwrap_or(u32::MAX)),
            Err(errno) => reply.error(Errno::from_i32(errno)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, node: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        empty(self.0.world().sync(node.0), reply);
    }

    fn fsyncdir(&self, _: &Request, node: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        empty(self.0.world().sync(node.0), reply);
    }

    fn readdir(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        after: u64,
        mut reply: ReplyDirectory,
    ) {
        let world = self.0.world();
        let Some(Entry::Folder(children)) = world.entries.get(&node.0) else {
            return reply.error(Errno::ENOTDIR);
        };
        // Numbered by node, so that a removal in between skips nobody.
        let mut all: Vec<(&String, &Node)> = children.iter().collect();
        all.sort_by_key(|(_, node)| **node);
        for (name, child) in all.into_iter().filter(|(_, node)| **node > after) {
            let kind = match world.entries.get(child) {
                Some(Entry::Folder(_)) => FileType::Directory,
                _ => FileType::RegularFile,
            };
            if reply.add(INodeNo(*child), *child, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        // Room enough: 64 GiB in blocks.
        let blocks = (64 << 30) / u64::from(BLOCK);
        reply.statfs(blocks, blocks, blocks, 1 << 20, 1 << 20, BLOCK, 255, BLOCK);
    }
}
