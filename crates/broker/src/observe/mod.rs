//! How a node is, as whoever operates it is told: whether it is ready and why not, and what it has counted.
//!
//! The figures live where things happen ([`count`]); they are read and given their names when somebody asks
//! ([`figures`]). Nothing here asks another node.

mod count;
mod figures;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use ottla_config::node::fault_tolerance;

pub(crate) use count::{Count, Requests, TopicTraffic, TrafficBook};
pub use figures::{Family, FigureKind, Tell};

use crate::controller_host::led_by;
use crate::node::Node;

/// Where a node is in its life; the numbers are those of Kafka's `BrokerState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Its logs are opened, and it waits for a quorum.
    Starting = 1,
    /// It catches up with the metadata and registers with the active controller.
    Recovering = 2,
    /// It serves what its roles are for.
    Running = 3,
    /// It hands over what it leads.
    Leaving = 6,
    /// It closes its connections and logs.
    Stopping = 7,
}

impl Phase {
    pub(crate) fn of(number: u8) -> Phase {
        match number {
            1 => Phase::Starting,
            2 => Phase::Recovering,
            3 => Phase::Running,
            6 => Phase::Leaving,
            7 => Phase::Stopping,
            other => panic!("OBSERVE-1 {other} is no phase of a node"),
        }
    }
}

/// How a node is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// `node.id`.
    pub node_id: i32,
    /// The cluster's id.
    pub cluster_id: String,
    /// Whether it serves clients.
    pub is_broker: bool,
    /// Whether it takes part in the quorum.
    pub is_controller: bool,
    /// Where it is in its life.
    pub phase: Phase,
    /// Why it is not ready; empty when it is. Never that another broker is missing: a cluster whose nodes wait for each
    /// other to be ready would never start.
    pub obstacles: Vec<String>,
    /// What is worth knowing although it may be ready.
    pub notices: Vec<String>,
    /// The leader of the quorum, as far as this node knows.
    pub leader: Option<i32>,
    /// The epoch of the quorum.
    pub epoch: i32,
    /// The ids of the voters.
    pub voters: Vec<i32>,
    /// The offset up to which this node knows the metadata; -1 before it knows any.
    pub metadata_offset: i64,
}

impl Node {
    /// How this node is. Cheap; asks nobody else.
    pub fn observe(&self) -> Observation {
        let config = self.static_config();
        let image = self.image();
        let mut seen = Observation {
            node_id: self.node_id(),
            cluster_id: self.cluster_id().to_owned(),
            is_broker: config.roles.broker,
            is_controller: config.roles.controller,
            phase: self.phase(),
            obstacles: Vec::new(),
            notices: Vec::new(),
            leader: None,
            epoch: -1,
            voters: Vec::new(),
            metadata_offset: image.provenance.offset,
        };
        let mut quorum = None;
        if let Some(host) = self.controller_if_started() {
            let status = host.quorum().status();
            (seen.leader, seen.epoch) = (led_by(&status), status.epoch);
            seen.voters = status.voters.iter().map(|voter| voter.key.id).collect();
            seen.voters.sort_unstable();
            quorum = host.quorum_obstacle(self, &status, seen.phase >= Phase::Running);
        }
        seen.notices.extend(fault_tolerance(seen.voters.len()));
        let offline = self.offline_dirs();
        seen.notices.extend(offline.map(|path| format!("the log directory {} is offline", path.display())));
        let is_fenced = image.broker(seen.node_id).is_some_and(|broker| broker.fenced);
        judge(&mut seen, quorum, is_fenced);
        seen
    }

    /// The log directories that failed, at the start or since.
    fn offline_dirs(&self) -> impl Iterator<Item = &Path> {
        let since = self.dirs().iter().filter(|dir| !dir.is_online()).map(|dir| dir.path());
        self.failed_dirs().iter().map(|failed| failed.path.as_path()).chain(since)
    }

    /// Where a client in this process reaches the node: its first listener for clients, or where it has none, the
    /// first for controllers. The flag says which.
    pub fn way_in(&self) -> Option<(SocketAddr, bool)> {
        let listeners = &self.static_config().listeners;
        let of = |controller: bool| {
            let named = self.bound().iter().find(|(name, _)| listeners.is_controller(name) == controller);
            named.map(|(_, at)| (reachable(*at), controller))
        };
        of(false).or_else(|| of(true))
    }
}

/// What keeps a node of this phase from being ready. A broker that runs goes on serving what it leads when the quorum
/// is lost, so that it says so and stays ready; a node that is nothing but a controller is of no use then.
fn judge(seen: &mut Observation, quorum: Option<String>, is_fenced: bool) {
    match seen.phase {
        Phase::Starting => {
            seen.obstacles.push(quorum.unwrap_or_else(|| "the log directories are being opened".to_owned()));
        }
        Phase::Recovering => {
            seen.obstacles.push(quorum.unwrap_or_else(|| {
                "this broker registers with the active controller and opens its logs".to_owned()
            }));
        }
        Phase::Running => {
            if seen.is_broker {
                seen.notices.extend(quorum);
                if is_fenced {
                    seen.obstacles.push(
                        "this broker is fenced: the active controller does not hear its heartbeats"
                            .to_owned(),
                    );
                }
            } else {
                seen.obstacles.extend(quorum);
            }
        }
        Phase::Leaving => seen.obstacles.push("this node hands over what it leads, to stop".to_owned()),
        Phase::Stopping => seen.obstacles.push("this node stops".to_owned()),
    }
}

/// An address that is listened on, as one to connect to.
fn reachable(at: SocketAddr) -> SocketAddr {
    let ip = match at.ip() {
        // An IPv6 listener on all addresses takes IPv4 clients too.
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, at.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(phase: Phase, is_broker: bool) -> Observation {
        Observation {
            node_id: 1,
            cluster_id: "c".to_owned(),
            is_broker,
            is_controller: true,
            phase,
            obstacles: Vec::new(),
            notices: Vec::new(),
            leader: None,
            epoch: 0,
            voters: vec![1, 2],
            metadata_offset: -1,
        }
    }

    const MISSING: &str = "Waiting for controller quorum: 1 of 2 reachable, need 2.";

    fn judged(phase: Phase, is_broker: bool, quorum: bool, fenced: bool) -> (Vec<String>, Vec<String>) {
        let mut seen = seen(phase, is_broker);
        judge(&mut seen, quorum.then(|| MISSING.to_owned()), fenced);
        (seen.obstacles, seen.notices)
    }

    #[test]
    fn a_node_that_waits_for_its_quorum_says_so_and_is_not_ready() {
        for phase in [Phase::Starting, Phase::Recovering] {
            assert_eq!(judged(phase, true, true, false).0, [MISSING]);
            assert_eq!(judged(phase, true, false, false).0.len(), 1, "not ready before it serves");
        }
    }

    #[test]
    fn a_broker_that_runs_is_ready_without_a_quorum_and_a_controller_is_not() {
        assert_eq!(judged(Phase::Running, true, false, false), (vec![], vec![]));
        assert_eq!(judged(Phase::Running, true, true, false), (vec![], vec![MISSING.to_owned()]));
        assert_eq!(judged(Phase::Running, false, true, false), (vec![MISSING.to_owned()], vec![]));
        assert_eq!(judged(Phase::Running, false, false, false), (vec![], vec![]));
    }

    #[test]
    fn a_fenced_broker_and_one_that_stops_are_not_ready() {
        assert!(judged(Phase::Running, true, false, true).0[0].contains("fenced"));
        assert!(judged(Phase::Leaving, true, false, false).0[0].contains("hands over"));
        assert!(judged(Phase::Stopping, true, false, false).0[0].contains("stops"));
    }

    #[test]
    fn an_address_of_all_interfaces_is_reached_at_the_loopback() {
        let told = |at: &str| reachable(at.parse().unwrap()).to_string();
        assert_eq!(told("0.0.0.0:9092"), "127.0.0.1:9092");
        assert_eq!(told("[::]:9092"), "[::1]:9092");
        assert_eq!(told("10.0.0.7:9092"), "10.0.0.7:9092");
    }
}
