//! A partition as its leader has it.

use ottla_log::{AppendError, LeaderAppend, Origin, ReadUpTo, Transaction};
use ottla_protocol::ErrorCode;
use ottla_records::validate::{self, Accepted, Rules};
use ottla_records::{Batch, Decompressor, TimestampType, mutant};
use ottla_replication::follower::{Fetch, LeaderOffset, OffsetQuery};
use ottla_replication::leader::{
    self, Acks, Admission, Answer, Assignment, FetchRefused, Leader, Progress, Proposal,
};
use ottla_replication::{Ends, compare_ends};

use super::ask::Fetched;
use super::partition::{Around, News, Partition, Role};

/// What became of a produce.
pub enum Written {
    /// It is committed, or nobody waits for that.
    Now { base: i64 },
    /// It waits for the high watermark.
    Waits { base: i64, required: i64 },
}

impl Partition {
    /// Leads the partition as `assignment` says, which may be as before but for its replicas.
    pub fn lead(&mut self, assignment: Assignment, around: &Around<'_>) {
        let leader_epoch = assignment.leader_epoch;
        let fresh = self.leader_epoch < leader_epoch;
        if fresh {
            self.log.begin_epoch(leader_epoch);
        }
        self.asking = None;
        let progress = match &mut self.role {
            Role::Leads(leader) => leader.partition_changed(assignment, &around.lookup(), around.now_ms),
            _ => {
                let ends = leader::LogEnds {
                    start: self.log.log_start(),
                    end: self.log.log_end(),
                    high_watermark: self.log.high_watermark(),
                };
                let settings = leader::Settings {
                    min_insync_replicas: around.min_isr,
                    replica_lag_time_max_ms: around.lag_ms,
                };
                let own_epoch = around.brokers.get(&around.own).map_or(-1, |broker| broker.epoch);
                let (leader, progress) = Leader::new(
                    around.own,
                    own_epoch,
                    settings,
                    assignment,
                    ends,
                    &around.lookup(),
                    around.now_ms,
                );
                self.role = Role::Leads(Box::new(leader));
                progress
            }
        };
        self.leader_epoch = leader_epoch;
        self.news.push(News::Leads { epoch: leader_epoch, fresh });
        self.advance(progress);
    }

    /// Carries out what the leader's machine asks for.
    pub fn advance(&mut self, progress: Progress) {
        if let Some(high_watermark) = progress.high_watermark {
            let shown = self.log.set_high_watermark(high_watermark);
            self.news.push(News::Committed { epoch: self.leader_epoch, high_watermark: shown });
        }
        self.proposals.extend(progress.proposal);
    }

    /// Appends what a producer sent.
    pub fn produce(&mut self, records: &[u8], all: bool, around: &Around<'_>) -> Result<Written, ErrorCode> {
        self.check_leader(-1)?;
        let Role::Leads(leader) = &mut self.role else { return Err(ErrorCode::NotLeaderOrFollower) };
        if all && leader.admits() != Admission::Admitted {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        let accepted =
            validate::produced(records, &Rules::default(), around.wall_ms, &mut Decompressor::new())
                .expect("SIM: what a producer of ours sends is sound");
        let append = LeaderAppend::from_client(around.wall_ms, self.leader_epoch);
        let appended = self.log.append_as_leader(&append, &[accepted]).map_err(|error| match error {
            AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            AppendError::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            _ => ErrorCode::KafkaStorageError,
        })?;
        let (base, required) = (appended.first_offset, appended.last_offset + 1);
        if !appended.duplicate {
            let progress = leader.appended(self.log.log_end(), &around.lookup(), around.now_ms);
            self.advance(progress);
        }
        let is_duplicate = appended.duplicate && mutant::is("duplicate-acknowledged-at-once");
        if !all || is_duplicate { Ok(Written::Now { base }) } else { Ok(Written::Waits { base, required }) }
    }

    /// Appends what a coordinator of `leader_epoch` on this partition writes: the first offset, and the one behind.
    pub fn append_own(
        &mut self,
        records: &[u8],
        leader_epoch: i32,
        around: &Around<'_>,
    ) -> Result<(i64, i64), ErrorCode> {
        self.check_leader(-1)?;
        let Role::Leads(leader) = &mut self.role else { return Err(ErrorCode::NotLeaderOrFollower) };
        if self.leader_epoch != leader_epoch {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        if leader.admits() != Admission::Admitted {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        let batch = Batch::parse(records).expect("SIM: a batch that was built can be parsed");
        let append = LeaderAppend {
            now_ms: around.wall_ms,
            leader_epoch,
            origin: Origin::Coordinator,
            transaction: Transaction::default(),
        };
        let accepted = Accepted { batch, timestamp: (TimestampType::CreateTime, batch.max_timestamp) };
        let appended = self.log.append_as_leader(&append, &[accepted]);
        let appended = appended.map_err(|_| ErrorCode::KafkaStorageError)?;
        let progress = leader.appended(self.log.log_end(), &around.lookup(), around.now_ms);
        self.advance(progress);
        Ok((appended.first_offset, appended.last_offset + 1))
    }

    /// Whether a produce may be answered; nothing while it has to wait.
    pub fn acked(&self, leader_epoch: i32, required: i64) -> Option<Result<(), ErrorCode>> {
        match &self.role {
            Role::Leads(leader) if self.leader_epoch == leader_epoch => match leader.may_ack(required) {
                Acks::Acked => Some(Ok(())),
                Acks::Waiting => None,
                Acks::NotEnoughReplicasAfterAppend => Some(Err(ErrorCode::NotEnoughReplicasAfterAppend)),
            },
            _ => Some(Err(ErrorCode::NotLeaderOrFollower)),
        }
    }

    /// What a follower gets, and whether it had better wait for more. `counts` for the first look.
    pub fn serve(
        &mut self,
        replica: i32,
        broker_epoch: i64,
        fetch: &Fetch,
        counts: bool,
        max_bytes: usize,
        around: &Around<'_>,
    ) -> Result<(Fetched, bool), ErrorCode> {
        self.check_leader(fetch.leader_epoch)?;
        let (start, end) = (self.log.log_start(), self.log.log_end());
        let log = &self.log;
        let diverging =
            match compare_ends(fetch.offset, fetch.last_epoch, start, end, |epoch| log.end_of_epoch(epoch)) {
                Ends::OutOfRange => return Err(ErrorCode::OffsetOutOfRange),
                Ends::Diverging(at) => Some(at),
                Ends::Match => None,
            };
        let mut owes = false;
        if diverging.is_none() {
            let Role::Leads(leader) = &mut self.role else { return Err(ErrorCode::NotLeaderOrFollower) };
            let mut progress = Progress::default();
            if counts {
                progress = leader
                    .follower_fetched(
                        replica,
                        broker_epoch,
                        fetch.offset,
                        fetch.log_start,
                        &around.lookup(),
                        around.now_ms,
                    )
                    .map_err(|refused| match refused {
                        FetchRefused::NotAReplica(_) => ErrorCode::UnknownLeaderEpoch,
                        FetchRefused::StaleBrokerEpoch { .. } => ErrorCode::NotLeaderOrFollower,
                        FetchRefused::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
                    })?;
            }
            owes = leader.owes_watermark(replica);
            self.advance(progress);
        }
        let mut records = Vec::new();
        if diverging.is_none() && fetch.offset < end {
            let read = self.log.read(fetch.offset, max_bytes, true, ReadUpTo::LogEnd);
            let read = read.map_err(|_| ErrorCode::KafkaStorageError)?;
            records = read.slice.to_vec().map_err(|_| ErrorCode::KafkaStorageError)?;
        }
        let high_watermark = self.log.high_watermark();
        let waits = diverging.is_none() && records.is_empty() && !owes;
        if !waits && let Role::Leads(leader) = &mut self.role {
            leader.watermark_sent(replica, high_watermark);
        }
        Ok((Fetched { diverging, records, high_watermark, log_start: start }, waits))
    }

    /// Where the log begins or ends.
    pub fn end_of(&self, query: &OffsetQuery) -> Result<i64, ErrorCode> {
        self.check_leader(query.leader_epoch)?;
        Ok(match query.which {
            LeaderOffset::Latest => self.log.log_end(),
            LeaderOffset::Earliest => self.log.log_start(),
        })
    }

    /// The controller's answer to a proposal.
    pub fn answered(&mut self, proposal: &Proposal, answer: Answer, around: &Around<'_>) {
        let Role::Leads(leader) = &mut self.role else { return };
        let progress = leader.answered(proposal, answer, &around.lookup(), around.now_ms);
        self.advance(progress);
    }

    /// The leader's work by the clock.
    pub fn poll(&mut self, around: &Around<'_>) {
        let Role::Leads(leader) = &mut self.role else { return };
        if self.next_poll > around.now_ms {
            return;
        }
        let progress = leader.poll(&around.lookup(), around.now_ms);
        self.next_poll = leader.next_poll(around.now_ms).min(around.now_ms + around.lag_ms / 2);
        self.advance(progress);
    }
}
