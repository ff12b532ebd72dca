//! FetchSnapshot: a slice of a snapshot, byte by byte as the file is (KIP-630).

use bytes::Bytes;

use crate::message::{FetchSnapshotRequest, FetchSnapshotResponse};
use crate::node::Node;
use crate::role::Role;
use crate::{Effect, Fault, Millis, Read, RequestId, Response, SnapshotId};

impl Node {
    pub(super) fn serve_fetch_snapshot(
        &mut self,
        now: Millis,
        request: RequestId,
        listener: &str,
        fetch: FetchSnapshotRequest,
    ) {
        if self.is_other_cluster(&fetch.cluster_id) {
            return self.reply(request, Response::Refused(Fault::InconsistentClusterId));
        }
        let mut answer = FetchSnapshotResponse {
            error: self.check_leader_request(fetch.epoch),
            leader: self.leader_info(listener),
            snapshot: None,
            size: 0,
            position: 0,
            bytes: Bytes::new(),
        };
        let mut read = None;
        if answer.error.is_none() {
            let size = match self.log.snapshot_size(fetch.snapshot) {
                // The bootstrap checkpoint is every node's own.
                Some(size) if fetch.snapshot != SnapshotId::BOOTSTRAP => Some(size),
                _ => None,
            };
            match (size, u64::try_from(fetch.position)) {
                (None, _) => answer.error = Fault::SnapshotNotFound,
                (Some(size), Ok(position)) if position < size => {
                    answer.snapshot = Some(fetch.snapshot);
                    answer.size = size as i64;
                    answer.position = fetch.position;
                    let max_bytes = fetch.max_bytes.max(0);
                    read = Some(Read::Snapshot { id: fetch.snapshot, position, max_bytes });
                    self.snapshot_fetched(now, &fetch);
                }
                (Some(_), _) => answer.error = Fault::PositionOutOfRange,
            }
        }
        self.effects.push_back(Effect::Reply { request, response: Response::FetchSnapshot(answer), read });
    }

    fn snapshot_fetched(&mut self, now: Millis, fetch: &FetchSnapshotRequest) {
        let (local, timeout) = (self.config.node_id, self.check_quorum_timeout());
        if let Role::Leader(role) = &mut self.role {
            role.heard_from(&fetch.replica, local, now, timeout);
        }
    }
}
