//! Changes of the ISR: one proposal at a time, to the controller and back (KIP-497's AlterPartition).

use ottla_records::ids::LeaderEpoch;
use ottla_records::mutant;

use super::watermark::may_join;
use super::{Leader, Progress, Recovery};
use crate::{BrokerEpoch, BrokerId, Brokers, PartitionEpoch, UNKNOWN_BROKER_EPOCH, invariants};

/// How long after a failed send a proposal is sent again, in ms.
const RETRY_MS: i64 = 50;

/// A member of a proposed ISR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InSync {
    /// The replica.
    pub id: BrokerId,
    /// The epoch of its broker as its fetches said, -1 if none did: the controller refuses another (KIP-903).
    pub broker_epoch: BrokerEpoch,
}

/// A change of the ISR for the controller: one partition of an AlterPartition request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Counts the proposals of one [`Leader`].
    pub number: u64,
    /// The leader epoch it is made in.
    pub leader_epoch: LeaderEpoch,
    /// The version of the registration it changes.
    pub partition_epoch: PartitionEpoch,
    /// The ISR that shall be.
    pub isr: Vec<InSync>,
    /// The state of recovery that shall be.
    pub recovery: Recovery,
}

/// What the controller answered to a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It stands.
    Committed {
        /// The partition's leader epoch.
        leader_epoch: LeaderEpoch,
        /// The registration's new version.
        partition_epoch: PartitionEpoch,
        /// The ISR.
        isr: Vec<BrokerId>,
        /// The state of recovery.
        recovery: Recovery,
    },
    /// It does not, or it is not known.
    Refused(Refusal),
}

/// Why a proposal was not committed: the partition's error code in the AlterPartition response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// OPERATION_NOT_ATTEMPTED: certainly not done.
    OperationNotAttempted,
    /// INELIGIBLE_REPLICA: certainly not done, a member is fenced, stops, or started anew.
    IneligibleReplica,
    /// UNKNOWN_TOPIC_OR_PARTITION.
    UnknownTopicOrPartition,
    /// UNKNOWN_TOPIC_ID.
    UnknownTopicId,
    /// FENCED_LEADER_EPOCH: there is a newer leader.
    FencedLeaderEpoch,
    /// INVALID_UPDATE_VERSION: the registration was changed since; perhaps by this very proposal, sent twice.
    InvalidUpdateVersion,
    /// INVALID_REQUEST.
    InvalidRequest,
    /// NEW_LEADER_ELECTED: done, and with it a reassignment that leaves another leader.
    NewLeaderElected,
    /// Any other error, or no answer at all: nobody knows whether it was done. It is sent again.
    Other,
}

/// A proposal on its way.
#[derive(Debug)]
pub(super) struct Pending {
    proposal: Proposal,
    /// Who joins, in an expansion.
    joining: Option<BrokerId>,
    /// When to send it again; `None` while an answer or the image is awaited.
    retry_at: Option<i64>,
}

impl Pending {
    pub(super) fn joins(&self, id: BrokerId) -> bool {
        self.joining == Some(id)
    }

    pub(super) fn is_expansion(&self) -> bool {
        self.joining.is_some()
    }
}

impl Leader {
    /// The time's work, to be called at least as often as [`Leader::next_poll`] says: who has been behind for
    /// too long leaves the ISR, a proposal that got lost is sent again.
    pub fn poll(&mut self, brokers: &impl Brokers, now_ms: i64) -> Progress {
        let mut progress = Progress::default();
        match &mut self.pending {
            Some(pending) => {
                if pending.retry_at.take_if(|at| *at <= now_ms).is_some() {
                    progress.proposal = Some(pending.proposal.clone());
                }
            }
            None => progress.proposal = self.propose_shrink(now_ms),
        }
        self.advance_watermark(brokers, now_ms, &mut progress);
        progress
    }

    /// When to call [`Leader::poll`] at the latest, in ms.
    pub fn next_poll(&self, now_ms: i64) -> i64 {
        let regular = now_ms.saturating_add((self.settings.replica_lag_time_max_ms / 2).max(1));
        let retry = self.pending.as_ref().and_then(|pending| pending.retry_at);
        retry.map_or(regular, |at| at.min(regular))
    }

    /// The proposal on its way, if there is one.
    pub fn in_flight(&self) -> Option<&Proposal> {
        self.pending.as_ref().map(|pending| &pending.proposal)
    }

    /// Who was in sync and has not been caught up for `replica.lag.time.max.ms`. Nobody while a proposal is in
    /// flight.
    pub fn out_of_sync(&self, now_ms: i64) -> Vec<BrokerId> {
        if self.pending.is_some() {
            return Vec::new();
        }
        let lag = self.settings.replica_lag_time_max_ms;
        let lags = |id: &BrokerId| {
            *id != self.id && self.remote(*id).is_none_or(|it| !it.is_caught_up(self.log_end, now_ms, lag))
        };
        self.isr.iter().copied().filter(lags).collect()
    }

    /// A shrink does not count before it is committed: the high watermark goes on waiting for who shall leave.
    fn propose_shrink(&mut self, now_ms: i64) -> Option<Proposal> {
        let leaving = self.out_of_sync(now_ms);
        if leaving.is_empty() {
            return None;
        }
        let isr: Vec<BrokerId> = self.isr.iter().copied().filter(|id| !leaving.contains(id)).collect();
        if mutant::is("shrinks-at-once") {
            self.isr.clone_from(&isr);
        }
        Some(self.propose(isr, None))
    }

    /// Brings a follower into the ISR that has everything up to the high watermark and up to the start of this
    /// leader's epoch: records between may be committed without the leader knowing it yet. An expansion counts
    /// from now on: the high watermark waits for the new one.
    pub(super) fn propose_expansion(&mut self, at: usize, brokers: &impl Brokers) -> Option<Proposal> {
        let remote = &self.remotes[at];
        let reached = remote.log_end?;
        if self.pending.is_some()
            || self.isr.contains(&remote.id)
            || (reached < self.high_watermark && !mutant::is("joins-behind-watermark"))
            || (reached < self.epoch_start && !mutant::is("joins-behind-epoch-start"))
            || !may_join(remote, brokers)
        {
            return None;
        }
        let joining = remote.id;
        let isr = self.isr.iter().copied().chain([joining]).collect();
        Some(self.propose(isr, Some(joining)))
    }

    fn propose(&mut self, isr: Vec<BrokerId>, joining: Option<BrokerId>) -> Proposal {
        invariants::proposal_is_alone(self.pending.is_some());
        invariants::in_sync_are_replicas(
            &isr,
            &self.replicas,
            self.isr.contains(&self.id).then_some(self.id),
        );
        let broker_epoch = |id| match self.remote(id) {
            _ if id == self.id => self.broker_epoch,
            Some(remote) => remote.broker_epoch.unwrap_or(UNKNOWN_BROKER_EPOCH),
            None => UNKNOWN_BROKER_EPOCH,
        };
        let isr = isr.into_iter().map(|id| InSync { id, broker_epoch: broker_epoch(id) }).collect();
        self.proposals += 1;
        let proposal = Proposal {
            number: self.proposals,
            leader_epoch: self.leader_epoch,
            partition_epoch: self.partition_epoch,
            isr,
            recovery: Recovery::Recovered,
        };
        self.pending = Some(Pending { proposal: proposal.clone(), joining, retry_at: None });
        proposal
    }

    /// The controller answered `proposal`. An answer to one that is not in flight (the image has overtaken it, it
    /// is of an earlier leader epoch) says nothing.
    ///
    /// After a refusal that leaves open what the controller did, the proposal stays and the maximal ISR with it,
    /// until the image says more.
    pub fn answered(
        &mut self,
        proposal: &Proposal,
        answer: Answer,
        brokers: &impl Brokers,
        now_ms: i64,
    ) -> Progress {
        let mut progress = Progress::default();
        let Some(pending) = self.pending.as_mut().filter(|pending| pending.proposal == *proposal) else {
            return progress;
        };
        match answer {
            Answer::Committed { leader_epoch, partition_epoch, isr, recovery } => {
                let known = isr.iter().all(|id| self.replicas.contains(id));
                if leader_epoch != self.leader_epoch || partition_epoch < self.partition_epoch || !known {
                    return progress;
                }
                self.partition_epoch = partition_epoch;
                self.isr = isr;
                self.recovery = recovery;
                self.pending = None;
                self.advance_watermark(brokers, now_ms, &mut progress);
            }
            Answer::Refused(Refusal::OperationNotAttempted | Refusal::IneligibleReplica) => {
                self.pending = None;
                self.advance_watermark(brokers, now_ms, &mut progress);
            }
            Answer::Refused(Refusal::Other) => pending.retry_at = Some(now_ms.saturating_add(RETRY_MS)),
            Answer::Refused(_) => pending.retry_at = None,
        }
        progress
    }
}
