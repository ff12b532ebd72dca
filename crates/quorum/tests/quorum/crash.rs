//! The power is cut at every single write, sync, rename and removal of a short life, one after the other.
//! Whatever the disk makes of it, the node comes back with all it had promised.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use ottla_log::fs::{Disk, Fault, SimDisk};
use ottla_log::{DirOptions, LogDir};
use ottla_quorum::{Replica, ReplicaConfig, Retention, Time};
use ottla_raft::{Request, SnapshotId};
use parking_lot::Mutex;

use crate::node::{Recorder, config_on, fixed};

type Life = Replica<Recorder, Nowhere>;

struct Nowhere;

impl ottla_quorum::Transport for Nowhere {
    fn send(&mut self, _: ottla_raft::Destination, _: u64, _: Request) {}
}

fn now(tick: i64) -> Time {
    Time { monotonic: tick, wall: 1_700_000_000_000 + tick }
}

fn open(disk: &SimDisk, tick: i64) -> Option<(Life, Recorder)> {
    let options = DirOptions { disk: Arc::new(disk.clone()), ..DirOptions::default() };
    let log_dir = LogDir::open(Path::new("/d"), options).ok()?;
    let retention = Retention { bytes: 0, ms: -1 };
    let config = ReplicaConfig { log_dir, retention, ..config_on_any(tick) };
    let recorder = Recorder::default();
    Replica::open(config, recorder.clone(), Nowhere, now(tick)).ok().map(|replica| (replica, recorder))
}

/// Everything but the directory, which the caller replaces.
fn config_on_any(tick: i64) -> ReplicaConfig {
    let spare = tempfile::tempdir().expect("a directory");
    ReplicaConfig {
        seed: tick as u64,
        ..config_on(Arc::new(ottla_log::fs::RealDisk), spare.path(), fixed(1, &[1]))
    }
}

/// What was asked for and what was promised, in order.
#[derive(Default)]
struct Ledger {
    proposed: Vec<String>,
    promised: Arc<Mutex<Vec<String>>>,
}

/// Proposes, makes a snapshot, cleans up, proposes on; stops where the power does.
fn live(replica: &mut Life, recorder: &Recorder, ledger: &Rc<RefCell<Ledger>>) -> Option<()> {
    for round in 0..6i64 {
        for i in 0..2 {
            let text = format!("{round}.{i}.{}", "x".repeat(40));
            ledger.borrow_mut().proposed.push(text.clone());
            let promised = ledger.borrow().promised.clone();
            let note = text.clone();
            let done = Box::new(move |result: Result<_, _>| {
                if result.is_ok() {
                    promised.lock().push(note);
                }
            });
            replica.propose(now(round), None, vec![Bytes::from(text)], done);
        }
        replica.settle(now(round)).ok()?;
        if round % 2 == 1 {
            let status = replica.status();
            let id = SnapshotId { epoch: status.last_epoch, end_offset: status.high_watermark };
            let mut writer = replica.begin_snapshot(id, 1, now(round)).ok()?;
            for value in recorder.0.lock().values.clone() {
                writer.append(value).ok()?;
            }
            let size = writer.finish().ok()?;
            replica.snapshot_finished(id, size);
            replica.clean(now(round)).ok()?;
        }
    }
    Some(())
}

fn texts(recorder: &Recorder) -> Vec<String> {
    recorder.0.lock().values.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect()
}

/// One life with the power cut at call `cut`, or at its end if that call has no effect. Returns how many
/// calls the life took.
fn cut_at(cut: u64, seed: u64) -> u64 {
    let disk = SimDisk::new();
    disk.create_dir(Path::new("/d")).expect("made");
    disk.sync_dir(Path::new("/")).expect("synced");
    disk.fail_at(disk.calls() + cut, Fault::PowerCut);
    let ledger = Rc::new(RefCell::new(Ledger::default()));
    if let Some((mut replica, recorder)) = open(&disk, 0) {
        let _ = live(&mut replica, &recorder, &ledger);
    }
    let calls = disk.calls();
    disk.power_off();
    disk.power_on(seed);
    let place = format!("cut at call {cut}, seed {seed}");
    let (mut replica, recorder) = open(&disk, 100).unwrap_or_else(|| panic!("{place}: does not open again"));
    let (found, ledger) = (texts(&recorder), ledger.borrow());
    let promised = ledger.promised.lock().clone();
    assert!(found.len() >= promised.len(), "{place}: {promised:?} was promised, {found:?} is there");
    assert_eq!(found[..promised.len()], promised[..], "{place}");
    assert!(ledger.proposed.starts_with(&found), "{place}: {found:?} was never proposed like this");
    // And it goes on from there.
    let (more, done) = (Arc::new(Mutex::new(None)), Bytes::from_static(b"more"));
    let outcome = more.clone();
    replica.propose(now(101), None, vec![done], Box::new(move |result| *outcome.lock() = Some(result)));
    replica.settle(now(101)).unwrap_or_else(|error| panic!("{place}: {error}"));
    assert!(matches!(*more.lock(), Some(Ok(_))), "{place}: does not commit any more");
    calls
}

#[test]
fn every_promise_survives_a_power_cut_at_any_point() {
    let whole = cut_at(u64::MAX / 2, 0);
    assert!(whole > 60, "only {whole} points to try: the life is too short");
    for seed in 0..5 {
        for cut in 0..whole {
            cut_at(cut, seed);
        }
    }
}

/// The process is killed after it wrote and before it synced; the system goes on. The next process finds the
/// records and may count them, so they, and the directory they are in, must be durable before it says anything.
#[test]
fn what_a_killed_process_left_is_durable_before_it_counts() {
    let disk = SimDisk::new();
    disk.create_dir(Path::new("/d")).expect("made");
    disk.sync_dir(Path::new("/")).expect("synced");
    let (mut replica, _) = open(&disk, 0).expect("opens");
    replica.propose(now(1), None, vec![Bytes::from_static(b"unsynced")], Box::new(|_| ()));
    // Killed before the step was through: the batch is written at the next call, the sync never comes.
    disk.fail_at(disk.calls() + 1, Fault::Error(std::io::ErrorKind::Other));
    replica.settle(now(1)).expect_err("the disk fails");
    drop(replica);
    let segment = Path::new("/d/__cluster_metadata-0/00000000000000000000.log");
    let length = |disk: &SimDisk| disk.stat(segment).expect("readable").map(|stat| stat.len as usize);
    let left = length(&disk);
    assert!(disk.durable(segment, <[u8]>::len) < left, "nothing was left unsynced: the test is void");
    let (replica, recorder) = open(&disk, 100).expect("opens again");
    assert_eq!(texts(&recorder), ["unsynced"]);
    assert_eq!(disk.durable(segment, <[u8]>::len), length(&disk));
    drop(replica);
}

/// A vote is a promise, too. A node that votes before its log has anything to flush keeps the vote: the directory
/// that holds it was made a moment ago.
#[test]
fn a_vote_in_a_new_directory_is_durable() {
    let disk = SimDisk::new();
    disk.create_dir(Path::new("/d")).expect("made");
    disk.sync_dir(Path::new("/")).expect("synced");
    let options = DirOptions { disk: Arc::new(disk.clone()), ..DirOptions::default() };
    let log_dir = LogDir::open(Path::new("/d"), options).expect("a directory");
    let spare = tempfile::tempdir().expect("a directory");
    let three = config_on(Arc::new(ottla_log::fs::RealDisk), spare.path(), fixed(1, &[1, 2, 3]));
    let config = ReplicaConfig { log_dir, ..three };
    let mut replica = Replica::open(config, Recorder::default(), Nowhere, now(0)).expect("opens");
    let vote = ottla_raft::message::VoteRequest {
        cluster_id: None,
        voter: None,
        candidate: ottla_raft::ReplicaKey { id: 2, directory: None },
        epoch: 5,
        last_epoch: 0,
        end_offset: 0,
        pre_vote: false,
    };
    let granted = Arc::new(Mutex::new(None));
    let (seen, state) = (granted.clone(), Path::new("/d/__cluster_metadata-0/quorum-state"));
    let watched = disk.clone();
    let reply = move |response| {
        let ottla_raft::Response::Vote(vote) = response else { panic!("{response:?}") };
        let text = watched.durable(state, |bytes| String::from_utf8_lossy(bytes).into_owned());
        *seen.lock() = Some((vote.granted, text));
    };
    replica.request(now(1), "CONTROLLER", Request::Vote(vote), Box::new(reply));
    replica.settle(now(1)).expect("the disk works");
    let (granted, text) = granted.lock().take().expect("answered");
    assert!(granted);
    assert!(text.is_some_and(|text| text.contains("\"votedId\":2")), "the vote could be forgotten");
}
