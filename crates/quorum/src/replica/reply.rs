//! Answers to inbound requests, with the bytes they need read from the log or a snapshot.

use ottla_raft::message::{DescribeResponse, ReplicaInfo};
use ottla_raft::{Fault, Read, RequestId, Response};

use super::{Replica, Time};
use crate::listener::{Listener, Transport};

impl<L: Listener, T: Transport> Replica<L, T> {
    /// Fills in what `read` names and hands the answer over.
    pub(super) fn reply(
        &mut self,
        now: Time,
        request: RequestId,
        mut response: Response,
        read: Option<Read>,
    ) {
        let Some(reply) = self.replies.remove(&request) else { return };
        match (&mut response, read) {
            (Response::Fetch(fetch), Some(Read::Log { from, max_bytes })) => {
                match self.log.read(from, max_bytes.max(0) as usize) {
                    Ok(records) => fetch.records = records,
                    Err(error) => {
                        tracing::warn!(%error, "a metadata fetch cannot be answered");
                        fetch.error = Fault::UnknownServerError;
                    }
                }
            }
            (Response::FetchSnapshot(fetch), Some(Read::Snapshot { id, position, max_bytes })) => {
                match self.snapshots.read(id, position, max_bytes.max(0) as usize) {
                    Ok(bytes) => fetch.bytes = bytes,
                    Err(error) => {
                        tracing::warn!(%error, "a snapshot fetch cannot be answered");
                        fetch.error = Fault::UnknownServerError;
                    }
                }
            }
            (Response::DescribeQuorum(report), _) => to_wall_clock(report, now),
            _ => {}
        }
        reply(response);
    }
}

/// The machine counts on its own clock; people read another.
fn to_wall_clock(report: &mut DescribeResponse, now: Time) {
    let shift = |at: &mut Option<i64>| {
        if let Some(at) = at {
            *at += now.wall - now.monotonic;
        }
    };
    report.now = now.wall;
    for ReplicaInfo { last_fetch, last_caught_up, .. } in
        report.voters.iter_mut().chain(&mut report.observers)
    {
        shift(last_fetch);
        shift(last_caught_up);
    }
}
