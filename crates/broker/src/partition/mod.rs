//! One partition of this node: its log behind a lock, and what clients are told about it.
//!
//! Who leads and who follows, how far the high watermark goes and which replicas are in sync is decided by the machines
//! of `ottla-replication`; here they meet the log ([`role`], [`replicate`]).

mod append;
mod look_up;
mod open;
mod read;
mod replicate;
mod role;
mod table;
#[cfg(test)]
pub(crate) mod tests;
mod upkeep;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ottla_config::TopicConfig;
use ottla_log::Log;
use ottla_protocol::ErrorCode;
use parking_lot::Mutex;
use uuid::Uuid;

pub(crate) use append::{AppendRefusal, Appended, Durable, Tools, TransactionCheck};
pub(crate) use look_up::{FoundOffset, Moment};
pub(crate) use open::OpenError;
pub(crate) use read::{FetchRead, Reader};
pub(crate) use replicate::Question;
pub(crate) use role::assignment;
pub(crate) use table::PartitionTable;
pub(crate) use upkeep::Checkpoints;

use crate::dirs::Dir;
use crate::neighbours::Neighbours;
use crate::observe::TopicTraffic;
use crate::wait::Waiters;

/// A partition that this node holds.
pub(crate) struct Partition {
    topic: Arc<str>,
    topic_id: Uuid,
    index: i32,
    /// Which of the node's directories it lies in.
    dir: usize,
    log_dir: Arc<Dir>,
    state: Mutex<State>,
    waiters: Waiters,
    neighbours: Arc<Neighbours>,
    /// The high watermark, to be read without the lock.
    high_watermark: AtomicI64,
    /// What clients write and read, counted with the topic's other partitions.
    traffic: Arc<TopicTraffic>,
}

/// What a partition comes to at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PartitionFigures {
    pub(crate) log_start: i64,
    pub(crate) log_end: i64,
    pub(crate) high_watermark: i64,
    pub(crate) size_bytes: u64,
    pub(crate) segments: usize,
    /// What its leader knows, where that is this node.
    pub(crate) leads: Option<LedFigures>,
}

/// What the leader of a partition knows of its replicas.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LedFigures {
    pub(crate) replicas: usize,
    pub(crate) in_sync: usize,
    /// Whether the leader is the replica that should lead.
    pub(crate) preferred: bool,
    pub(crate) is_under_replicated: bool,
    pub(crate) is_under_min_isr: bool,
    pub(crate) is_at_min_isr: bool,
}

struct State {
    /// `None` once it is closed.
    log: Option<Log>,
    role: role::Role,
    leader_epoch: i32,
    config: Arc<TopicConfig>,
    /// Set when the partition is deleted or closed: late requests find nothing.
    gone: bool,
}

impl Partition {
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// The topic's name, for who keeps it.
    pub(crate) fn shared_topic(&self) -> Arc<str> {
        self.topic.clone()
    }

    pub(crate) fn topic_id(&self) -> Uuid {
        self.topic_id
    }

    pub(crate) fn index(&self) -> i32 {
        self.index
    }

    pub(crate) fn dir(&self) -> usize {
        self.dir
    }

    /// What is counted of this partition's topic.
    pub(crate) fn traffic(&self) -> &Arc<TopicTraffic> {
        &self.traffic
    }

    /// Counts with the topic's other partitions from now on.
    pub(crate) fn count_with(&mut self, traffic: Arc<TopicTraffic>) {
        self.traffic = traffic;
    }

    pub(crate) fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    /// The offset below which everything is committed.
    pub(crate) fn high_watermark(&self) -> i64 {
        self.high_watermark.load(Ordering::Acquire)
    }

    /// Gives the partition another configuration.
    pub(crate) fn configure(self: &Arc<Self>, config: Arc<TopicConfig>) {
        let mut state = self.state.lock();
        self.apply_config(&mut state, config);
        let State { role, config, .. } = &mut *state;
        let role::Role::Leads(leader) = role else { return };
        let settings = role::leader_settings(config, &self.neighbours);
        let progress = leader.configure(settings, &*self.neighbours, self.neighbours.now_ms());
        self.advance(&mut state, progress);
        drop(state);
        self.waiters.wake_all();
    }

    fn apply_config(&self, state: &mut State, config: Arc<TopicConfig>) {
        if !state.gone && !Arc::ptr_eq(&state.config, &config) {
            let expiry_ms = state.log().config().producer_id_expiration_ms;
            state.log_mut().set_config(Arc::new(open::log_config(&config, expiry_ms)));
            state.config = config;
        }
    }

    /// Whether this node leads, in the epoch that a client believes in (-1: any).
    pub(crate) fn check_leader(&self, current_leader_epoch: i32) -> Result<(), ErrorCode> {
        self.state.lock().check_leader(current_leader_epoch)
    }

    /// What its log and its replicas come to; nothing once it is closed.
    pub(crate) fn figures(&self) -> Option<PartitionFigures> {
        let state = self.state.lock();
        let log = state.log.as_ref()?;
        Some(PartitionFigures {
            log_start: log.log_start(),
            log_end: log.log_end(),
            high_watermark: log.high_watermark(),
            size_bytes: log.size(),
            segments: log.segments().len(),
            leads: match &state.role {
                role::Role::Leads(leader) => Some(LedFigures {
                    replicas: leader.replicas().len(),
                    in_sync: leader.isr().len(),
                    preferred: leader.replicas().first() == Some(&leader.id()),
                    is_under_replicated: leader.is_under_replicated(),
                    is_under_min_isr: leader.is_under_min_isr(),
                    is_at_min_isr: leader.is_at_min_isr(),
                }),
                _ => None,
            },
        })
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.state.lock().log.as_ref().map_or(0, Log::size)
    }
}

impl State {
    fn log(&self) -> &Log {
        self.log.as_ref().expect("PARTITION-3 a closed partition is not used")
    }

    fn log_mut(&mut self) -> &mut Log {
        self.log.as_mut().expect("PARTITION-3 a closed partition is not used")
    }

    fn check_leader(&self, current_leader_epoch: i32) -> Result<(), ErrorCode> {
        if self.gone {
            return Err(ErrorCode::UnknownTopicOrPartition);
        }
        if current_leader_epoch >= 0 && current_leader_epoch < self.leader_epoch {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        if current_leader_epoch > self.leader_epoch {
            return Err(ErrorCode::UnknownLeaderEpoch);
        }
        if !matches!(self.role, role::Role::Leads(_)) {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        Ok(())
    }
}

impl std::fmt::Debug for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.index)
    }
}
