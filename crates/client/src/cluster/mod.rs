//! A cluster as a client sees it: the way in, its nodes, where a request belongs, and calls that are made again.

mod answer;
mod bootstrap;
mod error;
mod offsets;
mod route;
mod topics;
mod view;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use foldhash::HashMap;
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

pub use answer::Answer;
pub use error::ClusterError;
pub use offsets::{Isolation, OffsetAndTimestamp, OffsetSpec};

use crate::properties::{Properties, PropertiesError};
use crate::{Backoff, ConnectError, Connection, Options, Peers};
use view::View;

/// A partition of a topic. Its text is Kafka's: `topic-0`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name; clones share it.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: i32,
}

impl TopicPartition {
    /// The partition of a topic.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> TopicPartition {
        TopicPartition { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

impl fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A node of the cluster, at the address that it advertises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: i32,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its rack, if it has one.
    pub rack: Option<String>,
    /// Whether the controller has fenced it: it is registered and not alive.
    pub fenced: bool,
}

/// What a coordinator coordinates (FindCoordinator's key type).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i8)]
pub enum CoordinatorKind {
    /// A group; the key is its id.
    Group = 0,
    /// Transactions; the key is the transactional id.
    Transaction = 1,
    /// Share-group state; the key is `group:topicId:partition`.
    Share = 2,
}

/// A cluster. Clones share connections and what is known; they are closed with the last clone.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

struct Inner {
    properties: Properties,
    settings: Settings,
    controllers: bool,
    peers: Peers,
    bootstrap: Vec<crate::Peer>,
    failures: Vec<bootstrap::Failure>,
    /// The connection that the way in was found by: it serves whatever any node serves.
    first: Mutex<Option<(String, Connection)>>,
    view: RwLock<View>,
    coordinators: Mutex<HashMap<(CoordinatorKind, String), i32>>,
    turn: AtomicUsize,
}

/// What of the configuration every call needs.
pub(super) struct Settings {
    pub(super) options: Options,
    pub(super) call_timeout: Duration,
    pub(super) retry: Backoff,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("id", &self.cluster_id()).field("nodes", &self.nodes()).finish()
    }
}

impl Cluster {
    /// Finds a cluster by the listeners of its brokers: `host:port,host:port`, tried side by side.
    ///
    /// # Errors
    /// [`ClusterError::Bootstrap`] names every address with its own cause; when all of them refuse or do not resolve
    /// it comes within five seconds.
    pub async fn connect(bootstrap: &str, properties: &Properties) -> Result<Cluster, ClusterError> {
        Cluster::enter(bootstrap, properties, false).await
    }

    /// Finds a cluster by the listeners of its controllers (`--bootstrap-controller`, KIP-919).
    ///
    /// # Errors
    /// As [`Cluster::connect`].
    pub async fn connect_controllers(
        bootstrap: &str,
        properties: &Properties,
    ) -> Result<Cluster, ClusterError> {
        Cluster::enter(bootstrap, properties, true).await
    }

    async fn enter(list: &str, properties: &Properties, controllers: bool) -> Result<Cluster, ClusterError> {
        let key = if controllers { "bootstrap.controllers" } else { "bootstrap.servers" };
        let bootstrap = bootstrap::parse(list, key)?;
        let settings = Settings::new(properties)?;
        let found = bootstrap::first(&bootstrap, &settings).await?;
        bootstrap::right_listener(&found, controllers)?;
        let backoff = Backoff {
            first: properties.millis("reconnect.backoff.ms")?,
            most: properties.millis("reconnect.backoff.max.ms")?,
        };
        let peers = Peers::new(settings.options.clone(), backoff, random, |peer, event| {
            tracing::debug!("node {} ({}:{}): {event:?}", peer.id, peer.host, peer.port);
        });
        let cluster = Cluster(Arc::new(Inner {
            properties: properties.clone(),
            settings,
            controllers,
            peers,
            bootstrap,
            failures: found.failures,
            first: Mutex::new(Some((found.at, found.connection))),
            view: RwLock::default(),
            coordinators: Mutex::default(),
            turn: AtomicUsize::new(random().into()),
        }));
        cluster.refresh().await?;
        Ok(cluster)
    }

    /// Bootstrap addresses that did not answer although another one did: the number in the list (-1 is the first, -2
    /// the next, as Kafka's clients count), the address as it was given, the cause.
    pub fn bootstrap_failures(&self) -> Vec<(i32, String, ConnectError)> {
        self.0.failures.clone()
    }

    /// The configuration.
    pub fn properties(&self) -> &Properties {
        &self.0.properties
    }

    /// Whether it was found by its controllers, which serve less.
    pub fn of_controllers(&self) -> bool {
        self.0.controllers
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> String {
        self.0.view.read().cluster_id.clone()
    }

    /// The active controller as it was told last: to brokers' clients any broker that passes requests on; −1: none.
    pub fn controller_id(&self) -> i32 {
        self.0.view.read().controller_id
    }

    /// The nodes that were told last, sorted by id.
    pub fn nodes(&self) -> Vec<Node> {
        self.0.view.read().nodes.clone()
    }

    /// Closes every connection, for every clone.
    pub fn close(&self) {
        if let Some((_, connection)) = self.0.first.lock().take() {
            connection.close();
        }
        self.0.peers.retain(|_| false);
    }

    /// The pause before attempt `failures` + 1: `retry.backoff.ms`, twice as long each time.
    pub(crate) fn pause(&self, failures: u32) -> Duration {
        self.0.settings.retry.pause(failures, random())
    }
}

impl Settings {
    fn new(properties: &Properties) -> Result<Settings, PropertiesError> {
        let options = Options {
            client_id: properties.optional("client.id").unwrap_or("ottla").to_owned(),
            connect_timeout: properties.millis("socket.connection.setup.timeout.ms")?,
            connect_timeout_most: properties.millis("socket.connection.setup.timeout.max.ms")?,
            request_timeout: properties.millis_of_int("request.timeout.ms")?,
            receive_buffer_bytes: receive_buffer(properties)?,
            ..Options::default()
        };
        Ok(Settings {
            options,
            call_timeout: properties.millis_of_int("default.api.timeout.ms")?,
            retry: Backoff {
                first: properties.millis("retry.backoff.ms")?,
                most: properties.millis("retry.backoff.max.ms")?,
            },
        })
    }
}

/// `receive.buffer.bytes` where somebody has set it: Kafka's default would only keep the system from a larger one.
fn receive_buffer(properties: &Properties) -> Result<Option<u32>, PropertiesError> {
    const KEY: &str = "receive.buffer.bytes";
    let bytes = properties.int(KEY)?;
    Ok(properties.optional(KEY).and(u32::try_from(bytes).ok()))
}

/// A byte without a pattern, for pauses and first choices.
pub(crate) fn random() -> u8 {
    Uuid::new_v4().as_bytes()[0]
}
