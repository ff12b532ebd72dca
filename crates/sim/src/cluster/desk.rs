//! The controller of a node: it decides, its records are proposed to the quorum, and its answers leave when they are
//! committed. Requests, the quorum's news and the clock come in, one at a time, as at the broker's desk.

use std::collections::VecDeque;

use bytes::Bytes;
use ottla_metadata::controller::batches;
use ottla_metadata::decide::{Bootstrap, ConfigRules, EffectiveConfig, Settings};
use ottla_metadata::features::{ELIGIBLE_LEADER_REPLICAS, defaults};
use ottla_metadata::image::ConfigResource;
use ottla_metadata::image::config::ConfigMap;
use ottla_metadata::random::Seeded;
use ottla_metadata::{Controller, Decision, MetadataVersion, Refusal};
use ottla_quorum::Leadership;

use super::ask::{Answer, Route};
use super::ear::{Batch, Outbox, Said};
use super::node::Process;
use super::plan::Plan;

/// Between two looks for preferred leaders and unclean elections.
const BALANCE_MS: i64 = 2_000;
/// Between two records that keep the high watermark moving.
const NO_OP_MS: i64 = 500;

/// Takes every configuration.
struct AnyConfig;

impl ConfigRules for AnyConfig {
    fn validate(&self, _: &ConfigResource, _: &ConfigMap, _: &ConfigMap) -> Result<(), Refusal> {
        Ok(())
    }

    fn is_list(&self, _: i8, _: &str) -> bool {
        false
    }

    fn default_value(&self, _: i8, _: &str) -> Option<String> {
        None
    }

    fn effective_topic_configs(&self, _: &ConfigMap, _: &ConfigMap, _: &ConfigMap) -> Vec<EffectiveConfig> {
        Vec::new()
    }
}

/// A batch that was proposed and is not committed yet.
struct Appended {
    last_offset: i64,
    records: usize,
    done: Vec<(Route, Answer)>,
}

/// The controller and what it needs to do its work.
pub struct Desk {
    pub controller: Controller,
    pub random: Seeded,
    bootstrap: Bootstrap,
    epoch: i32,
    pub next_offset: i64,
    committed: i64,
    waiting: VecDeque<Appended>,
    fence_at: i64,
    balance_at: i64,
    no_op_at: i64,
}

/// Answers that may leave.
pub type Answers = Vec<(Route, Answer)>;

impl Desk {
    pub fn new(id: i32, plan: &Plan, seed: u64) -> Desk {
        let mut settings = Settings::new(id, "simulated");
        settings.session_timeout_ms = plan.session_ms;
        settings.static_min_insync_replicas = plan.min_isr as i32;
        settings.static_unclean_leader_election = plan.unclean;
        let mut levels = defaults(MetadataVersion::LATEST);
        levels.insert(ELIGIBLE_LEADER_REPLICAS.to_owned(), i16::from(plan.elr));
        Desk {
            controller: Controller::new(settings, Box::new(AnyConfig)),
            random: Seeded(seed),
            bootstrap: Bootstrap::new(MetadataVersion::LATEST, &levels),
            epoch: -1,
            next_offset: 0,
            committed: -1,
            waiting: VecDeque::new(),
            fence_at: 0,
            balance_at: 0,
            no_op_at: 0,
        }
    }

    /// Takes in a committed batch; gives the answers that waited for it.
    pub fn committed(&mut self, batch: &Batch) -> Answers {
        self.committed = batch.last_offset;
        if !self.controller.is_active() {
            if !batch.records.is_empty() {
                let replayed = self.controller.replay_committed(batch.base_offset, &batch.records);
                replayed.expect("invariant 11 broken: committed metadata cannot be replayed");
            }
            return Vec::new();
        }
        if batch.records.is_empty() {
            self.next_offset += batch.last_offset - batch.base_offset + 1;
            return Vec::new();
        }
        let appended = self.waiting.pop_front();
        let appended = appended.expect("SIM: only the active controller appends records");
        assert_eq!(appended.records, batch.records.len(), "SIM: batches are committed as proposed");
        self.controller.commit(appended.last_offset);
        appended.done
    }

    /// Starts over from a snapshot.
    pub fn loaded(&mut self, image: ottla_metadata::Image) {
        self.committed = image.provenance.offset;
        self.controller.load_snapshot(image);
    }

    /// The quorum has another leader, perhaps this node. Gives the answers that will never be certain, and whether
    /// this node is to begin.
    pub fn leadership(&mut self, leadership: Leadership) -> (Answers, bool) {
        let failed = if self.controller.is_active() { self.deactivate() } else { Vec::new() };
        if leadership.active {
            self.epoch = leadership.epoch;
            self.next_offset = self.committed + 1;
        }
        (failed, leadership.active)
    }

    /// What the active controller writes first.
    pub fn begin(&mut self, now: i64) -> Decision<()> {
        let first = self.controller.activate(&self.bootstrap, now);
        let every = (self.controller.settings().session_timeout_ms / 8).max(1);
        (self.fence_at, self.balance_at, self.no_op_at) = (now + every, now + BALANCE_MS, now + NO_OP_MS);
        first
    }

    /// Goes back to what is committed; gives whoever waits.
    pub fn deactivate(&mut self) -> Answers {
        self.controller.deactivate();
        self.waiting
            .drain(..)
            .flat_map(|it| it.done)
            .map(|(route, _)| (route, Answer::NotController))
            .collect()
    }

    /// The epoch it is active in.
    pub fn epoch(&self) -> i32 {
        self.epoch
    }

    /// What is due by the clock.
    pub fn chore(&mut self, now: i64) -> Option<Decision<()>> {
        if !self.controller.is_active() {
            return None;
        }
        if self.fence_at <= now {
            let decision = self.controller.fence_stale_broker(now);
            let every = (self.controller.settings().session_timeout_ms / 8).max(1);
            self.fence_at = if decision.reply { now } else { now + every };
            if decision.reply || !decision.records.is_empty() {
                return Some(decision.map(|_| ()));
            }
        }
        if self.balance_at <= now {
            self.balance_at = now + BALANCE_MS;
            let unclean = self.controller.view().elect_unclean_leaders();
            if !unclean.records.is_empty() {
                return Some(unclean.map(|_| ()));
            }
            return Some(self.controller.view().balance_leaders().map(|_| ()));
        }
        if self.no_op_at <= now {
            self.no_op_at = now + NO_OP_MS;
            return Some(self.controller.view().no_op());
        }
        None
    }
}

/// Appends what was decided. The answer leaves with what comes back, or when the records are committed.
pub fn append(
    process: &mut Process,
    said: &Outbox,
    time: ottla_quorum::Time,
    decision: Decision<()>,
    answer: Option<(Route, Answer)>,
) -> Answers {
    let Process { replica, desk, .. } = process;
    let desk = desk.as_mut().expect("SIM: a controller decides");
    if decision.records.is_empty() {
        // The answer may tell of what is not committed yet: then it waits for that.
        return match desk.waiting.back_mut() {
            Some(last) => {
                last.done.extend(answer);
                Vec::new()
            }
            None => answer.into_iter().collect(),
        };
    }
    desk.controller.append(desk.next_offset, &decision.records, decision.atomic);
    for batch in batches(&decision.records, decision.atomic) {
        let encode = |record: &(ottla_protocol::metadata_records::MetadataRecord, i16)| {
            Bytes::from(record.0.encode_framed(record.1).expect("SIM: a decided record can be written"))
        };
        let values: Vec<Bytes> = batch.iter().map(encode).collect();
        desk.next_offset += values.len() as i64;
        let (last_offset, records) = (desk.next_offset - 1, values.len());
        desk.waiting.push_back(Appended { last_offset, records, done: Vec::new() });
        let (said, epoch) = (said.clone(), desk.epoch);
        let done = move |outcome: Result<_, _>| {
            if outcome.is_err() {
                said.lock().push(Said::Refused { epoch });
            }
        };
        replica.propose(time, Some(epoch), values, Box::new(done));
    }
    let last = desk.waiting.back_mut().expect("SIM: it was just put there");
    last.done.extend(answer);
    Vec::new()
}
