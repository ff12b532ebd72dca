//! DescribeQuorum: the leader's view of everybody.

use crate::message::{DescribeResponse, ReplicaInfo};
use crate::node::Node;
use crate::role::Role;
use crate::watermark::Progress;
use crate::{Fault, Millis, RequestId, Response};

impl Node {
    pub(super) fn serve_describe(&mut self, now: Millis, request: RequestId, listener: &str) {
        let response = self.describe(now, listener);
        self.reply(request, Response::DescribeQuorum(response));
    }

    fn describe(&mut self, now: Millis, listener: &str) -> DescribeResponse {
        let (local, leader, end) = (self.key(), self.leader_info(listener), self.log.end());
        let mut answer = DescribeResponse {
            error: Fault::NotLeaderOrFollower,
            leader,
            high_watermark: -1,
            voters: Vec::new(),
            observers: Vec::new(),
            now,
        };
        let Role::Leader(role) = &mut self.role else { return answer };
        role.forget_silent_observers(now, local);
        let info = |progress: &Progress| {
            let own = progress.key.covers(&local);
            ReplicaInfo {
                key: if own { local } else { progress.key },
                end_offset: if own { end } else { progress.end_offset.unwrap_or(-1) },
                last_fetch: if own { Some(now) } else { progress.last_fetch },
                last_caught_up: if own { Some(now) } else { progress.last_caught_up },
                endpoints: progress.endpoints.clone(),
            }
        };
        answer.error = Fault::None;
        answer.high_watermark = role.high_watermark.unwrap_or(-1);
        answer.voters = role.voters.values().map(info).collect();
        answer.observers = role.observers.values().map(info).collect();
        answer
    }
}
