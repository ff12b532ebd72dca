//! Outbound requests: at most one in flight per peer, a pause after a failure, a deadline for each.

use std::collections::BTreeMap;

use ottla_records::random::Random;

use crate::{Config, HostPort, Millis, NEVER};

/// A peer to send to. Bootstrap servers whose id is unknown carry -2, -3, ... as in Kafka.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Destination {
    /// Node id, or a negative stand-in.
    pub id: i32,
    /// Where to connect.
    pub at: HostPort,
}

#[derive(Clone, Copy, Debug)]
enum Link {
    Awaiting { correlation: u64, until: Millis },
    BackingOff { until: Millis },
}

#[derive(Debug)]
pub(crate) struct Connections {
    links: BTreeMap<i32, Link>,
    bootstrap: Vec<Destination>,
    backoff_ms: Millis,
    timeout_ms: Millis,
}

impl Connections {
    pub(crate) fn new(config: &Config) -> Self {
        let bootstrap = if config.bootstrap.is_empty() {
            let voters = config.static_voters.iter().filter(|voter| voter.key.id != config.node_id);
            voters
                .filter_map(|voter| {
                    let at = voter.endpoints.get(&config.listener)?;
                    Some(Destination { id: voter.key.id, at: at.clone() })
                })
                .collect()
        } else {
            let own = config.endpoints.get(&config.listener);
            let others = config.bootstrap.iter().enumerate().filter(|(_, at)| Some(*at) != own);
            others.map(|(i, at)| Destination { id: -2 - i as i32, at: at.clone() }).collect()
        };
        Self {
            links: BTreeMap::new(),
            bootstrap,
            backoff_ms: config.retry_backoff_ms,
            timeout_ms: config.request_timeout_ms,
        }
    }

    /// When may a request go to this peer? `now` or earlier means at once.
    pub(crate) fn ready_at(&self, id: i32) -> Millis {
        match self.links.get(&id) {
            None => Millis::MIN,
            Some(Link::Awaiting { until, .. } | Link::BackingOff { until }) => *until,
        }
    }

    /// Did a request to this peer run out of time?
    pub(crate) fn has_timed_out(&self, id: i32, now: Millis) -> bool {
        matches!(self.links.get(&id), Some(Link::Awaiting { until, .. }) if *until <= now)
    }

    pub(crate) fn is_backing_off(&self, id: i32, now: Millis) -> bool {
        matches!(self.links.get(&id), Some(Link::BackingOff { until }) if *until > now)
    }

    /// When the request that is in flight (to anyone) runs out; `None` if nothing is.
    pub(crate) fn in_flight_until(&mut self, now: Millis) -> Option<Millis> {
        self.links.retain(|_, link| match link {
            Link::Awaiting { until, .. } | Link::BackingOff { until } => *until > now,
        });
        self.links
            .values()
            .filter_map(|link| match link {
                Link::Awaiting { until, .. } => Some(*until),
                Link::BackingOff { .. } => None,
            })
            .min()
    }

    /// Someone who may know the leader and can be asked now, or when to look again. Besides the bootstrap
    /// servers these are the voters the log names: after some changes of the voter set the configured
    /// servers may all be out of it.
    pub(crate) fn bootstrap_server(
        &mut self,
        now: Millis,
        random: &mut Random,
        voters: impl Iterator<Item = Destination>,
    ) -> Result<Destination, Millis> {
        if let Some(until) = self.in_flight_until(now) {
            return Err(until);
        }
        let mut servers = self.bootstrap.clone();
        for voter in voters {
            if servers.iter().all(|server| server.at != voter.at) {
                servers.push(voter);
            }
        }
        let first = random.below(servers.len() as i64) as usize;
        let order = (0..servers.len()).map(|i| (first + i) % servers.len());
        let mut wake = NEVER;
        for index in order {
            let server = &servers[index];
            let ready = self.ready_at(server.id);
            if ready <= now {
                return Ok(server.clone());
            }
            wake = wake.min(ready);
        }
        Err(wake)
    }

    pub(crate) fn sent(&mut self, id: i32, correlation: u64, now: Millis) {
        self.links.insert(id, Link::Awaiting { correlation, until: now + self.timeout_ms });
    }

    /// The peer whose answer carries this correlation id, if it is still waited for.
    pub(crate) fn expected_from(&self, correlation: u64) -> Option<i32> {
        self.links.iter().find_map(|(id, link)| match link {
            Link::Awaiting { correlation: waiting, .. } if *waiting == correlation => Some(*id),
            _ => None,
        })
    }

    /// Notes how the answer to `correlation` went, unless everything was reset meanwhile.
    pub(crate) fn answered(&mut self, correlation: u64, well: bool, now: Millis) {
        let Some(id) = self.expected_from(correlation) else { return };
        if well {
            self.links.remove(&id);
        } else {
            self.links.insert(id, Link::BackingOff { until: now + self.backoff_ms });
        }
    }

    pub(crate) fn reset(&mut self, id: i32) {
        self.links.remove(&id);
    }

    /// Forgets every request: the role changed, answers to the old one mean nothing now.
    pub(crate) fn reset_all(&mut self) {
        self.links.clear();
    }
}
