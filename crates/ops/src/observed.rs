//! What a node shows of itself.

use std::net::SocketAddr;

/// Where a node is in its life; the numbers are those of Kafka's `BrokerState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// There is a process, and nothing else yet.
    NotRunning = 0,
    /// Its logs are opened, and it waits for a quorum.
    Starting = 1,
    /// It catches up with the metadata and registers.
    Recovery = 2,
    /// It serves.
    Running = 3,
    /// It hands over what it leads.
    PendingControlledShutdown = 6,
    /// It closes its connections and logs.
    ShuttingDown = 7,
}

impl State {
    /// Kafka's name of it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            State::NotRunning => "NOT_RUNNING",
            State::Starting => "STARTING",
            State::Recovery => "RECOVERY",
            State::Running => "RUNNING",
            State::PendingControlledShutdown => "PENDING_CONTROLLED_SHUTDOWN",
            State::ShuttingDown => "SHUTTING_DOWN",
        }
    }
}

/// How a node is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// `node.id`.
    pub node_id: i32,
    /// The cluster's id; empty before it is known.
    pub cluster_id: String,
    /// Whether it serves clients.
    pub is_broker: bool,
    /// Whether it takes part in the metadata quorum.
    pub is_controller: bool,
    /// Where it is in its life.
    pub state: State,
    /// Why it is not ready, a sentence each; empty when it is.
    pub obstacles: Vec<String>,
    /// What is worth knowing although it may be ready, a sentence each.
    pub notices: Vec<String>,
    /// The leader of the metadata quorum, if this node knows one.
    pub leader: Option<i32>,
    /// The epoch of the metadata quorum.
    pub epoch: i32,
    /// The ids of the quorum's voters.
    pub voters: Vec<i32>,
}

/// What kind of figures a family has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// They only grow; the name ends with `_total`.
    Counter,
    /// They go up and down.
    Gauge,
}

/// One figure.
#[derive(Debug, Clone, Copy)]
pub struct Figure<'a> {
    /// The name of its family.
    pub name: &'static str,
    /// One line on the family.
    pub help: &'static str,
    /// The family's kind.
    pub kind: Kind,
    /// What tells it from the others of its family.
    pub labels: &'a [(&'a str, &'a str)],
    /// The figure.
    pub value: f64,
}

/// Where a client in this process reaches the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WayIn {
    /// A listener of the node.
    pub address: SocketAddr,
    /// Whether it is one for controllers, which know nothing of offsets and groups.
    pub is_controller: bool,
}

/// A node, as far as its operations port sees it. Called on the port's thread: none of it may wait.
pub trait Observed: Send + Sync + 'static {
    /// How it is.
    fn standing(&self) -> Standing;

    /// Tells every figure, those of a family one after the other.
    fn measure(&self, tell: &mut dyn FnMut(Figure<'_>));

    /// Where a client in this process reaches the cluster; nothing before the node serves.
    fn way_in(&self) -> Option<WayIn>;
}
