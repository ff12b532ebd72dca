//! The node's operations port: where it listens, and what it sees of the node.

use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, OnceLock, Weak};

use ottla_broker::{FigureKind, Node, Phase};
use ottla_config::NodeConfig;
use ottla_config::node::OpsListener;
use ottla_ops::{Bound, Figure, Kind, Observed, Ops, Standing, State, WayIn};
use tracing::{info, warn};

use crate::{port_owner, process};

/// What the log says before the address; `ottla dev` finds it by these words.
const SAID: &str = "console, JSON API, metrics and health at ";

/// What the port sees before there is a node, and the node afterwards.
struct View {
    node: OnceLock<Weak<Node>>,
    before: Standing,
}

/// A port on its way: bound, not served.
pub(crate) struct Port {
    bound: Option<Bound>,
    names: Vec<String>,
    view: Arc<View>,
}

impl Port {
    /// Binds the port that the configuration names, or the first that is free.
    ///
    /// # Errors
    /// An address that was named and cannot be had, as a sentence for whoever named it.
    pub(crate) fn bind(config: &NodeConfig) -> Result<Port, String> {
        let own: Vec<u16> = config.listeners.bound.iter().map(|listener| listener.port).collect();
        let mut names: Vec<String> = config
            .listeners
            .bound
            .iter()
            .chain(&config.listeners.advertised)
            .filter_map(|listener| listener.host.clone())
            .collect();
        names.push(rustix::system::uname().nodename().to_string_lossy().into_owned());
        let bound = match &config.ops_listener {
            OpsListener::Off => None,
            OpsListener::AnyOf(ports) => {
                let free = ports.iter().filter(|port| !own.contains(port));
                let bound = Bound::first_of(free.map(|port| (Ipv4Addr::LOCALHOST, port).into()));
                bound
                    .map_err(|error| warn!("no console and no metrics: no port from 8780 to 8879 is free ({error}); next: set ottla.ops.listener"))
                    .ok()
            }
            OpsListener::At(at) => {
                names.push(at.host.clone());
                let refused = |why: String| format!("ottla.ops.listener={at}: {why}");
                let found =
                    (at.host.as_str(), at.port).to_socket_addrs().map_err(|e| refused(e.to_string()))?;
                let mut found: Vec<SocketAddr> = found.collect();
                // As for the listeners of clients: the first IPv4 address of a name, unless it has none.
                found.sort_by_key(SocketAddr::is_ipv6);
                found.truncate(1);
                let bound = Bound::first_of(found.iter().copied()).map_err(|error| {
                    let owner = found.first().filter(|_| error.kind() == std::io::ErrorKind::AddrInUse);
                    let owner = owner.and_then(|at| port_owner::find(*at));
                    let owner = owner.map(|owner| format!("; it is taken by {owner}")).unwrap_or_default();
                    refused(format!("{error}{owner}\n    next: give another port, or ottla.ops.listener=off"))
                })?;
                Some(bound)
            }
        };
        Ok(Port { bound, names, view: Arc::new(View { node: OnceLock::new(), before: before(config) }) })
    }

    /// Serves it from now on; the node is shown by [`Port::meets`]. Without a thread there is no console, and a node all
    /// the same.
    pub(crate) fn serve(&mut self) -> Option<Ops> {
        let served = Ops::serve(self.bound.take()?, std::mem::take(&mut self.names), self.view.clone());
        match served {
            Ok(ops) => {
                info!("[Ops nodeId={}] {SAID}http://{}/", self.view.before.node_id, ops.address());
                Some(ops)
            }
            Err(error) => {
                warn!("no console and no metrics: {error}");
                None
            }
        }
    }

    /// Who shows the node to the port as soon as there is one.
    pub(crate) fn meets(&self) -> impl FnOnce(&Arc<Node>) + use<> {
        let view = self.view.clone();
        move |node| drop(view.node.set(Arc::downgrade(node)))
    }
}

/// The address that a node has said last in its log.
pub(crate) fn said(log: &str) -> Option<&str> {
    log.lines().rev().find_map(|line| line.split_once(SAID)?.1.split_whitespace().next())
}

fn before(config: &NodeConfig) -> Standing {
    Standing {
        node_id: config.node_id,
        cluster_id: String::new(),
        is_broker: config.roles.broker,
        is_controller: config.roles.controller,
        state: State::NotRunning,
        obstacles: vec!["the log directories are being opened".to_owned()],
        notices: Vec::new(),
        leader: None,
        epoch: -1,
        voters: Vec::new(),
    }
}

impl View {
    fn node(&self) -> Option<Arc<Node>> {
        self.node.get()?.upgrade()
    }
}

impl Observed for View {
    fn standing(&self) -> Standing {
        let Some(node) = self.node() else { return self.before.clone() };
        let seen = node.observe();
        Standing {
            node_id: seen.node_id,
            cluster_id: seen.cluster_id,
            is_broker: seen.is_broker,
            is_controller: seen.is_controller,
            state: match seen.phase {
                Phase::Starting => State::Starting,
                Phase::Recovering => State::Recovery,
                Phase::Running => State::Running,
                Phase::Leaving => State::PendingControlledShutdown,
                Phase::Stopping => State::ShuttingDown,
            },
            obstacles: seen.obstacles,
            notices: seen.notices,
            leader: seen.leader,
            epoch: seen.epoch,
            voters: seen.voters,
        }
    }

    fn measure(&self, tell: &mut dyn FnMut(Figure<'_>)) {
        process::measure(tell);
        let Some(node) = self.node() else { return };
        node.measure(&mut |family, labels, value| {
            let kind = match family.kind {
                FigureKind::Counter => Kind::Counter,
                FigureKind::Gauge => Kind::Gauge,
            };
            tell(Figure { name: family.name, help: family.help, kind, labels, value });
        });
    }

    fn way_in(&self) -> Option<WayIn> {
        let (address, is_controller) = self.node()?.way_in()?;
        Some(WayIn { address, is_controller })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_said_last_counts() {
        let log = format!(
            "[..] INFO {SAID}http://127.0.0.1:8781/ (x)\n[..] INFO {SAID}http://127.0.0.1:8790/\nmore"
        );
        assert_eq!(said(&log), Some("http://127.0.0.1:8790/"));
        assert_eq!(said("nothing"), None);
    }
}
