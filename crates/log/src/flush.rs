//! Making logs durable, many at once: what arrives while a round of fsyncs runs is served by the next round.
//!
//! A log says what is to be done ([`Log::flush_work`](crate::Log::flush_work)), which needs its lock; doing it
//! needs no lock; the outcome goes back to the log ([`Log::flushed`](crate::Log::flushed)).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ottla_records::ids::Offset;
use parking_lot::{Condvar, Mutex};
use smallvec::SmallVec;

use crate::dir::LogDir;
use crate::epochs;
use crate::error::Error;
use crate::fs::{DiskFile, replace_file_unsynced_name};
use crate::index::FileKind;

/// What has to become durable so that a log's recovery point may move. Holds the files open.
#[derive(Debug)]
#[must_use = "nothing is durable before it is run"]
pub struct FlushWork {
    pub(crate) dir: LogDir,
    pub(crate) path: PathBuf,
    pub(crate) flushed: Flushed,
    pub(crate) files: SmallVec<[(FlushFile, Arc<dyn DiskFile>); 1]>,
    /// New content of `leader-epoch-checkpoint`.
    pub(crate) epochs: Option<Vec<u8>>,
    /// Whether names in the partition's directory have changed.
    pub(crate) names: bool,
    /// Whether the partition's directory itself is new.
    pub(crate) new_dir: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum FlushFile {
    Segment(Offset, FileKind),
    Snapshot(Offset),
    PartitionMetadata,
}

/// What a log is told once [`FlushWork`] is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flushed {
    /// All records before it are durable.
    pub up_to: Offset,
    /// Segments that are complete and durable with all their files.
    pub(crate) segments: SmallVec<[Offset; 2]>,
    /// Versions of what was written along.
    pub(crate) epochs: Option<u32>,
    pub(crate) names: u32,
    pub(crate) truncations: u32,
}

impl FlushWork {
    /// All records before it will be durable.
    pub fn up_to(&self) -> Offset {
        self.flushed.up_to
    }

    /// Does it, alone. A failure takes the directory offline.
    pub fn run(self) -> Result<Flushed, Error> {
        self.prepare()?;
        for (file, handle) in &self.files {
            self.dir.changed("sync", &self.path_of(*file), handle.sync())?;
        }
        self.finish()
    }

    /// What comes before the files.
    fn prepare(&self) -> Result<(), Error> {
        self.dir.check()?;
        if let Some(content) = &self.epochs {
            let path = self.path.join(epochs::FILE);
            let replaced = replace_file_unsynced_name(&**self.dir.disk(), &path, content);
            self.dir.changed("write", &path, replaced)?;
        }
        Ok(())
    }

    /// What comes behind the files.
    fn finish(self) -> Result<Flushed, Error> {
        if self.names || self.epochs.is_some() {
            self.dir.sync_dir(&self.path)?;
        }
        if self.new_dir {
            self.dir.sync_dir(self.dir.path())?;
        }
        Ok(self.flushed)
    }

    fn path_of(&self, file: FlushFile) -> PathBuf {
        self.path.join(match file {
            FlushFile::Segment(base, kind) => format!("{base:020}.{}", kind.extension()),
            FlushFile::Snapshot(offset) => format!("{offset:020}.snapshot"),
            FlushFile::PartitionMetadata => "partition.metadata".to_owned(),
        })
    }
}

/// Called when a flush is done, on the thread that did it. The error is one for all: the directory is offline.
pub type FlushDone = Box<dyn FnOnce(Result<Flushed, Error>) + Send>;

/// The group commit of one directory.
#[derive(Debug, Default)]
pub struct Flusher {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Used by whoever runs a round.
    costs: Mutex<Costs>,
}

#[derive(Default)]
struct State {
    queue: Vec<(FlushWork, FlushDone)>,
    running: bool,
    thread: bool,
    closed: bool,
    rounds: u64,
    flushes: u64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("queued", &self.queue.len()).field("running", &self.running).finish()
    }
}

impl Flusher {
    /// Has the work done by the next round, on a thread that is started when it is first needed.
    pub fn submit(&self, work: FlushWork, done: impl FnOnce(Result<Flushed, Error>) + Send + 'static) {
        let mut state = self.shared.state.lock();
        state.queue.push((work, Box::new(done)));
        if !state.thread {
            state.thread = true;
            let shared = self.shared.clone();
            let spawned = std::thread::Builder::new().name("log-flush".into()).spawn(move || shared.serve());
            if spawned.is_err() {
                // Out of threads: the work must not be left lying.
                state.thread = false;
                drop(self.shared.run_round(state));
                return;
            }
        }
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Does the work and waits for it: in a round with everybody else's, on this thread if none is running.
    pub fn flush(&self, work: FlushWork) -> Result<Flushed, Error> {
        let outcome = Arc::new(Mutex::new(None));
        let slot = outcome.clone();
        let mut state = self.shared.state.lock();
        state.queue.push((work, Box::new(move |result| *slot.lock() = Some(result))));
        loop {
            if let Some(result) = outcome.lock().take() {
                return result;
            }
            if state.running {
                self.shared.changed.wait(&mut state);
            } else {
                state = self.shared.run_round(state);
            }
        }
    }

    /// Rounds run so far, and flushes they have served.
    pub fn served(&self) -> (u64, u64) {
        let state = self.shared.state.lock();
        (state.rounds, state.flushes)
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn serve(&self) {
        let mut state = self.state.lock();
        loop {
            if !state.queue.is_empty() && !state.running {
                state = self.run_round(state);
            } else if state.closed {
                return;
            } else {
                self.changed.wait(&mut state);
            }
        }
    }

    /// Serves all that is queued.
    fn run_round<'a>(
        &'a self,
        mut state: parking_lot::MutexGuard<'a, State>,
    ) -> parking_lot::MutexGuard<'a, State> {
        let queue = std::mem::take(&mut state.queue);
        state.running = true;
        state.rounds += 1;
        state.flushes += queue.len() as u64;
        drop(state);
        let (works, dones): (Vec<_>, Vec<_>) = queue.into_iter().unzip();
        let outcomes = run_together(works, &mut self.costs.lock());
        for (done, outcome) in dones.into_iter().zip(outcomes) {
            done(outcome);
        }
        let mut state = self.state.lock();
        state.running = false;
        self.changed.notify_all();
        state
    }
}

/// Does several works; each file is synced once, however many ask for it, or the whole file system is.
fn run_together(works: Vec<FlushWork>, costs: &mut Costs) -> Vec<Result<Flushed, Error>> {
    let mut outcomes = Vec::with_capacity(works.len());
    let prepared: Vec<_> = works.into_iter().map(|work| work.prepare().map(|()| work)).collect();
    let good = || prepared.iter().flatten();
    // By address: all works are alive until the last is looked at, so no address is used twice.
    let address = |handle: &Arc<dyn DiskFile>| Arc::as_ptr(handle).cast::<()>().addr();
    let mut left: hashbrown::HashSet<usize, foldhash::fast::FixedState> =
        good().flat_map(|work| &work.files).map(|(_, handle)| address(handle)).collect();
    let count = left.len();
    let started = Instant::now();
    let mut at_once = None;
    if costs.at_once_is_cheaper(count) {
        at_once = good().next().and_then(|work| {
            let synced = work.dir.handle().sync_file_system()?;
            Some(work.dir.changed("sync", work.dir.path(), synced).is_ok())
        });
    }
    if at_once == Some(true) {
        left.clear();
    }
    for work in prepared {
        outcomes.push(work.and_then(|work| {
            // If syncing everything has failed, the directory is offline.
            work.dir.check()?;
            for (file, handle) in &work.files {
                if left.remove(&address(handle)) {
                    work.dir.changed("sync", &work.path_of(*file), handle.sync())?;
                }
            }
            work.finish()
        }));
    }
    costs.learn(count, at_once.is_some(), started.elapsed());
    outcomes
}

/// What the two ways of syncing many files have cost lately. Syncing the file system costs about the same however
/// many files it is about; but if others write a lot, it waits for that too.
#[derive(Debug)]
struct Costs {
    /// Nanoseconds per file, one by one.
    per_file: u64,
    /// Nanoseconds for all at once.
    at_once: u64,
}

impl Default for Costs {
    fn default() -> Costs {
        Costs { per_file: 200_000, at_once: 1_000_000 }
    }
}

impl Costs {
    const FEW: usize = 4;

    fn at_once_is_cheaper(&self, files: usize) -> bool {
        files >= Costs::FEW && self.at_once < self.per_file.saturating_mul(files as u64)
    }

    fn learn(&mut self, files: usize, at_once: bool, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let mix = |old: u64, new: u64| old - old / 8 + new / 8;
        if at_once {
            self.at_once = mix(self.at_once, took);
        } else if files > 0 {
            self.per_file = mix(self.per_file, took / files as u64);
            // One slow round must not decide for ever.
            self.at_once -= self.at_once / 32;
        }
    }
}

#[cfg(test)]
mod tests;
