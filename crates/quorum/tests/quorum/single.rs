//! One voter.

use bytes::Bytes;
use ottla_log::fs::{Disk, RealDisk};
use ottla_quorum::{BeginSnapshotError, ProposeError, ReplicaConfig, Retention, format, state_file};
use ottla_raft::{Request, Response, SnapshotId, VoterSet};
use std::sync::Arc;

use crate::node::{Network, Node, Recorder, eventually, fixed, raft, replica_config, voter};

#[test]
fn a_lone_voter_leads_at_once_and_commits_what_it_is_given() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), fixed(1, &[1]));
    assert!(node.is_active(), "active before start returns");
    let first = node.propose(&["a", "b"]);
    assert_eq!((first.base_offset, first.last_offset, first.epoch), (1, 2, 1));
    let second = node.propose(&["c"]);
    assert_eq!((second.base_offset, second.last_offset), (3, 3));
    assert_eq!(node.texts(), ["a", "b", "c"]);
    let status = node.handle.status();
    assert_eq!(
        (status.role, status.leader, status.high_watermark, status.log_end),
        ("Leader", Some(1), 4, 4)
    );
    let sizes: Vec<usize> = node.seen.lock().batches.iter().map(|batch| batch.values.len()).collect();
    assert_eq!(sizes, [0, 2, 1], "one batch per decision, control batches empty");
    assert!(node.stop());
}

#[test]
fn a_restart_replays_everything_in_the_next_epoch() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), fixed(1, &[1]));
    node.propose(&["a"]);
    node.propose(&["b", "c"]);
    node.stop();
    let metadata = directory.path().join(ottla_quorum::METADATA_DIRECTORY);
    let stored = state_file::read(&RealDisk, &metadata).expect("readable").expect("written");
    assert_eq!((stored.epoch, stored.leader, stored.voters.as_slice()), (1, Some(1), &[1][..]));

    let node = Node::start(directory.path(), fixed(1, &[1]));
    assert_eq!(node.texts(), ["a", "b", "c"]);
    assert!(node.is_active());
    let next = node.propose(&["d"]);
    assert_eq!((next.base_offset, next.epoch), (5, 2));
    let timestamps: Vec<i64> = node.seen.lock().batches.iter().map(|batch| batch.timestamp).collect();
    assert!(timestamps.is_sorted() && timestamps[0] > 1_600_000_000_000, "wall clock");
    node.stop();
}

#[test]
fn a_listener_without_room_is_given_more_when_it_has_some() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), fixed(1, &[1]));
    let large = "x".repeat(100_000);
    (0..10).for_each(|_| _ = node.propose(&[&large]));
    node.stop();

    let recorder = Recorder::default();
    recorder.0.lock().most = Some(1);
    let config = replica_config(directory.path(), fixed(1, &[1]));
    let node = Node::try_start_telling(recorder, config, &Network::default()).expect("the replica opens");
    let first = node.texts().len();
    assert!((1..10).contains(&first), "one read and no more: {first}");
    assert!(!node.is_active(), "it has not seen all that was committed before");
    let (sender, outcome) = std::sync::mpsc::channel();
    node.handle.propose(None, vec![Bytes::from_static(b"last")], move |result| _ = sender.send(result));
    // Every step looks again.
    assert!(node.handle.request_and_wait("CONTROLLER", Request::DescribeQuorum).is_ok());
    assert_eq!(node.texts().len(), first, "still no room");
    assert!(outcome.try_recv().is_err(), "an answer follows what the listener has seen");
    node.seen.lock().most = None;
    node.handle.go_on();
    assert!(outcome.recv().expect("an answer").is_ok());
    let texts = node.texts();
    assert!(texts.len() == 11 && texts[10] == "last" && node.is_active());
    node.stop();
}

#[test]
fn a_dynamic_quorum_starts_from_its_first_voters() {
    let directory = tempfile::tempdir().expect("a directory");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let records = vec![Bytes::from_static(b"first"), Bytes::from_static(b"second")];
    format::write_bootstrap(&disk, directory.path(), &records, 5).expect("written");
    format::write_first_voters(&disk, directory.path(), 1, VoterSet::from_voters([voter(3)]), 5)
        .expect("written");
    assert_eq!(format::read_bootstrap(&*disk, directory.path()).expect("readable"), Some(records));

    let node = Node::start(directory.path(), raft(3));
    let status = node.handle.status();
    assert_eq!((status.kraft_version, status.is_voter, status.log_end), (1, true, 3));
    assert_eq!(status.voters, VoterSet::from_voters([voter(3)]));
    node.propose(&["x"]);
    let reply = node.handle.request_and_wait("CONTROLLER", Request::DescribeQuorum).expect("running");
    let Response::DescribeQuorum(report) = reply else { panic!("{reply:?}") };
    assert_eq!((report.leader.id, report.high_watermark, report.voters.len()), (Some(3), 4, 1));
    assert!(report.voters[0].last_fetch.expect("the leader itself") > 1_600_000_000_000, "wall clock");
    node.stop();

    let metadata = directory.path().join(ottla_quorum::METADATA_DIRECTORY);
    let line = std::fs::read_to_string(metadata.join("quorum-state")).expect("readable");
    assert!(line.ends_with(r#""data_version":1}"#), "{line}");
    let node = Node::start(directory.path(), raft(3));
    assert_eq!((node.texts(), node.handle.status().epoch), (vec!["x".to_owned()], 2));
    node.stop();
}

#[test]
fn proposals_are_refused_for_a_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), fixed(1, &[1]));
    let try_propose = |epoch, values| node.handle.propose_and_wait(epoch, values);
    assert_eq!(try_propose(None, vec![]), Err(ProposeError::Empty));
    let huge = vec![Bytes::from(vec![0u8; ottla_quorum::MAX_BATCH_BYTES])];
    assert!(matches!(try_propose(None, huge), Err(ProposeError::TooLarge { .. })));
    let other = try_propose(Some(9), vec![Bytes::from_static(b"x")]);
    assert!(matches!(other, Err(ProposeError::NotLeader(_))), "{other:?}");
    assert!(try_propose(Some(1), vec![Bytes::from_static(b"x")]).is_ok());
    let handle = node.handle.clone();
    node.stop();
    let late = handle.propose_and_wait(None, vec![Bytes::from_static(b"x")]);
    assert!(matches!(late, Err(ProposeError::Stopped(_))), "{late:?}");
}

#[test]
fn a_resigned_lone_voter_comes_back_in_a_new_epoch() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut config = fixed(1, &[1]);
    config.election_timeout_ms = 20;
    let node = Node::start(directory.path(), config);
    node.handle.resign(1);
    eventually("a new lead", || node.is_active() && node.handle.status().epoch > 1);
    let told = node.seen.lock().leadership.clone();
    assert!(told.iter().any(|change| !change.active), "the loss was told: {told:?}");
    node.propose(&["after"]);
    node.stop();
}

#[test]
fn a_snapshot_replaces_history() {
    let directory = tempfile::tempdir().expect("a directory");
    let node = Node::start(directory.path(), fixed(1, &[1]));
    node.propose(&["a"]);
    let second = node.propose(&["b", "c"]);
    let id = SnapshotId { epoch: 1, end_offset: second.last_offset + 1 };
    let inside = SnapshotId { end_offset: id.end_offset - 1, ..id };
    let refused = node.handle.begin_snapshot(inside, 0, 0).expect_err("inside a batch");
    assert!(matches!(refused, BeginSnapshotError::NotThere(_)), "{refused:?}");
    let ahead = SnapshotId { end_offset: id.end_offset + 1, ..id };
    assert!(node.handle.begin_snapshot(ahead, 0, 0).is_err(), "not committed");

    let mut writer = node.handle.begin_snapshot(id, 123, 456).expect("committed and between batches");
    writer.append(Bytes::from_static(b"abc")).expect("appended");
    node.handle.finish_snapshot(writer).expect("written");
    assert!(matches!(node.handle.begin_snapshot(id, 0, 0), Err(BeginSnapshotError::Exists(_))));
    node.propose(&["d"]);
    assert_eq!(node.handle.status().latest_snapshot_end, id.end_offset);
    node.stop();

    let node = Node::start(directory.path(), fixed(1, &[1]));
    assert_eq!(node.texts(), ["abc", "d"]);
    assert_eq!(node.seen.lock().snapshots, [id.end_offset]);
    node.stop();
}

/// `metadata.max.retention.*`: with a newer snapshot the older one and the log before it go.
#[test]
fn surplus_history_goes_and_what_is_left_is_enough() {
    let directory = tempfile::tempdir().expect("a directory");
    let metadata = directory.path().join(ottla_quorum::METADATA_DIRECTORY);
    let config = || {
        let retention = Retention { bytes: 0, ms: -1 };
        ReplicaConfig { retention, ..replica_config(directory.path(), fixed(1, &[1])) }
    };
    let wall = |wall| ottla_quorum::Time { monotonic: 0, wall };
    let node = Node::start_with(config(), &Network::default());
    let mut ends = Vec::new();
    for text in ["a", "b", "c"] {
        let proposed = node.propose(&[text]);
        let id = SnapshotId { epoch: 1, end_offset: proposed.last_offset + 1 };
        let mut writer = node.handle.begin_snapshot(id, 1, 1).expect("committed");
        node.texts().into_iter().for_each(|text| writer.append(text.into()).expect("appended"));
        node.handle.finish_snapshot(writer).expect("written");
        ends.push(id.end_offset);
    }
    node.propose(&["d"]);
    node.stop();
    let checkpoints = || {
        let names = std::fs::read_dir(&metadata).expect("readable").map(|entry| entry.expect("readable"));
        names.filter(|entry| entry.file_name().to_string_lossy().ends_with(".checkpoint")).count()
    };
    assert_eq!(checkpoints(), 3);

    // The cleaning pass of the driver comes once a minute; here it is asked for directly.
    let recorder = crate::node::Recorder::default();
    let mut replica = ottla_quorum::Replica::open(config(), recorder, Nowhere, wall(10)).expect("opens");
    replica.clean(wall(20)).expect("cleaned");
    assert_eq!((checkpoints(), replica.status().log_start), (1, ends[2]));
    replica.close(wall(30)).expect("closed");

    let node = Node::start(directory.path(), fixed(1, &[1]));
    assert_eq!(node.texts(), ["a", "b", "c", "d"]);
    node.stop();
}

struct Nowhere;

impl ottla_quorum::Transport for Nowhere {
    fn send(&mut self, _: ottla_raft::Destination, _: u64, _: Request) {}
}
