//! The leader of a partition: where every replica stands, the high watermark, the in-sync replicas.

mod acks;
mod assignment;
mod fetched;
mod image;
mod isr;
mod read_replica;
mod remote;
mod watermark;

pub use acks::{Acks, Admission};
pub use assignment::{Assignment, Recovery};
pub use fetched::FetchRefused;
pub use isr::{Answer, InSync, Proposal, Refusal};
pub use remote::Remote;

use isr::Pending;
use ottla_records::ids::{LeaderEpoch, Offset};

use crate::{BrokerEpoch, BrokerId, Brokers, PartitionEpoch, invariants};

/// The settings a leader goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `min.insync.replicas` of the topic. More than there are replicas counts as all of them.
    pub min_insync_replicas: usize,
    /// `replica.lag.time.max.ms`: how long a follower may be behind and stay in sync.
    pub replica_lag_time_max_ms: i64,
}

/// Where the own log stands when a leader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnds {
    /// The first offset that is kept.
    pub start: Offset,
    /// The offset behind the last record.
    pub end: Offset,
    /// The high watermark as known from before; taken into the log's bounds.
    pub high_watermark: Offset,
}

/// What came of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a new watermark releases answers, a proposal has to be sent"]
pub struct Progress {
    /// The high watermark moved to here: consumers may read and waiting produces may be answered up to it.
    pub high_watermark: Option<Offset>,
    /// The low watermark moved to here: waiting DeleteRecords may be answered up to it.
    pub low_watermark: Option<Offset>,
    /// A change of the ISR to send to the controller.
    pub proposal: Option<Proposal>,
}

/// A replica that leads its partition. Everything is for one leader epoch at a time; a re-election of the same
/// broker is told with [`Leader::partition_changed`].
#[derive(Debug)]
pub struct Leader {
    id: BrokerId,
    broker_epoch: BrokerEpoch,
    settings: Settings,
    leader_epoch: LeaderEpoch,
    /// The log end when the epoch began: who has not fetched up to here may lack what an earlier leader committed.
    epoch_start: Offset,
    partition_epoch: PartitionEpoch,
    replicas: Vec<BrokerId>,
    adding: Vec<BrokerId>,
    removing: Vec<BrokerId>,
    /// As committed by the controller.
    isr: Vec<BrokerId>,
    recovery: Recovery,
    log_start: Offset,
    log_end: Offset,
    high_watermark: Offset,
    remotes: Vec<Remote>,
    pending: Option<Pending>,
    proposals: u64,
}

impl Leader {
    /// Begins a leader epoch: `id` and `broker_epoch` are the own broker's, `assignment` is the partition's
    /// registration, `log` where the own log stands. The high watermark may move at once (an ISR of one).
    ///
    /// A partition that is RECOVERING after an unclean election is recovered by this: the next proposal says so
    /// (Kafka has no further recovery).
    pub fn new(
        id: BrokerId,
        broker_epoch: BrokerEpoch,
        settings: Settings,
        assignment: Assignment,
        log: LogEnds,
        brokers: &impl Brokers,
        now_ms: i64,
    ) -> (Leader, Progress) {
        invariants::leads_its_replica(id, &assignment.replicas);
        invariants::in_sync_are_replicas(&assignment.isr, &assignment.replicas, None);
        let high_watermark = log.high_watermark.min(log.end).max(log.start);
        invariants::watermark_is_inside(log.start, high_watermark, log.end);
        let others = assignment.replicas.iter().filter(|replica| **replica != id);
        let remotes =
            others.map(|other| Remote::new(*other, assignment.isr.contains(other), now_ms)).collect();
        let mut leader = Leader {
            id,
            broker_epoch,
            settings,
            leader_epoch: assignment.leader_epoch,
            epoch_start: log.end,
            partition_epoch: assignment.partition_epoch,
            replicas: assignment.replicas,
            adding: assignment.adding,
            removing: assignment.removing,
            isr: assignment.isr,
            recovery: assignment.recovery,
            log_start: log.start,
            log_end: log.end,
            high_watermark,
            remotes,
            pending: None,
            proposals: 0,
        };
        let mut progress = Progress::default();
        leader.advance_watermark(brokers, now_ms, &mut progress);
        (leader, progress)
    }

    /// The own broker.
    pub fn id(&self) -> BrokerId {
        self.id
    }

    /// The leader epoch.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// The log end when the leader epoch began.
    pub fn epoch_start(&self) -> Offset {
        self.epoch_start
    }

    /// The version of the partition's registration that is known here, from the image or from an answer.
    pub fn partition_epoch(&self) -> PartitionEpoch {
        self.partition_epoch
    }

    /// The high watermark.
    pub fn high_watermark(&self) -> Offset {
        self.high_watermark
    }

    /// The log end as it was told last.
    pub fn log_end(&self) -> Offset {
        self.log_end
    }

    /// The log start as it was told last.
    pub fn log_start(&self) -> Offset {
        self.log_start
    }

    /// All replicas, in the order of the assignment.
    pub fn replicas(&self) -> &[BrokerId] {
        &self.replicas
    }

    /// The in-sync replicas as the controller committed them.
    pub fn isr(&self) -> &[BrokerId] {
        &self.isr
    }

    /// The state of recovery as the controller committed it.
    pub fn recovery(&self) -> Recovery {
        self.recovery
    }

    /// Where the other replicas stand.
    pub fn remotes(&self) -> &[Remote] {
        &self.remotes
    }

    /// Where one other replica stands.
    pub fn remote(&self, id: BrokerId) -> Option<&Remote> {
        self.remotes.iter().find(|remote| remote.id == id)
    }

    /// The settings.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Takes new settings. A smaller minimum of in-sync replicas may let the high watermark move.
    pub fn configure(&mut self, settings: Settings, brokers: &impl Brokers, now_ms: i64) -> Progress {
        self.settings = settings;
        let mut progress = Progress::default();
        self.advance_watermark(brokers, now_ms, &mut progress);
        progress
    }

    /// Whether replicas are being added or removed.
    pub fn is_reassigning(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// Whether `id` is being added to the replicas.
    pub fn is_adding(&self, id: BrokerId) -> bool {
        self.adding.contains(&id)
    }

    /// Fewer in sync than the partition is to have; replicas that are being added do not count as wanted.
    pub fn is_under_replicated(&self) -> bool {
        let wanted = self.replicas.iter().filter(|id| !self.adding.contains(id)).count();
        self.isr.len() < wanted
    }

    /// Fewer in sync than `min.insync.replicas`.
    pub fn is_under_min_isr(&self) -> bool {
        self.isr.len() < self.effective_min_isr()
    }

    /// Exactly `min.insync.replicas` in sync: one more loss stops acks=all.
    pub fn is_at_min_isr(&self) -> bool {
        self.isr.len() == self.effective_min_isr()
    }

    /// `min.insync.replicas`, or the number of replicas where that is less.
    pub fn effective_min_isr(&self) -> usize {
        self.settings.min_insync_replicas.min(self.replicas.len())
    }
}
