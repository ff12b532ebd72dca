//! Fetch: a follower says how far it is and gets records, a cut, a snapshot's name, or nothing yet.

use bytes::Bytes;
use ottla_records::mutant;

use crate::message::{FetchRequest, FetchResponse};
use crate::node::Node;
use crate::role::{ParkedFetch, Role};
use crate::{Effect, EpochEnd, Fault, Millis, Read, RequestId, Response, SnapshotId, Validity};

impl Node {
    pub(super) fn serve_fetch(
        &mut self,
        now: Millis,
        request: RequestId,
        listener: &str,
        fetch: FetchRequest,
    ) {
        if self.is_other_cluster(&fetch.cluster_id) {
            return self.reply(request, Response::Refused(Fault::InconsistentClusterId));
        }
        let malformed = fetch.max_wait_ms < 0
            || fetch.offset < 0
            || fetch.last_epoch < 0
            || fetch.last_epoch > fetch.epoch;
        if malformed {
            let refusal = self.fetch_refusal(Fault::InvalidRequest, listener);
            return self.reply(request, refusal);
        }
        let leads_itself = self.is_leader() && fetch.replica.id == self.config.node_id;
        if leads_itself {
            // Two nodes with one id, or one that talks to itself through a wrong address.
            let refusal = self.fetch_refusal(Fault::InvalidRequest, listener);
            return self.reply(request, refusal);
        }
        let judged = self.judge_fetch(&fetch);
        if judged == Ok(Validity::Valid) {
            self.replica_fetched(now, &fetch);
        }
        let (response, read) = self.fetch_answer(&fetch, listener);
        // A follower that lags behind the high watermark hears of it at once (KIP-1166).
        let watermark = match &self.role {
            Role::Leader(role) => role.high_watermark.unwrap_or(-1),
            _ => -1,
        };
        let nothing_to_say = judged == Ok(Validity::Valid) && read.is_none();
        if nothing_to_say && fetch.max_wait_ms > 0 && fetch.high_watermark >= watermark {
            let until = now + Millis::from(fetch.max_wait_ms);
            let parked = ParkedFetch { request, listener: listener.to_owned(), fetch, until };
            if let Role::Leader(role) = &mut self.role {
                role.parked.push(parked);
            }
            return;
        }
        self.effects.push_back(Effect::Reply { request, response, read });
    }

    fn judge_fetch(&self, fetch: &FetchRequest) -> Result<Validity, Fault> {
        match self.check_leader_request(fetch.epoch) {
            Fault::None => {}
            fault => return Err(fault),
        }
        // Who starts from nothing is better served by a snapshot than by the whole history.
        match self.log.latest_snapshot() {
            Some(latest) if fetch.offset == 0 && latest != SnapshotId::BOOTSTRAP => {
                Ok(Validity::Snapshot(latest))
            }
            _ if mutant::is("divergence-unchecked") && fetch.offset <= self.log.end() => Ok(Validity::Valid),
            _ => Ok(self.log.validate(fetch.offset, fetch.last_epoch)),
        }
    }

    /// A valid fetch is a promise: everything before its offset is durable there.
    fn replica_fetched(&mut self, now: Millis, fetch: &FetchRequest) {
        if fetch.replica.id < 0 {
            return;
        }
        let (end, local, timeout) = (self.log.end(), self.config.node_id, self.check_quorum_timeout());
        let Role::Leader(role) = &mut self.role else { return };
        role.progress(fetch.replica).fetched(now, fetch.offset, end);
        role.heard_from(&fetch.replica, local, now, timeout);
        if role.is_voter(&fetch.replica) {
            self.advance_watermark(now);
        }
    }

    /// The answer as of now, and what has to be read into it.
    pub(crate) fn fetch_answer(&self, fetch: &FetchRequest, listener: &str) -> (Response, Option<Read>) {
        let validity = match self.judge_fetch(fetch) {
            Ok(validity) => validity,
            Err(fault) => return (self.fetch_refusal(fault, listener), None),
        };
        let mut answer = self.empty_fetch(Fault::None, listener);
        let mut read = None;
        match validity {
            Validity::Diverging(EpochEnd { epoch, end_offset }) => {
                answer.diverging = Some(EpochEnd { epoch, end_offset });
            }
            Validity::Snapshot(id) => answer.snapshot = Some(id),
            Validity::Valid if fetch.offset < self.log.end() => {
                read = Some(Read::Log { from: fetch.offset, max_bytes: fetch.max_bytes });
            }
            Validity::Valid => {}
        }
        (Response::Fetch(answer), read)
    }

    pub(crate) fn fetch_refusal(&self, fault: Fault, listener: &str) -> Response {
        Response::Fetch(self.empty_fetch(fault, listener))
    }

    fn empty_fetch(&self, error: Fault, listener: &str) -> FetchResponse {
        let high_watermark = match &self.role {
            Role::Leader(role) if error.is_none() => role.high_watermark.unwrap_or(-1),
            _ => -1,
        };
        FetchResponse {
            error,
            leader: self.leader_info(listener),
            high_watermark,
            log_start: self.log.start(),
            diverging: None,
            snapshot: None,
            records: Bytes::new(),
            batches: Vec::new(),
        }
    }
}
