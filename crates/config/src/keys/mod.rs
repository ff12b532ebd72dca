//! The one table of every configuration key of Apache Kafka 4.3.1, one file for each family.
//!
//! A row reads `Type "name" = default, check, importance, when it changes, what we do with it, meaning`. The
//! facts were taken from Kafka's own definitions by `tests/java/ConfigDump.java`, and the test
//! `table_equals_the_jar` compares them again; the meanings are ours. Everything is `static`: the table costs
//! nothing when a process starts.

use crate::key::{Check, Key};
use crate::suggest::nearest;

/// Lists of distinct entries: may be empty; must not; may also be missing.
const ANY_LIST: Check = Check::Entries { empty: true, null: false, of: &[] };
const SOME_LIST: Check = Check::Entries { empty: false, null: false, of: &[] };
const ANY_LIST_OR_NULL: Check = Check::Entries { empty: true, null: true, of: &[] };
const SOME_LIST_OR_NULL: Check = Check::Entries { empty: false, null: true, of: &[] };

macro_rules! fallback {
    (required) => {
        $crate::key::Fallback::Required
    };
    (null) => {
        $crate::key::Fallback::Null
    };
    ($text:literal) => {
        $crate::key::Fallback::Text($text)
    };
}

macro_rules! keys {
    ($table:ident $($kind:ident $($internal:ident)? $name:literal = $fallback:tt, $check:expr, $importance:ident,
        $update:ident, $support:expr, $doc:literal;)*) => {
        pub(super) const $table: &[$crate::key::Key] = {
            #[allow(unused_imports, reason = "not every family uses every check and every kind of support")]
            use $crate::key::{Check::*, Importance, Kind, Support::*, Update};
            #[allow(unused_imports, reason = "not every family has lists")]
            use super::{ANY_LIST, ANY_LIST_OR_NULL, SOME_LIST, SOME_LIST_OR_NULL};
            &[$($crate::key::Key {
                name: $name,
                kind: Kind::$kind,
                fallback: super::fallback!($fallback),
                check: $check,
                importance: Importance::$importance,
                update: Update::$update,
                internal: { let words: &[&str] = &[$(stringify!($internal))?]; !words.is_empty() },
                support: $support,
                doc: $doc,
            }),*]
        };
    };
}
use fallback;

mod client_metrics;
mod group;
mod groups;
mod log;
mod network;
mod quorum;
mod quota;
mod remote;
mod replication;
mod roles;
mod security;
mod share;
mod topic;
mod transactions;

/// The families of node keys with what each is about, in the order in which documentation shows them.
pub const NODE_FAMILIES: [(&str, &[Key]); 11] = [
    ("Process, identity and the nodes' start", roles::ROLES),
    ("The controllers' quorum and its log", quorum::QUORUM),
    ("Listeners, sockets and limits of connections and requests", network::NETWORK),
    ("Topic data on disk: the defaults of topics, and the log directories", log::LOG),
    ("Replicas, their leaders, and who follows them", replication::REPLICATION),
    ("Consumer groups and the topic that holds their offsets", groups::GROUPS),
    ("Share groups, streams groups, and the state they keep", share::SHARE),
    ("Transactions and the topic that holds them", transactions::TRANSACTIONS),
    ("Quotas, metrics and telemetry", quota::QUOTA),
    ("Authentication, encryption and access control", security::SECURITY),
    ("Tiered storage", remote::REMOTE),
];

const NODE_KEYS: usize = {
    let mut count = 0;
    let mut family = 0;
    while family < NODE_FAMILIES.len() {
        count += NODE_FAMILIES[family].1.len();
        family += 1;
    }
    count
};

/// Every node key in the order of names, merged from the sorted families while compiling.
static NODE: [Key; NODE_KEYS] = {
    let mut out = [NODE_FAMILIES[0].1[0]; NODE_KEYS];
    let mut taken = [0; NODE_FAMILIES.len()];
    let mut at = 0;
    while at < NODE_KEYS {
        let mut best = NODE_FAMILIES.len();
        let mut family = 0;
        while family < NODE_FAMILIES.len() {
            let keys = NODE_FAMILIES[family].1;
            if taken[family] < keys.len()
                && (best == NODE_FAMILIES.len()
                    || sorts_before(keys[taken[family]].name, NODE_FAMILIES[best].1[taken[best]].name))
            {
                best = family;
            }
            family += 1;
        }
        out[at] = NODE_FAMILIES[best].1[taken[best]];
        taken[best] += 1;
        at += 1;
    }
    out
};

const fn sorts_before(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut at = 0;
    while at < a.len() && at < b.len() {
        if a[at] != b[at] {
            return a[at] < b[at];
        }
        at += 1;
    }
    a.len() < b.len()
}

/// Every key of a broker or controller, in the order of names. The three throttle rates that can only be set
/// while running are among them ([`is_dynamic_only`]).
#[must_use]
pub fn node_keys() -> &'static [Key] {
    &NODE
}

/// Every key of a topic, in the order of names.
#[must_use]
pub fn topic_keys() -> &'static [Key] {
    topic::TOPIC
}

/// Every key of a group, in the order of names.
#[must_use]
pub fn group_keys() -> &'static [Key] {
    group::GROUP
}

/// Every key of a client metrics subscription, in the order of names.
#[must_use]
pub fn client_metrics_keys() -> &'static [Key] {
    client_metrics::CLIENT_METRICS
}

fn find(keys: &'static [Key], name: &str) -> Option<&'static Key> {
    keys.binary_search_by(|key| key.name.cmp(name)).ok().map(|at| &keys[at])
}

/// The node key of exactly this name.
#[must_use]
pub fn node_key(name: &str) -> Option<&'static Key> {
    find(&NODE, name)
}

/// The topic key of exactly this name.
#[must_use]
pub fn topic_key(name: &str) -> Option<&'static Key> {
    find(topic::TOPIC, name)
}

/// The group key of exactly this name.
#[must_use]
pub fn group_key(name: &str) -> Option<&'static Key> {
    find(group::GROUP, name)
}

/// The client metrics key of exactly this name.
#[must_use]
pub fn client_metrics_key(name: &str) -> Option<&'static Key> {
    find(client_metrics::CLIENT_METRICS, name)
}

/// Keys that Kafka keeps out of `server.properties`: they exist as dynamic configuration only.
#[must_use]
pub fn is_dynamic_only(name: &str) -> bool {
    matches!(
        name,
        "leader.replication.throttled.rate"
            | "follower.replication.throttled.rate"
            | "replica.alter.log.dirs.io.max.bytes.per.second"
    )
}

/// The node key that someone meant who wrote `name`.
#[must_use]
pub fn suggest_node_key(name: &str) -> Option<&'static str> {
    nearest(name, NODE.iter().map(|key| key.name))
}

/// The topic key that someone meant who wrote `name`.
#[must_use]
pub fn suggest_topic_key(name: &str) -> Option<&'static str> {
    nearest(name, topic::TOPIC.iter().map(|key| key.name))
}

/// The base key of `listener.name.<listener>.<key>`, and of `listener.name.<listener>.<mechanism>.<key>` for
/// the keys that differ by SASL mechanism (Kafka's `DynamicBrokerConfig.brokerConfigSynonyms`).
#[must_use]
pub fn listener_base(name: &str) -> Option<&str> {
    const BY_MECHANISM: [&str; 5] = [
        "sasl.jaas.config",
        "sasl.login.callback.handler.class",
        "sasl.login.class",
        "sasl.server.callback.handler.class",
        "connections.max.reauth.ms",
    ];
    let (_, base) = name.strip_prefix("listener.name.")?.split_once('.')?;
    Some(BY_MECHANISM.into_iter().find(|key| base.ends_with(key)).unwrap_or(base))
}

/// Where the value of a broker key may come from, first wins: several keys set the same thing in different
/// units (Kafka's `DynamicBrokerConfig.brokerConfigSynonyms`). `name` itself stands in the list; a listener's
/// own key is followed by its base key if `listeners` is set.
#[must_use]
pub fn node_synonyms(name: &str, listeners: bool) -> Vec<&str> {
    const ROLL: [&str; 2] = ["log.roll.ms", "log.roll.hours"];
    const JITTER: [&str; 2] = ["log.roll.jitter.ms", "log.roll.jitter.hours"];
    const RETENTION: [&str; 3] = ["log.retention.ms", "log.retention.minutes", "log.retention.hours"];
    if ROLL.contains(&name) {
        return ROLL.to_vec();
    }
    if JITTER.contains(&name) {
        return JITTER.to_vec();
    }
    if RETENTION.contains(&name) {
        return RETENTION.to_vec();
    }
    if name == "log.flush.interval.ms" {
        return vec!["log.flush.interval.ms", "log.flush.scheduler.interval.ms"];
    }
    match listener_base(name) {
        Some(base) if listeners => vec![name, base],
        _ => vec![name],
    }
}

/// A node key that supplies a topic's default, and what its number is multiplied by to get the topic's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicSynonym {
    /// The node key.
    pub name: &'static str,
    /// Milliseconds in one unit of it; 1 where the units agree or the value is no number.
    pub scale: i64,
}

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// The node keys that supply the default of a topic key, first wins (Kafka's `ServerTopicConfigSynonyms`).
/// Empty for topic keys that have no counterpart.
#[must_use]
pub fn topic_synonyms(topic_key: &str) -> &'static [TopicSynonym] {
    const fn same(name: &'static str) -> TopicSynonym {
        TopicSynonym { name, scale: 1 }
    }
    const fn in_units(name: &'static str, scale: i64) -> TopicSynonym {
        TopicSynonym { name, scale }
    }
    macro_rules! list {
        ($($item:expr),*) => {{ const LIST: &[TopicSynonym] = &[$($item),*]; LIST }};
    }
    match topic_key {
        "cleanup.policy" => list![same("log.cleanup.policy")],
        "compression.gzip.level" => list![same("compression.gzip.level")],
        "compression.lz4.level" => list![same("compression.lz4.level")],
        "compression.type" => list![same("compression.type")],
        "compression.zstd.level" => list![same("compression.zstd.level")],
        "delete.retention.ms" => list![same("log.cleaner.delete.retention.ms")],
        "file.delete.delay.ms" => list![same("log.segment.delete.delay.ms")],
        "flush.messages" => list![same("log.flush.interval.messages")],
        "flush.ms" => list![same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")],
        "index.interval.bytes" => list![same("log.index.interval.bytes")],
        "local.retention.bytes" => list![same("log.local.retention.bytes")],
        "local.retention.ms" => list![same("log.local.retention.ms")],
        "max.compaction.lag.ms" => list![same("log.cleaner.max.compaction.lag.ms")],
        "max.message.bytes" => list![same("message.max.bytes")],
        "message.timestamp.after.max.ms" => list![same("log.message.timestamp.after.max.ms")],
        "message.timestamp.before.max.ms" => list![same("log.message.timestamp.before.max.ms")],
        "message.timestamp.type" => list![same("log.message.timestamp.type")],
        "min.cleanable.dirty.ratio" => list![same("log.cleaner.min.cleanable.ratio")],
        "min.compaction.lag.ms" => list![same("log.cleaner.min.compaction.lag.ms")],
        "min.insync.replicas" => list![same("min.insync.replicas")],
        "preallocate" => list![same("log.preallocate")],
        "retention.bytes" => list![same("log.retention.bytes")],
        "retention.ms" => list![
            same("log.retention.ms"),
            in_units("log.retention.minutes", MINUTE),
            in_units("log.retention.hours", HOUR)
        ],
        "segment.bytes" => list![same("log.segment.bytes")],
        "segment.index.bytes" => list![same("log.index.size.max.bytes")],
        "segment.jitter.ms" => list![same("log.roll.jitter.ms"), in_units("log.roll.jitter.hours", HOUR)],
        "segment.ms" => list![same("log.roll.ms"), in_units("log.roll.hours", HOUR)],
        "unclean.leader.election.enable" => list![same("unclean.leader.election.enable")],
        _ => &[],
    }
}

/// The node key that supplies the default of a group key, if there is one (Kafka's
/// `GroupConfig.ALL_GROUP_CONFIG_SYNONYMS`).
#[must_use]
pub fn group_synonym(group_key: &str) -> Option<&'static Key> {
    if matches!(
        group_key,
        "share.auto.offset.reset" | "share.isolation.level" | "share.renew.acknowledge.enable"
    ) {
        return None;
    }
    node_key(&format!("group.{group_key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_sorted_and_every_key_is_found() {
        for keys in [node_keys(), topic_keys(), group_keys(), client_metrics_keys()] {
            assert!(keys.is_sorted_by(|a, b| a.name < b.name));
        }
        for (family, keys) in NODE_FAMILIES {
            assert!(keys.is_sorted_by(|a, b| a.name < b.name), "{family}");
            for key in keys {
                assert_eq!(node_key(key.name).map(|found| found.doc), Some(key.doc));
            }
        }
        assert_eq!(node_keys().len(), 367);
        assert!(node_key("nothing").is_none());
    }

    #[test]
    fn every_default_passes_its_own_check() {
        for keys in [node_keys(), topic_keys(), group_keys(), client_metrics_keys()] {
            for key in keys {
                let Some(text) = key.default_text() else { continue };
                let value = key.parse(text).unwrap_or_else(|error| panic!("{}: {error}", key.name));
                assert_eq!(value.to_java(), text, "{} prints its default as Kafka does", key.name);
            }
        }
    }

    #[test]
    fn every_key_is_explained_in_one_line() {
        for keys in [node_keys(), topic_keys(), group_keys(), client_metrics_keys()] {
            for key in keys {
                assert!(
                    key.doc.len() > 10 && key.doc.ends_with('.') && !key.doc.contains('\n'),
                    "{}",
                    key.name
                );
            }
        }
    }

    #[test]
    fn synonyms_name_keys_that_exist() {
        for key in topic_keys() {
            for synonym in topic_synonyms(key.name) {
                assert!(node_key(synonym.name).is_some(), "{} -> {}", key.name, synonym.name);
            }
        }
        assert_eq!(
            group_synonym("consumer.session.timeout.ms").unwrap().name,
            "group.consumer.session.timeout.ms"
        );
        assert_eq!(group_keys().iter().filter(|key| group_synonym(key.name).is_some()).count(), 14);
        assert_eq!(
            node_synonyms("log.retention.hours", true),
            ["log.retention.ms", "log.retention.minutes", "log.retention.hours"]
        );
    }

    #[test]
    fn listener_keys_have_a_base() {
        assert_eq!(
            listener_base("listener.name.client.ssl.keystore.location"),
            Some("ssl.keystore.location")
        );
        assert_eq!(listener_base("listener.name.a.scram-sha-256.sasl.jaas.config"), Some("sasl.jaas.config"));
        assert_eq!(listener_base("listeners"), None);
    }
}
