//! Broker configuration that changes while the broker runs: which keys may, at which level, and what a new
//! value must fulfil (Kafka's `DynamicBrokerConfig`).

use std::collections::BTreeMap;

use crate::key::Update;
use crate::keys::{listener_base, node_key};
use crate::node::NodeConfig;
use crate::problem::Problem;
use crate::refusal::Refusal;
use crate::topic::Overrides;

/// TLS stores: they change only through a listener's prefix (Kafka's `SslConfigs.RECONFIGURABLE_CONFIGS`).
const STORES: [&str; 10] = [
    "ssl.key.password",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.truststore.certificates",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
];

/// Keys that may be set for a listener as the default of the cluster.
const CLUSTER_LISTENER_KEYS: [&str; 3] =
    ["max.connections", "max.connection.creation.rate", "num.network.threads"];

/// Thread pools: a change may at most halve or double them.
const POOLS: [&str; 10] = [
    "background.threads",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
    "log.cleaner.threads",
    "remote.log.manager.copier.thread.pool.size",
    "remote.log.manager.expiration.thread.pool.size",
    "remote.log.manager.follower.thread.pool.size",
    "remote.log.reader.threads",
];

/// Whether a broker key may change while the broker runs, and at which level. A listener's own keys stand for
/// their base key; keys outside the table belong to plug-ins and may change anywhere.
#[must_use]
pub fn update_mode(name: &str) -> Update {
    match (node_key(name), listener_base(name)) {
        (Some(key), _) => key.update,
        (None, Some(base)) if CLUSTER_LISTENER_KEYS.contains(&base) => Update::ClusterWide,
        (None, Some(_)) => Update::PerBroker,
        (None, None) => Update::ClusterWide,
    }
}

/// Why `name` cannot be set at a level at all.
fn misplaced(name: &str, per_broker: bool) -> Option<&'static str> {
    if update_mode(name) == Update::ReadOnly {
        return Some("Cannot update these configs dynamically");
    }
    if STORES.contains(&name) {
        return Some(
            "These security configs can be dynamically updated only per-listener using the listener prefix",
        );
    }
    if !per_broker && update_mode(name) == Update::PerBroker {
        return Some("Cannot update these configs at default cluster level, broker id must be specified");
    }
    None
}

fn base_key(name: &str) -> Option<&'static crate::key::Key> {
    node_key(listener_base(name).unwrap_or(name))
}

/// The entries of a level that can be applied; the others are named in `problems`.
pub(crate) fn applicable(
    values: &BTreeMap<String, String>,
    per_broker: bool,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, String> {
    let level = if per_broker { "broker" } else { "default cluster" };
    let mut out = BTreeMap::new();
    for (name, value) in values {
        let ignored = |why: String| Problem {
            place: Some("dynamic configuration".to_owned()),
            key: Some(name.clone()),
            ..Problem::new(format!("{name} in the dynamic {level} configuration is ignored: {why}"))
        };
        if let Some(why) = misplaced(name, per_broker) {
            problems.push(ignored(why.to_owned()));
            continue;
        }
        match base_key(name).map(|key| (key, key.parse(value))) {
            Some((key, Err(error))) => {
                let why = if key.is_sensitive() {
                    "its value is not allowed".to_owned()
                } else {
                    error.to_string()
                };
                problems.push(ignored(why));
            }
            _ => {
                out.insert(name.clone(), value.clone());
            }
        }
    }
    out
}

/// Checks what a level of the broker configuration shall be: `after` replaces the values of this broker
/// (`per_broker`) or of the cluster. `file` is the configuration from the file, `cluster` and `broker` are the
/// levels as they are now.
///
/// # Errors
/// The first thing that is wrong, in Kafka's words.
pub fn validate_broker(
    file: &NodeConfig,
    cluster: &Overrides,
    broker: &Overrides,
    after: &Overrides,
    per_broker: bool,
) -> Result<NodeConfig, Refusal> {
    for why in [
        "Cannot update these configs dynamically",
        "These security configs can be dynamically updated only per-listener using the listener prefix",
    ] {
        refuse_names(after, per_broker, why)?;
    }
    for (name, value) in after {
        if let Some(key) = base_key(name) {
            key.parse(value).map_err(|error| Refusal::request(error.to_string()))?;
        }
    }
    refuse_names(
        after,
        per_broker,
        "Cannot update these configs at default cluster level, broker id must be specified",
    )?;
    let (now, _) = file.with_dynamic(cluster, broker);
    let mut unused = Vec::new();
    let base = file.settings();
    let settings = if per_broker {
        base.overlaid(&applicable(cluster, false, &mut unused)).overlaid(after)
    } else {
        base.overlaid(after).overlaid(&applicable(broker, true, &mut unused))
    };
    let next = NodeConfig::of_settings(settings).map_err(|errors| {
        Refusal::request(errors[0].kafka.clone().unwrap_or_else(|| errors[0].message.clone()))
    })?;
    let invalid = |why: String| Refusal::request(format!("Invalid dynamic configuration: {why}"));
    pools(&now, &next).map_err(invalid)?;
    listeners(&now, &next).map_err(invalid)?;
    // Only what changes is judged: a file may hold values that matter once remote storage is on.
    let retention = |config: &NodeConfig| {
        let topic = &config.topic_defaults;
        (topic.retention_ms, topic.retention_bytes, topic.local_retention_ms, topic.local_retention_bytes)
    };
    if retention(&now) != retention(&next) {
        next.topic_defaults
            .remote_retention(
                ["log.local.retention.ms", "log.retention.ms"],
                ["log.local.retention.bytes", "log.retention.bytes"],
            )
            .map_err(|refusal| invalid(refusal.to_string()))?;
    }
    Ok(next)
}

fn refuse_names(after: &Overrides, per_broker: bool, why: &str) -> Result<(), Refusal> {
    let names: Vec<&str> =
        after.keys().map(String::as_str).filter(|name| misplaced(name, per_broker) == Some(why)).collect();
    if names.is_empty() { Ok(()) } else { Err(Refusal::request(format!("{why}: [{}]", names.join(", ")))) }
}

fn pools(now: &NodeConfig, next: &NodeConfig) -> Result<(), String> {
    for pool in POOLS {
        let (old, new) = (now.settings().int(pool), next.settings().int(pool));
        if old == new {
            continue;
        }
        if pool == "log.cleaner.threads" {
            if new < 1 {
                return Err("Log cleaner threads should be at least 1".to_owned());
            }
            if new < old / 2 {
                return Err(format!(
                    "Log cleaner threads cannot be reduced to less than half the current value {old}"
                ));
            }
            if i64::from(new) > i64::from(old) * 2 {
                return Err(format!(
                    "Log cleaner threads cannot be increased to more than double the current value {old}"
                ));
            }
            continue;
        }
        let failed = format!("Dynamic thread count update validation failed for {pool}={new}");
        if new <= 0 {
            return Err(format!("{failed}, value should be at least 1"));
        }
        if new < old / 2 {
            return Err(format!("{failed}, value should be at least half the current value {old}"));
        }
        if i64::from(new) > i64::from(old) * 2 {
            return Err(format!("{failed}, value should not be greater than double the current value {old}"));
        }
    }
    Ok(())
}

/// Listeners may come and go, but what is advertised must stay and an existing one keeps its protocol.
fn listeners(now: &NodeConfig, next: &NodeConfig) -> Result<(), String> {
    let names = |list: &[crate::endpoint::Listener]| {
        format!(
            "Set({})",
            list.iter().map(|l| format!("ListenerName({})", l.name)).collect::<Vec<_>>().join(", ")
        )
    };
    let (old, new) = (&now.listeners, &next.listeners);
    if !old.advertised.iter().all(|said| new.bound.iter().any(|bound| bound.name == said.name)) {
        let (said, bound) = (names(&old.advertised), names(&new.bound));
        return Err(format!("Advertised listeners '{said}' must be a subset of listeners '{bound}'"));
    }
    for listener in &new.bound {
        if old.bound.iter().any(|before| before.name == listener.name && before.protocol != listener.protocol)
        {
            return Err(format!(
                "Security protocol cannot be updated for existing listener ListenerName({})",
                listener.name
            ));
        }
    }
    Ok(())
}
