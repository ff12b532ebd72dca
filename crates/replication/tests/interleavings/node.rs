//! A broker of the model: a log in memory and the machine that goes with its image.

use ottla_replication::follower::{self, Advance, Append};
use ottla_replication::leader::{self, Progress};
use ottla_replication::{Broker, BrokerId, Follower, Leader};

use crate::controller::Image;

pub const LAG_MS: i64 = 1000;

/// A record: the epoch it was appended in, and a value that there is once.
pub type Record = (i32, u64);

#[derive(Clone, Default)]
pub struct Log {
    pub records: Vec<Record>,
    epochs: Vec<(i32, i64)>,
}

impl Log {
    pub fn end(&self) -> i64 {
        self.records.len() as i64
    }

    pub fn begin_epoch(&mut self, epoch: i32) {
        if self.epochs.last().is_none_or(|(last, _)| *last < epoch) {
            let end = self.end();
            self.epochs.push((epoch, end));
        }
    }

    pub fn append(&mut self, record: Record) {
        self.begin_epoch(record.0);
        self.records.push(record);
    }

    pub fn truncate(&mut self, to: i64) {
        self.records.truncate(to as usize);
        let end = self.end();
        self.epochs.retain(|(_, start)| *start < end);
    }

    pub fn end_of_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        let next = self.epochs.iter().position(|(known, _)| *known > epoch);
        match next {
            None => self.epochs.last().filter(|(last, _)| *last == epoch).map(|_| (epoch, self.end())),
            Some(0) => Some((epoch, self.epochs[0].1)),
            Some(at) => Some((self.epochs[at - 1].0, self.epochs[at].1)),
        }
    }

    pub fn ends(&self) -> follower::LogEnds {
        let last_epoch = self.epochs.last().map(|(epoch, _)| *epoch);
        follower::LogEnds { start: 0, end: self.end(), last_epoch }
    }
}

pub enum Role {
    None,
    Leader(Leader),
    Follower(Follower),
}

pub struct Node {
    pub id: BrokerId,
    pub broker_epoch: i64,
    /// How many images it has applied.
    pub applied: usize,
    pub image: Image,
    pub log: Log,
    /// As it would be in the checkpoint.
    pub high_watermark: i64,
    pub role: Role,
    /// acks=all produces that wait: the offset behind them.
    pub waiting: Vec<i64>,
}

impl Node {
    pub fn new(id: BrokerId, image: Image) -> Node {
        let broker_epoch = image.brokers[&id].epoch;
        let log = Log::default();
        let (role, waiting) = (Role::None, Vec::new());
        Node { id, broker_epoch, applied: 0, image, log, high_watermark: 0, role, waiting }
    }

    pub fn leader(&mut self) -> Option<&mut Leader> {
        if let Role::Leader(leader) = &mut self.role { Some(leader) } else { None }
    }

    pub fn follower(&mut self) -> Option<&mut Follower> {
        if let Role::Follower(follower) = &mut self.role { Some(follower) } else { None }
    }

    pub fn brokers(image: &Image) -> impl Fn(BrokerId) -> Option<Broker> + '_ {
        |id| image.brokers.get(&id).copied()
    }

    /// The next image. What the machine does about it.
    pub fn apply(&mut self, image: Image, minimum: usize, now: i64) -> Progress {
        let old = std::mem::replace(&mut self.image, image);
        self.applied += 1;
        let partition = self.image.partition.clone();
        let registered = self.image.brokers.clone();
        let brokers = |id| registered.get(&id).copied();
        let epoch = partition.leader_epoch;
        match (&mut self.role, self.image.leader) {
            (Role::Leader(leader), Some(id)) if id == self.id => {
                if epoch > leader.leader_epoch() {
                    self.log.begin_epoch(epoch);
                }
                return leader.partition_changed(partition, &brokers, now);
            }
            (Role::Follower(follower), Some(id)) if id == follower.leader() => {
                if follower.leader_epoch() == epoch {
                    return Progress::default();
                }
                self.follow(id, epoch);
            }
            (_, Some(id)) if id == self.id => {
                let settings =
                    leader::Settings { min_insync_replicas: minimum, replica_lag_time_max_ms: LAG_MS };
                let log =
                    leader::LogEnds { start: 0, end: self.log.end(), high_watermark: self.high_watermark };
                self.log.begin_epoch(epoch);
                let (leader, progress) =
                    Leader::new(self.id, self.broker_epoch, settings, partition, log, &brokers, now);
                self.role = Role::Leader(leader);
                return progress;
            }
            (_, Some(id)) => self.follow(id, epoch),
            (_, None) => {
                self.role = Role::None;
                self.waiting.clear();
            }
        }
        assert!(epoch >= old.partition.leader_epoch);
        Progress::default()
    }

    fn follow(&mut self, leader: BrokerId, epoch: i32) {
        self.waiting.clear();
        let settings = follower::Settings { fetch_backoff_ms: 10 };
        let follower = Follower::new(leader, epoch, settings, self.log.ends(), self.high_watermark);
        self.role = Role::Follower(follower);
    }

    /// Appends what was fetched, as far as the machine allows.
    pub fn append_fetched(&mut self, append: Append, records: &[Record]) -> Advance {
        assert_eq!(append.restart_at, None);
        for record in records.iter().take_while(|(epoch, _)| *epoch <= append.up_to_epoch) {
            self.log.append(*record);
        }
        let ends = self.log.ends();
        self.follower().expect("it fetched").appended(ends.end, ends.last_epoch)
    }
}
