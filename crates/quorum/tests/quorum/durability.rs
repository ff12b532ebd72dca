//! What the disk holds when something was promised, and what happens when it does not hold.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use ottla_log::fs::{DirEntry, Disk, DiskFile, LockError, LockGuard, OpenMode, RealDisk, Stat};
use ottla_quorum::ProposeError;

use crate::node::{Node, eventually, fixed};

/// The real file system, counting syncs of log segments, and refusing them on demand.
#[derive(Debug, Default)]
struct Watched {
    syncs: Arc<AtomicU64>,
    broken: Arc<AtomicBool>,
}

#[derive(Debug)]
struct WatchedFile {
    inner: Arc<dyn DiskFile>,
    syncs: Arc<AtomicU64>,
    broken: Arc<AtomicBool>,
    is_segment: bool,
}

impl Disk for Watched {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let is_segment = path.extension().is_some_and(|extension| extension == "log");
        let (syncs, broken) = (self.syncs.clone(), self.broken.clone());
        Ok(Arc::new(WatchedFile { inner: RealDisk.open(path, mode)?, syncs, broken, is_segment }))
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        RealDisk.list(dir)
    }
    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        RealDisk.stat(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_dir(dir)
    }
    fn sync_all(&self, dir: &Path) -> io::Result<()> {
        RealDisk.sync_all(dir)
    }
    fn lock(&self, path: &Path) -> Result<LockGuard, LockError> {
        RealDisk.lock(path)
    }
}

impl DiskFile for WatchedFile {
    fn read_at(&self, buf: &mut [u8], position: u64) -> io::Result<usize> {
        self.inner.read_at(buf, position)
    }
    fn write_at(&self, bufs: &mut [IoSlice<'_>], position: u64) -> io::Result<()> {
        self.inner.write_at(bufs, position)
    }
    fn truncate(&self, len: u64) -> io::Result<()> {
        self.inner.truncate(len)
    }
    fn sync(&self) -> io::Result<()> {
        if self.is_segment {
            self.syncs.fetch_add(1, Ordering::SeqCst);
            if self.broken.load(Ordering::SeqCst) {
                return Err(io::Error::other("the disk is gone"));
            }
        }
        self.inner.sync()
    }
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
    fn as_std(&self) -> Option<&std::fs::File> {
        self.inner.as_std()
    }
}

#[test]
fn every_answer_follows_an_fsync_and_many_share_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = Watched::default();
    let syncs = disk.syncs.clone();
    let node = Node::on_disk(Arc::new(disk), directory.path(), fixed(1, &[1])).expect("opens");
    let before = syncs.load(Ordering::SeqCst);
    assert!(before >= 1, "the first batch of the epoch is flushed before the node is active");
    node.propose(&["alone"]);
    assert_eq!(syncs.load(Ordering::SeqCst), before + 1, "one decision, one fsync");

    let (sender, outcomes) = crossbeam_channel::unbounded();
    for i in 0..500 {
        let (sender, syncs) = (sender.clone(), syncs.clone());
        node.handle.propose(None, vec![Bytes::from(format!("{i}"))], move |result| {
            let _ = sender.send((result, syncs.load(Ordering::SeqCst)));
        });
    }
    drop(sender);
    let mut last = -1;
    for (result, synced) in outcomes.iter().take(500) {
        let offset = result.expect("committed").last_offset;
        assert!(offset > last, "answered in order");
        assert!(synced > before + 1, "answered after an fsync");
        last = offset;
    }
    let spent = syncs.load(Ordering::SeqCst) - before - 1;
    assert!(spent < 250, "500 proposals took {spent} fsyncs");
    node.stop();
}

#[test]
fn a_failed_fsync_is_the_end_and_nothing_is_promised() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk = Watched::default();
    let broken = disk.broken.clone();
    let node = Node::on_disk(Arc::new(disk), directory.path(), fixed(1, &[1])).expect("opens");
    node.propose(&["kept"]);
    broken.store(true, Ordering::SeqCst);
    let result = node.handle.propose_and_wait(None, vec![Bytes::from_static(b"lost")]);
    assert!(matches!(result, Err(ProposeError::Stopped(_))), "{result:?}");
    eventually("the listener hears of it", || node.seen.lock().failure.is_some());
    assert_eq!(node.texts(), ["kept"], "what was not promised was not applied");
    let error = node.driver.join().expect_err("the thread ends with the error");
    assert!(error.to_string().contains("the disk is gone"), "{error}");
}

/// The log is cut inside a batch, as a crash leaves it: the node starts with all whole batches.
#[test]
fn a_torn_tail_is_dropped() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), fixed(1, &[1]));
    node.propose(&["a"]);
    node.propose(&["b"]);
    node.stop();
    let log = directory.path().join(ottla_quorum::METADATA_DIRECTORY).join("00000000000000000000.log");
    let file = std::fs::OpenOptions::new().write(true).open(&log).expect("there");
    let length = file.metadata().expect("readable").len();
    file.set_len(length - 3).expect("cut");
    let node = Node::start(directory.path(), fixed(1, &[1]));
    assert_eq!(node.texts(), ["a"]);
    node.propose(&["c"]);
    assert_eq!(node.texts(), ["a", "c"]);
    node.stop();
}
