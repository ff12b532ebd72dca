//! A file system in memory that does to its users what a power cut and a dying disk do.
//!
//! Every call that changes something is counted. [`SimDisk::fail_at`] makes the call of a given number fail, or
//! cuts the power in the middle of it; afterwards [`SimDisk::power_on`] shows what survived, chosen by a seed
//! among what POSIX allows: of each file a prefix of its unsynced writes, the last one possibly torn; of each
//! directory a prefix of its unsynced name changes. The same seed and the same calls give the same result.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ottla_records::random::Random;
use parking_lot::Mutex;

use super::{DirEntry, Disk, DiskFile, LockError, LockGuard, OpenMode, Stat};

/// What happens at the chosen call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call fails with this error and changes nothing.
    Error(io::ErrorKind),
    /// The call fails with this error; of a write, the first half has happened.
    HalfDone(io::ErrorKind),
    /// The power fails during the call, which may or may not have an effect. Every later call fails.
    PowerCut,
}

/// The file system; clones share it.
#[derive(Debug, Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// Directories by path; the root is always there.
    dirs: BTreeMap<PathBuf, Dir>,
    files: BTreeMap<u64, Node>,
    next_inode: u64,
    calls: u64,
    syncs: u64,
    faults: BTreeMap<u64, Fault>,
    power: bool,
    /// Counts power cuts: a handle from before one is dead.
    boot: u64,
    locks: BTreeSet<PathBuf>,
    now_ms: i64,
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    File(u64),
    Dir,
}

#[derive(Debug, Default, Clone)]
struct Dir {
    now: BTreeMap<OsString, Target>,
    durable: BTreeMap<OsString, Target>,
    /// Name changes since the last sync, in order; a rename within the directory is one change.
    unsynced: Vec<Vec<(OsString, Option<Target>)>>,
}

#[derive(Debug, Default, Clone)]
struct Node {
    now: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    modified_ms: i64,
}

impl Node {
    /// Costs what was changed, not what there is.
    fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.durable);
        }
    }
}

#[derive(Debug, Clone)]
enum Change {
    Write { position: usize, bytes: Vec<u8> },
    Truncate { len: usize },
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Change::Write { position, bytes } => {
                let end = position + bytes.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[*position..end].copy_from_slice(bytes);
            }
            Change::Truncate { len } => to.resize(*len, 0),
        }
    }
}

#[derive(Debug)]
struct SimFile {
    state: Arc<Mutex<State>>,
    inode: u64,
    boot: u64,
}

impl Default for SimDisk {
    fn default() -> SimDisk {
        SimDisk::new()
    }
}

impl SimDisk {
    /// An empty file system with one directory, `/`.
    pub fn new() -> SimDisk {
        let state = State {
            dirs: BTreeMap::from([(PathBuf::from("/"), Dir::default())]),
            files: BTreeMap::new(),
            next_inode: 1,
            calls: 0,
            syncs: 0,
            faults: BTreeMap::new(),
            power: true,
            boot: 0,
            locks: BTreeSet::new(),
            now_ms: 0,
        };
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// Changing calls so far: opens that make or empty a file, writes, truncations, syncs, renames, removals.
    pub fn calls(&self) -> u64 {
        self.state.lock().calls
    }

    /// Makes the changing call of this number (the first is 0) do this.
    pub fn fail_at(&self, call: u64, fault: Fault) {
        self.state.lock().faults.insert(call, fault);
    }

    /// Forgets the failures that were planned and have not happened.
    pub fn forgive(&self) {
        self.state.lock().faults.clear();
    }

    /// Sets the time that files get when they are written.
    pub fn set_time(&self, now_ms: i64) {
        self.state.lock().now_ms = now_ms;
    }

    /// Cuts the power now: every call fails until [`SimDisk::power_on`].
    pub fn power_off(&self) {
        self.state.lock().power = false;
    }

    /// Changing calls so far that were syncs, of a file, a directory or everything: what a slow disk is slow at.
    pub fn syncs(&self) -> u64 {
        self.state.lock().syncs
    }

    /// Shows the bytes of a file that a power cut would leave if it took all it may; `None` if its name, or that
    /// of a directory above it, would go.
    pub fn durable<T>(&self, path: &Path, look: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let state = self.state.lock();
        let target = |path: &Path| {
            let names = &state.dirs.get(path.parent()?)?.durable;
            names.get(path.file_name()?).copied()
        };
        let named = |dir: &&Path| *dir == Path::new("/") || target(dir) == Some(Target::Dir);
        if !path.ancestors().skip(1).all(|dir| named(&dir)) {
            return None;
        }
        match target(path)? {
            Target::File(inode) => Some(look(&state.files.get(&inode)?.durable)),
            Target::Dir => None,
        }
    }

    /// Whether the power is on.
    pub fn is_on(&self) -> bool {
        self.state.lock().power
    }

    /// Brings the disk back as it may be after the power was cut; `seed` chooses what of the unsynced changes is
    /// there. Open files and locks from before are dead. Planned faults are forgotten.
    pub fn power_on(&self, seed: u64) {
        let mut state = self.state.lock();
        let mut random = Random::new(seed);
        let State { dirs, files, .. } = &mut *state;
        for node in files.values_mut() {
            let keep = random.index(node.unsynced.len() + 1);
            let mut bytes = std::mem::take(&mut node.durable);
            for change in &node.unsynced[..keep] {
                change.apply(&mut bytes);
            }
            if let Some(Change::Write { position, bytes: torn }) = node.unsynced.get(keep)
                && random.one_in(2)
            {
                let part = torn[..random.index(torn.len() + 1)].to_vec();
                Change::Write { position: *position, bytes: part }.apply(&mut bytes);
            }
            *node = Node { now: bytes.clone(), durable: bytes, unsynced: Vec::new(), ..*node };
        }
        for dir in dirs.values_mut() {
            let keep = random.index(dir.unsynced.len() + 1);
            let mut names = std::mem::take(&mut dir.durable);
            for (name, target) in dir.unsynced[..keep].iter().flatten() {
                set_name(&mut names, name, *target);
            }
            *dir = Dir { now: names.clone(), durable: names, unsynced: Vec::new() };
        }
        // Directories nobody names any more are gone with what is in them.
        let mut reached = BTreeSet::from([PathBuf::from("/")]);
        let mut open = vec![PathBuf::from("/")];
        while let Some(path) = open.pop() {
            let names: Vec<_> = dirs.get(&path).into_iter().flat_map(|dir| dir.now.iter()).collect();
            for (name, target) in names {
                if *target == Target::Dir {
                    let child = path.join(name);
                    reached.insert(child.clone());
                    open.push(child);
                }
            }
        }
        for path in &reached {
            dirs.entry(path.clone()).or_default();
        }
        dirs.retain(|path, _| reached.contains(path));
        state.power = true;
        state.boot += 1;
        state.locks.clear();
        state.faults.clear();
    }
}

fn set_name(names: &mut BTreeMap<OsString, Target>, name: &OsString, target: Option<Target>) {
    match target {
        Some(target) => names.insert(name.clone(), target),
        None => names.remove(name),
    };
}

fn split(path: &Path) -> io::Result<(PathBuf, OsString)> {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => Ok((parent.to_owned(), name.to_owned())),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

fn no_power() -> io::Error {
    io::Error::other("the power is off")
}

impl State {
    fn check_power(&self, boot: u64) -> io::Result<()> {
        if self.power && self.boot == boot { Ok(()) } else { Err(no_power()) }
    }

    /// Counts a changing call; `Ok(Some(..))` is a fault that happens after part of the call.
    fn count(&mut self) -> io::Result<Option<Fault>> {
        if !self.power {
            return Err(no_power());
        }
        let call = self.calls;
        self.calls += 1;
        match self.faults.remove(&call) {
            Some(Fault::Error(kind)) => Err(kind.into()),
            other => Ok(other),
        }
    }

    /// Ends a call that a fault may have struck.
    fn finish(&mut self, fault: Option<Fault>) -> io::Result<()> {
        match fault {
            None => Ok(()),
            Some(Fault::Error(kind) | Fault::HalfDone(kind)) => Err(kind.into()),
            Some(Fault::PowerCut) => {
                self.power = false;
                Err(no_power())
            }
        }
    }

    fn dir(&mut self, path: &Path) -> io::Result<&mut Dir> {
        self.dirs.get_mut(path).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn target(&self, path: &Path) -> Option<Target> {
        if path == Path::new("/") {
            return Some(Target::Dir);
        }
        let dir = self.dirs.get(path.parent()?)?;
        dir.now.get(path.file_name()?).copied()
    }

    fn change_names(&mut self, dir: &Path, changes: Vec<(OsString, Option<Target>)>) -> io::Result<()> {
        let dir = self.dir(dir)?;
        for (name, target) in &changes {
            set_name(&mut dir.now, name, *target);
        }
        dir.unsynced.push(changes);
        Ok(())
    }

    fn change_file(&mut self, inode: u64, change: Change) -> io::Result<()> {
        let now_ms = self.now_ms;
        let node = self.files.get_mut(&inode).ok_or(io::ErrorKind::NotFound)?;
        change.apply(&mut node.now);
        node.unsynced.push(change);
        node.modified_ms = now_ms;
        Ok(())
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        let boot = state.boot;
        state.check_power(boot)?;
        if path == Path::new("/") && mode == OpenMode::Read {
            return Ok(Arc::new(SimFile { state: self.state.clone(), inode: 0, boot }));
        }
        let (parent, name) = split(path)?;
        state.dir(&parent)?;
        let inode = match state.target(path) {
            // No file has this number; there is nothing to read.
            Some(Target::Dir) if mode == OpenMode::Read => 0,
            Some(Target::Dir) => return Err(io::ErrorKind::IsADirectory.into()),
            Some(Target::File(inode)) => {
                if mode == OpenMode::Replace {
                    let fault = state.count()?;
                    state.change_file(inode, Change::Truncate { len: 0 })?;
                    state.finish(fault)?;
                }
                inode
            }
            None if matches!(mode, OpenMode::Read | OpenMode::Write) => {
                return Err(io::ErrorKind::NotFound.into());
            }
            None => {
                let fault = state.count()?;
                let inode = state.next_inode;
                state.next_inode += 1;
                let modified_ms = state.now_ms;
                state.files.insert(inode, Node { modified_ms, ..Node::default() });
                state.change_names(&parent, vec![(name, Some(Target::File(inode)))])?;
                state.finish(fault)?;
                inode
            }
        };
        Ok(Arc::new(SimFile { state: self.state.clone(), inode, boot }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut state = self.state.lock();
        let boot = state.boot;
        state.check_power(boot)?;
        let names = state.dir(dir)?.now.iter();
        Ok(names
            .map(|(name, target)| DirEntry { name: name.clone(), is_dir: *target == Target::Dir })
            .collect())
    }

    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        let state = self.state.lock();
        state.check_power(state.boot)?;
        Ok(state.target(path).map(|target| match target {
            Target::Dir => Stat { len: 0, modified_ms: 0, is_dir: true },
            Target::File(inode) => {
                let node = &state.files[&inode];
                Stat { len: node.now.len() as u64, modified_ms: node.modified_ms, is_dir: false }
            }
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check_power(state.boot)?;
        let target = state.target(from).ok_or(io::ErrorKind::NotFound)?;
        let ((from_dir, from_name), (to_dir, to_name)) = (split(from)?, split(to)?);
        state.dir(&to_dir)?;
        let fault = state.count()?;
        if from_dir == to_dir {
            state.change_names(&from_dir, vec![(from_name, None), (to_name, Some(target))])?;
        } else {
            state.change_names(&to_dir, vec![(to_name, Some(target))])?;
            state.change_names(&from_dir, vec![(from_name, None)])?;
        }
        if target == Target::Dir {
            let moved: Vec<_> = state.dirs.keys().filter(|path| path.starts_with(from)).cloned().collect();
            for path in moved {
                let dir = state.dirs.remove(&path).expect("LOG-SIM-1: the path was just listed");
                let rest = path.strip_prefix(from).expect("LOG-SIM-2: filtered by this prefix");
                let new = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
                // The old place keeps a copy: after a power cut the rename may not have happened.
                state.dirs.insert(path, dir.clone());
                state.dirs.insert(new, dir);
            }
        }
        state.finish(fault)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check_power(state.boot)?;
        let target = state.target(path).ok_or(io::ErrorKind::NotFound)?;
        if target == Target::Dir && state.dir(path).is_ok_and(|dir| !dir.now.is_empty()) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (dir, name) = split(path)?;
        let fault = state.count()?;
        state.change_names(&dir, vec![(name, None)])?;
        state.finish(fault)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check_power(state.boot)?;
        if state.target(path).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let (dir, name) = split(path)?;
        state.dir(&dir)?;
        let fault = state.count()?;
        state.change_names(&dir, vec![(name, Some(Target::Dir))])?;
        state.dirs.insert(path.to_owned(), Dir::default());
        state.finish(fault)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check_power(state.boot)?;
        state.dir(dir)?;
        let fault = state.count()?;
        state.syncs += 1;
        if fault.is_none() {
            let dir = state.dir(dir)?;
            dir.durable = dir.now.clone();
            dir.unsynced.clear();
        }
        state.finish(fault)
    }

    fn sync_all(&self, _dir: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        let fault = state.count()?;
        state.syncs += 1;
        if fault.is_none() {
            state.files.values_mut().for_each(Node::sync);
            for dir in state.dirs.values_mut() {
                dir.durable = dir.now.clone();
                dir.unsynced.clear();
            }
        }
        state.finish(fault)
    }

    fn lock(&self, path: &Path) -> Result<LockGuard, LockError> {
        self.open(path, OpenMode::Create).map_err(LockError::Io)?;
        let mut state = self.state.lock();
        if !state.locks.insert(path.to_owned()) {
            return Err(LockError::Held { pid: None });
        }
        let (shared, path, boot) = (self.state.clone(), path.to_owned(), state.boot);
        Ok(Box::new(SimLock { state: shared, path, boot }))
    }
}

struct SimLock {
    state: Arc<Mutex<State>>,
    path: PathBuf,
    boot: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        if state.boot == self.boot {
            state.locks.remove(&self.path);
        }
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        let state = self.state.lock();
        state.check_power(self.boot)?;
        let Some(node) = state.files.get(&self.inode) else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let bytes = &node.now;
        let start = (position as usize).min(bytes.len());
        let read = buf.len().min(bytes.len() - start);
        buf[..read].copy_from_slice(&bytes[start..start + read]);
        Ok(read)
    }

    fn write_at(&self, bufs: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check_power(self.boot)?;
        let fault = state.count()?;
        let mut bytes: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        if matches!(fault, Some(Fault::HalfDone(_))) {
            bytes.truncate(bytes.len() / 2);
        }
        state.change_file(self.inode, Change::Write { position: position as usize, bytes })?;
        state.finish(fault)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check_power(self.boot)?;
        let fault = state.count()?;
        state.change_file(self.inode, Change::Truncate { len: len as usize })?;
        state.finish(fault)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.check_power(self.boot)?;
        let fault = state.count()?;
        state.syncs += 1;
        if fault.is_none() {
            let node = state.files.get_mut(&self.inode).ok_or(io::ErrorKind::NotFound)?;
            node.sync();
        }
        state.finish(fault)
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.state.lock();
        state.check_power(self.boot)?;
        Ok(state.files.get(&self.inode).map_or(0, |node| node.now.len()) as u64)
    }

    fn as_std(&self) -> Option<&std::fs::File> {
        None
    }
}
