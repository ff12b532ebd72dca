//! Changing the configuration of a resource: what the operations of AlterConfigs and IncrementalAlterConfigs make
//! of the values that are set, and whether the outcome is allowed.

use std::collections::BTreeMap;

use crate::key::{Key, Kind};
use crate::keys;
use crate::node::NodeConfig;
use crate::refusal::Refusal;
use crate::topic::{Overrides, validate_topic};
use crate::{client_metrics, group};

/// What has a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    /// A topic.
    Topic,
    /// A broker or controller by its id, or all of them by the empty name.
    Broker,
    /// The loggers of a broker; kept in no metadata.
    BrokerLogger,
    /// A client metrics subscription.
    ClientMetrics,
    /// A group.
    Group,
}

impl Resource {
    /// The resource of this number in requests and in ConfigRecords.
    #[must_use]
    pub fn of_wire(number: i8) -> Option<Self> {
        match number {
            2 => Some(Self::Topic),
            4 => Some(Self::Broker),
            8 => Some(Self::BrokerLogger),
            16 => Some(Self::ClientMetrics),
            32 => Some(Self::Group),
            _ => None,
        }
    }

    /// Its number in requests and in ConfigRecords.
    #[must_use]
    pub fn wire(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::BrokerLogger => 8,
            Self::ClientMetrics => 16,
            Self::Group => 32,
        }
    }

    /// The key of this name, if the table has it. Loggers have none.
    #[must_use]
    pub fn key(self, name: &str) -> Option<&'static Key> {
        match self {
            Self::Topic => keys::topic_key(name),
            Self::Broker => keys::node_key(name),
            Self::BrokerLogger => None,
            Self::ClientMetrics => keys::client_metrics_key(name),
            Self::Group => keys::group_key(name),
        }
    }

    /// Whether entries can be appended to a key and subtracted from it. Kafka knows the lists of topics and
    /// brokers only: the lists of a client metrics subscription are set as a whole.
    #[must_use]
    pub fn is_list(self, name: &str) -> bool {
        matches!(self, Self::Topic | Self::Broker) && self.key(name).is_some_and(|key| key.kind == Kind::List)
    }

    /// The default of a key as Kafka prints it: what APPEND and SUBTRACT begin with where nothing is set.
    #[must_use]
    pub fn default_text(self, name: &str) -> Option<&'static str> {
        self.key(name)?.default_text()
    }

    /// Whether the value of a key must not be shown. Keys nobody knows count as secrets.
    #[must_use]
    pub fn is_sensitive(self, name: &str) -> bool {
        self.key(name).is_none_or(Key::is_sensitive)
    }
}

/// What IncrementalAlterConfigs does to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Set it.
    Set,
    /// Take it away, so that the default counts.
    Delete,
    /// Add entries to a list, those it has not.
    Append,
    /// Take entries out of a list.
    Subtract,
}

impl Operation {
    /// The operation of this number in requests.
    ///
    /// # Errors
    /// There is none.
    pub fn of_wire(number: i8) -> Result<Self, Refusal> {
        match number {
            0 => Ok(Self::Set),
            1 => Ok(Self::Delete),
            2 => Ok(Self::Append),
            3 => Ok(Self::Subtract),
            other => Err(Refusal::request(format!("Unknown operations type {other}"))),
        }
    }
}

/// One change of IncrementalAlterConfigs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub name: String,
    /// What happens to it.
    pub operation: Operation,
    /// The operand; [`Operation::Delete`] needs none.
    pub value: Option<String>,
}

/// The checks that come before anything else: no key twice, a value wherever one is needed.
///
/// # Errors
/// Kafka's message.
pub fn check_changes(changes: &[Change]) -> Result<(), Refusal> {
    let names = changes.iter().map(|change| change.name.as_str());
    let missing = changes.iter().filter(|c| c.value.is_none() && c.operation != Operation::Delete);
    well_formed(names, missing.map(|change| change.name.as_str()))
}

/// As [`check_changes`], for the keys and values of the legacy AlterConfigs, which replace everything.
///
/// # Errors
/// Kafka's message.
pub fn check_replacement(entries: &[(String, Option<String>)]) -> Result<Overrides, Refusal> {
    let names = entries.iter().map(|(name, _)| name.as_str());
    let missing = entries.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name.as_str());
    well_formed(names, missing)?;
    Ok(entries.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect())
}

fn well_formed<'a>(
    names: impl Iterator<Item = &'a str>,
    missing: impl Iterator<Item = &'a str>,
) -> Result<(), Refusal> {
    let mut seen: Vec<&str> = names.collect();
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    if seen.len() != count {
        return Err(Refusal::request("Error due to duplicate config keys"));
    }
    let missing: Vec<&str> = missing.collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::request(format!("Null value not supported for : {}", missing.join(", "))))
}

/// Applies changes to the values a resource has set.
///
/// # Errors
/// APPEND or SUBTRACT to a key that is no list.
pub fn apply(resource: Resource, before: &Overrides, changes: &[Change]) -> Result<Overrides, Refusal> {
    let mut after = before.clone();
    for Change { name, operation, value } in changes {
        let value = value.clone().unwrap_or_default();
        match operation {
            Operation::Set => {
                after.insert(name.clone(), value);
            }
            Operation::Delete => {
                after.remove(name);
            }
            Operation::Append | Operation::Subtract => {
                if !resource.is_list(name) {
                    return Err(no_list(resource, name, *operation));
                }
                let old =
                    after.get(name).map(String::as_str).or_else(|| resource.default_text(name)).unwrap_or("");
                let mut entries: Vec<&str> = old.split(',').filter(|entry| !entry.is_empty()).collect();
                for entry in value.split(',') {
                    let at = entries.iter().position(|known| *known == entry);
                    match (operation, at) {
                        (Operation::Append, None) => entries.push(entry),
                        (Operation::Subtract, Some(at)) => {
                            entries.remove(at);
                        }
                        _ => {}
                    }
                }
                let joined = entries.join(",");
                after.insert(name.clone(), joined);
            }
        }
    }
    Ok(after)
}

/// Brokers look at changes of broker configuration first, and say it in other words than controllers do.
fn no_list(resource: Resource, name: &str, operation: Operation) -> Refusal {
    let (upper, lower) =
        if operation == Operation::Append { ("APPEND", "append") } else { ("SUBTRACT", "subtract") };
    Refusal::config(match (resource, resource.key(name)) {
        (Resource::Broker, None) => format!("Unknown config name: {name}"),
        (Resource::Broker, Some(_)) => format!("Config value {lower} is not allowed for config key: {name}"),
        _ => format!("Can't {upper} to key {name} because its type is not LIST."),
    })
}

/// Checks what a resource shall have set, as the active controller does (Kafka's
/// `ControllerConfigurationValidator`): `before` is what it has. `node` is the controller's own configuration,
/// whose defaults lie under a topic's and a group's values. Values of brokers are checked by the broker itself
/// ([`crate::dynamic::validate_broker`]), names of resources by the caller.
///
/// # Errors
/// The first thing that is wrong, in Kafka's words.
pub fn validate(
    node: &NodeConfig,
    resource: Resource,
    name: &str,
    before: &Overrides,
    after: &Overrides,
) -> Result<(), Refusal> {
    match resource {
        Resource::Topic => validate_topic(node.settings(), before, after).map(|_| ()),
        Resource::Group => group::validate_group(node.settings(), after),
        Resource::ClientMetrics => client_metrics::validate(name, after),
        Resource::Broker => Ok(()),
        Resource::BrokerLogger => Err(Refusal::request("Unknown resource type BROKER_LOGGER")),
    }
}

/// Whether a stored key is still applied when metadata is replayed (Kafka's `SupportedConfigChecker`): brokers'
/// keys always, since listeners and plug-ins have names of their own.
#[must_use]
pub fn is_supported(resource: Resource, name: &str) -> bool {
    resource == Resource::Broker || resource.key(name).is_some()
}

/// The key and value pairs of `text` as `--add-config` writes them: `k=v,k2=[a,b]`.
///
/// # Errors
/// The part that is no pair.
pub fn parse_pairs(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut out = BTreeMap::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or_else(|| rest.to_owned())?;
        let (value, next) = match after.strip_prefix('[') {
            Some(list) => {
                let (value, next) = list.split_once(']').ok_or_else(|| rest.to_owned())?;
                (value, next.trim_start().strip_prefix(',').unwrap_or(next))
            }
            None => after.split_once(',').unwrap_or((after, "")),
        };
        let name = name.trim();
        if name.is_empty() || name.contains(',') {
            return Err(rest.to_owned());
        }
        out.insert(name.to_owned(), value.trim().to_owned());
        rest = next.trim();
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> Overrides {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn change(name: &str, operation: Operation, value: &str) -> Change {
        Change { name: name.to_owned(), operation, value: Some(value.to_owned()) }
    }

    #[test]
    fn operations_change_what_is_set() {
        let before = map(&[("retention.ms", "5"), ("cleanup.policy", "delete")]);
        let after = apply(
            Resource::Topic,
            &before,
            &[
                change("segment.bytes", Operation::Set, "1048576"),
                change("retention.ms", Operation::Delete, ""),
                change("cleanup.policy", Operation::Append, "compact,delete"),
            ],
        );
        assert_eq!(after, Ok(map(&[("segment.bytes", "1048576"), ("cleanup.policy", "delete,compact")])));
        let after =
            apply(Resource::Topic, &before, &[change("cleanup.policy", Operation::Subtract, "delete,x")]);
        assert_eq!(after.unwrap()["cleanup.policy"], "");
        // A list that is not set begins with its default.
        let after = apply(
            Resource::Topic,
            &Overrides::new(),
            &[change("cleanup.policy", Operation::Append, "compact")],
        );
        assert_eq!(after.unwrap()["cleanup.policy"], "delete,compact");
    }

    #[test]
    fn only_lists_take_entries() {
        let refused = |resource, name, operation| {
            apply(resource, &Overrides::new(), &[change(name, operation, "1")]).unwrap_err().to_string()
        };
        assert_eq!(
            refused(Resource::Topic, "retention.ms", Operation::Append),
            "Can't APPEND to key retention.ms because its type is not LIST."
        );
        assert_eq!(
            refused(Resource::Broker, "num.io.threads", Operation::Subtract),
            "Config value subtract is not allowed for config key: num.io.threads"
        );
        assert_eq!(refused(Resource::Broker, "no.such", Operation::Append), "Unknown config name: no.such");
    }

    #[test]
    fn malformed_requests_are_refused() {
        let twice = [change("a", Operation::Set, "1"), change("a", Operation::Delete, "")];
        assert_eq!(
            check_changes(&twice),
            Err(Refusal::Request("Error due to duplicate config keys".to_owned()))
        );
        let null = [Change { name: "a".to_owned(), operation: Operation::Set, value: None }];
        assert_eq!(
            check_changes(&null),
            Err(Refusal::Request("Null value not supported for : a".to_owned()))
        );
        let delete = [Change { name: "a".to_owned(), operation: Operation::Delete, value: None }];
        assert_eq!(check_changes(&delete), Ok(()));
        assert!(check_replacement(&[("a".to_owned(), None)]).is_err());
        assert!(Operation::of_wire(4).is_err());
    }

    #[test]
    fn numbers_on_the_wire_are_kafkas() {
        for number in i8::MIN..=i8::MAX {
            if let Some(resource) = Resource::of_wire(number) {
                assert_eq!(resource.wire(), number);
            }
        }
        assert_eq!([2, 4, 8, 16, 32].map(|n| Resource::of_wire(n).is_some()), [true; 5]);
    }

    #[test]
    fn pairs_of_the_command_line() {
        assert_eq!(parse_pairs("a=1, b=[x,y],c=3"), Ok(map(&[("a", "1"), ("b", "x,y"), ("c", "3")])));
        assert_eq!(parse_pairs("a="), Ok(map(&[("a", "")])));
        assert_eq!(parse_pairs("a=1=2"), Ok(map(&[("a", "1=2")])));
        assert!(parse_pairs("a").is_err());
        assert!(parse_pairs("a=[x").is_err());
    }
}
