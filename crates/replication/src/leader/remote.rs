//! Where another replica stands, as its fetches tell (Kafka's `ReplicaState`).

use ottla_records::ids::Offset;

use crate::{BrokerEpoch, BrokerId};

/// Before all times: never caught up, never fetched.
const NEVER: i64 = i64::MIN;

/// Another replica of the partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    pub(super) id: BrokerId,
    pub(super) log_end: Option<Offset>,
    pub(super) log_start: Option<Offset>,
    pub(super) broker_epoch: Option<BrokerEpoch>,
    /// Where the leader's log ended at the last fetch (the greatest seen).
    leader_end_then: Offset,
    last_fetch_ms: i64,
    last_caught_up_ms: i64,
    sent_watermark: Offset,
}

impl Remote {
    /// A member of the ISR gets the time that every follower has; others have to catch up first.
    pub(super) fn new(id: BrokerId, in_sync: bool, now_ms: i64) -> Remote {
        Remote {
            id,
            log_end: None,
            log_start: None,
            broker_epoch: None,
            leader_end_then: Offset::MAX,
            last_fetch_ms: NEVER,
            last_caught_up_ms: if in_sync { now_ms } else { NEVER },
            sent_watermark: -1,
        }
    }

    /// The leader was elected again: its followers keep their places, and get new time if they are in sync.
    /// Nobody comes back into the ISR by fetches of before.
    pub(super) fn begin_epoch(&mut self, in_sync: bool, leader_end: Offset, now_ms: i64) {
        let time = if in_sync { now_ms } else { NEVER };
        (self.last_fetch_ms, self.last_caught_up_ms) = (time, time);
        self.leader_end_then = leader_end;
    }

    /// A fetch from `fetch_offset` came while the leader's log ended at `leader_end`.
    ///
    /// Caught up is who reads the leader's end, now; or who reads what was the end at the fetch before: that was
    /// then. So a follower that is always one small batch behind is in sync all the same.
    pub(super) fn fetched(
        &mut self,
        fetch_offset: Offset,
        log_start: Offset,
        broker_epoch: BrokerEpoch,
        leader_end: Offset,
        now_ms: i64,
    ) {
        let seen = self.leader_end_then;
        if fetch_offset >= leader_end {
            self.last_caught_up_ms = self.last_caught_up_ms.max(now_ms);
        } else if fetch_offset >= seen {
            self.last_caught_up_ms = self.last_caught_up_ms.max(self.last_fetch_ms);
        }
        // Before the first fetch there is no "end at the fetch before".
        self.leader_end_then = if seen == Offset::MAX { leader_end } else { seen.max(leader_end) };
        self.last_fetch_ms = now_ms;
        self.log_end = Some(fetch_offset);
        self.log_start = Some(log_start);
        self.broker_epoch = Some(broker_epoch);
    }

    /// Whether it has all there is, was once caught up, and was not heard of since `since_ms`.
    pub(super) fn stands_at(&self, leader_end: Offset, since_ms: i64) -> bool {
        self.log_end == Some(leader_end)
            && self.last_caught_up_ms != NEVER
            && self.last_caught_up_ms < since_ms
    }

    /// It stood at the leader's end when its broker fetched last.
    pub(super) fn still_stood(&mut self, at_ms: i64) {
        self.last_caught_up_ms = self.last_caught_up_ms.max(at_ms);
        self.last_fetch_ms = self.last_fetch_ms.max(at_ms);
    }

    /// Whether it has all there is, or had within the last `lag_ms`.
    pub fn is_caught_up(&self, leader_end: Offset, now_ms: i64, lag_ms: i64) -> bool {
        self.log_end == Some(leader_end)
            || (self.last_caught_up_ms != NEVER && now_ms.saturating_sub(self.last_caught_up_ms) <= lag_ms)
    }

    /// The replica's broker.
    pub fn id(&self) -> BrokerId {
        self.id
    }

    /// The offset it fetched from last, which is where its log ends; `None` before the first fetch.
    pub fn log_end(&self) -> Option<Offset> {
        self.log_end
    }

    /// Where its log begins; `None` before the first fetch.
    pub fn log_start(&self) -> Option<Offset> {
        self.log_start
    }

    /// When it fetched last, in ms.
    pub fn last_fetch_ms(&self) -> Option<i64> {
        (self.last_fetch_ms != NEVER).then_some(self.last_fetch_ms)
    }

    /// When it had all there was, in ms.
    pub fn last_caught_up_ms(&self) -> Option<i64> {
        (self.last_caught_up_ms != NEVER).then_some(self.last_caught_up_ms)
    }

    /// The epoch of its broker, as its last fetch said.
    pub fn broker_epoch(&self) -> Option<BrokerEpoch> {
        self.broker_epoch
    }

    pub(super) fn sent_watermark(&self) -> Offset {
        self.sent_watermark
    }

    pub(super) fn set_sent_watermark(&mut self, high_watermark: Offset) {
        self.sent_watermark = self.sent_watermark.max(high_watermark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_batch_behind_all_the_time_is_in_sync() {
        let mut remote = Remote::new(2, false, 0);
        for round in 0..100 {
            remote.fetched(round * 10, 0, 1, (round + 1) * 10, round * 400);
        }
        assert_eq!(remote.last_caught_up_ms(), Some(98 * 400));
        assert!(remote.is_caught_up(1000, 98 * 400 + 30_000, 30_000));
        assert!(!remote.is_caught_up(1000, 98 * 400 + 30_001, 30_000));
    }

    #[test]
    fn two_batches_behind_is_not() {
        let mut remote = Remote::new(2, false, 0);
        for round in 0..100 {
            remote.fetched(round * 10, 0, 1, (round + 2) * 10, round * 400);
        }
        assert_eq!(remote.last_caught_up_ms(), None);
        assert!(!remote.is_caught_up(5000, 0, i64::MAX));
    }

    #[test]
    fn a_new_epoch_gives_time_to_members_only() {
        let mut member = Remote::new(2, true, 5);
        assert!(member.is_caught_up(10, 15, 10));
        member.begin_epoch(true, 10, 100);
        assert!(member.is_caught_up(10, 110, 10));
        member.fetched(10, 0, 1, 10, 120);
        member.begin_epoch(false, 10, 130);
        assert_eq!((member.last_caught_up_ms(), member.log_end()), (None, Some(10)));
    }
}
