//! A disk that forgets what was not flushed, and the batches all disks share.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use ottla_raft::{
    Append, BatchMeta, Body, Control, Election, History, LogView, Restored, SnapshotContent, SnapshotId,
};

/// A batch that some leader once wrote. Its index in the arena is its content: two logs agree when they
/// hold the same index at the same offset.
#[derive(Clone, Debug)]
pub struct Written {
    pub append: Append,
}

impl Written {
    pub fn base(&self) -> i64 {
        self.append.base_offset
    }

    pub fn last(&self) -> i64 {
        self.append.base_offset + self.append.body.len() as i64 - 1
    }

    pub fn control(&self) -> Vec<(i64, Control)> {
        match &self.append.body {
            Body::Control(records) => records
                .iter()
                .enumerate()
                .map(|(i, record)| (self.base() + i as i64, record.clone()))
                .collect(),
            Body::Data(_) => Vec::new(),
        }
    }
}

#[derive(Default)]
pub struct Arena(pub Vec<Written>);

impl Arena {
    pub fn add(&mut self, append: Append) -> u64 {
        self.0.push(Written { append });
        self.0.len() as u64 - 1
    }

    pub fn get(&self, index: u64) -> &Written {
        &self.0[index as usize]
    }

    pub fn encode(&self, run: &[u64]) -> Bytes {
        let mut out = BytesMut::new();
        run.iter().for_each(|index| out.put_u64(*index));
        out.freeze()
    }

    pub fn decode(bytes: &[u8]) -> Vec<u64> {
        bytes.chunks_exact(8).map(|eight| u64::from_be_bytes(eight.try_into().expect("eight"))).collect()
    }

    pub fn metas(&self, bytes: &[u8]) -> Vec<BatchMeta> {
        let describe = |index| {
            let written = self.get(index);
            BatchMeta {
                base_offset: written.base(),
                last_offset: written.last(),
                epoch: written.append.epoch,
                len: 8,
                control: written.control(),
            }
        };
        Arena::decode(bytes).into_iter().map(describe).collect()
    }
}

/// What one node has stored.
#[derive(Clone, Default)]
pub struct Disk {
    pub election: Option<Election>,
    /// Batches, oldest first.
    pub log: Vec<u64>,
    pub start: i64,
    pub end: i64,
    pub flushed: i64,
    /// Raised whenever the log is cut, so that a flush that started before does not count after.
    pub generation: u64,
    /// Snapshots: the whole history as batches.
    pub snapshots: BTreeMap<SnapshotId, Vec<u64>>,
    pub partial: Option<(SnapshotId, Vec<u8>)>,
}

impl Disk {
    pub fn push(&mut self, arena: &Arena, index: u64) {
        let written = arena.get(index);
        assert_eq!(written.base(), self.end, "a gap in the log");
        self.end = written.last() + 1;
        self.log.push(index);
    }

    pub fn truncate(&mut self, arena: &Arena, to: i64) {
        while self.log.last().is_some_and(|index| arena.get(*index).last() >= to) {
            let gone = self.log.pop().expect("looked at above");
            assert!(arena.get(gone).base() >= to, "a batch cut in two");
        }
        self.end = to;
        self.flushed = self.flushed.min(to);
        self.generation += 1;
    }

    /// The power goes: of what was not flushed, some prefix is left.
    pub fn lose_unflushed(&mut self, arena: &Arena, keep: usize) {
        let unflushed = self.log.iter().filter(|index| arena.get(**index).last() >= self.flushed).count();
        for _ in keep.min(unflushed)..unflushed {
            let gone = self.log.pop().expect("counted above");
            self.end = arena.get(gone).base();
        }
        self.flushed = self.end;
        self.partial = None;
        self.generation += 1;
    }

    pub fn read(&self, arena: &Arena, from: i64, max_bytes: i32) -> Vec<u64> {
        let tail = self.log.iter().skip_while(|index| arena.get(**index).last() < from);
        tail.take((max_bytes as usize / 8).max(1)).copied().collect()
    }

    /// Everything this disk holds from offset 0 on: the newest snapshot, then the log after it.
    pub fn history(&self, arena: &Arena) -> Vec<u64> {
        let (end, mut all) = match self.snapshots.last_key_value() {
            Some((id, run)) => (id.end_offset, run.clone()),
            None => (0, Vec::new()),
        };
        all.extend(self.log.iter().filter(|index| arena.get(**index).base() >= end));
        all
    }

    pub fn content(arena: &Arena, run: &[u64]) -> SnapshotContent {
        let mut content = SnapshotContent::default();
        for (_, record) in run.iter().flat_map(|index| arena.get(*index).control()) {
            match record {
                Control::KraftVersion(version) => content.kraft_version = Some(version),
                Control::Voters(voters) => content.voters = Some(voters),
                Control::LeaderChange { .. } => {}
            }
        }
        content
    }

    /// What a node finds when it starts; `bootstrap` is the control state of a dynamic quorum's first
    /// checkpoint.
    pub fn restore(&self, arena: &Arena, bootstrap: &SnapshotContent) -> Restored {
        let mut epochs: Vec<(i32, i64)> = Vec::new();
        for written in self.log.iter().map(|index| arena.get(*index)) {
            if epochs.last().is_none_or(|(epoch, _)| *epoch < written.append.epoch) {
                epochs.push((written.append.epoch, written.base()));
            }
        }
        let (mut voters, mut kraft_versions) = (History::default(), History::default());
        let (at, content) = match self.snapshots.last_key_value() {
            Some((id, run)) => (id.end_offset - 1, Disk::content(arena, run)),
            None => (-1, SnapshotContent::default()),
        };
        // A snapshot without voters of its own leaves the ones the node was formatted with.
        if let Some(set) = content.voters.or_else(|| bootstrap.voters.clone()) {
            voters.add(if self.snapshots.is_empty() { -1 } else { at }, set);
        }
        if let Some(version) = content.kraft_version.or(bootstrap.kraft_version) {
            kraft_versions.add(at, version);
        }
        let after = self.log.iter().filter(|index| arena.get(**index).base() > at);
        for (offset, record) in after.flat_map(|index| arena.get(*index).control()) {
            match record {
                Control::KraftVersion(version) => kraft_versions.add(offset, version),
                Control::Voters(set) => voters.add(offset, set),
                Control::LeaderChange { .. } => {}
            }
        }
        let snapshots = self.snapshots.iter().map(|(id, run)| (*id, run.len() as u64 * 8));
        let log = LogView::new(self.start, self.end, epochs, snapshots);
        Restored { election: self.election.clone(), log, voters, kraft_versions }
    }
}
