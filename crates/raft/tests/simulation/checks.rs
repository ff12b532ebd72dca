//! The rules that speak of several nodes or of time, looked at after every single effect.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use ottla_raft::{Election, LeaderAndEpoch, Node, Notice, ReplicaKey};

use crate::cluster::{Peer, voter};
use crate::disk::Arena;

pub struct Checks {
    seed: u64,
    leaders: HashMap<i32, usize>,
    epochs: HashMap<usize, i32>,
    watermarks: HashMap<usize, i64>,
    /// Committed batches by base offset: (batch, last offset).
    committed: BTreeMap<i64, (u64, i64)>,
    /// Everything before this is committed somewhere.
    pub committed_end: i64,
    /// Of every event, when the run is to be compared with another.
    trace: Option<DefaultHasher>,
}

impl Checks {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            leaders: HashMap::new(),
            epochs: HashMap::new(),
            watermarks: HashMap::new(),
            committed: BTreeMap::new(),
            committed_end: 0,
            trace: None,
        }
    }

    /// From here on every event goes into [`Self::digest`].
    pub fn start_trace(&mut self) {
        self.trace = Some(DefaultHasher::new());
    }

    pub fn trace(&mut self, now: i64, event: &impl Debug) {
        if let Some(hasher) = &mut self.trace {
            now.hash(hasher);
            format!("{event:?}").hash(hasher);
        }
    }

    pub fn digest(&self) -> u64 {
        self.trace.as_ref().map_or(0, Hasher::finish)
    }

    /// 2: epochs grow, across restarts too.
    pub fn look(&mut self, index: usize, node: &Node) {
        let known = self.epochs.entry(index).or_insert(0);
        assert!(node.epoch() >= *known, "seed {}: epoch of node {index} fell", self.seed);
        *known = node.epoch();
    }

    pub fn restarted(&mut self, index: usize, node: &Node) {
        self.look(index, node);
        self.watermarks.remove(&index);
    }

    /// 2: what is on disk never takes an epoch or a vote back.
    pub fn election_persisted(&self, index: usize, old: Option<&Election>, new: &Election) {
        let Some(old) = old else { return };
        assert!(new.epoch >= old.epoch, "seed {}: stored epoch of node {index} fell", self.seed);
        if new.epoch == old.epoch && old.voted.is_some() && new.voted.is_some() {
            assert_eq!(old.voted, new.voted, "seed {}: node {index} voted twice", self.seed);
        }
    }

    /// 2: a vote is on disk before its answer leaves.
    pub fn vote_granted(&self, index: usize, candidate: ReplicaKey, epoch: i32, disk: Option<&Election>) {
        let stored = disk.map(|election| (election.epoch, election.voted));
        let expected = Some((epoch, Some(candidate)));
        assert_eq!(stored, expected, "seed {}: node {index} answered before it wrote", self.seed);
    }

    /// 1, and 6: a new leader holds all that is committed.
    pub fn leader_changed(&mut self, index: usize, leader: LeaderAndEpoch, peers: &[Peer], arena: &Arena) {
        if leader.leader != Some(voter(index).key.id) {
            return;
        }
        let first = *self.leaders.entry(leader.epoch).or_insert(index);
        assert_eq!(first, index, "seed {}: two leaders in epoch {}", self.seed, leader.epoch);
        let history: BTreeMap<i64, u64> =
            peers[index].disk.history(arena).iter().map(|batch| (arena.get(*batch).base(), *batch)).collect();
        for (base, (batch, _)) in &self.committed {
            assert_eq!(
                history.get(base),
                Some(batch),
                "seed {}: leader {index} of epoch {} lacks committed offset {base}",
                self.seed,
                leader.epoch
            );
        }
    }

    /// 3, 4 and 5: watermarks grow, stand on a flushed majority, and mean the same records everywhere.
    pub fn committed(&mut self, index: usize, to: i64, peers: &[Peer], arena: &Arena) {
        let known = self.watermarks.entry(index).or_insert(-1);
        assert!(to >= *known, "seed {}: watermark of node {index} fell", self.seed);
        *known = to;
        let node = peers[index].node.as_ref().expect("it just spoke");
        if node.is_leader() && to > self.committed_end {
            let voters = node.voters();
            let holding = (0..peers.len())
                .filter(|i| voters.contains(&voter(*i).key))
                .filter(|i| peers[*i].disk.flushed >= to)
                .count();
            assert!(holding >= voters.majority(), "seed {}: {to} committed by {holding}", self.seed);
        }
        for batch in peers[index].disk.history(arena) {
            let written = arena.get(batch);
            if written.last() < to {
                let first = *self.committed.entry(written.base()).or_insert((batch, written.last()));
                assert_eq!(first.0, batch, "seed {}: two histories at {}", self.seed, written.base());
            }
        }
        self.committed_end = self.committed_end.max(to);
    }

    /// Peers of a simulation do nothing that had to be refused.
    pub fn noticed(&self, notice: &Notice) {
        match notice {
            Notice::TwoLeaders { .. } | Notice::TruncationBelowWatermark { .. } => {
                panic!("seed {}: {notice}", self.seed)
            }
            Notice::VotersDoNotOverlap { .. } => panic!("seed {}: {notice}", self.seed),
            _ => {}
        }
    }
}
