//! What must hold, whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use ottla_groups::{Append, Request, Response};
use ottla_protocol::coordinator_records::offset_commit_key::OffsetCommitKey;
use ottla_protocol::coordinator_records::offset_commit_value::OffsetCommitValue;
use ottla_protocol::wire::Message;

/// What a request was, for judging its answer.
pub(crate) struct Asked {
    pub(crate) group: String,
    pub(crate) identity: String,
    pub(crate) request: Request,
    /// The newest generation that members of the group had been told of.
    pub(crate) told: i32,
}

#[derive(Default)]
pub(crate) struct Checks {
    open: BTreeMap<u64, Asked>,
    told: BTreeMap<String, i32>,
    owners: BTreeMap<(String, i32, u8), String>,
    committed: BTreeMap<(String, i32), i64>,
    logged: BTreeSet<(String, i64)>,
    pub(crate) answered: usize,
    pub(crate) acknowledged: usize,
    pub(crate) assigned: usize,
}

impl Checks {
    pub(crate) fn asked(&mut self, token: u64, group: String, identity: String, request: Request) {
        let told = self.told.get(&group).copied().unwrap_or(-1);
        self.open.insert(token, Asked { group, identity, request, told });
    }

    /// One answer per request, and what it may say.
    pub(crate) fn answered(&mut self, token: u64, response: &Response) {
        let asked =
            self.open.remove(&token).unwrap_or_else(|| panic!("a second answer to {token}: {response:?}"));
        self.answered += 1;
        match response {
            Response::JoinGroup(r) if r.error_code == 0 => {
                let told = self.told.entry(asked.group).or_insert(-1);
                *told = (*told).max(r.generation_id);
            }
            Response::SyncGroup(r) if r.error_code == 0 => {
                let Request::SyncGroup(request) = &asked.request else { panic!("not a sync") };
                for partition in &r.assignment {
                    let at = (asked.group.clone(), request.generation_id, *partition);
                    let owner = self.owners.entry(at).or_insert_with(|| asked.identity.clone());
                    assert_eq!(
                        *owner, asked.identity,
                        "two owners of {partition} in {} generation {}",
                        asked.group, request.generation_id
                    );
                    self.assigned += 1;
                }
            }
            Response::OffsetCommit(r) if r.topics[0].partitions[0].error_code == 0 => {
                let Request::OffsetCommit(request) = &asked.request else { panic!("not a commit") };
                let generation = request.generation_id_or_member_epoch;
                assert!(generation >= asked.told, "a commit of the fenced generation {generation} was taken");
                let value = request.topics[0].partitions[0].committed_offset;
                assert!(self.logged.contains(&(asked.group, value)), "acknowledged, but not in the log");
                self.acknowledged += 1;
            }
            _ => {}
        }
    }

    pub(crate) fn appended(&mut self, append: &Append) {
        for record in &append.records {
            if record.key[..2] != [0, 1] {
                continue;
            }
            let key = OffsetCommitKey::decode(&record.key[2..], 0).unwrap();
            let at = (key.group.clone(), key.partition);
            match &record.value {
                None => drop(self.committed.remove(&at)),
                Some(value) => {
                    let value = OffsetCommitValue::decode(&value[2..], 4).unwrap();
                    self.committed.insert(at, value.offset);
                    self.logged.insert((key.group, value.offset));
                }
            }
        }
    }

    /// What a plain fetch of a group's partition has to say.
    pub(crate) fn committed(&self, group: &str, partition: i32) -> i64 {
        self.committed.get(&(group.to_owned(), partition)).copied().unwrap_or(-1)
    }

    /// Another coordinator knows what is in the log; what was only said does not count.
    pub(crate) fn failed_over(&mut self) {
        self.told.clear();
        for asked in self.open.values_mut() {
            asked.told = -1;
        }
    }

    pub(crate) fn all_answered(&self) {
        let open: Vec<_> = self.open.values().map(|asked| &asked.request).collect();
        assert!(open.is_empty(), "never answered: {open:?}");
    }
}
