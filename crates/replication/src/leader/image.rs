//! Changes of the partition that come with the metadata image.

use super::{Assignment, Leader, Progress, Remote};
use crate::{Brokers, invariants};

impl Leader {
    /// The partition's registration in a new image, which still names this broker as leader. Older ones than
    /// what is known are ignored: the answer to a proposal may have come first.
    ///
    /// A greater leader epoch begins the own leadership anew (Kafka bumps it when a replica is removed): the
    /// log has to begin that epoch, too.
    pub fn partition_changed(&mut self, new: Assignment, brokers: &impl Brokers, now_ms: i64) -> Progress {
        let mut progress = Progress::default();
        if new.partition_epoch < self.partition_epoch || new.leader_epoch < self.leader_epoch {
            return progress;
        }
        invariants::leads_its_replica(self.id, &new.replicas);
        if new.partition_epoch > self.partition_epoch {
            invariants::in_sync_are_replicas(&new.isr, &new.replicas, None);
            // A proposal for an older version was either done, then it is in here, or never will be.
            self.pending = None;
            self.partition_epoch = new.partition_epoch;
            self.isr = new.isr;
            self.recovery = new.recovery;
        }
        // The same version again: an answer told its ISR, only now come the replicas. A proposal on top of it
        // stays in flight, and in the maximal ISR.
        let low = self.low_watermark(brokers);
        self.remotes.retain(|remote| new.replicas.contains(&remote.id));
        for id in new.replicas.iter().filter(|id| **id != self.id) {
            if self.remote(*id).is_none() {
                self.remotes.push(Remote::new(*id, self.isr.contains(id), now_ms));
            }
        }
        (self.replicas, self.adding, self.removing) = (new.replicas, new.adding, new.removing);
        if new.leader_epoch > self.leader_epoch {
            self.leader_epoch = new.leader_epoch;
            self.epoch_start = self.log_end;
            for remote in &mut self.remotes {
                remote.begin_epoch(self.isr.contains(&remote.id), self.log_end, now_ms);
            }
        }
        let raised = self.low_watermark(brokers);
        progress.low_watermark = (raised > low).then_some(raised);
        self.advance_watermark(brokers, now_ms, &mut progress);
        progress
    }
}
