//! Replication throttles (KIP-73): replicas in a topic's throttled lists are sent, or fetched, no faster than a rate that
//! an operator sets while partitions move. Replicas that are in sync are never held back.
//!
//! The rate is measured over a few windows, as Kafka's `ReplicationQuotaManager` does: what has just begun may burst.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;

/// No limit: the default of both rates.
const UNLIMITED: i64 = i64::MAX;

/// One direction's limit and what has passed lately.
#[derive(Debug)]
pub(crate) struct Throttle {
    /// Bytes a second.
    limit: AtomicI64,
    seen: Mutex<Windows>,
}

#[derive(Debug)]
struct Windows {
    window_ms: i64,
    most: usize,
    /// Number of a window, and the bytes in it; oldest first.
    bytes: VecDeque<(i64, u64)>,
}

impl Throttle {
    /// `replication.quota.window.num` windows of `replication.quota.window.size.seconds`.
    pub(crate) fn new(windows: i32, window_seconds: i32) -> Throttle {
        let seen = Windows {
            window_ms: i64::from(window_seconds.max(1)) * 1000,
            most: windows.max(1) as usize,
            bytes: VecDeque::new(),
        };
        Throttle { limit: AtomicI64::new(UNLIMITED), seen: Mutex::new(seen) }
    }

    /// Sets the limit, in bytes a second.
    pub(crate) fn set(&self, limit: i64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Whether there is a limit. Nothing else need be asked where there is none.
    pub(crate) fn is_on(&self) -> bool {
        self.limit.load(Ordering::Relaxed) != UNLIMITED
    }

    /// Whether more has passed than may.
    pub(crate) fn is_exceeded(&self, now_ms: i64) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        limit != UNLIMITED && self.seen.lock().rate(now_ms) > limit as f64
    }

    /// So many bytes of a throttled replica have passed.
    pub(crate) fn record(&self, bytes: usize, now_ms: i64) {
        self.seen.lock().add(bytes as u64, now_ms);
    }
}

impl Windows {
    fn forget(&mut self, now_ms: i64) {
        let oldest = now_ms.div_euclid(self.window_ms) - self.most as i64;
        while self.bytes.front().is_some_and(|(number, _)| *number <= oldest) {
            self.bytes.pop_front();
        }
    }

    fn add(&mut self, bytes: u64, now_ms: i64) {
        self.forget(now_ms);
        let number = now_ms.div_euclid(self.window_ms);
        match self.bytes.back_mut() {
            Some((last, sum)) if *last == number => *sum += bytes,
            _ => self.bytes.push_back((number, bytes)),
        }
    }

    /// Bytes a second since the oldest window began, one window at least.
    fn rate(&mut self, now_ms: i64) -> f64 {
        self.forget(now_ms);
        let Some((first, _)) = self.bytes.front() else { return 0.0 };
        let sum: u64 = self.bytes.iter().map(|(_, bytes)| bytes).sum();
        let elapsed_ms = (now_ms - first * self.window_ms).max(self.window_ms);
        sum as f64 * 1000.0 / elapsed_ms as f64
    }
}

/// Whether a throttled list names this partition of this broker.
pub(crate) fn names(list: &[String], partition: i32, broker: i32) -> bool {
    list.iter().any(|entry| {
        entry == "*"
            || entry
                .split_once(':')
                .is_some_and(|(index, id)| index.parse() == Ok(partition) && id.parse() == Ok(broker))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_partitions_of_brokers() {
        let list = ["0:1".to_owned(), "3:2".to_owned()];
        assert!(names(&list, 0, 1) && names(&list, 3, 2));
        assert!(!names(&list, 0, 2) && !names(&list, 3, 1) && !names(&[], 0, 1));
        assert!(names(&["*".to_owned()], 9, 9));
    }

    #[test]
    fn what_passes_is_held_to_the_rate() {
        let throttle = Throttle::new(11, 1);
        throttle.record(1 << 40, 0);
        assert!(!throttle.is_on() && !throttle.is_exceeded(0));
        let throttle = Throttle::new(11, 1);
        throttle.set(1_000);
        assert!(throttle.is_on() && !throttle.is_exceeded(5));
        let mut passed = 0;
        for now_ms in (0..60_000).step_by(10) {
            if !throttle.is_exceeded(now_ms) {
                throttle.record(100, now_ms);
                passed += 100;
            }
        }
        assert!((55_000..66_000).contains(&passed), "{passed} bytes in 60 s");
        // Long ago is forgotten.
        assert!(!throttle.is_exceeded(120_000));
        throttle.set(i64::MAX);
        assert!(!throttle.is_on());
    }
}
