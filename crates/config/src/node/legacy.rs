//! Files from Kafka's past: keys of the ZooKeeper era and others that Kafka dropped, and how to turn such a
//! file into one of today.

use crate::properties::{Properties, write_entry};
use crate::settings::Settings;
use crate::value::split_list;

/// Keys that once meant something, each with what to know about it now.
const DROPPED: &[(&str, &str)] = &[
    ("advertised.host.name", "advertised.listeners says it now"),
    ("advertised.port", "advertised.listeners says it now"),
    ("auto.include.jmx.reporter", "there is no JMX here"),
    ("broker.id.generation.enable", "set node.id"),
    ("control.plane.listener.name", "controllers have listeners of their own: controller.listener.names"),
    ("controlled.shutdown.max.retries", "a stop waits until the controller has moved the leaderships"),
    ("controlled.shutdown.retry.backoff.ms", "a stop waits until the controller has moved the leaderships"),
    ("delegation.token.master.key", "its name is delegation.token.secret.key now"),
    ("eligible.leader.replicas.enable", "the feature eligible.leader.replicas.version decides"),
    ("group.coordinator.new.enable", "there is one coordinator only"),
    ("group.share.enable", "the feature share.version decides"),
    ("host.name", "listeners says it now"),
    ("inter.broker.protocol.version", "the feature metadata.version decides"),
    ("leader.imbalance.per.broker.percentage", "every leader that is not the preferred replica is moved"),
    ("log.message.downconversion.enable", "clients that old are no longer served"),
    ("log.message.format.version", "there is one record format only"),
    (
        "log.message.timestamp.difference.max.ms",
        "log.message.timestamp.before.max.ms and .after.max.ms say it now",
    ),
    ("offsets.commit.required.acks", "offset commits always wait for all in-sync replicas"),
    ("password.encoder.cipher.algorithm", "passwords are no longer kept in ZooKeeper"),
    ("password.encoder.iterations", "passwords are no longer kept in ZooKeeper"),
    ("password.encoder.key.length", "passwords are no longer kept in ZooKeeper"),
    ("password.encoder.keyfactory.algorithm", "passwords are no longer kept in ZooKeeper"),
    ("password.encoder.old.secret", "passwords are no longer kept in ZooKeeper"),
    ("password.encoder.secret", "passwords are no longer kept in ZooKeeper"),
    ("port", "listeners says it now"),
    ("producer.metrics.enable", "it never took effect in a release"),
    ("quota.consumer.default", "set quotas with kafka-configs.sh --entity-type users or clients"),
    ("quota.producer.default", "set quotas with kafka-configs.sh --entity-type users or clients"),
    ("replica.lag.max.messages", "replica.lag.time.max.ms decides"),
    ("reserved.broker.max.id", "node ids need no reserved range"),
];

/// Whether a key belongs to ZooKeeper.
pub(super) fn is_zookeeper(key: &str) -> bool {
    key.starts_with("zookeeper.")
}

/// What to know about a key that Kafka dropped.
pub(super) fn dropped(key: &str) -> Option<&'static str> {
    DROPPED.iter().find(|(name, _)| *name == key).map(|(_, reason)| *reason)
}

/// Whether a file was written for ZooKeeper: it has a ZooKeeper, and no roles.
pub(super) fn is_zookeeper_era(settings: &Settings) -> bool {
    !settings.is_set("process.roles")
        && (settings.iter().any(|(key, _)| is_zookeeper(key))
            || (settings.is_set("broker.id") && !settings.is_set("node.id")))
}

/// A file of the ZooKeeper era turned into one of today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// The new file.
    pub text: String,
    /// What was changed, one sentence each.
    pub changes: Vec<String>,
}

/// Turns a ZooKeeper-era file into one for a single combined node; every other key is kept in its order.
/// `None` if the file already has `process.roles`.
#[must_use]
pub fn migrate(old: &Properties) -> Option<Migration> {
    if old.get("process.roles").is_some() {
        return None;
    }
    let mut changes = vec![
        "added process.roles=broker,controller: this node is its own controller".to_owned(),
        "added controller.listener.names=CONTROLLER".to_owned(),
    ];
    let id = old.get("node.id").or_else(|| old.get("broker.id")).map_or("1", str::trim);
    let id = if id.parse::<i32>().is_ok_and(|id| id >= 0) { id } else { "1" };
    let listeners = old.get("listeners").map_or_else(|| vec!["PLAINTEXT://:9092".to_owned()], split_list);
    let taken = |port: u16| listeners.iter().any(|entry| entry.ends_with(&format!(":{port}")));
    let port = (9093..=u16::MAX).find(|&port| !taken(port)).unwrap_or(9093);
    changes.push(format!(
        "added the listener CONTROLLER://:{port} and controller.quorum.voters={id}@localhost:{port}"
    ));
    let mut text = String::from("# Converted from a file that was written for ZooKeeper.\n");
    for (key, value) in [
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", id.to_owned()),
        ("controller.quorum.voters", format!("{id}@localhost:{port}")),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("listeners", format!("{},CONTROLLER://:{port}", listeners.join(","))),
    ] {
        text.push_str(&write_entry(key, &value));
    }
    if let Some(map) =
        old.get("listener.security.protocol.map").filter(|map| !map.to_uppercase().contains("CONTROLLER:"))
    {
        text.push_str(&write_entry(
            "listener.security.protocol.map",
            &format!("CONTROLLER:PLAINTEXT,{}", map.trim()),
        ));
        changes.push("added CONTROLLER:PLAINTEXT to listener.security.protocol.map".to_owned());
    }
    let overwritten: Vec<u32> = old.overwritten().map(|(entry, _)| entry.line).collect();
    for entry in old.entries().iter().filter(|entry| !overwritten.contains(&entry.line)) {
        let key = entry.key.as_str();
        if matches!(key, "node.id" | "controller.quorum.voters" | "controller.listener.names" | "listeners") {
            continue;
        }
        if key == "broker.id" {
            changes.push(format!("broker.id is called node.id now, {id}"));
        } else if is_zookeeper(key) {
            changes.push(format!("removed {key}: there is no ZooKeeper any more"));
        } else if let Some(reason) = dropped(key) {
            changes.push(format!("removed {key}: {reason}"));
        } else if key == "listener.security.protocol.map"
            && !entry.value.to_uppercase().contains("CONTROLLER:")
        {
            // Written above with the controllers' listener.
        } else {
            text.push_str(&write_entry(key, &entry.value));
        }
    }
    Some(Migration { text, changes })
}
