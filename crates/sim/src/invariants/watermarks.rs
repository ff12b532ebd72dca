//! 3 and 4: the high watermark of a process never falls, and a leader's stands on what a majority of the voters
//! of that moment has on disk.

use std::collections::BTreeMap;

use ottla_raft::Node;

use super::hold;

/// High watermarks of all processes.
#[derive(Debug, Default)]
pub struct Watermarks(BTreeMap<usize, i64>);

impl Watermarks {
    /// A process knows no watermark yet.
    pub fn started(&mut self, node: usize) {
        self.0.remove(&node);
    }

    /// Compares with what was known; `log_end` is the durable end of a voter's log.
    pub fn look(&mut self, index: usize, node: &Node, log_end: &dyn Fn(i32) -> i64) {
        let Some(now) = node.high_watermark() else { return };
        let before = self.0.insert(index, now);
        hold!(3, before.is_none_or(|before| before <= now), "watermark of node {} fell to {now}", index + 1);
        if before == Some(now) || !node.is_leader() {
            return;
        }
        let voters = node.voters();
        let holding = voters.ids().filter(|id| log_end(*id) >= now).count();
        hold!(
            4,
            holding >= voters.majority(),
            "leader {} commits up to {now}, which {holding} of {} voters have on disk",
            index + 1,
            voters.len()
        );
    }
}
