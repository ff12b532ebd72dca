//! One partition of a node: its log, and the machine of the part that the node plays.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_log::{CheckpointEntry, CheckpointKind, Log, LogConfig, LogDir};
use ottla_protocol::ErrorCode;
use ottla_replication::leader::Proposal;
use ottla_replication::{Broker, BrokerId, Follower, Leader};

use super::ask::{Key, Route};

/// The part.
pub enum Role {
    Idle,
    Leads(Box<Leader>),
    Follows(Box<Follower>),
}

/// What a partition has to know of the rest.
pub struct Around<'a> {
    pub own: BrokerId,
    pub brokers: &'a BTreeMap<BrokerId, Broker>,
    pub now_ms: i64,
    pub wall_ms: i64,
    pub min_isr: usize,
    pub lag_ms: i64,
}

impl Around<'_> {
    /// The registered brokers, as replication asks for them.
    pub fn lookup(&self) -> impl Fn(BrokerId) -> Option<Broker> + '_ {
        |id| self.brokers.get(&id).copied()
    }
}

/// A produce that waits for the in-sync replicas.
pub struct Waiting {
    pub route: Route,
    pub leader_epoch: i32,
    pub base: i64,
    pub required: i64,
    pub number: u64,
    pub until_ms: i64,
}

/// A fetch that waits for something to fetch.
pub struct Parked {
    pub route: Route,
    pub replica: i32,
    pub fetch: ottla_replication::follower::Fetch,
    pub until_ms: i64,
}

/// What a partition did that others have to be told.
pub enum News {
    /// The leader of an epoch began.
    Leads { epoch: i32, fresh: bool },
    /// The high watermark of a leader is this.
    Committed { epoch: i32, high_watermark: i64 },
    /// Records below a follower's high watermark went.
    Lost { records: i64 },
}

/// A partition.
pub struct Partition {
    pub topic: Arc<str>,
    pub key: Key,
    pub log: Log,
    pub role: Role,
    pub leader_epoch: i32,
    /// The question that is on its way to the leader, and since when.
    pub asking: Option<(u64, i64)>,
    pub next_poll: i64,
    pub waiting: Vec<Waiting>,
    pub parked: Vec<Parked>,
    pub proposals: Vec<Proposal>,
    pub news: Vec<News>,
    /// What the checkpoint file says is durable.
    pub checkpointed: i64,
}

/// The storage part of the topic's configuration.
pub fn log_config(segment_bytes: u32) -> Arc<LogConfig> {
    Arc::new(LogConfig { segment_bytes, index_interval_bytes: 500, retention_ms: -1, ..LogConfig::default() })
}

impl Partition {
    pub fn new(topic: Arc<str>, key: Key, log: Log, checkpointed: i64) -> Partition {
        let leader_epoch = log.latest_epoch().unwrap_or(-1);
        Partition {
            topic,
            key,
            log,
            role: Role::Idle,
            leader_epoch,
            asking: None,
            next_poll: 0,
            waiting: Vec::new(),
            parked: Vec::new(),
            proposals: Vec::new(),
            news: Vec::new(),
            checkpointed,
        }
    }

    /// Whether this node leads, in the epoch that somebody believes in (-1: any).
    pub fn check_leader(&self, current: i32) -> Result<(), ErrorCode> {
        if current >= 0 && current < self.leader_epoch {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if current > self.leader_epoch {
            return Err(ErrorCode::UnknownLeaderEpoch);
        }
        match self.role {
            Role::Leads(_) => Ok(()),
            _ => Err(ErrorCode::NotLeaderOrFollower),
        }
    }

    /// Makes the checkpoint say no more than the log does, before the log grows again.
    pub fn lower_checkpoint(&mut self, dir: &LogDir) -> Result<(), ottla_log::Error> {
        let recovery_point = self.log.recovery_point();
        if self.checkpointed <= recovery_point {
            return Ok(());
        }
        self.checkpointed = recovery_point;
        let mut entries = dir.read_checkpoint(CheckpointKind::RecoveryPoint)?;
        let (topic, index) = (&*self.topic, self.key.1);
        let entry = entries.iter_mut().find(|it| *it.topic == *topic && it.partition == index);
        let Some(entry) = entry.filter(|it| it.offset > recovery_point) else { return Ok(()) };
        entry.offset = recovery_point;
        dir.write_checkpoint(CheckpointKind::RecoveryPoint, entries)
    }

    /// This partition's line of a checkpoint file.
    pub fn entry(&self, offset: i64) -> CheckpointEntry {
        CheckpointEntry { topic: self.topic.clone(), partition: self.key.1, offset }
    }
}
