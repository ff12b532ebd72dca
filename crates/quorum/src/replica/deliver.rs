//! What the listener is told: leadership, snapshots, committed batches; and what proposers are answered.

use ottla_raft::{LeaderAndEpoch, SnapshotId};
use ottla_records::ids::Offset;
use ottla_records::mutant;

use super::{QuorumError, Replica};
use crate::batches::{self, Decoded};
use crate::handle::ProposeError;
use crate::listener::{Committed, Leadership, Listener, Transport};

/// How much of the log is read at a time: the listener is asked for room before each.
const READ_BYTES: usize = 256 * 1024;

impl<L: Listener, T: Transport> Replica<L, T> {
    pub(super) fn leader_changed(&mut self, change: LeaderAndEpoch) {
        let LeaderAndEpoch { leader, epoch, epoch_start } = change;
        if epoch_start.is_none() {
            for waiting in self.waiting.drain(..) {
                let lost = ProposeError::LeadershipLost { epoch: waiting.proposed.epoch };
                let fate =
                    if mutant::is("lost-lead-acknowledged") { Ok(waiting.proposed) } else { Err(lost) };
                self.settled.push((waiting.done, fate));
            }
        }
        self.gaining = None;
        if epoch_start.is_some() {
            self.gaining = Some(change);
            self.activate();
        } else {
            if !mutant::is("cut-batches-delivered") {
                self.tail.clear();
            }
            self.listener.leadership(Leadership { leader, epoch, active: false });
        }
    }

    /// Tells the listener that it leads, once it has seen the first record of its epoch.
    fn activate(&mut self) {
        if let Some(LeaderAndEpoch { leader, epoch, epoch_start: Some(start) }) = self.gaining
            && self.delivered > start
        {
            self.gaining = None;
            self.listener.leadership(Leadership { leader, epoch, active: true });
        }
    }

    /// Gives the listener everything up to the high watermark, as far as it has room, then answers the proposals in it.
    pub(super) fn deliver(&mut self, high_watermark: Offset) -> Result<(), QuorumError> {
        self.load_snapshot_if_needed(high_watermark)?;
        while self.delivered < high_watermark {
            while self.tail.front().is_some_and(|batch| batch.base_offset < self.delivered) {
                self.tail.pop_front();
            }
            match self.tail.pop_front_if(|batch| batch.base_offset == self.delivered) {
                Some(batch) => self.commit(batch),
                None if !self.listener.has_room() => break,
                None => self.deliver_from_log(high_watermark)?,
            }
        }
        let seen = high_watermark.min(self.delivered);
        while let Some(waiting) = self.waiting.pop_front_if(|waiting| waiting.proposed.last_offset < seen) {
            self.settled.push((waiting.done, Ok(waiting.proposed)));
        }
        self.activate();
        Ok(())
    }

    fn load_snapshot_if_needed(&mut self, high_watermark: Offset) -> Result<(), QuorumError> {
        let start = self.log.start();
        if self.delivered >= high_watermark || (self.delivered >= 0 && self.delivered >= start) {
            return Ok(());
        }
        match self.snapshots.latest().filter(|id| *id != SnapshotId::BOOTSTRAP) {
            Some(id) => {
                let mut reader = self.snapshots.open(id)?;
                if !mutant::is("snapshot-skipped") {
                    self.listener.load_snapshot(id.end_offset, id.epoch, &mut reader)?;
                }
                self.delivered = id.end_offset;
            }
            None if start > 0 => return Err(QuorumError::Gap { from: self.delivered.max(0), start }),
            None => self.delivered = 0,
        }
        Ok(())
    }

    fn deliver_from_log(&mut self, high_watermark: Offset) -> Result<(), QuorumError> {
        let offset = self.delivered;
        let corrupt = |source| QuorumError::Corrupt { offset, source };
        let run = self.log.read(offset, READ_BYTES)?;
        let batches = batches::decode_run(run).map_err(corrupt)?;
        if batches.is_empty() {
            return Err(QuorumError::Gap { from: offset, start: self.log.start() });
        }
        for batch in batches {
            // A watermark always stands between batches; the first one past it is not committed.
            if batch.last_offset >= high_watermark {
                break;
            }
            if batch.last_offset >= self.delivered {
                self.commit(batch);
            }
        }
        if self.delivered == offset {
            return Err(QuorumError::Gap { from: offset, start: self.log.start() });
        }
        Ok(())
    }

    fn commit(&mut self, batch: Decoded) {
        let Decoded { base_offset, last_offset, epoch, timestamp, size, values, .. } = batch;
        self.delivered = last_offset + 1;
        self.listener.commit(Committed { base_offset, last_offset, epoch, timestamp, size, values });
    }
}
