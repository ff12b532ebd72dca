//! When a produce may begin, and when it may be answered.

use ottla_records::ids::Offset;
use ottla_records::mutant;

use super::Leader;

/// Whether an `acks=all` produce may be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Enough replicas are in sync.
    Admitted,
    /// NOT_ENOUGH_REPLICAS: nothing is to be appended.
    NotEnoughReplicas {
        /// How many are in sync.
        in_sync: usize,
        /// How many have to be.
        minimum: usize,
    },
}

/// Whether an `acks=all` produce may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// All in-sync replicas have it.
    Acked,
    /// Not yet.
    Waiting,
    /// NOT_ENOUGH_REPLICAS_AFTER_APPEND: they have it, but too few are in sync by now.
    NotEnoughReplicasAfterAppend,
}

impl Leader {
    /// To be asked before an `acks=all` append.
    pub fn admits(&self) -> Admission {
        let (in_sync, minimum) = (self.in_sync_count(), self.effective_min_isr());
        if in_sync < minimum {
            Admission::NotEnoughReplicas { in_sync, minimum }
        } else {
            Admission::Admitted
        }
    }

    /// How many replicas the committed ISR has.
    pub fn in_sync_count(&self) -> usize {
        self.isr.len()
    }

    /// Whether a produce whose records end before `required` may be answered. Asked again after every new high
    /// watermark.
    pub fn may_ack(&self, required: Offset) -> Acks {
        if self.high_watermark < required && !mutant::is("ack-before-watermark") {
            Acks::Waiting
        } else if self.maximal_isr_len() < self.effective_min_isr() {
            Acks::NotEnoughReplicasAfterAppend
        } else {
            Acks::Acked
        }
    }
}
