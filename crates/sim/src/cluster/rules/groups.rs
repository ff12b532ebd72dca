//! One partition of `__consumer_offsets`: its committed log, and what its coordinators say. An unclean election may have
//! taken records away: then nothing is said of its groups any more.

use ottla_groups::{Request, Response};
use ottla_log::Log;

use super::ledger::{self, Line};
use super::{commits, generations, owners};

/// What is known of the groups of a partition.
#[derive(Debug, Default)]
pub struct Book {
    commits: commits::Commits,
    generations: generations::Generations,
    owners: owners::Owners,
}

impl Book {
    /// This much more is committed.
    pub fn committed(&mut self, log: &Log, from: i64, to: i64) {
        for line in ledger::lines(log, from, to) {
            match line {
                Line::Commit(commit) => self.commits.logged(commit),
                Line::Generation(generation) => self.generations.logged(generation),
                Line::Gone { group, partition: Some(partition) } => self.commits.gone(&group, partition),
                Line::Gone { group, partition: None } => self.generations.gone(&group),
            }
        }
    }

    /// A coordinator of this epoch answers. Gives how many commits it acknowledges.
    pub fn answered(&mut self, epoch: i32, request: &Request, response: &Response) -> u64 {
        match (request, response) {
            (Request::OffsetCommit(request), Response::OffsetCommit(response)) => {
                let mut acknowledged = 0;
                let asked = request.topics.iter().flat_map(|topic| &topic.partitions);
                let told = response.topics.iter().flat_map(|topic| &topic.partitions);
                for (asked, _) in asked.zip(told).filter(|(_, told)| told.error_code == 0) {
                    let number = ledger::number(asked.committed_metadata.as_deref().unwrap_or_default());
                    let (group, partition) = (&*request.group_id, asked.partition_index);
                    let at = self.commits.acknowledged(epoch, group, partition, number);
                    let (old, newest) =
                        (request.generation_id_or_member_epoch, self.generations.before(group, at));
                    super::hold!(
                        34,
                        newest <= old,
                        "a commit of generation {old} of {group} is taken after {newest} was stored"
                    );
                    acknowledged += 1;
                }
                acknowledged
            }
            (Request::OffsetFetch { .. }, Response::OffsetFetch(response)) if response.error_code == 0 => {
                for told in response.topics.iter().flat_map(|topic| &topic.partitions) {
                    let number = ledger::number(told.metadata.as_deref().unwrap_or_default());
                    let (group, partition) = (&*response.group_id, told.partition_index);
                    if told.error_code == 0 {
                        self.commits.shown(epoch, group, partition, told.committed_offset, number);
                    }
                }
                0
            }
            (Request::SyncGroup(request), Response::SyncGroup(response)) if response.error_code == 0 => {
                let identity = request.group_instance_id.as_ref().unwrap_or(&request.member_id);
                let (group, generation) = (&*request.group_id, request.generation_id);
                self.generations.told(group, generation, identity, &response.assignment);
                self.owners.told(group, generation, identity, &response.assignment);
                0
            }
            _ => 0,
        }
    }
}
