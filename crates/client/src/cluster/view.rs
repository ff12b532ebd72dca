//! Who the nodes are: asked of any of them, kept until the next answer.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    DescribeClusterRequest, DescribeClusterResponse, MetadataRequest, MetadataResponse,
};
use tokio::time::timeout;

use super::{Cluster, ClusterError, Node, bootstrap};
use crate::{Connection, Peer};

/// DescribeCluster's endpoint types.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

/// What was told last.
#[derive(Default)]
pub(super) struct View {
    pub(super) cluster_id: String,
    pub(super) controller_id: i32,
    pub(super) nodes: Vec<Node>,
}

/// A connection, and what it is called in messages.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) at: String,
    pub(super) connection: Connection,
}

impl Cluster {
    /// Asks for nodes, cluster id and controller anew.
    ///
    /// # Errors
    /// [`ClusterError`] when nobody answers in time.
    pub async fn refresh(&self) -> Result<(), ClusterError> {
        if self.0.controllers {
            self.describe(false, false).await?;
        } else {
            // No topics: an empty list, where null stands for all of them.
            let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
            let answer = self.any(&request).await?;
            self.learn(&answer);
        }
        Ok(())
    }

    /// DescribeCluster: brokers, or controllers if the cluster was found by them. Fenced brokers where the servers
    /// can tell them (version 2).
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn describe(
        &self,
        include_fenced: bool,
        authorized_operations: bool,
    ) -> Result<DescribeClusterResponse, ClusterError> {
        let endpoint_type = if self.0.controllers { CONTROLLERS } else { BROKERS };
        let request = DescribeClusterRequest {
            include_cluster_authorized_operations: authorized_operations,
            endpoint_type,
            include_fenced_brokers: include_fenced,
        };
        let answer = self.any(&request).await?;
        if answer.error_code == ErrorCode::MismatchedEndpointType.code()
            || answer.error_code == ErrorCode::UnsupportedEndpointType.code()
        {
            let at = self.first_address();
            return Err(ClusterError::WrongListener { at, is_controller: !self.0.controllers });
        }
        if answer.error_code != 0 {
            let message = answer.error_message;
            return Err(ClusterError::of_code("DescribeCluster", answer.error_code, message));
        }
        let nodes = answer.brokers.iter().map(|broker| Node {
            id: broker.broker_id,
            host: broker.host.clone(),
            port: broker.port as u16,
            rack: broker.rack.clone(),
            fenced: broker.is_fenced,
        });
        self.see(answer.cluster_id.clone(), answer.controller_id, nodes.collect());
        Ok(answer)
    }

    /// Takes over what a Metadata answer says of the nodes.
    pub(crate) fn learn(&self, answer: &MetadataResponse) {
        let nodes = answer.brokers.iter().map(|broker| Node {
            id: broker.node_id,
            host: broker.host.clone(),
            port: broker.port as u16,
            rack: broker.rack.clone(),
            fenced: false,
        });
        let cluster_id = answer.cluster_id.clone().unwrap_or_default();
        self.see(cluster_id, answer.controller_id, nodes.collect());
    }

    /// Whether the cluster has named this node.
    pub(crate) fn knows(&self, id: i32) -> bool {
        self.0.view.read().nodes.iter().any(|node| node.id == id)
    }

    /// A node that an answer names beside a new leader (KIP-951).
    pub(crate) fn learn_node(&self, id: i32, host: &str, port: i32, rack: Option<String>) {
        let node = Node { id, host: host.to_owned(), port: port as u16, rack, fenced: false };
        let mut view = self.0.view.write();
        match view.nodes.iter_mut().find(|known| known.id == id) {
            Some(known) => *known = node,
            None => {
                view.nodes.push(node);
                view.nodes.sort_by_key(|node| node.id);
            }
        }
    }

    fn see(&self, cluster_id: String, controller_id: i32, mut nodes: Vec<Node>) {
        // A node that knows no other, not even itself, has not heard of the cluster yet.
        if nodes.is_empty() {
            return;
        }
        nodes.sort_by_key(|node| node.id);
        let mut view = self.0.view.write();
        let moved = view.nodes.iter().any(|old| {
            nodes.iter().all(|new| (new.id, &new.host, new.port) != (old.id, &old.host, old.port))
        });
        *view = View { cluster_id, controller_id, nodes };
        if moved {
            let nodes = view.nodes.clone();
            drop(view);
            self.0.peers.retain(|peer| {
                let same = |node: &Node| (node.id, &node.host, node.port) == (peer.id, &peer.host, peer.port);
                peer.id < 0 || nodes.iter().any(same)
            });
        }
    }

    /// The node's connection: the one there is, or one attempt at a new one.
    ///
    /// # Errors
    /// [`ClusterError::UnknownNode`], [`ClusterError::Connect`].
    pub async fn connection(&self, id: i32) -> Result<Connection, ClusterError> {
        Ok(self.line(id).await?.connection)
    }

    pub(super) async fn line(&self, id: i32) -> Result<Line, ClusterError> {
        let node = self.0.view.read().nodes.iter().find(|node| node.id == id && !node.fenced).cloned();
        let node = node.ok_or(ClusterError::UnknownNode(id))?;
        let peer = Peer { id, host: node.host.clone(), port: node.port };
        match self.0.peers.connection(&peer).await {
            Ok(connection) => Ok(Line { at: bootstrap::address(&node.host, node.port), connection }),
            Err(why) => Err(ClusterError::Connect { node: Box::new(node), why }),
        }
    }

    /// A connection to whoever is there: the first one while it stands, then the nodes in turn, and when none of
    /// them can be reached the bootstrap addresses (KIP-1102).
    pub(super) async fn any_line(&self) -> Result<Line, ClusterError> {
        let standing = self.0.first.lock().clone().filter(|(_, connection)| !connection.is_closed());
        if let Some((at, connection)) = standing {
            return Ok(Line { at, connection });
        }
        let nodes = self.nodes();
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        let mut last = None;
        for offset in 0..nodes.len() {
            let node = &nodes[(turn + offset) % nodes.len()];
            // A silent node is not waited for while others are there.
            let patience = if nodes.len() > 1 { Duration::from_secs(2) } else { Duration::from_secs(30) };
            match timeout(patience, self.line(node.id)).await {
                Ok(Ok(line)) => return Ok(line),
                Ok(Err(error)) => last = Some(error),
                Err(_) => {}
            }
        }
        match bootstrap::first(&self.0.bootstrap, &self.0.settings).await {
            Ok(found) => {
                *self.0.first.lock() = Some((found.at.clone(), found.connection.clone()));
                Ok(Line { at: found.at, connection: found.connection })
            }
            Err(error) => Err(last.unwrap_or(error)),
        }
    }

    /// Does not use this connection as the first one any more.
    pub(super) fn leave_first(&self, connection: &Connection) {
        let mut first = self.0.first.lock();
        if first.as_ref().is_some_and(|(_, first)| first.is_same(connection)) {
            *first = None;
        }
    }

    fn first_address(&self) -> String {
        let first = self.0.first.lock().as_ref().map(|(at, _)| at.clone());
        first.unwrap_or_else(|| {
            let peer = &self.0.bootstrap[0];
            bootstrap::address(&peer.host, peer.port)
        })
    }
}
