//! Dynamic configurations.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::map::SharedMap;

/// Resource type: a topic.
pub const TOPIC: i8 = 2;
/// Resource type: a broker, or all of them under the empty name.
pub const BROKER: i8 = 4;
/// Resource type: a broker's loggers; never in metadata.
pub const BROKER_LOGGER: i8 = 8;
/// Resource type: a client metrics subscription (KIP-714).
pub const CLIENT_METRICS: i8 = 16;
/// Resource type: a group.
pub const GROUP: i8 = 32;

/// The key whose changes clear eligible leader replicas.
pub const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";
/// The key that allows elections which may lose records.
pub const UNCLEAN_LEADER_ELECTION: &str = "unclean.leader.election.enable";
/// The key that keeps new replicas off log directories (KIP-1066).
pub const CORDONED_LOG_DIRS: &str = "cordoned.log.dirs";

/// Something that has configurations.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigResource {
    /// One of [`TOPIC`], [`BROKER`], [`BROKER_LOGGER`], [`CLIENT_METRICS`], [`GROUP`].
    pub kind: i8,
    /// Its name; empty for the defaults of all brokers.
    pub name: Arc<str>,
}

impl ConfigResource {
    /// A resource of any kind.
    pub fn new(kind: i8, name: &str) -> ConfigResource {
        ConfigResource { kind, name: name.into() }
    }

    /// A topic.
    pub fn topic(name: &str) -> ConfigResource {
        Self::new(TOPIC, name)
    }

    /// One broker.
    pub fn broker(id: i32) -> ConfigResource {
        Self::new(BROKER, &id.to_string())
    }

    /// The defaults of all brokers.
    pub fn cluster() -> ConfigResource {
        Self::new(BROKER, "")
    }

    /// Whether `kind` is one this version knows.
    pub fn is_known(kind: i8) -> bool {
        matches!(kind, TOPIC | BROKER | BROKER_LOGGER | CLIENT_METRICS | GROUP)
    }
}

/// Keys and values of one resource.
pub type ConfigMap = BTreeMap<String, String>;

/// All dynamic configurations.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Configs {
    resources: SharedMap<ConfigResource, Arc<ConfigMap>>,
}

impl Configs {
    /// What is set for a resource; nothing if no key is.
    pub fn of(&self, resource: &ConfigResource) -> Option<&Arc<ConfigMap>> {
        self.resources.get(resource)
    }

    /// One key of a resource.
    pub fn get(&self, resource: &ConfigResource, key: &str) -> Option<&str> {
        self.of(resource)?.get(key).map(String::as_str)
    }

    /// Every resource with keys, topics first.
    pub fn iter(&self) -> impl Iterator<Item = (&ConfigResource, &Arc<ConfigMap>)> + '_ {
        self.resources.iter()
    }

    /// How many resources have keys.
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// True when nothing is set anywhere.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// Sets a key, or removes it if there is no value.
    pub(crate) fn set(&mut self, resource: ConfigResource, key: &str, value: Option<&str>) {
        match (self.resources.get_mut(&resource), value) {
            (Some(map), Some(value)) => {
                Arc::make_mut(map).insert(key.to_owned(), value.to_owned());
            }
            (None, Some(value)) => {
                let map = ConfigMap::from([(key.to_owned(), value.to_owned())]);
                self.resources.insert(resource, Arc::new(map));
            }
            (Some(map), None) => {
                Arc::make_mut(map).remove(key);
                if map.is_empty() {
                    self.resources.remove(&resource);
                }
            }
            (None, None) => {}
        }
    }

    /// Forgets all keys of a resource. True if it had any.
    pub(crate) fn clear(&mut self, resource: &ConfigResource) -> bool {
        self.resources.remove(resource).is_some()
    }
}
