//! The machine: one replica of the metadata log.

use std::collections::VecDeque;

use bytes::Bytes;
use ottla_records::ids::{LeaderEpoch, Offset};
use ottla_records::random::Random;

use crate::connections::Connections;
use crate::message::Leader as LeaderInfo;
use crate::outcome::{NotLeader, Proposed, RestoreError, Restored, SnapshotContent};
use crate::role::Role;
use crate::{
    Append, Body, Config, Control, Destination, Effect, Election, Endpoints, History, LeaderAndEpoch,
    LogView, Millis, NEVER, Notice, ReplicaKey, Request, SnapshotId, VoterSet, invariants,
};

/// One replica of the metadata log as a state machine. See the crate's head for how it is run.
#[derive(Debug)]
pub struct Node {
    pub(crate) config: Config,
    pub(crate) random: Random,
    pub(crate) epoch: LeaderEpoch,
    pub(crate) role: Role,
    pub(crate) log: LogView,
    voters: History<VoterSet>,
    kraft_versions: History<i16>,
    pub(crate) connections: Connections,
    pub(crate) high_watermark: Option<Offset>,
    pub(crate) effects: VecDeque<Effect>,
    correlation: u64,
    flush: Option<(u64, Offset)>,
    flush_token: u64,
    pub(crate) announced: LeaderAndEpoch,
    pub(crate) transitions: u64,
    pub(crate) stopping: Option<Millis>,
    stopped: bool,
    wake_at: Millis,
}

impl Node {
    /// A node from what its disk holds. It may have effects at once: a single voter elects itself here.
    pub fn new(config: Config, restored: Restored, now: Millis, seed: u64) -> Result<Node, RestoreError> {
        let Restored { election, log, voters, kraft_versions } = restored;
        if config.directory_id.is_nil() {
            return Err(RestoreError::NoDirectoryId);
        }
        let latest = log.latest_snapshot();
        if log.start() > 0 && latest.is_none_or(|id| id.end_offset < log.start()) {
            return Err(RestoreError::MissingSnapshot { start: log.start(), latest });
        }
        let mut node = Node {
            connections: Connections::new(&config),
            random: Random::new(seed),
            epoch: 0,
            role: Role::Unattached(crate::role::Unattached { leader: None, voted: None, election_at: NEVER }),
            log,
            voters,
            kraft_versions,
            high_watermark: None,
            effects: VecDeque::new(),
            correlation: 0,
            flush: None,
            flush_token: 0,
            announced: LeaderAndEpoch { leader: None, epoch: -1, epoch_start: None },
            transitions: 0,
            stopping: None,
            stopped: false,
            wake_at: NEVER,
            config,
        };
        node.restore_role(election, now);
        node.drive(now);
        Ok(node)
    }

    /// The next thing to do. Flushes come last, one for everything appended since the one before.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        if let Some(effect) = self.effects.pop_front() {
            return Some(effect);
        }
        if self.flush.is_none() && self.is_flush_owed() {
            self.flush_token += 1;
            let up_to = self.log.end();
            self.flush = Some((self.flush_token, up_to));
            return Some(Effect::Flush { token: self.flush_token, up_to });
        }
        None
    }

    /// When [`Self::handle_timeout`] wants to be called at the latest. [`NEVER`] if only messages matter.
    pub fn next_timeout(&self) -> Millis {
        self.wake_at
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Millis) {
        self.drive(now);
    }

    /// The log is on disk up to where it was when [`Effect::Flush`] with this token was polled.
    pub fn handle_flushed(&mut self, now: Millis, token: u64) {
        if let Some((asked, up_to)) = self.flush
            && asked == token
        {
            self.flush = None;
            self.log.set_flushed(up_to);
            self.advance_watermark(now);
        }
        self.drive(now);
    }

    /// Appends record values (at least one) as one batch. Fails when this node does not lead or is on its
    /// way out.
    pub fn propose(&mut self, now: Millis, values: Vec<Bytes>) -> Result<Proposed, NotLeader> {
        assert!(!values.is_empty(), "a proposal without records");
        let leading = match &self.role {
            Role::Leader(role) => !role.resign_requested && self.stopping.is_none(),
            _ => false,
        };
        if !leading {
            return Err(NotLeader { leader: self.leader(), epoch: self.epoch });
        }
        let base_offset = self.log.end();
        let last_offset = self.append(now, Body::Data(values));
        self.drive(now);
        Ok(Proposed { base_offset, last_offset, epoch: self.epoch })
    }

    /// Asks a leader to step down, if it still leads `epoch`.
    pub fn resign(&mut self, now: Millis, epoch: LeaderEpoch) {
        if let Role::Leader(role) = &mut self.role
            && self.epoch == epoch
        {
            role.resign_requested = true;
        }
        self.drive(now);
    }

    /// Leaves gracefully: a leader hands over first. [`Effect::ShutdownComplete`] says when it is done. Asked again, it
    /// may take less time, not more.
    pub fn shutdown(&mut self, now: Millis, timeout_ms: Millis) {
        let until = now.saturating_add(timeout_ms);
        self.stopping = Some(self.stopping.map_or(until, |before| before.min(until)));
        self.drive(now);
    }

    /// A snapshot of this node's own making is in place.
    pub fn snapshot_created(&mut self, id: SnapshotId, size: u64) {
        self.log.add_snapshot(id, size);
        self.voters.truncate_before(id.end_offset - 1);
        self.kraft_versions.truncate_before(id.end_offset - 1);
    }

    /// The log was cut at its start: a snapshot covers what is gone.
    pub fn log_start_raised(&mut self, start: Offset) {
        self.log.raise_start(start);
        invariants::start_is_covered(&self.log);
    }

    /// May a snapshot be made under this name? It must be committed, still in the log and of its epoch.
    /// That it falls between two batches is the caller's to check.
    pub fn may_snapshot(&self, id: SnapshotId) -> bool {
        self.high_watermark.is_some_and(|committed| id.end_offset <= committed)
            && id.end_offset >= self.log.start()
            && self.log.validate(id.end_offset, id.epoch) == crate::Validity::Valid
    }

    /// The role, with what it remembers.
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// Current epoch.
    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// The leader of the epoch, if known.
    pub fn leader(&self) -> Option<i32> {
        self.role.leader(self.config.node_id)
    }

    /// Does this node lead?
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leader(_))
    }

    /// Is this node in the newest voter set?
    pub fn is_voter(&self) -> bool {
        self.voters().contains(&self.config.key())
    }

    /// The newest voter set, committed or not: a set counts from its append.
    pub fn voters(&self) -> &VoterSet {
        self.voters.last().unwrap_or(&self.config.static_voters)
    }

    /// The voter set that held at an offset; `None` while only static voters are known.
    pub fn voters_at(&self, offset: Offset) -> Option<&VoterSet> {
        self.voters.at(offset)
    }

    /// Where the newest voter set stands in the log: -1 for the bootstrap checkpoint, `None` if static.
    pub(crate) fn voters_offset(&self) -> Option<Offset> {
        self.voters.last_offset()
    }

    /// Newest `kraft.version`, committed or not.
    pub fn kraft_version(&self) -> i16 {
        self.kraft_versions.last().copied().unwrap_or(0)
    }

    /// `kraft.version` at an offset.
    pub fn kraft_version_at(&self, offset: Offset) -> i16 {
        self.kraft_versions.at(offset).copied().unwrap_or(0)
    }

    /// Everything before this is committed, as far as this node knows.
    pub fn high_watermark(&self) -> Option<Offset> {
        self.high_watermark
    }

    /// The log as this node sees it.
    pub fn log(&self) -> &LogView {
        &self.log
    }

    /// The static part.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What `quorum-state` has to say now.
    pub(crate) fn election(&self) -> Election {
        Election {
            epoch: self.epoch,
            leader: self.leader(),
            voted: self.role.voted(self.config.key()),
            voters: self.voters().ids().collect(),
            kraft_version: self.kraft_version(),
        }
    }

    /// May this node run for leader? Voters may. So may one that was removed by a change which, for all it
    /// knows, never committed: if the others lack that change, they may need its vote, or its log, and a
    /// cluster in which it stood aside could stay without a leader (Raft thesis, 4.2.2).
    pub(crate) fn may_run(&self) -> bool {
        let unsettled =
            self.voters_offset().is_some_and(|set| self.high_watermark.is_none_or(|hw| hw <= set));
        let was_voter = self.voters.previous().is_some_and(|before| before.contains(&self.config.key()));
        self.is_voter() || (unsettled && was_voter)
    }

    pub(crate) fn is_only_voter(&self) -> bool {
        self.voters().is_only(&self.config.key())
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    pub(crate) fn stop_deadline(&self) -> Millis {
        self.stopping.unwrap_or(NEVER)
    }

    /// Voters, and who may become one, answer for what they say they have; plain observers do not.
    pub(crate) fn is_flush_owed(&self) -> bool {
        self.log.flushed() < self.log.end() && (self.config.can_become_voter || self.is_voter())
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        self.effects.push_back(Effect::Notice(notice));
    }

    /// The leader as answers name it, with its address on `listener`.
    pub(crate) fn leader_info(&self, listener: &str) -> LeaderInfo {
        let id = self.leader();
        let endpoints = self.role.leader_endpoints(&self.config.endpoints);
        LeaderInfo { id, epoch: self.epoch, at: endpoints.get(listener).cloned() }
    }

    /// Appends as leader: offsets, epochs and control state follow at once, durability with the next flush.
    pub(crate) fn append(&mut self, now: Millis, body: Body) -> Offset {
        let base_offset = self.log.end();
        let last_offset = base_offset + body.len() as Offset - 1;
        if let Body::Control(records) = &body {
            let numbered = records.iter().enumerate().map(|(i, record)| (base_offset + i as Offset, record));
            self.apply_control(numbered);
        }
        self.effects.push_back(Effect::Append(Append { base_offset, epoch: self.epoch, body }));
        self.log.append(last_offset, self.epoch);
        if self.voters_offset().is_some_and(|set| set >= base_offset) {
            let voters = self.voters().clone();
            if let Role::Leader(role) = &mut self.role {
                role.sync_voters(&voters);
            }
        }
        self.answer_parked(now, |parked| parked.fetch.offset <= last_offset);
        last_offset
    }

    /// Control records take effect when they are appended, committed or not.
    pub(crate) fn apply_control<'a>(&mut self, records: impl Iterator<Item = (Offset, &'a Control)>) {
        for (offset, record) in records {
            match record {
                Control::LeaderChange { .. } => {}
                Control::KraftVersion(version) => self.kraft_versions.add(offset, *version),
                Control::Voters(voters) => {
                    let known = self.voters.last_offset().is_some_and(|set| set >= 0);
                    if known && !self.voters().overlaps(voters) {
                        self.effects.push_back(Effect::Notice(Notice::VotersDoNotOverlap { offset }));
                    }
                    self.voters.add(offset, voters.clone());
                }
            }
        }
    }

    /// Cuts the log and takes back what the cut records changed.
    pub(crate) fn truncate(&mut self, to: Offset) {
        invariants::not_leading(self.is_leader(), "truncate");
        invariants::keeps_committed(self.high_watermark, to);
        self.log.truncate(to);
        self.voters.truncate_from(to);
        self.kraft_versions.truncate_from(to);
        self.flush = None;
        self.effects.push_back(Effect::Truncate { to });
    }

    /// Takes over a snapshot's control state; the log starts, empty, after it.
    pub(crate) fn restart_from(&mut self, id: SnapshotId, size: u64, content: SnapshotContent) {
        invariants::not_leading(self.is_leader(), "load a snapshot");
        self.log.restart_at(id, size);
        self.flush = None;
        self.voters.clear();
        self.kraft_versions.clear();
        if let Some(voters) = content.voters {
            self.voters.add(id.end_offset - 1, voters);
        }
        if let Some(version) = content.kraft_version {
            self.kraft_versions.add(id.end_offset - 1, version);
        }
    }

    pub(crate) fn set_high_watermark(&mut self, to: Offset) {
        invariants::watermark_grows(self.high_watermark, to);
        if self.high_watermark != Some(to) {
            self.high_watermark = Some(to);
            self.effects.push_back(Effect::HighWatermark(to));
        }
    }

    /// Sends unless the peer is busy or in its pause; says whether, and when to look again.
    pub(crate) fn try_send(
        &mut self,
        now: Millis,
        to: Destination,
        request: impl FnOnce(&Node) -> Request,
    ) -> (bool, Millis) {
        let ready = self.connections.ready_at(to.id);
        if ready > now {
            return (false, ready);
        }
        self.correlation += 1;
        let correlation = self.correlation;
        self.connections.sent(to.id, correlation, now);
        let (wake, request) = (self.connections.ready_at(to.id), request(self));
        self.effects.push_back(Effect::Send { to, correlation, request });
        (true, wake)
    }

    pub(crate) fn send_to_voter(&mut self, now: Millis, voter: i32, request: Request) -> Millis {
        let endpoints: Endpoints = self.voters().endpoints(voter);
        let Some(at) = endpoints.get(&self.config.listener).cloned() else { return NEVER };
        self.try_send(now, Destination { id: voter, at }, |_| request).1
    }

    /// Lets the role act until nothing changes any more.
    pub(crate) fn drive(&mut self, now: Millis) {
        // A role change is followed by another look; more than a few in one moment only happen when all
        // timeouts are configured to zero.
        for _ in 0..16 {
            if self.finish_shutdown(now) {
                self.wake_at = NEVER;
                return;
            }
            let before = self.transitions;
            let wake = match &self.role {
                Role::Unattached(role) => {
                    let at = role.election_at;
                    self.drive_unattached(now, at)
                }
                Role::Prospective(_) => self.drive_prospective(now),
                Role::Candidate(_) => self.drive_candidate(now),
                Role::Leader(_) => self.drive_leader(now),
                Role::Follower(_) => self.drive_follower(now),
                Role::Resigned(_) => self.drive_resigned(now),
            };
            self.wake_at = wake;
            if self.transitions == before {
                return;
            }
        }
        self.wake_at = now + 1;
    }

    fn finish_shutdown(&mut self, now: Millis) -> bool {
        let Some(deadline) = self.stopping else { return false };
        let successor = self.leader().is_some_and(|leader| leader != self.config.node_id);
        let free = successor || !self.is_voter() || self.is_only_voter();
        if !self.stopped && (free || now >= deadline) {
            self.stopped = true;
            self.effects.push_back(Effect::ShutdownComplete { graceful: free });
        }
        self.stopped
    }

    pub(crate) fn key(&self) -> ReplicaKey {
        self.config.key()
    }
}
