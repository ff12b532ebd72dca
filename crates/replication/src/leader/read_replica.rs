//! Reading from the nearest replica (KIP-392's rack-aware selector).

use ottla_records::ids::Offset;

use super::Leader;
use crate::{BrokerId, Brokers};

impl Leader {
    /// The follower that a consumer in `rack` had better read from, or `None` to read from the leader. `rack_of`
    /// tells a broker's rack.
    ///
    /// It is a live member of the ISR whose log has the offset, in the same rack as the consumer while the leader
    /// is not; of several the one that has most, then the one that caught up last, then the greatest id.
    pub fn preferred_read_replica<'a>(
        &self,
        fetch_offset: Offset,
        rack: &str,
        rack_of: impl Fn(BrokerId) -> Option<&'a str>,
        brokers: &impl Brokers,
    ) -> Option<BrokerId> {
        if rack.is_empty() || rack_of(self.id) == Some(rack) {
            return None;
        }
        let holds = |id: BrokerId| {
            self.remote(id).is_some_and(|remote| {
                remote.log_end.is_some_and(|end| end >= fetch_offset)
                    && remote.log_start.is_some_and(|start| start <= fetch_offset)
            })
        };
        let near = self.remotes.iter().filter(|remote| {
            self.isr.contains(&remote.id)
                && holds(remote.id)
                && brokers.alive_epoch(remote.id).is_some()
                && rack_of(remote.id) == Some(rack)
        });
        near.max_by_key(|remote| (remote.log_end, remote.last_caught_up_ms(), remote.id)).map(|best| best.id)
    }
}
