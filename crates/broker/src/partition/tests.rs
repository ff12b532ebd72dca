//! Replicas of one partition in one process: what the handlers and the fetchers would carry goes from hand to hand.

use std::collections::BTreeMap;
use std::path::Path;

use ottla_config::NodeConfig;
use ottla_log::{CheckpointEntry, CheckpointKind, DirKind, DirOptions, LogDir, MetaProperties};
use ottla_metadata::Image;
use ottla_metadata::image::Broker;
use ottla_protocol::metadata_records::register_broker_record::RegisterBrokerRecord;
use ottla_records::builder::{BatchBuilder, NewRecord};
use ottla_replication::EpochEnd;
use ottla_replication::leader::{Answer, Assignment, Recovery};
use tempfile::TempDir;

use super::*;
use crate::dirs;
use crate::fetch_session::{TopicRef, Wanted};
use crate::wait::{Hot, Watch};

const TOPIC: Uuid = Uuid::from_u128(0x70);

struct Replica {
    id: i32,
    dir: Arc<Dir>,
    partition: Arc<Partition>,
    config: Arc<TopicConfig>,
}

fn epoch_of(id: i32) -> i64 {
    i64::from(id) * 10
}

fn config(path: &Path, id: i32) -> NodeConfig {
    let file = format!(
        "process.roles=broker,controller\nnode.id={id}\nlisteners=PLAINTEXT://:9092,CONTROLLER://:9093\n\
         controller.listener.names=CONTROLLER\ncontroller.quorum.voters={id}@localhost:9093\nlog.dirs={}\n",
        path.display()
    );
    NodeConfig::load("test", file.as_bytes(), &[]).expect("a valid file").config
}

fn neighbours(id: i32) -> Arc<Neighbours> {
    let neighbours = Neighbours::new(id, 30_000, 1_000, (11, 1));
    let broker = |id: i32| {
        let record = RegisterBrokerRecord {
            broker_id: id,
            broker_epoch: epoch_of(id),
            fenced: false,
            ..RegisterBrokerRecord::default()
        };
        (id, Arc::new(Broker::from_record(&record)))
    };
    let brokers: BTreeMap<i32, Arc<Broker>> = [1, 2, 3].map(broker).into();
    neighbours.take(&Image { brokers: Arc::new(brokers), ..Image::default() });
    neighbours
}

/// Opens the partition as a process would that starts on this directory.
fn open(path: &Path, id: i32, topic_id: Uuid) -> Replica {
    if !path.join("meta.properties").exists() {
        let log = LogDir::open(path, DirOptions::default()).expect("a directory");
        let properties = MetaProperties::new("c", id, Uuid::from_u128(0xd0 + id as u128));
        log.write_meta_properties(&properties).expect("formatted");
    }
    let node = config(path, id);
    let dir = dirs::open(&node).expect("the directories").all.remove(0);
    let config = Arc::new(node.topic_defaults.clone());
    let opened =
        Partition::open(&dir, 0, &"t".into(), topic_id, 0, config.clone(), 86_400_000, 0, &neighbours(id));
    Replica { id, partition: Arc::new(opened.expect("opened")), dir, config }
}

/// Partitions of one topic in a directory of their own, which nobody leads.
pub(crate) fn partitions(count: i32) -> (TempDir, Vec<Arc<Partition>>) {
    let path = tempfile::tempdir().expect("a directory");
    let first = open(path.path(), 1, TOPIC);
    let others = (1..count).map(|index| {
        let (dir, config) = (&first.dir, first.config.clone());
        Partition::open(dir, 0, &"t".into(), TOPIC, index, config, 86_400_000, 0, &neighbours(1))
            .expect("opened")
    });
    let others: Vec<Arc<Partition>> = others.map(Arc::new).collect();
    (path, [first.partition].into_iter().chain(others).collect())
}

/// The same, led by this node alone, each with a record.
pub(crate) fn led(count: i32) -> (TempDir, Vec<Arc<Partition>>) {
    let (path, partitions) = partitions(count);
    let config = Arc::new(config(path.path(), 1).topic_defaults);
    for partition in &partitions {
        let assignment = Assignment {
            leader_epoch: 1,
            partition_epoch: 1,
            replicas: vec![1],
            isr: vec![1],
            ..Assignment::default()
        };
        partition.lead(assignment, config.clone());
        append(partition, 1, "a record");
    }
    (path, partitions)
}

/// Appends one record; returns the offset behind it.
pub(crate) fn append(partition: &Arc<Partition>, leader_epoch: i32, value: &str) -> i64 {
    let mut batch = BatchBuilder::new(0);
    batch.append(&NewRecord::new(1, None, Some(value.as_bytes())));
    let appended = partition.append_own(&batch.build(), Some(leader_epoch), 1, TransactionCheck::default());
    appended.unwrap_or_else(|error| panic!("{error:?}")).next_offset
}

fn three() -> ([TempDir; 3], [Replica; 3]) {
    let paths = [(); 3].map(|()| tempfile::tempdir().expect("a directory"));
    let replicas = [1, 2, 3].map(|id| open(paths[id as usize - 1].path(), id, TOPIC));
    (paths, replicas)
}

impl Replica {
    fn lead(&self, leader_epoch: i32, isr: &[i32]) {
        let assignment = Assignment {
            leader_epoch,
            partition_epoch: leader_epoch,
            replicas: vec![1, 2, 3],
            isr: isr.to_vec(),
            ..Assignment::default()
        };
        self.partition.lead(assignment, self.config.clone());
    }

    fn follow(&self, leader: &Replica, leader_epoch: i32) {
        self.partition.follow(leader.id, leader_epoch, self.config.clone());
    }

    fn append(&self, leader_epoch: i32, value: &str) -> i64 {
        append(&self.partition, leader_epoch, value)
    }

    /// One fetch from `leader` and its answer; what the leader said if that is an error.
    fn fetch(&self, leader: &Replica) -> Result<(), ErrorCode> {
        let Question::Fetch(asked) = self.partition.question() else { panic!("{} does not fetch", self.id) };
        let want = Wanted {
            topic: TopicRef::Id(TOPIC),
            partition: 0,
            current_leader_epoch: asked.leader_epoch,
            fetch_offset: asked.offset,
            last_fetched_epoch: asked.last_epoch.unwrap_or(-1),
            log_start_offset: asked.log_start,
            max_bytes: 1 << 20,
        };
        let reader = Reader::Replica { id: self.id, broker_epoch: epoch_of(self.id), counts: true };
        let read = leader.partition.fetch(&want, 1 << 20, true, reader)?;
        let records = read.slice.map_or_else(Vec::new, |slice| slice.to_vec().expect("readable"));
        let diverging = read.diverging.map(|(epoch, end_offset)| EpochEnd { epoch, end_offset });
        let (high_watermark, log_start) = (read.high_watermark, read.log_start_offset);
        self.partition.fetched(&asked, None, diverging, &records, high_watermark, log_start);
        Ok(())
    }

    fn end(&self) -> i64 {
        self.partition.load_range().1
    }

    fn bytes(&self) -> Vec<u8> {
        match self.end() {
            0 => Vec::new(),
            _ => self.partition.read_for_load(0, 1 << 20).expect("readable"),
        }
    }
}

#[test]
fn an_append_is_acked_once_every_replica_in_sync_has_it() {
    let (_paths, [one, two, three]) = three();
    one.lead(1, &[1, 2, 3]);
    two.follow(&one, 1);
    three.follow(&one, 1);
    let end = one.append(1, "a");
    let acked = || one.partition.acked(1, end);
    assert_eq!(acked(), None);
    two.fetch(&one).unwrap();
    two.fetch(&one).unwrap();
    three.fetch(&one).unwrap();
    assert_eq!((acked(), one.partition.high_watermark()), (None, 0), "3 has it, and has not said so yet");
    three.fetch(&one).unwrap();
    assert_eq!((acked(), one.partition.high_watermark()), (Some(Ok(())), end));
    assert_eq!(three.partition.high_watermark(), end, "that very answer told it");
    assert_eq!(two.partition.high_watermark(), 0);
    two.fetch(&one).unwrap();
    assert_eq!(two.partition.high_watermark(), end);
    assert!(one.bytes() == two.bytes() && two.bytes() == three.bytes());
    assert_eq!(one.partition.acked(0, end), Some(Err(ErrorCode::NotLeaderOrFollower)), "of another epoch");
}

#[test]
fn what_a_deposed_leader_had_alone_is_cut_off_and_its_recovery_point_with_it() {
    let (_paths, [one, two, three]) = three();
    one.lead(1, &[1, 2, 3]);
    two.follow(&one, 1);
    three.follow(&one, 1);
    let common = one.append(1, "both");
    for _ in 0..2 {
        two.fetch(&one).unwrap();
        three.fetch(&one).unwrap();
    }
    one.append(1, "alone");
    let point = CheckpointEntry { topic: "t".into(), partition: 0, offset: one.end() };
    assert!(one.dir.write_checkpoint(CheckpointKind::RecoveryPoint, vec![point]));
    two.lead(2, &[2, 3]);
    two.append(2, "new");
    two.append(2, "newer");
    one.follow(&two, 2);
    one.fetch(&two).unwrap();
    assert_eq!(one.end(), common, "cut to where the logs part");
    let points = one.dir.log().read_checkpoint(CheckpointKind::RecoveryPoint).unwrap();
    assert_eq!(
        points[0].offset, 0,
        "nothing was flushed, and the checkpoint says so before the log grows again"
    );
    one.fetch(&two).unwrap();
    assert_eq!(one.bytes(), two.bytes());
}

#[test]
fn followers_sessions_are_told_that_the_log_begins_elsewhere() {
    let (_paths, [one, two, _]) = three();
    one.lead(1, &[1, 2]);
    two.follow(&one, 1);
    one.append(1, "first");
    for _ in 0..2 {
        two.fetch(&one).unwrap();
    }
    let hot: Arc<Hot> = Arc::default();
    one.partition.waiters().watch(&Watch::new(7, &hot));
    assert_eq!(hot.take(), Vec::<u32>::new());
    assert_eq!(one.partition.delete_records(-1).unwrap(), one.end());
    assert_eq!(hot.take(), [7], "or nobody would look at it before the next record");
}

#[test]
fn a_deleted_partition_leaves_no_recovery_point_to_one_of_the_same_name() {
    let (_path, partitions) = partitions(2);
    let dir = partitions[0].log_dir.clone();
    let point = |partition| CheckpointEntry { topic: "t".into(), partition, offset: 5 };
    assert!(dir.write_checkpoint(CheckpointKind::RecoveryPoint, vec![point(0), point(1)]));
    partitions[0].delete(0).unwrap();
    let points = dir.log().read_checkpoint(CheckpointKind::RecoveryPoint).unwrap();
    assert_eq!(points.iter().map(|point| point.offset).collect::<Vec<_>>(), [0, 5]);
}

#[test]
fn a_follower_flushes_as_often_as_the_topic_says_before_it_asks_for_more() {
    let (_paths, [one, two, _]) = three();
    one.lead(1, &[1, 2]);
    two.follow(&one, 1);
    one.append(1, "first");
    two.fetch(&one).unwrap();
    assert_eq!(two.partition.checkpoints().unwrap().recovery_point, 0, "nobody asked for a flush");
    let config = TopicConfig { flush_messages: 1, ..(*two.config).clone() };
    two.partition.configure(Arc::new(config));
    one.append(1, "second");
    two.fetch(&one).unwrap();
    assert_eq!(two.partition.checkpoints().unwrap().recovery_point, two.end());
}

#[test]
fn a_throttle_holds_back_whoever_is_not_in_sync() {
    let (_paths, [one, two, three]) = three();
    one.lead(1, &[1, 2]);
    two.follow(&one, 1);
    three.follow(&one, 1);
    let lists = |leader: &str, follower: &str| {
        let list = |entry: &str| vec![entry.to_owned()];
        let config = (*one.config).clone();
        Arc::new(TopicConfig { leader_throttled: list(leader), follower_throttled: list(follower), ..config })
    };
    let end = one.append(1, "a");
    let sending = &one.partition.neighbours.sending;
    sending.set(1);
    sending.record(1 << 30, one.partition.neighbours.now_ms());
    one.partition.configure(lists("0:1", "0:9"));
    two.fetch(&one).unwrap();
    three.fetch(&one).unwrap();
    assert_eq!((two.end(), three.end()), (end, 0), "only who is in sync is served");
    one.partition.configure(lists("0:2", "*"));
    three.fetch(&one).unwrap();
    assert_eq!(three.end(), end, "another replica is meant");
    // The follower's side.
    one.append(1, "b");
    let fetching = &three.partition.neighbours.fetching;
    fetching.set(1);
    fetching.record(1 << 30, three.partition.neighbours.now_ms());
    three.partition.configure(lists("*", "0:3"));
    assert!(matches!(three.partition.question(), Question::Fetch(_)), "as far as it knows it has everything");
    let path = tempfile::tempdir().expect("a directory");
    let fresh = open(path.path(), 3, TOPIC);
    fresh.follow(&one, 1);
    fresh.partition.neighbours.fetching.set(1);
    fresh.partition.configure(lists("*", "0:3"));
    assert!(matches!(fresh.partition.question(), Question::Fetch(_)));
    fresh.partition.neighbours.fetching.record(1 << 30, fresh.partition.neighbours.now_ms());
    assert!(matches!(fresh.partition.question(), Question::Wait { .. }));
    fresh.partition.neighbours.fetching.set(i64::MAX);
    assert!(matches!(fresh.partition.question(), Question::Fetch(_)));
}

#[tokio::test(flavor = "current_thread")]
async fn a_follower_that_caught_up_comes_back_and_counts_from_then_on() {
    let (_paths, [one, two, _three]) = three();
    one.lead(1, &[1]);
    let first = one.append(1, "a");
    assert_eq!(one.partition.acked(1, first), Some(Ok(())), "alone in sync");
    two.follow(&one, 1);
    two.fetch(&one).unwrap();
    two.fetch(&one).unwrap();
    let mut proposals = one.partition.neighbours.proposals().await;
    let proposal = proposals.remove(0).proposal;
    let members: Vec<_> = proposal.isr.iter().map(|it| (it.id, it.broker_epoch)).collect();
    assert_eq!(members, [(1, epoch_of(1)), (2, epoch_of(2))]);
    let committed = Answer::Committed {
        leader_epoch: 1,
        partition_epoch: 2,
        isr: vec![1, 2],
        recovery: Recovery::Recovered,
    };
    one.partition.answered(&proposal, committed);
    let second = one.append(1, "b");
    assert_eq!(one.partition.acked(1, second), None, "2 is waited for");
    two.fetch(&one).unwrap();
    two.fetch(&one).unwrap();
    assert_eq!(one.partition.acked(1, second), Some(Ok(())));
}

#[test]
fn fetches_of_others_and_of_earlier_incarnations_do_not_count() {
    let (_paths, [one, two, _three]) = three();
    one.lead(1, &[1, 2, 3]);
    two.follow(&one, 1);
    let want = Wanted {
        topic: TopicRef::Id(TOPIC),
        partition: 0,
        current_leader_epoch: 1,
        fetch_offset: 0,
        last_fetched_epoch: -1,
        log_start_offset: 0,
        max_bytes: 1 << 20,
    };
    let read = |id, broker_epoch| {
        one.partition.fetch(&want, 1 << 20, true, Reader::Replica { id, broker_epoch, counts: true }).err()
    };
    assert_eq!(read(2, epoch_of(2)), None);
    assert_eq!(read(2, epoch_of(2) - 1), Some(ErrorCode::NotLeaderOrFollower));
    assert_eq!(read(9, 90), Some(ErrorCode::UnknownLeaderEpoch));
    let stale = Wanted { current_leader_epoch: 0, ..want.clone() };
    let reader = Reader::Replica { id: 2, broker_epoch: epoch_of(2), counts: true };
    assert_eq!(one.partition.fetch(&stale, 1, true, reader).err(), Some(ErrorCode::FencedLeaderEpoch));
    assert_eq!(two.partition.fetch(&want, 1, true, reader).err(), Some(ErrorCode::NotLeaderOrFollower));
}

#[test]
fn a_new_leader_does_not_tell_an_end_before_it_knows_it() {
    let (_paths, [one, two, three]) = three();
    one.lead(1, &[1, 2, 3]);
    two.follow(&one, 1);
    let end = one.append(1, "a");
    two.fetch(&one).unwrap();
    // What is known to be committed lies behind what 1 may have told its clients.
    two.lead(2, &[2, 3]);
    let at_end = || two.partition.offset_of(Moment::HighWatermark, -1).map(|found| found.map(|f| f.offset));
    assert_eq!(at_end(), Err(ErrorCode::OffsetNotAvailable));
    assert!(two.partition.offset_of(Moment::LogEnd, -1).is_ok(), "a replica is told");
    three.follow(&two, 2);
    three.fetch(&two).unwrap();
    three.fetch(&two).unwrap();
    assert_eq!(at_end(), Ok(Some(end)));
}

#[test]
fn records_are_deleted_when_every_replica_has_deleted_them() {
    let (_paths, [one, two, three]) = three();
    one.lead(1, &[1, 2, 3]);
    two.follow(&one, 1);
    three.follow(&one, 1);
    let end = one.append(1, "a");
    for _ in 0..3 {
        two.fetch(&one).unwrap();
        three.fetch(&one).unwrap();
    }
    assert_eq!(one.partition.delete_records(-1), Ok(end));
    assert_eq!(one.partition.low_watermark(), Ok(0));
    for replica in [&two, &three] {
        assert_eq!(one.partition.low_watermark(), Ok(0));
        // The answer tells the new start, the next fetch that it was taken.
        replica.fetch(&one).unwrap();
        replica.fetch(&one).unwrap();
    }
    assert_eq!(one.partition.low_watermark(), Ok(end));
    assert_eq!(two.partition.low_watermark(), Err(ErrorCode::NotLeaderOrFollower));
}

#[test]
fn an_older_topic_of_the_same_name_is_put_aside() {
    let path = tempfile::tempdir().expect("a directory");
    let old = open(path.path(), 1, TOPIC);
    old.lead(1, &[1]);
    old.append(1, "of the old topic");
    old.partition.close().expect("closed");
    drop(old);
    let new = open(path.path(), 1, Uuid::from_u128(0x71));
    assert_eq!(new.end(), 0);
    let kinds: Vec<DirKind> = new.dir.log().partitions().unwrap().into_iter().map(|p| p.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == DirKind::Current).count(), 1);
    assert_eq!(kinds.iter().filter(|kind| matches!(kind, DirKind::Stray(_))).count(), 1);
    new.lead(1, &[1]);
    assert_eq!(new.append(1, "of the new one"), 1);
}
