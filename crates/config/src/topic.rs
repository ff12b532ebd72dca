//! The configuration of one topic: typed, with the node's defaults under the topic's own values, and the rules
//! that CreateTopics and AlterConfigs check.

use std::collections::BTreeMap;

use crate::keys::{suggest_topic_key, topic_key, topic_keys, topic_synonyms};
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::value::{Value, ValueError};

/// Values that were set for one resource, by key.
pub type Overrides = BTreeMap<String, String>;

/// What becomes of old segments. Neither means they are kept for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cleanup {
    /// Older records of a key are dropped.
    pub compact: bool,
    /// Segments past their retention are deleted.
    pub delete: bool,
}

/// How batches are compressed on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As the producer sent them.
    Producer,
    /// Not at all.
    Uncompressed,
    /// gzip with this level, -1 being its default.
    Gzip(i32),
    /// snappy.
    Snappy,
    /// lz4 with this level.
    Lz4(i32),
    /// zstd with this level.
    Zstd(i32),
}

/// Whose clock stamps records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's, when it appends.
    LogAppendTime,
}

/// The typed configuration of a topic. Times are milliseconds.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a key of its own")]
pub struct TopicConfig {
    /// `segment.bytes`, or `internal.segment.bytes` where that is set.
    pub segment_bytes: i32,
    /// `segment.ms`
    pub segment_ms: i64,
    /// `segment.jitter.ms`
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`
    pub segment_index_bytes: i32,
    /// `index.interval.bytes`
    pub index_interval_bytes: i32,
    /// `flush.messages`
    pub flush_messages: i64,
    /// `flush.ms`
    pub flush_ms: i64,
    /// `retention.bytes`; negative is no limit.
    pub retention_bytes: i64,
    /// `retention.ms`; -1 is no limit.
    pub retention_ms: i64,
    /// `file.delete.delay.ms`
    pub file_delete_delay_ms: i64,
    /// `max.message.bytes`
    pub max_message_bytes: i32,
    /// `cleanup.policy`
    pub cleanup: Cleanup,
    /// `delete.retention.ms`
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`
    pub max_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`
    pub min_cleanable_dirty_ratio: f64,
    /// `unclean.leader.election.enable`
    pub unclean_leader_election: bool,
    /// `min.insync.replicas`
    pub min_insync_replicas: i32,
    /// `compression.type` with the level of that codec.
    pub compression: Compression,
    /// `preallocate`
    pub preallocate: bool,
    /// `message.timestamp.type`
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`
    pub timestamp_after_max_ms: i64,
    /// `leader.replication.throttled.replicas`
    pub leader_throttled: Vec<String>,
    /// `follower.replication.throttled.replicas`
    pub follower_throttled: Vec<String>,
    /// `remote.storage.enable`
    pub remote_storage: bool,
    /// `remote.log.copy.disable`
    pub remote_copy_disabled: bool,
    /// `remote.log.delete.on.disable`
    pub remote_delete_on_disable: bool,
    /// `local.retention.ms`; -2 follows `retention_ms`.
    pub local_retention_ms: i64,
    /// `local.retention.bytes`; -2 follows `retention_bytes`.
    pub local_retention_bytes: i64,
}

impl Default for TopicConfig {
    /// Kafka's defaults, as on a node whose file sets nothing about logs.
    fn default() -> Self {
        Self::of_node(&Settings::default())
    }
}

impl TopicConfig {
    /// The configuration of a topic that sets nothing itself on a node with these settings, which were checked.
    #[must_use]
    pub fn of_node(settings: &Settings) -> Self {
        Self::read(&|key| default_value(settings, key))
    }

    /// The configuration of a topic with these values of its own on such a node. Unknown keys are left out, as
    /// records of a newer version may hold them.
    ///
    /// # Errors
    /// A value its key refuses.
    pub fn of_topic(settings: &Settings, overrides: &Overrides) -> Result<Self, ValueError> {
        let mut own: BTreeMap<&str, Value> = BTreeMap::new();
        for (name, text) in overrides {
            if let Some(key) = topic_key(name) {
                own.insert(key.name, key.parse(text)?);
            }
        }
        Ok(Self::read(&|key| own.get(key).cloned().or_else(|| default_value(settings, key))))
    }

    fn read(value: &dyn Fn(&str) -> Option<Value>) -> Self {
        let read = Reader(value);
        Self {
            segment_bytes: read.int_or("internal.segment.bytes").unwrap_or_else(|| read.int("segment.bytes")),
            segment_ms: read.long("segment.ms"),
            segment_jitter_ms: read.long("segment.jitter.ms"),
            segment_index_bytes: read.int("segment.index.bytes"),
            index_interval_bytes: read.int("index.interval.bytes"),
            flush_messages: read.long("flush.messages"),
            flush_ms: read.long("flush.ms"),
            retention_bytes: read.long("retention.bytes"),
            retention_ms: read.long("retention.ms"),
            file_delete_delay_ms: read.long("file.delete.delay.ms"),
            max_message_bytes: read.int("max.message.bytes"),
            cleanup: {
                let policy = read.list("cleanup.policy");
                let has = |word: &str| policy.iter().any(|entry| entry == word);
                Cleanup { compact: has("compact"), delete: has("delete") }
            },
            delete_retention_ms: read.long("delete.retention.ms"),
            min_compaction_lag_ms: read.long("min.compaction.lag.ms"),
            max_compaction_lag_ms: read.long("max.compaction.lag.ms"),
            min_cleanable_dirty_ratio: read.double("min.cleanable.dirty.ratio"),
            unclean_leader_election: read.boolean("unclean.leader.election.enable"),
            min_insync_replicas: read.int("min.insync.replicas"),
            compression: match read.text("compression.type").as_str() {
                "producer" => Compression::Producer,
                "uncompressed" => Compression::Uncompressed,
                "gzip" => Compression::Gzip(read.int("compression.gzip.level")),
                "snappy" => Compression::Snappy,
                "lz4" => Compression::Lz4(read.int("compression.lz4.level")),
                "zstd" => Compression::Zstd(read.int("compression.zstd.level")),
                other => panic!("CONFIG-7: the check of compression.type let {other} through"),
            },
            preallocate: read.boolean("preallocate"),
            timestamp_type: if read.text("message.timestamp.type") == "LogAppendTime" {
                TimestampType::LogAppendTime
            } else {
                TimestampType::CreateTime
            },
            timestamp_before_max_ms: read.long("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: read.long("message.timestamp.after.max.ms"),
            leader_throttled: read.list("leader.replication.throttled.replicas"),
            follower_throttled: read.list("follower.replication.throttled.replicas"),
            remote_storage: read.boolean("remote.storage.enable"),
            remote_copy_disabled: read.boolean("remote.log.copy.disable"),
            remote_delete_on_disable: read.boolean("remote.log.delete.on.disable"),
            local_retention_ms: read.long("local.retention.ms"),
            local_retention_bytes: read.long("local.retention.bytes"),
        }
    }

    /// The age at which a segment is closed: compaction must be able to reach its records in time.
    #[must_use]
    pub fn max_segment_ms(&self) -> i64 {
        if self.cleanup.compact && self.max_compaction_lag_ms > 0 {
            self.segment_ms.min(self.max_compaction_lag_ms)
        } else {
            self.segment_ms
        }
    }

    /// The rules that hold between keys.
    ///
    /// # Errors
    /// Kafka's message.
    pub(crate) fn consistent(&self) -> Result<(), Refusal> {
        let (min, max) = (self.min_compaction_lag_ms, self.max_compaction_lag_ms);
        if min > max {
            return Err(Refusal::config(format!(
                "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
            )));
        }
        Ok(())
    }

    /// The retention rules of a topic, or of a node's defaults, with remote storage. `local` and `total` name
    /// the keys, since a node's have other names than a topic's.
    pub(crate) fn remote_retention(&self, ms: [&str; 2], bytes: [&str; 2]) -> Result<(), Refusal> {
        for ([local_key, total_key], local, total, unlimited) in [
            (bytes, self.local_retention_bytes, self.retention_bytes, self.retention_bytes <= -1),
            (ms, self.local_retention_ms, self.retention_ms, self.retention_ms == -1),
        ] {
            if unlimited || local == -2 {
                continue;
            }
            let why = if local == -1 {
                format!("Value must not be -1 as {total_key} value is set as {total}.")
            } else if local > total {
                format!("Value must not be more than {total_key} property value: {total}")
            } else {
                continue;
            };
            return Err(Refusal::config(format!(
                "Invalid value {local} for configuration {local_key}: {why}"
            )));
        }
        Ok(())
    }
}

/// The default of a topic key on a node: the first of the node's keys that is set counts, in the topic's unit.
/// `None` where there is no default.
#[must_use]
pub fn default_value(settings: &Settings, topic_key_name: &str) -> Option<Value> {
    let synonyms = topic_synonyms(topic_key_name);
    let set = synonyms.iter().find(|synonym| settings.is_set(synonym.name));
    // Of several units, the last one is the key that has a default.
    let Some(synonym) = set.or(synonyms.last()) else {
        let key =
            topic_key(topic_key_name).unwrap_or_else(|| panic!("CONFIG-8: no topic key {topic_key_name}"));
        return key.default_value();
    };
    let value = settings.value(synonym.name);
    let value =
        value.unwrap_or_else(|error| panic!("CONFIG-4: a node value was not checked before: {error}"));
    let scaled = match value {
        Some(Value::Integer(number)) => Some(Value::Integer(number.saturating_mul(synonym.scale))),
        other => other,
    };
    match scaled {
        // Any negative retention of a node means no limit.
        Some(Value::Integer(number)) if topic_key_name == "retention.ms" && number < 0 => {
            Some(Value::Integer(-1))
        }
        other => other,
    }
}

/// Checks the values a topic shall have, all of them, against the keys and against each other, as
/// CreateTopics, AlterConfigs and IncrementalAlterConfigs do (Kafka's `LogConfig.validate`). `before` is what
/// the topic has now. Gives back the configuration the topic will have.
///
/// # Errors
/// The first thing that is wrong, in Kafka's words.
pub fn validate_topic(
    settings: &Settings,
    before: &Overrides,
    after: &Overrides,
) -> Result<TopicConfig, Refusal> {
    for name in after.keys() {
        if topic_key(name).is_none() {
            let hint =
                suggest_topic_key(name).map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
            return Err(Refusal::config(format!("Unknown topic config name: {name}{hint}")));
        }
    }
    let config =
        TopicConfig::of_topic(settings, after).map_err(|error| Refusal::config(error.to_string()))?;
    config.consistent()?;
    if config.remote_storage {
        if !settings.boolean("remote.log.storage.system.enable") {
            return Err(Refusal::config(
                "Tiered Storage functionality is disabled in the broker. \
                 Topic cannot be configured with remote log storage.",
            ));
        }
        if config.cleanup.compact {
            return Err(Refusal::config(
                "Remote log storage only supports topics with cleanup.policy=delete or cleanup.policy being an \
                 empty list.",
            ));
        }
        config.remote_retention(
            ["local.retention.ms", "retention.ms"],
            ["local.retention.bytes", "retention.bytes"],
        )?;
        if config.remote_copy_disabled {
            for (unit, local, total) in [
                ("bytes", config.local_retention_bytes, config.retention_bytes),
                ("ms", config.local_retention_ms, config.retention_ms),
            ] {
                if local != -2 && local != total {
                    return Err(Refusal::config(format!(
                        "When `remote.log.copy.disable` is set to true, the `local.retention.{unit}` and \
                         `retention.{unit}` must be set to the identical value because there will be no more \
                         logs copied to the remote storage."
                    )));
                }
            }
        }
    } else {
        let was_remote =
            before.get("remote.storage.enable").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        if was_remote && !config.remote_delete_on_disable {
            return Err(Refusal::config(
                "It is invalid to disable remote storage without deleting remote data. If you want to keep the \
                 remote data and turn to read only, please set \
                 `remote.storage.enable=true,remote.log.copy.disable=true`. If you want to disable remote \
                 storage and delete all remote data, please set \
                 `remote.storage.enable=false,remote.log.delete.on.disable=true`.",
            ));
        }
    }
    Ok(config)
}

/// The typed default of every topic key on a node, by name; keys without a default are left out.
#[must_use]
pub fn topic_defaults(settings: &Settings) -> BTreeMap<&'static str, Value> {
    topic_keys()
        .iter()
        .filter_map(|key| default_value(settings, key.name).map(|value| (key.name, value)))
        .collect()
}

struct Reader<'a>(&'a dyn Fn(&str) -> Option<Value>);

impl Reader<'_> {
    fn int_or(&self, key: &str) -> Option<i32> {
        let value = (self.0)(key)?;
        let Value::Integer(number) = value else { panic!("CONFIG-5: {key} is no number") };
        Some(i32::try_from(number).unwrap_or_else(|_| panic!("CONFIG-5: {key} is no int")))
    }

    fn int(&self, key: &str) -> i32 {
        self.int_or(key).unwrap_or_else(|| panic!("CONFIG-6: {key} has no default"))
    }

    fn long(&self, key: &str) -> i64 {
        match (self.0)(key) {
            Some(Value::Integer(number)) => number,
            other => panic!("CONFIG-5: {key} is read as a long, but it is {other:?}"),
        }
    }

    fn double(&self, key: &str) -> f64 {
        match (self.0)(key) {
            Some(Value::Double(number)) => number,
            other => panic!("CONFIG-5: {key} is read as a double, but it is {other:?}"),
        }
    }

    fn boolean(&self, key: &str) -> bool {
        match (self.0)(key) {
            Some(Value::Boolean(value)) => value,
            other => panic!("CONFIG-5: {key} is read as a boolean, but it is {other:?}"),
        }
    }

    fn text(&self, key: &str) -> String {
        match (self.0)(key) {
            Some(Value::Text(text)) => text,
            other => panic!("CONFIG-5: {key} is read as a text, but it is {other:?}"),
        }
    }

    fn list(&self, key: &str) -> Vec<String> {
        match (self.0)(key) {
            Some(Value::List(entries)) => entries,
            other => panic!("CONFIG-5: {key} is read as a list, but it is {other:?}"),
        }
    }
}
