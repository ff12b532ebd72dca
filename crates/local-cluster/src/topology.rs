//! Which nodes there are, and how the quorum is known to them.

/// What a node does (`process.roles`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Broker and controller in one process.
    Combined,
    /// A broker alone.
    Broker,
    /// A controller alone.
    Controller,
}

impl Role {
    /// The value of `process.roles`.
    pub fn text(self) -> &'static str {
        match self {
            Role::Combined => "broker,controller",
            Role::Broker => "broker",
            Role::Controller => "controller",
        }
    }

    /// Whether clients connect to it.
    pub fn is_broker(self) -> bool {
        self != Role::Controller
    }

    /// Whether it votes.
    pub fn is_controller(self) -> bool {
        self != Role::Broker
    }
}

/// How the nodes know the quorum's voters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quorum {
    /// `controller.quorum.voters` names them, the same on every node.
    Static,
    /// `controller.quorum.bootstrap.servers`, and every controller formatted with `--initial-controllers`.
    InitialControllers,
    /// `controller.quorum.bootstrap.servers`, the first controller formatted with `--standalone`, everyone else with
    /// `--no-initial-controllers`: the others are observers until they are added.
    Standalone,
}

/// The nodes of a cluster and what their configurations have in common.
#[derive(Debug, Clone)]
pub struct Topology {
    pub(crate) roles: Vec<(i32, Role)>,
    pub(crate) quorum: Quorum,
    pub(crate) settings: Vec<(String, String)>,
}

impl Topology {
    /// `count` combined nodes with the ids 1 to `count`.
    pub fn combined(count: u16) -> Topology {
        Topology::of((1..=i32::from(count)).map(|id| (id, Role::Combined)).collect())
    }

    /// Brokers with the ids 1 to `brokers`, and controllers with the ids that follow.
    pub fn split(brokers: u16, controllers: u16) -> Topology {
        let brokers = i32::from(brokers);
        let last = brokers + i32::from(controllers);
        let role = |id| if id <= brokers { Role::Broker } else { Role::Controller };
        Topology::of((1..=last).map(|id| (id, role(id))).collect())
    }

    fn of(roles: Vec<(i32, Role)>) -> Topology {
        Topology { roles, quorum: Quorum::Static, settings: Vec::new() }
    }

    /// The same nodes with another way to know the voters.
    pub fn quorum(mut self, quorum: Quorum) -> Topology {
        self.quorum = quorum;
        self
    }

    /// The same nodes with one more line in every configuration, in place of what was there for `key`.
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Topology {
        self.settings.retain(|(known, _)| known != key);
        self.settings.push((key.to_owned(), value.into()));
        self
    }

    /// How many nodes clients connect to.
    pub fn brokers(&self) -> usize {
        self.roles.iter().filter(|(_, role)| role.is_broker()).count()
    }

    /// How many nodes vote.
    pub fn controllers(&self) -> usize {
        self.roles.iter().filter(|(_, role)| role.is_controller()).count()
    }
}
