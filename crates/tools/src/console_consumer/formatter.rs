//! Records as lines: Kafka's formatters, by the names of their classes.

use ottla_client::ConsumerRecord;
use ottla_records::TimestampType;

use super::deserializer::Deserializer;
use crate::record_json::{self, CoordinatorError, Family, Json};
use crate::runtime;

/// How records are printed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Formatter {
    /// Fields with separators.
    Default(Box<Fields>),
    /// The same, and a line of the log beside each.
    Logging(Box<Fields>),
    /// Nothing.
    NoOp,
    /// JSON of an internal topic's records of some types; of every type if none is named.
    Coordinator(Family, &'static [i16]),
}

/// Types of `__consumer_offsets`: committed offsets, and what share groups keep there.
const OFFSETS: &[i16] = &[0, 1];
const SHARE_GROUPS: &[i16] = &[10, 11, 12, 13, 14, 15];

impl Formatter {
    /// The formatters there are, in the order in which people look for them.
    pub(super) const NAMES: [&str; 8] = [
        "DefaultMessageFormatter",
        "LoggingMessageFormatter",
        "NoOpMessageFormatter",
        "OffsetsMessageFormatter",
        "GroupMetadataMessageFormatter",
        "TransactionLogMessageFormatter",
        "ShareGroupMessageFormatter",
        "ShareGroupStateMessageFormatter",
    ];

    /// The formatter of this Java class, of today or of before 4.0.
    pub(super) fn new(class: &str, properties: &[(String, String)]) -> Option<Formatter> {
        let name = [
            "org.apache.kafka.tools.consumer.group.share.",
            "org.apache.kafka.tools.consumer.",
            "kafka.tools.",
            "kafka.coordinator.group.GroupMetadataManager$",
            "kafka.coordinator.transaction.TransactionLog$",
        ]
        .iter()
        .find_map(|package| class.strip_prefix(package))
        .unwrap_or(class);
        let fields = || Box::new(Fields::new(properties));
        Some(match name {
            "DefaultMessageFormatter" => Formatter::Default(fields()),
            "LoggingMessageFormatter" => Formatter::Logging(fields()),
            "NoOpMessageFormatter" => Formatter::NoOp,
            "OffsetsMessageFormatter" => Formatter::Coordinator(Family::Group, OFFSETS),
            "GroupMetadataMessageFormatter" => {
                Formatter::Coordinator(Family::Group, &[record_json::GROUP_METADATA])
            }
            "TransactionLogMessageFormatter" => Formatter::Coordinator(Family::Transaction, &[]),
            "ShareGroupMessageFormatter" => Formatter::Coordinator(Family::Group, SHARE_GROUPS),
            "ShareGroupStateMessageFormatter" => Formatter::Coordinator(Family::Share, &[]),
            _ => return None,
        })
    }

    /// Appends what is printed for the record; the error is Kafka's sentence.
    pub(super) fn show(&self, record: &ConsumerRecord<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Formatter::Default(fields) => fields.show(record, out),
            Formatter::Logging(fields) => {
                fields.show(record, out)?;
                runtime::log(
                    "INFO",
                    &log_line(record),
                    "org.apache.kafka.tools.consumer.LoggingMessageFormatter",
                );
                Ok(())
            }
            Formatter::NoOp => Ok(()),
            Formatter::Coordinator(family, types) => coordinator(*family, types, record, out),
        }
    }
}

fn timestamp_type(record: &ConsumerRecord<'_>) -> &'static str {
    match record.timestamp_type {
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

fn log_line(record: &ConsumerRecord<'_>) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let key = record.record.key.map_or("null ".to_owned(), |key| text(key) + ", ");
    let value = record.record.value.map_or("null".to_owned(), text);
    format!("{}:{}, key:{key}value:{value}", timestamp_type(record), record.record.timestamp)
}

fn coordinator(
    family: Family,
    types: &[i16],
    record: &ConsumerRecord<'_>,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    let Some(key) = record.record.key else { return Ok(()) };
    let found = match record_json::coordinator(family, key, record.record.value) {
        Ok(found) => found,
        Err(CoordinatorError::UnknownType(_)) => return Ok(()),
        Err(CoordinatorError::Broken(why)) => {
            return Err(format!("Could not read record at offset {} due to: {why}", record.record.offset));
        }
    };
    if !types.is_empty() && !types.contains(&found.record_type) {
        return Ok(());
    }
    let value = found.value.map_or(Json::Null, |(version, data)| {
        Json::object([("version", Json::Int(version.into())), ("data", data)])
    });
    let key = Json::object([("type", Json::Int(found.record_type.into())), ("data", found.key)]);
    out.extend_from_slice(Json::object([("key", key), ("value", value)]).to_string().as_bytes());
    Ok(())
}

/// The fields that are printed, and what stands between them (Kafka's `DefaultMessageFormatter`).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fields {
    timestamp: bool,
    key: bool,
    value: bool,
    partition: bool,
    offset: bool,
    delivery: bool,
    epoch: bool,
    headers: bool,
    key_separator: Vec<u8>,
    line_separator: Vec<u8>,
    headers_separator: Vec<u8>,
    null: Vec<u8>,
    key_deserializer: Option<Deserializer>,
    value_deserializer: Option<Deserializer>,
    headers_deserializer: Option<Deserializer>,
}

impl Fields {
    pub(super) fn new(properties: &[(String, String)]) -> Fields {
        let get = |name: &str| properties.iter().rev().find(|(key, _)| key == name).map(|(_, v)| v.as_str());
        let truth = |name: &str, default: bool| {
            get(name).map_or(default, |value| value.trim().eq_ignore_ascii_case("true"))
        };
        let bytes = |name: &str, default: &str| get(name).unwrap_or(default).as_bytes().to_vec();
        let deserializer = |name: &str| {
            let class = get(name)?;
            let found = Deserializer::named(class);
            if found.is_none() {
                runtime::log(
                    "ERROR",
                    &format!(
                        "Unable to instantiate a deserializer from {class}: no Java class can be loaded here"
                    ),
                    "org.apache.kafka.tools.consumer.DefaultMessageFormatter",
                );
            }
            found
        };
        Fields {
            timestamp: truth("print.timestamp", false),
            key: truth("print.key", false),
            value: truth("print.value", true),
            partition: truth("print.partition", false),
            offset: truth("print.offset", false),
            delivery: truth("print.delivery", false),
            epoch: truth("print.epoch", false),
            headers: truth("print.headers", false),
            key_separator: bytes("key.separator", "\t"),
            line_separator: bytes("line.separator", "\n"),
            headers_separator: bytes("headers.separator", ","),
            null: bytes("null.literal", "null"),
            key_deserializer: deserializer("key.deserializer"),
            value_deserializer: deserializer("value.deserializer"),
            headers_deserializer: deserializer("headers.deserializer"),
        }
    }

    fn show(&self, r: &ConsumerRecord<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        let record = &r.record;
        // Each field in its order: whether it is wanted. What stands behind a field depends on those that follow.
        let wanted = [
            self.timestamp,
            self.partition,
            self.offset,
            self.delivery,
            self.epoch,
            self.headers,
            self.key,
            self.value,
        ];
        for (i, _) in wanted.iter().enumerate().filter(|(_, wanted)| **wanted) {
            match i {
                0 => push(out, format_args!("{}:{}", timestamp_type(r), record.timestamp)),
                1 => push(out, format_args!("Partition:{}", r.partition)),
                2 => push(out, format_args!("Offset:{}", record.offset)),
                3 => out.extend_from_slice(b"Delivery:NOT_PRESENT"),
                // The tool hands its records on without the epoch; so does Kafka's.
                4 => out.extend_from_slice(b"Epoch:NOT_PRESENT"),
                5 if record.headers.is_empty() => out.extend_from_slice(b"NO_HEADERS"),
                5 => {
                    for (n, header) in record.headers.iter().enumerate() {
                        if n > 0 {
                            out.extend_from_slice(&self.headers_separator);
                        }
                        out.extend_from_slice(header.key);
                        out.push(b':');
                        self.bytes(header.value, self.headers_deserializer, out)?;
                    }
                }
                6 => self.bytes(record.key, self.key_deserializer, out)?,
                _ => self.bytes(record.value, self.value_deserializer, out)?,
            }
            let more = wanted[i + 1..].contains(&true);
            out.extend_from_slice(if more { &self.key_separator } else { &self.line_separator });
        }
        Ok(())
    }

    fn bytes(
        &self,
        bytes: Option<&[u8]>,
        deserializer: Option<Deserializer>,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let bytes = bytes.unwrap_or(&self.null);
        match deserializer {
            Some(deserializer) => deserializer.show(bytes, out),
            None => {
                out.extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    out.write_fmt(text).expect("T-9: memory takes every write");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ottla_records::builder::{BatchBuilder, NewRecord};
    use ottla_records::{Batch, Header};

    use super::*;

    fn show(class: &str, properties: &[(&str, &str)], new: NewRecord<'_>) -> Result<String, String> {
        let properties: Vec<_> = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let formatter = Formatter::new(class, &properties).expect("a formatter");
        let mut builder = BatchBuilder::new(42);
        builder.append(&new);
        let bytes = builder.build();
        let batch = Batch::parse(&bytes).unwrap();
        let record = batch.plain_records().unwrap().next().unwrap().unwrap();
        let topic: Arc<str> = "t".into();
        let record = ConsumerRecord {
            topic: &topic,
            partition: 3,
            leader_epoch: 7,
            timestamp_type: TimestampType::CreateTime,
            record,
        };
        let mut out = Vec::new();
        formatter.show(&record, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    const DEFAULT: &str = "kafka.tools.DefaultMessageFormatter";

    #[test]
    fn every_field_in_its_place() {
        let headers = [Header { key: b"h", value: Some(b"1") }, Header { key: b"i", value: None }];
        let record = NewRecord { timestamp: 9, key: Some(b"k"), value: Some(b"v"), headers: &headers };
        assert_eq!(show(DEFAULT, &[], record).unwrap(), "v\n");
        let all: Vec<(&str, &str)> =
            ["timestamp", "partition", "offset", "delivery", "epoch", "headers", "key"]
                .iter()
                .map(|name| (&*String::leak(format!("print.{name}")), "true"))
                .collect();
        assert_eq!(
            show(DEFAULT, &all, record).unwrap(),
            "CreateTime:9\tPartition:3\tOffset:42\tDelivery:NOT_PRESENT\tEpoch:NOT_PRESENT\th:1,i:null\tk\tv\n"
        );
        let some = [("print.key", " True"), ("print.value", "no"), ("line.separator", "|")];
        assert_eq!(show(DEFAULT, &some, record).unwrap(), "k|");
        let bare = NewRecord::new(9, None, None);
        let some = [
            ("print.key", "true"),
            ("print.headers", "true"),
            ("key.separator", "="),
            ("null.literal", "NIL"),
        ];
        assert_eq!(show(DEFAULT, &some, bare).unwrap(), "NO_HEADERS=NIL=NIL\n");
    }

    #[test]
    fn deserializers_are_asked_by_field() {
        let record = NewRecord::new(0, Some(&[0, 0, 0, 5]), Some(b"text"));
        let key = ("key.deserializer", "org.apache.kafka.common.serialization.IntegerDeserializer");
        assert_eq!(show(DEFAULT, &[key, ("print.key", "true")], record).unwrap(), "5\ttext\n");
        let value = ("value.deserializer", "org.apache.kafka.common.serialization.LongDeserializer");
        assert_eq!(
            show(DEFAULT, &[value], record).unwrap_err(),
            "Size of data received by LongDeserializer is not 8"
        );
    }

    #[test]
    fn internal_topics_are_json_without_line_feeds() {
        let key = [0, 2, 0, 1, b'g'];
        let class = "org.apache.kafka.tools.consumer.GroupMetadataMessageFormatter";
        assert_eq!(
            show(class, &[], NewRecord::new(0, Some(&key), None)).unwrap(),
            r#"{"key":{"type":2,"data":{"group":"g"}},"value":null}"#
        );
        let offsets = "org.apache.kafka.tools.consumer.OffsetsMessageFormatter";
        assert_eq!(show(offsets, &[], NewRecord::new(0, Some(&key), None)).unwrap(), "");
        assert_eq!(show(offsets, &[], NewRecord::new(0, None, None)).unwrap(), "");
        assert_eq!(
            show(class, &[], NewRecord::new(0, Some(&[0]), None)).unwrap_err(),
            "Could not read record at offset 42 due to: Could not read version from key's buffer."
        );
        assert!(Formatter::new("org.apache.kafka.tools.consumer.NoOpMessageFormatter", &[]).is_some());
        assert!(Formatter::new("my.Formatter", &[]).is_none());
    }
}
