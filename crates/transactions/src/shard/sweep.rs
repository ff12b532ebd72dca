//! What happens by the clock: transactions past their timeout are aborted, ids that nobody uses are forgotten.

use std::sync::Arc;

use super::Shard;
use super::desk::{Change, Reply, Then};
use crate::api::{Notice, Record};
use crate::record::tombstone;
use crate::state::State;

/// Tombstones go out in appends of about this many bytes, well below the smallest sensible batch limit.
const APPEND_BYTES: usize = 16 * 1024;

impl Shard {
    /// Aborts the transactions that are open for longer than their producers asked for. Those producers are fenced: what
    /// they send later belongs to nothing.
    pub(super) fn abort_timed_out(&mut self) {
        self.desk.abort_check_done();
        let now_ms = self.desk.wall_ms();
        let mut late: Vec<Arc<str>> = Vec::new();
        let mut open = 0;
        for (id, held) in &self.ids {
            let Some(txn) = held.txn.as_ref().filter(|txn| txn.state == State::Ongoing) else { continue };
            open += 1;
            let ends_ms = txn.started_ms.saturating_add(txn.timeout_ms.into());
            if held.pending.is_none() && !txn.is_two_phase() && ends_ms < now_ms {
                late.push(id.clone());
            }
        }
        for id in late {
            // Without a fresh producer id, should one be needed, the next look has to do.
            let Ok(next) = self.fenced(&id) else { continue };
            self.desk.notice(Notice::TimedOut {
                transactional_id: id.clone(),
                producer_id: next.producer_id,
                epoch: next.epoch,
            });
            self.step(&id, next, Reply::Nobody);
        }
        if open > 0 {
            self.desk.plan_abort_check();
        }
    }

    /// Forgets ids without a transaction that have not changed for `transactional.id.expiration.ms`.
    pub(super) fn expire(&mut self) {
        let oldest_ms = self.desk.wall_ms().saturating_sub(self.desk.config.id_expiration_ms);
        let is_over = |id: &Arc<str>| {
            let held = self.ids.get(id)?;
            let txn = held.txn.as_ref()?;
            (held.pending.is_none() && txn.state.is_at_rest() && txn.updated_ms <= oldest_ms)
                .then(|| id.clone())
        };
        let over: Vec<Arc<str>> = self.ids.keys().filter_map(is_over).collect();
        if !over.is_empty() {
            self.desk.notice(Notice::Expired { ids: over.len() });
        }
        let (mut records, mut bytes): (Vec<Record>, usize) = (Vec::new(), 0);
        let mut ids: Vec<Arc<str>> = Vec::new();
        for id in over {
            let record = tombstone(&id);
            bytes += record.key.len() + 16;
            records.push(record);
            ids.push(id);
            if bytes >= APPEND_BYTES {
                self.forget(std::mem::take(&mut records), std::mem::take(&mut ids));
                bytes = 0;
            }
        }
        if !records.is_empty() {
            self.forget(records, ids);
        }
        self.desk.plan_expiration_check();
    }

    fn forget(&mut self, records: Vec<Record>, ids: Vec<Arc<str>>) {
        let changes: Vec<Change> = ids.iter().map(|id| (id.clone(), None)).collect();
        let append = self.desk.append(records, changes, Then { reply: Reply::Nobody, completes: false });
        for id in ids {
            self.wait_for(&id, append);
        }
    }
}
