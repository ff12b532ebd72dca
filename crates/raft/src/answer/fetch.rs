//! Answers to Fetch: append, cut back, or load a snapshot.

use ottla_records::ids::Offset;
use ottla_records::mutant;

use super::Common;
use crate::message::FetchResponse;
use crate::node::Node;
use crate::role::{Download, Role};
use crate::{Effect, EpochEnd, Millis, Notice, SnapshotId};

impl Node {
    pub(super) fn fetch_answered(&mut self, now: Millis, peer: i32, fetch: FetchResponse) -> bool {
        match self.common(now, peer, fetch.error, &fetch.leader) {
            Common::Done(well) => return well,
            Common::Continue if !fetch.error.is_none() => return self.unexpected(peer, fetch.error),
            Common::Continue => {}
        }
        if !matches!(self.role, Role::Follower(_)) {
            return true;
        }
        let well = if let Some(theirs) = fetch.diverging {
            self.cut_back(theirs)
        } else if let Some(id) = fetch.snapshot {
            self.start_download(id)
        } else {
            let well = self.append_fetched(&fetch);
            self.follow_watermark(fetch.high_watermark);
            well
        };
        if well {
            self.fetch_succeeded(now);
        }
        well
    }

    /// The leader is alive and useful: give it another fetch timeout.
    pub(crate) fn fetch_succeeded(&mut self, now: Millis) {
        let timeout = self.config.fetch_timeout_ms;
        if let Role::Follower(role) = &mut self.role {
            role.fetch_until = now + timeout;
            role.has_fetched = true;
        }
    }

    /// The high watermark is the leader's, as far as this log reaches. It never goes back, whatever a
    /// leader that does not know its own yet may say.
    pub(crate) fn follow_watermark(&mut self, told: Offset) {
        let reached = told.min(self.log.end());
        if reached >= 0 && self.high_watermark.is_none_or(|known| reached > known) {
            self.set_high_watermark(reached);
        }
    }

    fn cut_back(&mut self, theirs: EpochEnd) -> bool {
        if theirs.epoch < 0 || theirs.end_offset < 0 {
            return false;
        }
        let mut to = self.log.truncation_point(theirs);
        if mutant::is("truncate-too-little") {
            to = (to + 1).min(self.log.end());
        }
        if let Some(high_watermark) = self.high_watermark
            && (to < high_watermark || theirs.end_offset < high_watermark)
        {
            // Someone lost committed records. It is not going to be this node as well.
            let to = to.min(theirs.end_offset);
            self.notice(Notice::TruncationBelowWatermark { to, high_watermark });
            return false;
        }
        if to < self.log.end() {
            self.truncate(to);
        }
        true
    }

    fn start_download(&mut self, id: SnapshotId) -> bool {
        if id.epoch < 0 || id.end_offset < 0 {
            return false;
        }
        // Only a snapshot that goes beyond this log can replace it.
        let beyond = (id.epoch, id.end_offset) > (self.log.last_epoch(), self.log.end());
        if !beyond || self.log.snapshot_size(id).is_some() {
            return false;
        }
        if let Role::Follower(role) = &mut self.role {
            role.download = Some(Download { id, position: 0, installing: false });
            self.effects.push_back(Effect::BeginSnapshot { id });
        }
        true
    }

    /// Takes the batches that continue this log and are not from the future; drops the rest.
    fn append_fetched(&mut self, fetch: &FetchResponse) -> bool {
        let base_offset = self.log.end();
        let (mut taken, mut well) = (0, true);
        for batch in &fetch.batches {
            if batch.epoch > self.epoch {
                break;
            }
            let end = self.log.end();
            let runs_on = batch.base_offset == end && batch.last_offset >= end;
            if !runs_on || batch.epoch < self.log.last_epoch() || taken + batch.len > fetch.records.len() {
                let (base_offset, epoch) = (batch.base_offset, batch.epoch);
                self.notice(Notice::BatchOutOfOrder { base_offset, epoch, end });
                well = false;
                break;
            }
            taken += batch.len;
            self.apply_control(batch.control.iter().map(|(offset, record)| (*offset, record)));
            self.log.append(batch.last_offset, batch.epoch);
        }
        if self.log.end() > base_offset {
            let records = fetch.records.slice(..taken);
            let last_offset = self.log.end() - 1;
            self.effects.push_back(Effect::AppendFetched { records, base_offset, last_offset });
        }
        well
    }
}
