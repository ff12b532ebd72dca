//! What this node is to a partition: its leader, one of its followers, or neither; and what follows when that changes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ottla_config::TopicConfig;
use ottla_log::Log;
use ottla_protocol::ErrorCode;
use ottla_replication::leader::{self, Acks, Answer, Assignment, Leader, Progress, Proposal, Recovery};
use ottla_replication::{BrokerId, Follower, follower};

use super::{Partition, State};
use crate::neighbours::Neighbours;

/// The machine of the part that this node plays.
pub(super) enum Role {
    /// Nobody leads the partition, or it is about to close.
    Idle,
    Leads(Box<Leader>),
    Follows(Box<Follower>),
}

/// A partition's registration as its leader needs it.
pub(crate) fn assignment(partition: &ottla_metadata::image::Partition) -> Assignment {
    use ottla_metadata::image::LeaderRecovery;
    Assignment {
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        replicas: partition.replicas.to_vec(),
        adding: partition.adding().to_vec(),
        removing: partition.removing().to_vec(),
        isr: partition.isr.to_vec(),
        recovery: match partition.recovery {
            LeaderRecovery::Recovered => Recovery::Recovered,
            LeaderRecovery::Recovering => Recovery::Recovering,
        },
    }
}

pub(super) fn leader_settings(config: &TopicConfig, neighbours: &Neighbours) -> leader::Settings {
    leader::Settings {
        min_insync_replicas: config.min_insync_replicas.max(1) as usize,
        replica_lag_time_max_ms: neighbours.lag_time_max_ms(),
    }
}

pub(super) fn follower_ends(log: &Log) -> follower::LogEnds {
    follower::LogEnds { start: log.log_start(), end: log.log_end(), last_epoch: log.latest_epoch() }
}

impl Partition {
    /// Leads the partition as `assignment` says, which may be as before but for its replicas.
    pub(crate) fn lead(self: &Arc<Self>, assignment: Assignment, config: Arc<TopicConfig>) {
        let mut state = self.state.lock();
        // A change of the metadata may come in while the node stops.
        if state.gone {
            return;
        }
        self.apply_config(&mut state, config);
        let leader_epoch = assignment.leader_epoch;
        if state.leader_epoch < leader_epoch {
            state.log_mut().begin_epoch(leader_epoch);
        }
        let followed = matches!(state.role, Role::Follows(_));
        let now_ms = self.neighbours.now_ms();
        let State { role, log, config, .. } = &mut *state;
        let log = log.as_ref().expect("PARTITION-3 a closed partition is not used");
        let progress = match role {
            Role::Leads(leader) => leader.partition_changed(assignment, &*self.neighbours, now_ms),
            _ => {
                let ends = leader::LogEnds {
                    start: log.log_start(),
                    end: log.log_end(),
                    high_watermark: log.high_watermark(),
                };
                let settings = leader_settings(config, &self.neighbours);
                let (own, epoch) = (self.neighbours.own(), self.neighbours.own_epoch());
                let (leader, progress) =
                    Leader::new(own, epoch, settings, assignment, ends, &*self.neighbours, now_ms);
                *role = Role::Leads(Box::new(leader));
                progress
            }
        };
        state.leader_epoch = leader_epoch;
        self.advance(&mut state, progress);
        drop(state);
        self.waiters.wake_all();
        if followed {
            // Whoever led before need not be asked any more.
            self.neighbours.followers_changed(self);
        }
    }

    /// Follows another broker from now on.
    pub(crate) fn follow(self: &Arc<Self>, leader: BrokerId, leader_epoch: i32, config: Arc<TopicConfig>) {
        let mut state = self.state.lock();
        if state.gone || leader_epoch < state.leader_epoch {
            return;
        }
        self.apply_config(&mut state, config);
        let goes_on = matches!(&state.role, Role::Follows(follower)
            if follower.leader() == leader && follower.leader_epoch() == leader_epoch);
        if goes_on {
            return;
        }
        let settings = follower::Settings { fetch_backoff_ms: self.neighbours.fetch_backoff_ms() };
        let log = state.log();
        let (ends, high_watermark) = (follower_ends(log), log.high_watermark());
        let follower = Follower::new(leader, leader_epoch, settings, ends, high_watermark);
        state.role = Role::Follows(Box::new(follower));
        state.leader_epoch = leader_epoch;
        drop(state);
        self.waiters.wake_all();
        self.neighbours.followers_changed(self);
    }

    /// Nobody leads it.
    pub(crate) fn resign(self: &Arc<Self>, leader_epoch: i32) {
        let mut state = self.state.lock();
        state.role = Role::Idle;
        state.leader_epoch = state.leader_epoch.max(leader_epoch);
        drop(state);
        self.waiters.wake_all();
        self.neighbours.followers_changed(self);
    }

    /// Carries out what a leader's machine asks for. Whoever waits is woken by the caller, without the lock.
    pub(super) fn advance(self: &Arc<Self>, state: &mut State, progress: Progress) {
        if let Some(high_watermark) = progress.high_watermark {
            let shown = state.log_mut().set_high_watermark(high_watermark);
            self.high_watermark.store(shown, Ordering::Release);
        }
        if let Some(proposal) = progress.proposal {
            self.neighbours.propose(self.clone(), proposal);
        }
    }

    /// The log begins elsewhere than the machine was told.
    pub(super) fn log_start_moved(self: &Arc<Self>, state: &mut State) {
        let start = state.log().log_start();
        let progress = match &mut state.role {
            Role::Leads(leader) if leader.log_start() < start => {
                leader.log_start_raised(start, &*self.neighbours)
            }
            Role::Follows(follower) if follower.log().start < start => {
                follower.log_start_raised(start);
                // Consumers that read here look only at partitions that moved.
                self.waiters.wake_all();
                // The leader is to know.
                return self.neighbours.followers_changed(self);
            }
            _ => return,
        };
        self.advance(state, progress);
        // Followers' sessions look only at partitions that moved, and whoever deletes records waits for followers.
        self.waiters.wake_all();
    }

    /// The controller's answer to a proposal.
    pub(crate) fn answered(self: &Arc<Self>, proposal: &Proposal, answer: Answer) {
        self.with_leader(|leader, neighbours| {
            leader.answered(proposal, answer, neighbours, neighbours.now_ms())
        });
    }

    /// The leader's work by the clock. Returns in how many milliseconds it has to be done again; nothing where this
    /// node does not lead other replicas.
    pub(crate) fn poll_replicas(self: &Arc<Self>) -> Option<i64> {
        let now_ms = self.neighbours.now_ms();
        let mut next = None;
        self.with_leader(|leader, neighbours| {
            if leader.remotes().is_empty() {
                return Progress::default();
            }
            let progress = leader.poll(neighbours, now_ms);
            next = Some((leader.next_poll(now_ms) - now_ms).max(1));
            progress
        });
        next
    }

    fn with_leader(self: &Arc<Self>, act: impl FnOnce(&mut Leader, &Neighbours) -> Progress) {
        let mut state = self.state.lock();
        if state.gone {
            return;
        }
        let Role::Leads(leader) = &mut state.role else { return };
        let progress = act(leader, &self.neighbours);
        let moved = progress.high_watermark.is_some() || progress.low_watermark.is_some();
        self.advance(&mut state, progress);
        drop(state);
        if moved {
            self.waiters.wake_all();
        }
    }

    /// The leader that this node follows, and in which epoch.
    pub(crate) fn following(&self) -> Option<(BrokerId, i32)> {
        match &self.state.lock().role {
            Role::Follows(follower) => Some((follower.leader(), follower.leader_epoch())),
            _ => None,
        }
    }

    /// Whether a produce with acks=all that was appended in `leader_epoch` and ends before `required` may be answered:
    /// `None` while it has to wait.
    pub(crate) fn acked(&self, leader_epoch: i32, required: i64) -> Option<Result<(), ErrorCode>> {
        let state = self.state.lock();
        if state.gone {
            return Some(Err(ErrorCode::NotLeaderOrFollower));
        }
        match &state.role {
            Role::Leads(leader) if state.leader_epoch == leader_epoch => match leader.may_ack(required) {
                Acks::Acked => Some(Ok(())),
                Acks::Waiting => None,
                Acks::NotEnoughReplicasAfterAppend => Some(Err(ErrorCode::NotEnoughReplicasAfterAppend)),
            },
            _ => Some(Err(ErrorCode::NotLeaderOrFollower)),
        }
    }
}
