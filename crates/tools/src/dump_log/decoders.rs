//! What keys and values say: text, numbers, or the records of an internal topic or of the metadata log.

use ottla_records::Record;

use super::thrown;
use crate::args::jopt::Found;
use crate::record_json::{self, CoordinatorError, Family, Json};
use crate::runtime::Stop;

/// How bytes become text where no internal topic is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plain {
    /// UTF-8; what is none is replaced, as Java does.
    Text,
    /// The bytes as they are. Kafka prints the Java array's identity here, which says nothing.
    Bytes,
    Integer,
    Long,
}

impl Plain {
    /// Kafka's decoders by their classes' names, of today and of before 4.0.
    fn named(class: &str) -> Option<Plain> {
        let name = class
            .strip_prefix("org.apache.kafka.tools.api.")
            .or_else(|| class.strip_prefix("kafka.serializer."));
        Some(match name? {
            "StringDecoder" => Plain::Text,
            "DefaultDecoder" => Plain::Bytes,
            "IntegerDecoder" => Plain::Integer,
            "LongDecoder" => Plain::Long,
            _ => return None,
        })
    }

    fn show(self, bytes: &[u8]) -> Result<Vec<u8>, Stop> {
        let short =
            || thrown("java.nio.BufferUnderflowException", "the decoder wants more bytes than there are");
        Ok(match self {
            Plain::Text => String::from_utf8_lossy(bytes).into_owned().into_bytes(),
            Plain::Bytes => bytes.to_vec(),
            Plain::Integer => {
                i32::from_be_bytes(*bytes.first_chunk().ok_or_else(short)?).to_string().into_bytes()
            }
            Plain::Long => {
                i64::from_be_bytes(*bytes.first_chunk().ok_or_else(short)?).to_string().into_bytes()
            }
        })
    }
}

/// How the records of the file are shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoders {
    Plain(PlainDecoders),
    Coordinator(Family),
    Metadata,
    /// Records of the topic of tiered storage, which this release has no schema of.
    Remote,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct PlainDecoders {
    key: Plain,
    value: Plain,
}

/// A key and a value as they are printed.
type Shown = (Option<Vec<u8>>, Option<Vec<u8>>);

impl Decoders {
    pub(super) fn of(found: &Found) -> Result<Decoders, Stop> {
        Ok(if found.has("offsets-decoder") {
            Decoders::Coordinator(Family::Group)
        } else if found.has("transaction-log-decoder") {
            Decoders::Coordinator(Family::Transaction)
        } else if found.has("cluster-metadata-decoder") {
            Decoders::Metadata
        } else if found.has("remote-log-metadata-decoder") {
            Decoders::Remote
        } else if found.has("share-group-state-decoder") {
            Decoders::Coordinator(Family::Share)
        } else {
            let plain = |name: &str| {
                let class = found.value(name).unwrap_or(super::STRING_DECODER);
                Plain::named(class).ok_or_else(|| {
                    thrown("java.lang.RuntimeException", "Failed to load decoder class").and_err(format!(
                        "    cause: there is no decoder {class} here, and no Java class can be loaded\n    next: use \
                         StringDecoder, IntegerDecoder, LongDecoder or DefaultDecoder of org.apache.kafka.tools.api"
                    ))
                })
            };
            Decoders::Plain(PlainDecoders {
                key: plain("key-decoder-class")?,
                value: plain("value-decoder-class")?,
            })
        })
    }

    pub(super) fn show(&self, record: &Record<'_>) -> Result<Shown, Stop> {
        let text = |text: String| Some(text.into_bytes());
        Ok(match self {
            Decoders::Plain(plain) => (
                record.key.map(|key| plain.key.show(key)).transpose()?,
                record.value.map(|value| plain.value.show(value)).transpose()?,
            ),
            Decoders::Metadata => {
                let shown = record_json::metadata(record.value.unwrap_or_default()).map_or_else(
                    |why| format!("Error at {}, skipping. {why}", record.offset),
                    |j| j.to_string(),
                );
                (None, text(shown))
            }
            Decoders::Remote => (
                None,
                text(format!(
                    "Error at offset {}, skipping. Records of tiered storage are not read by this release",
                    record.offset
                )),
            ),
            Decoders::Coordinator(family) => {
                let Some(key) = record.key else {
                    return Err(thrown(
                        "java.lang.RuntimeException",
                        format!(
                            "Failed to decode message at offset {} using the specified decoder (message had a \
                             missing key)",
                            record.offset
                        ),
                    ));
                };
                coordinated(*family, key, record)
            }
        })
    }
}

fn coordinated(family: Family, key: &[u8], record: &Record<'_>) -> Shown {
    let text = |text: String| Some(text.into_bytes());
    match record_json::coordinator(family, key, record.value) {
        Ok(found) => {
            let key =
                Json::object([("type", Json::text(found.record_type.to_string())), ("data", found.key)]);
            let value = match found.value {
                None => "<DELETE>".to_owned(),
                Some((version, mut data)) => {
                    if family == Family::Group && found.record_type == record_json::GROUP_METADATA {
                        record_json::open_group_metadata(&mut data);
                    }
                    Json::object([("version", Json::text(version.to_string())), ("data", data)]).to_string()
                }
            };
            (text(key.to_string()), text(value))
        }
        Err(CoordinatorError::UnknownType(kind)) => {
            (text(format!("Unknown record type {kind} at offset {}, skipping.", record.offset)), None)
        }
        Err(CoordinatorError::Broken(why)) => {
            (text(format!("Error at offset {}, skipping. {why}", record.offset)), None)
        }
    }
}
