//! What a clean stop leaves for the next start: on the real file system, which tells when a directory was changed.

use std::io;
use std::path::Path;

use parking_lot::Mutex;

use super::*;
use crate::dir::ClosedLog;
use crate::fs::{DirEntry, DiskFile, LockError, LockGuard, OpenMode, RealDisk, Stamp, Stat};

/// The real disk, and what was asked of it.
#[derive(Debug, Default)]
struct Counted(Mutex<Vec<&'static str>>);

impl Counted {
    fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.0.lock())
    }

    fn note(&self, call: &'static str) -> RealDisk {
        self.0.lock().push(call);
        RealDisk
    }
}

impl Disk for Counted {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.note("open").open(path, mode)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.note("list").list(dir)
    }
    fn stat(&self, path: &Path) -> io::Result<Option<Stat>> {
        self.note("stat").stat(path)
    }
    fn stamp(&self, path: &Path) -> io::Result<Option<Stamp>> {
        self.note("stamp").stamp(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.note("rename").rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.note("remove").remove(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.note("create").create_dir(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.note("sync").sync_dir(dir)
    }
    fn sync_all(&self, dir: &Path) -> io::Result<()> {
        self.note("sync").sync_all(dir)
    }
    fn lock(&self, path: &Path) -> Result<LockGuard, LockError> {
        RealDisk.lock(path)
    }
}

struct Place {
    temp: tempfile::TempDir,
    disk: Arc<Counted>,
}

impl Place {
    fn new() -> Place {
        Place { temp: tempfile::tempdir().unwrap(), disk: Arc::default() }
    }

    fn dir(&self) -> LogDir {
        let options = DirOptions { disk: self.disk.clone(), ..DirOptions::default() };
        LogDir::open(self.temp.path(), options).unwrap()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.temp.path().join(name)
    }
}

fn options() -> OpenOptions {
    let config = LogConfig { segment_bytes: 2000, file_delete_delay_ms: 60_000, ..LogConfig::default() };
    OpenOptions { high_watermark: i64::MAX, ..OpenOptions::new(Arc::new(config), NOW, true) }
}

fn name(topic: &str) -> PartitionDir {
    PartitionDir::current(topic, 0)
}

/// Closes the logs as a process does that stops.
fn stop(dir: &LogDir, logs: Vec<Log>) {
    let closed = logs.into_iter().filter_map(|log| log.close_at_shutdown().unwrap()).collect();
    dir.mark_clean_shutdown(1).unwrap();
    dir.write_closed_logs(closed).unwrap();
}

/// An idle log, which was elected for, and one with segments, epochs and producers.
fn idle_and_full(place: &Place) {
    let dir = place.dir();
    let make =
        |topic: &str| Log::create(&dir, &name(topic), Some(uuid::Uuid::from_u128(9)), &options()).unwrap();
    let (mut idle, mut full) = (make("idle"), make("full"));
    idle.begin_epoch(3);
    full.begin_epoch(1);
    for n in 0..9 {
        append(&mut full, &idempotent(7, 0, n * 4, 4)).unwrap();
    }
    full.begin_epoch(2);
    append(&mut full, &idempotent(8, 0, 0, 4)).unwrap();
    full.begin_epoch(5);
    stop(&dir, vec![idle, full]);
}

/// All there is to know of a log.
fn shown(log: &Log) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut producers: Vec<String> = log.producers().map(|entry| format!("{entry:?}")).collect();
    producers.sort();
    let offsets = (log.log_start(), log.log_end(), log.high_watermark(), log.recovery_point());
    let segments: Vec<_> =
        log.segments.iter().map(|s| (s.base, s.size, s.offsets.len(), s.times.len())).collect();
    let rest = (log.topic_id(), log.epochs().to_vec(), log.snapshots.clone(), producers);
    (offsets, segments, rest, records(log, log.log_start()))
}

#[test]
fn a_log_is_opened_as_it_was_closed_and_an_idle_one_without_a_look_at_its_files() {
    let place = Place::new();
    idle_and_full(&place);
    assert!(!place.path("idle-0/leader-epoch-checkpoint").exists(), "an election without records");
    let dir = place.dir();
    let closed = dir.closed_logs().expect("they are there");
    assert_eq!(closed.len(), 2);
    for topic in ["idle", "full"] {
        let (looked, report) = Log::open(&dir, &name(topic), &options()).unwrap();
        assert_eq!(report, LoadReport::default());
        let expected = shown(&looked);
        drop(looked);
        place.disk.asked();
        let known = Log::open_closed(&dir, &name(topic), &options(), &closed).unwrap().expect("it is known");
        let asked = place.disk.asked();
        match topic {
            "idle" => assert_eq!(asked, ["stamp"]),
            // The lengths of its files, and the newest producers.
            _ => {
                assert!(!asked.contains(&"list") && asked.iter().filter(|call| **call == "open").count() == 1)
            }
        }
        assert_eq!(shown(&known), expected, "{topic}");
    }
    // It goes on as if it had been looked at: epochs of records reach the file.
    let mut log = Log::open_closed(&dir, &name("idle"), &options(), &closed).unwrap().unwrap();
    log.begin_epoch(6);
    fill(&mut log, 2, 3);
    stop(&dir, vec![log]);
    let (log, _) = Log::open(&dir, &name("idle"), &options()).unwrap();
    assert_eq!((log.log_end(), log.epochs()), (6, &[EpochEntry { epoch: 6, start_offset: 0 }][..]));
    assert_eq!(records(&log, 0).len(), 6);
}

#[test]
fn what_was_changed_since_is_looked_at() {
    let place = Place::new();
    idle_and_full(&place);
    let dir = place.dir();
    let closed = dir.closed_logs().expect("they are there");
    let is_known = |topic| Log::open_closed(&dir, &name(topic), &options(), &closed).unwrap().is_some();
    assert!(is_known("idle") && is_known("full") && !is_known("other"));
    let unclean = OpenOptions { clean: false, ..options() };
    assert!(Log::open_closed(&dir, &name("idle"), &unclean, &closed).unwrap().is_none());
    // A file that is gone; one of another length.
    std::fs::remove_file(place.path("idle-0/00000000000000000000.timeindex")).unwrap();
    assert!(!is_known("idle"));
    let names = std::fs::read_dir(place.path("full-0")).unwrap().map(|entry| entry.unwrap().path());
    let names: Vec<_> = names.collect();
    for kind in ["log", "index", "timeindex"] {
        let of_kind = |path: &&std::path::PathBuf| path.extension().is_some_and(|found| found == kind);
        let file = std::fs::OpenOptions::new().write(true).open(names.iter().find(of_kind).unwrap()).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(length + 12).unwrap();
        assert!(!is_known("full"), "{kind}");
        file.set_len(length).unwrap();
        assert!(is_known("full"));
    }
}

#[test]
fn another_user_of_the_directory_makes_it_void() {
    let place = Place::new();
    idle_and_full(&place);
    let dir = place.dir();
    assert!(dir.closed_logs().is_some());
    // Whoever starts takes the marker away, and leaves one of his own.
    dir.forget_clean_shutdown().unwrap();
    assert!(dir.closed_logs().is_none());
    dir.mark_clean_shutdown(2).unwrap();
    assert!(dir.closed_logs().is_none());
}

#[test]
fn a_log_with_files_that_wait_for_their_removal_is_looked_at() {
    let place = Place::new();
    {
        let dir = place.dir();
        let mut log = Log::create(&dir, &name("t"), None, &options()).unwrap();
        fill(&mut log, 20, 5);
        log.delete_records_before(60).unwrap();
        assert!(log.apply_retention(NOW).unwrap().segments() > 0);
        stop(&dir, vec![log]);
    }
    let dir = place.dir();
    let closed = dir.closed_logs().expect("the file is there");
    assert!(Log::open_closed(&dir, &name("t"), &options(), &closed).unwrap().is_none());
    Log::open(&dir, &name("t"), &options()).unwrap();
    let left = std::fs::read_dir(place.path("t-0")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().ends_with(".deleted")), "they are removed");
}

#[test]
fn segments_that_cannot_be_so_are_looked_at() {
    type Spoil = fn(&mut ClosedLog);
    let spoils: [(bool, Spoil); 3] =
        [(true, |_| {}), (false, |log| log.segments.clear()), (false, |log| log.segments.reverse())];
    for (is_known, spoil) in spoils {
        let place = Place::new();
        let dir = place.dir();
        let mut log = Log::create(&dir, &name("t"), None, &options()).unwrap();
        fill(&mut log, 20, 5);
        let mut closed = log.close_at_shutdown().unwrap().expect("nothing waits to be removed");
        assert!(closed.segments.len() > 1);
        spoil(&mut closed);
        dir.mark_clean_shutdown(1).unwrap();
        dir.write_closed_logs(vec![closed]).unwrap();
        let closed = dir.closed_logs().expect("the file is there");
        let opened = Log::open_closed(&dir, &name("t"), &options(), &closed).unwrap();
        assert_eq!(opened.is_some(), is_known);
    }
}
