//! Failed log directories that the controller has not been told of yet (Kafka's `BrokerLifecycleManager`): a broker that
//! cannot tell it for `log.dir.failure.timeout.ms` stops. Until the controller knows, it takes the broker for the leader
//! of what lay there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use uuid::Uuid;

/// Since when directories have been failed, and whether the controller knows.
#[derive(Debug, Default)]
pub(super) struct Unreported(BTreeMap<Uuid, (Instant, bool)>);

impl Unreported {
    /// These are offline.
    pub(super) fn offline(&mut self, dirs: &[Uuid], now: Instant) {
        for dir in dirs {
            self.0.entry(*dir).or_insert((now, false));
        }
    }

    /// The controller took a heartbeat that named these.
    pub(super) fn told(&mut self, dirs: &[Uuid]) {
        for dir in dirs {
            if let Some((_, told)) = self.0.get_mut(dir) {
                *told = true;
            }
        }
    }

    /// A directory that the controller has not been told of for this long.
    pub(super) fn overdue(&self, now: Instant, timeout: Duration) -> Option<Uuid> {
        let late = |since: Instant| now.saturating_duration_since(since) >= timeout;
        self.0.iter().find(|(_, (since, told))| !told && late(*since)).map(|(dir, _)| *dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_not_told_in_time_is_overdue() {
        let (begun, timeout) = (Instant::now(), Duration::from_millis(300));
        let at = |ms| begun + Duration::from_millis(ms);
        let [one, other] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let mut unreported = Unreported::default();
        assert_eq!(unreported.overdue(at(10_000), timeout), None, "nothing has failed");
        unreported.offline(&[one], at(0));
        unreported.offline(&[one, other], at(200));
        assert_eq!(unreported.overdue(at(299), timeout), None);
        assert_eq!(unreported.overdue(at(300), timeout), Some(one), "counted from when it was first seen");
        unreported.told(&[one]);
        assert_eq!(unreported.overdue(at(499), timeout), None);
        assert_eq!(unreported.overdue(at(500), timeout), Some(other));
        unreported.offline(&[one, other], at(600));
        unreported.told(&[one, other]);
        assert_eq!(unreported.overdue(at(10_000), timeout), None);
    }
}
