//! Slows a loop down to so many records a second (Kafka's `ThroughputThrottler`): no more than what is behind the clock
//! is slept, in pieces of at least two milliseconds.

use std::time::Duration;

/// The least that is slept at once.
const LEAST: Duration = Duration::from_millis(2);

/// A limit of records a second.
#[derive(Debug)]
pub(crate) struct Throttle {
    target: f64,
    start_ms: i64,
    each: Duration,
    deficit: Duration,
}

impl Throttle {
    /// At most `target` records a second, counted from `start_ms` on; below 0 for no limit, 0 for none at all.
    pub(crate) fn new(target: f64, start_ms: i64) -> Throttle {
        let each =
            if target > 0.0 { Duration::from_secs_f64((1.0 / target).min(1e9)) } else { Duration::MAX };
        Throttle { target, start_ms, each, deficit: Duration::ZERO }
    }

    /// How long to sleep after `so_far` records at `now_ms`: nothing, or at least two milliseconds. `None`: for ever.
    pub(crate) fn pause(&mut self, so_far: i64, now_ms: i64) -> Option<Duration> {
        if self.target < 0.0 {
            return Some(Duration::ZERO);
        }
        let elapsed = (now_ms - self.start_ms) as f64 / 1000.0;
        if elapsed <= 0.0 || so_far as f64 / elapsed <= self.target {
            return Some(Duration::ZERO);
        }
        if self.target == 0.0 {
            return None;
        }
        self.deficit = self.deficit.saturating_add(self.each);
        Some(if self.deficit >= LEAST { std::mem::take(&mut self.deficit) } else { Duration::ZERO })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_fast_is_slept_in_pieces() {
        let mut throttle = Throttle::new(1000.0, 0);
        assert_eq!(throttle.pause(1, 0), Some(Duration::ZERO), "nothing is known before any time has passed");
        assert_eq!(throttle.pause(10, 10), Some(Duration::ZERO), "as fast as it may be");
        assert_eq!(throttle.pause(11, 10), Some(Duration::ZERO), "a millisecond is not slept yet");
        assert_eq!(throttle.pause(12, 10), Some(Duration::from_millis(2)));
        assert_eq!(Throttle::new(-1.0, 0).pause(1_000_000, 1), Some(Duration::ZERO));
        assert_eq!(Throttle::new(0.0, 0).pause(1, 1), None);
    }
}
