//! Which value of a key counts, where it comes from, and what else would have counted: the answers of
//! DescribeConfigs, with Kafka's precedence and Kafka's oddities, since tools print what they find here.
//!
//! A broker's value comes from its own dynamic configuration, else the cluster's, else the file, else the default;
//! a topic's own value goes before all of them.

use crate::alter::Resource;
use crate::dynamic;
use crate::key::{Key, Update};
use crate::keys::{
    client_metrics_key, client_metrics_keys, group_key, group_keys, group_synonym, is_dynamic_only,
    listener_base, node_key, node_keys, node_synonyms, topic_key, topic_keys, topic_synonyms,
};
use crate::node::NodeConfig;
use crate::problem::Problem;
use crate::refusal::Refusal;
use crate::topic::{Overrides, default_value};

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Set for the topic (DYNAMIC_TOPIC_CONFIG).
    Topic,
    /// Set for this broker while it runs (DYNAMIC_BROKER_CONFIG).
    Broker,
    /// Set for all brokers while they run (DYNAMIC_DEFAULT_BROKER_CONFIG).
    Cluster,
    /// From the file (STATIC_BROKER_CONFIG).
    File,
    /// Nobody set it (DEFAULT_CONFIG).
    Default,
    /// The level of a logger (DYNAMIC_BROKER_LOGGER_CONFIG).
    Logger,
    /// Set for the client metrics subscription (DYNAMIC_CLIENT_METRICS_CONFIG).
    ClientMetrics,
    /// Set for the group (DYNAMIC_GROUP_CONFIG).
    Group,
}

impl Source {
    /// The number in a DescribeConfigs response.
    #[must_use]
    pub fn wire(self) -> i8 {
        match self {
            Self::Topic => 1,
            Self::Broker => 2,
            Self::Cluster => 3,
            Self::File => 4,
            Self::Default => 5,
            Self::Logger => 6,
            Self::ClientMetrics => 7,
            Self::Group => 8,
        }
    }

    /// The name that tools print.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Topic => "DYNAMIC_TOPIC_CONFIG",
            Self::Broker => "DYNAMIC_BROKER_CONFIG",
            Self::Cluster => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            Self::File => "STATIC_BROKER_CONFIG",
            Self::Default => "DEFAULT_CONFIG",
            Self::Logger => "DYNAMIC_BROKER_LOGGER_CONFIG",
            Self::ClientMetrics => "DYNAMIC_CLIENT_METRICS_CONFIG",
            Self::Group => "DYNAMIC_GROUP_CONFIG",
        }
    }
}

/// A value that counts or would count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synonym {
    /// The key it stands under.
    pub name: String,
    /// The value, `None` for secrets.
    pub value: Option<String>,
    /// Where it stands.
    pub source: Source,
}

/// One key of a resource, as DescribeConfigs answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The key.
    pub name: String,
    /// The value that counts; `None` for secrets and where there is no value.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: Source,
    /// Whether it must not be shown.
    pub is_sensitive: bool,
    /// Whether it cannot be changed while the broker runs.
    pub read_only: bool,
    /// Every value that was found, the one that counts first.
    pub synonyms: Vec<Synonym>,
    /// The type as a DescribeConfigs response numbers it; 0 for keys nobody knows.
    pub kind: i8,
    /// What the key means.
    pub documentation: Option<&'static str>,
}

/// The levels of a broker's configuration: its file, and what was set for it and for the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerConfigs {
    file: NodeConfig,
    cluster: Overrides,
    broker: Overrides,
    current: NodeConfig,
}

impl BrokerConfigs {
    /// A broker for which nothing was set while it runs.
    #[must_use]
    pub fn new(file: NodeConfig) -> Self {
        Self { current: file.clone(), file, cluster: Overrides::new(), broker: Overrides::new() }
    }

    /// Takes over what the metadata says for the cluster (the resource with the empty name) and for this broker.
    /// Entries that cannot be applied are left out and come back as problems, to be logged.
    pub fn set_dynamic(&mut self, cluster: &Overrides, broker: &Overrides) -> Vec<Problem> {
        let mut problems = Vec::new();
        let cluster = dynamic::applicable(cluster, false, &mut problems);
        let broker = dynamic::applicable(broker, true, &mut problems);
        match self.file.overlaid(&cluster, &broker, &mut problems) {
            Ok(current) => *self = Self { file: self.file.clone(), cluster, broker, current },
            Err(errors) => problems.extend(errors),
        }
        problems
    }

    /// The configuration from the file.
    #[must_use]
    pub fn file(&self) -> &NodeConfig {
        &self.file
    }

    /// The configuration that counts now.
    #[must_use]
    pub fn current(&self) -> &NodeConfig {
        &self.current
    }

    /// Checks what shall be set for this broker (`per_broker`) or for the cluster, in place of what is.
    ///
    /// # Errors
    /// The first thing that is wrong, in Kafka's words.
    pub fn validate(&self, after: &Overrides, per_broker: bool) -> Result<NodeConfig, Refusal> {
        dynamic::validate_broker(&self.file, &self.cluster, &self.broker, after, per_broker)
    }

    /// Every key of this broker in the order of names: the resource named by its id.
    #[must_use]
    pub fn describe_broker(&self) -> Vec<Described> {
        let settings = self.current.settings();
        let mut out: Vec<Described> = Vec::with_capacity(node_keys().len());
        for key in node_keys() {
            let set = settings.raw(key.name);
            let hidden = key.internal || is_dynamic_only(key.name);
            if hidden && set.is_none() {
                continue;
            }
            let value = match settings.value(key.name) {
                Ok(value) => value.map(|value| value.to_java()),
                Err(_) => set.map(str::to_owned),
            };
            out.push(self.describe_node_key(key.name, value, true));
        }
        for (name, setting) in settings.iter() {
            if node_key(name).is_none() {
                out.push(self.describe_node_key(name, Some(setting.value.clone()), true));
            }
        }
        out.sort_by(|a, b| a.name.cmp(&b.name));
        out
    }

    /// What is set for all brokers: the broker resource with the empty name.
    #[must_use]
    pub fn describe_cluster(&self) -> Vec<Described> {
        self.cluster
            .iter()
            .map(|(name, value)| self.describe_node_key(name, Some(value.clone()), false))
            .collect()
    }

    fn describe_node_key(&self, name: &str, value: Option<String>, per_broker: bool) -> Described {
        let key = node_key(name).or_else(|| node_key(listener_base(name)?));
        let is_sensitive = key.is_none_or(Key::is_sensitive);
        let mut synonyms = self.synonyms(name, is_sensitive);
        synonyms.retain(|synonym| per_broker || synonym.source == Source::Cluster);
        Described {
            name: name.to_owned(),
            value: value.filter(|_| !is_sensitive),
            source: synonyms.first().map_or(Source::Default, |first| first.source),
            is_sensitive,
            read_only: node_key(name).is_none_or(|key| key.update == Update::ReadOnly),
            synonyms,
            kind: key.map_or(0, |key| key.kind.wire()),
            documentation: node_key(name).map(|key| key.doc),
        }
    }

    /// Every value found for a node key, level by level. What stands before the first value under the key's own
    /// name is left out, as in Kafka: `log.retention.hours` in the file does not make `log.retention.ms` a value
    /// from the file.
    fn synonyms(&self, name: &str, is_sensitive: bool) -> Vec<Synonym> {
        let names = node_synonyms(name, true);
        let mut out = Vec::new();
        let mut level = |source: Source, find: &dyn Fn(&str) -> Option<String>| {
            for name in &names {
                if let Some(value) = find(name) {
                    let value = Some(value).filter(|_| !is_sensitive);
                    out.push(Synonym { name: (*name).to_owned(), value, source });
                }
            }
        };
        level(Source::Broker, &|name| self.broker.get(name).cloned());
        level(Source::Cluster, &|name| self.cluster.get(name).cloned());
        level(Source::File, &|name| self.file.settings().raw(name).map(str::to_owned));
        // Keys that exist only as dynamic configuration have a default, but no level of defaults.
        level(Source::Default, &|name| {
            let key = node_key(name).filter(|_| !is_dynamic_only(name))?;
            key.default_text().map(str::to_owned)
        });
        let first = out.iter().position(|synonym| synonym.name == name).unwrap_or(out.len());
        out.split_off(first)
    }

    /// Every key of a topic with these values of its own, in the order of names.
    #[must_use]
    pub fn describe_topic(&self, own: &Overrides) -> Vec<Described> {
        let settings = self.current.settings();
        let unknown = own.keys().filter(|name| topic_key(name).is_none()).map(String::as_str);
        let known =
            topic_keys().iter().filter(|key| !key.internal || own.contains_key(key.name)).map(|key| key.name);
        let mut out: Vec<Described> = known
            .chain(unknown)
            .map(|name| {
                let key = topic_key(name);
                let is_sensitive = Resource::Topic.is_sensitive(name);
                let value = match (own.get(name), key) {
                    (Some(text), Some(key)) => {
                        Some(key.parse(text).map_or_else(|_| text.clone(), |v| v.to_java()))
                    }
                    (Some(text), None) => Some(text.clone()),
                    (None, _) => default_value(settings, name).map(|value| value.to_java()),
                };
                let value = value.filter(|_| !is_sensitive);
                let mut synonyms = topic_synonyms(name)
                    .first()
                    .map(|synonym| self.synonyms(synonym.name, is_sensitive))
                    .unwrap_or_default();
                if own.contains_key(name) {
                    synonyms.insert(
                        0,
                        Synonym { name: name.to_owned(), value: value.clone(), source: Source::Topic },
                    );
                }
                described(name, key, value, is_sensitive, synonyms)
            })
            .collect();
        out.sort_by(|a, b| a.name.cmp(&b.name));
        out
    }

    /// Every key of a group with these values of its own, in the order of names.
    #[must_use]
    pub fn describe_group(&self, own: &Overrides) -> Vec<Described> {
        let settings = self.current.settings();
        let one = |key: &'static Key| {
            let set =
                own.get(key.name).map(|text| key.parse(text).map_or_else(|_| text.clone(), |v| v.to_java()));
            let value =
                set.or_else(|| crate::group::group_default(settings, key.name).map(|value| value.to_java()));
            let mut synonyms = match group_synonym(key.name) {
                Some(node_key) => self.synonyms(node_key.name, false),
                None => key
                    .default_text()
                    .map(|text| Synonym {
                        name: key.name.to_owned(),
                        value: Some(text.to_owned()),
                        source: Source::Default,
                    })
                    .into_iter()
                    .collect(),
            };
            if own.contains_key(key.name) {
                let own = Synonym { name: key.name.to_owned(), value: value.clone(), source: Source::Group };
                synonyms.insert(0, own);
            }
            described(key.name, group_key(key.name), value, false, synonyms)
        };
        group_keys().iter().map(one).collect()
    }
}

/// Every key of a client metrics subscription with these values, in the order of names.
#[must_use]
pub fn describe_client_metrics(own: &Overrides) -> Vec<Described> {
    let one = |key: &'static Key| {
        let set =
            own.get(key.name).map(|text| key.parse(text).map_or_else(|_| text.clone(), |v| v.to_java()));
        let synonyms = set
            .iter()
            .map(|value| Synonym {
                name: key.name.to_owned(),
                value: Some(value.clone()),
                source: Source::ClientMetrics,
            })
            .collect();
        let value = set.or_else(|| key.default_text().map(str::to_owned));
        described(key.name, client_metrics_key(key.name), value, false, synonyms)
    };
    client_metrics_keys().iter().map(one).collect()
}

fn described(
    name: &str,
    key: Option<&'static Key>,
    value: Option<String>,
    is_sensitive: bool,
    synonyms: Vec<Synonym>,
) -> Described {
    Described {
        name: name.to_owned(),
        value,
        source: synonyms.first().map_or(Source::Default, |first| first.source),
        is_sensitive,
        read_only: false,
        synonyms,
        kind: key.map_or(0, |key| key.kind.wire()),
        documentation: key.map(|key| key.doc),
    }
}

/// A value of a topic as the controller reports it when it creates the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The key.
    pub name: &'static str,
    /// The value in the topic's unit.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: Source,
    /// Whether it must not be shown.
    pub is_sensitive: bool,
}

/// Every key of a topic as it counts, in the order of names, given what is set for the topic, for the controller's
/// node and for all brokers (Kafka's `KafkaConfigSchema.resolveEffectiveTopicConfigs`, which the answer of
/// CreateTopics shows). Unlike in DescribeConfigs, `log.retention.hours` of the file makes `retention.ms` a value
/// from the file.
#[must_use]
pub fn effective_topic(
    file: &NodeConfig,
    topic: &Overrides,
    node: &Overrides,
    cluster: &Overrides,
) -> Vec<Effective> {
    let shown = topic_keys().iter().filter(|key| !key.internal || topic.contains_key(key.name));
    shown
        .map(|key| {
            let synonyms = topic_synonyms(key.name);
            let at = |source: Source, find: &dyn Fn(&str) -> Option<String>| {
                let found = synonyms.iter().find_map(|synonym| Some((synonym, find(synonym.name)?)));
                found.map(|(synonym, value)| (scaled(value, synonym.scale), source))
            };
            let (value, source) = topic
                .get(key.name)
                .map(|value| (Some(value.clone()), Source::Topic))
                .or_else(|| at(Source::Broker, &|name| node.get(name).cloned()))
                .or_else(|| at(Source::Cluster, &|name| cluster.get(name).cloned()))
                .or_else(|| at(Source::File, &|name| file.settings().raw(name).map(str::to_owned)))
                .unwrap_or_else(|| (key.default_text().map(str::to_owned), Source::Default));
            Effective { name: key.name, value, source, is_sensitive: key.is_sensitive() }
        })
        .collect()
}

/// A value in the topic's unit. Texts that are no number count as 0 where a unit is changed, as in Kafka.
fn scaled(value: String, scale: i64) -> Option<String> {
    if scale == 1 {
        return Some(value);
    }
    let number: i64 = value.trim().parse::<i32>().unwrap_or(0).into();
    Some((number * scale).to_string())
}
