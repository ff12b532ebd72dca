//! The options of `kafka-console-producer`, and the properties they make.

use ottla_client::Properties;

use crate::args::jopt::{self, Found, Kind, Parser};
use crate::runtime::{self, Out, Stop};

/// The one class that reads lines.
const LINE_READER: &str = "org.apache.kafka.tools.LineMessageReader";

fn parser() -> Parser {
    let mut p = Parser::new();
    p.takes("topic", "REQUIRED: The topic name to produce messages to.", "topic", Kind::Text);
    p.takes(
        "bootstrap-server",
        "REQUIRED: The server(s) to connect to. The broker list string in the form \
         HOST1:PORT1,HOST2:PORT2.",
        "server to connect to",
        Kind::Text,
    );
    p.flag(
        "sync",
        "If set message send requests to the brokers are synchronously, one at a time as they \
         arrive.",
    );
    p.may_take(
        "compression-codec",
        "The compression codec: either 'none', 'gzip', 'snappy', 'lz4', or 'zstd'.If specified \
         without value, then it defaults to 'gzip'",
        "compression-codec",
        Kind::Text,
    );
    p.takes(
        "batch-size",
        "The buffer size in bytes allocated for a partition. When records are received which are \
         smaller than this size the producer will attempt to optimistically group them together \
         until this size is reached. This is the option to control batch.size in producer \
         configs. Please note that this option will be replaced if max-partition-memory-bytes is \
         also set.",
        "size",
        Kind::Integer,
    )
    .default("16384");
    p.takes(
        "message-send-max-retries",
        "Brokers can fail receiving the message for multiple reasons, and being unavailable \
         transiently is just one of them. This property specifies the number of retries before \
         the producer give up and drop this message. This is the option to control `retries` in \
         producer configs.",
        "",
        Kind::Integer,
    )
    .default("3");
    p.takes(
        "retry-backoff-ms",
        "Before each retry, the producer refreshes the metadata of relevant topics. Since leader \
         election takes a bit of time, this property specifies the amount of time that the \
         producer waits before refreshing the metadata. This is the option to control \
         `retry.backoff.ms` in producer configs.",
        "",
        Kind::Long,
    )
    .default("100");
    p.takes(
        "timeout",
        "If set and the producer is running in asynchronous mode, this gives the maximum amount \
         of time a message will queue awaiting sufficient batch size. The value is given in ms. \
         This is the option to control `linger.ms` in producer configs.",
        "timeout_ms",
        Kind::Long,
    )
    .default("1000");
    p.takes(
        "request-required-acks",
        "The required `acks` of the producer requests",
        "request required acks",
        Kind::Text,
    )
    .default("-1");
    p.takes(
        "request-timeout-ms",
        "The ack timeout of the producer requests. Value must be non-negative and non-zero.",
        "request timeout ms",
        Kind::Integer,
    )
    .default("1500");
    p.takes(
        "metadata-expiry-ms",
        "The period of time in milliseconds after which we force a refresh of metadata even if we \
         haven't seen any leadership changes. This is the option to control \
         `metadata.max.age.ms` in producer configs.",
        "metadata expiration interval",
        Kind::Long,
    )
    .default("300000");
    p.takes(
        "max-block-ms",
        "The max time that the producer will block for during a send request.",
        "max block on send",
        Kind::Long,
    )
    .default("60000");
    p.takes(
        "max-memory-bytes",
        "The total memory used by the producer to buffer records waiting to be sent to the \
         server. This is the option to control `buffer.memory` in producer configs.",
        "total memory in bytes",
        Kind::Long,
    )
    .default("33554432");
    p.takes(
        "max-partition-memory-bytes",
        "(Deprecated) The buffer size in bytes allocated for a partition. When records are \
         received which are smaller than this size the producer will attempt to optimistically \
         group them together until this size is reached. This is the option to control batch.size \
         in producer configs. This option will be removed in Apache Kafka 5.0. Use --batch-size \
         instead.",
        "memory in bytes per partition",
        Kind::Integer,
    )
    .default("16384");
    p.takes(
        "line-reader",
        "The class name of the class to use for reading lines from standard in. By default each \
         line is read as a separate message.",
        "reader_class",
        Kind::Text,
    )
    .default("org.apache.kafka.tools.LineMessageReader");
    p.takes(
        "socket-buffer-size",
        "The size of the tcp RECV size. This is the option to control `send.buffer.bytes` in \
         producer configs.",
        "size",
        Kind::Integer,
    )
    .default("102400");
    p.takes(
        "property",
        "(DEPRECATED) A mechanism to pass user-defined properties in the form key=value to the \
         message reader. This allows custom configuration for a user-defined message \
         reader.\nDefault properties include:\n parse.key=false\n parse.headers=false\n \
         ignore.error=false\n key.separator=\\t\n headers.delimiter=\\t\n headers.separator=,\n \
         headers.key.separator=:\n null.marker=   When set, any fields (key, value and headers) \
         equal to this will be replaced by null\nDefault parsing pattern when:\n \
         parse.headers=true and parse.key=true:\n  \"h1:v1,h2:v2...\\tkey\\tvalue\"\n \
         parse.key=true:\n  \"key\\tvalue\"\n parse.headers=true:\n  \"h1:v1,h2:v2...\\tvalue\"\n \
         This option will be removed in a future version. Use --reader-property instead.",
        "prop",
        Kind::Text,
    );
    p.takes(
        "reader-property",
        "A mechanism to pass user-defined properties in the form key=value to the message reader. \
         This allows custom configuration for a user-defined message reader.\nDefault properties \
         include:\n parse.key=false\n parse.headers=false\n ignore.error=false\n \
         key.separator=\\t\n headers.delimiter=\\t\n headers.separator=,\n \
         headers.key.separator=:\n null.marker=   When set, any fields (key, value and headers) \
         equal to this will be replaced by null\nDefault parsing pattern when:\n \
         parse.headers=true and parse.key=true:\n  \"h1:v1,h2:v2...\\tkey\\tvalue\"\n \
         parse.key=true:\n  \"key\\tvalue\"\n parse.headers=true:\n  \"h1:v1,h2:v2...\\tvalue\"",
        "prop",
        Kind::Text,
    );
    p.takes(
        "reader-config",
        "Config properties file for the message reader. Note that [reader-property] takes \
         precedence over this config.",
        "config file",
        Kind::Text,
    );
    p.takes(
        "producer-property",
        "(DEPRECATED) Producer config properties in the form key=value. This option will be \
         removed in a future version. Use --command-property instead.",
        "producer_prop",
        Kind::Text,
    );
    p.takes(
        "command-property",
        "Producer config properties in the form key=value.",
        "producer_prop",
        Kind::Text,
    );
    p.takes(
        "producer.config",
        "(DEPRECATED) Producer config properties file. Note that [command-property] takes \
         precedence over this config. This option will be removed in a future version. Use \
         --command-config instead.",
        "config file",
        Kind::Text,
    );
    p.takes(
        "command-config",
        "Producer config properties file. Note that [command-property] takes precedence over this \
         config.",
        "config file",
        Kind::Text,
    );
    p
}

/// What was asked for.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) topic: String,
    pub(super) bootstrap: String,
    pub(super) sync: bool,
    /// The line reader's properties.
    pub(super) reader: Vec<(String, String)>,
    /// The producer's.
    pub(super) producer: Properties,
}

impl Options {
    pub(super) fn parse(args: &[String], out: &mut Out) -> Result<Options, Stop> {
        let mut p = parser();
        let found = match p.parse(args) {
            Ok(found) => found,
            Err(misuse) if misuse.is_conversion() => return Err(misuse.into()),
            Err(misuse) => return Err(p.usage(misuse)),
        };
        p.help_or_version(
            &found,
            "This tool helps to read data from standard input and publish it to Kafka.",
            out,
        )?;
        p.check_required(&found, &["topic"])?;
        for (new, old) in [
            ("command-config", "producer.config"),
            ("command-property", "producer-property"),
            ("reader-property", "property"),
        ] {
            if found.has(new) && found.has(old) {
                return Err(p.usage(format!("Options --{new} and --{old} cannot be specified together.")));
            }
        }
        for (old, new) in [
            ("producer-property", "command-property"),
            ("producer.config", "command-config"),
            ("property", "reader-property"),
        ] {
            if found.has(old) {
                runtime::deprecated(&format!(
                    "Warning: --{old} is deprecated and will be removed in a future version. Use --{new} instead."
                ));
            }
        }
        if found.has("max-partition-memory-bytes") {
            runtime::deprecated(
                "Warning: --max-partition-memory-bytes is deprecated and will be removed in Apache Kafka 5.0. Use \
                 --batch-size instead.",
            );
        }
        let bootstrap = found.value("bootstrap-server").unwrap_or_default().to_owned();
        if let Err(why) = valid_bootstrap(&bootstrap) {
            return Err(p.usage(format!("{why}\n")));
        }
        let class = found.value("line-reader").unwrap_or(LINE_READER);
        if class != LINE_READER && class != "kafka.tools.ConsoleProducer$LineMessageReader" {
            return Err(Stop::error(format!("java.lang.ClassNotFoundException: {class}")).and_err(format!(
                "    cause: no Java class can be loaded here\n    next: leave --line-reader out; lines are read by \
                 {LINE_READER}"
            )));
        }
        Ok(Options {
            topic: found.value("topic").unwrap_or_default().to_owned(),
            bootstrap,
            sync: found.has("sync"),
            reader: reader_properties(&found)?,
            producer: producer_properties(&found)?,
        })
    }
}

/// Kafka's check of the list: every part has a port.
pub(crate) fn valid_bootstrap(list: &str) -> Result<(), &'static str> {
    if list.trim().is_empty() {
        return Err("Error while validating the bootstrap address");
    }
    let port = |part: &str| part.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u32>().is_ok());
    let mut parts = list.split(',').filter(|part| !part.is_empty()).peekable();
    if parts.peek().is_none() || !parts.all(port) {
        return Err("Please provide valid host:port like host1:9091,host2:9092");
    }
    Ok(())
}

/// The option by its new name, else by its old one.
fn either<'f>(found: &'f Found, new: &str, old: &str) -> Vec<&'f str> {
    if found.has(old) { found.values(old) } else { found.values(new) }
}

fn reader_properties(found: &Found) -> Result<Vec<(String, String)>, Stop> {
    let file = found.value("reader-config");
    let mut pairs: Vec<(String, String)> = Vec::new();
    if file.is_some() {
        pairs.extend(runtime::properties(file)?.iter().map(|(k, v)| (k.to_owned(), v.to_owned())));
    }
    pairs.extend(jopt::key_values(&either(found, "reader-property", "property")));
    Ok(pairs)
}

fn producer_properties(found: &Found) -> Result<Properties, Stop> {
    let file = either(found, "command-config", "producer.config").last().copied();
    let mut properties = runtime::properties(file)?;
    for (key, value) in jopt::key_values(&either(found, "command-property", "producer-property")) {
        properties.set(&key, &value);
    }
    let compression = match found.has("compression-codec") {
        true => found.value("compression-codec").filter(|codec| !codec.is_empty()).unwrap_or("gzip"),
        false => "none",
    };
    properties.set("compression.type", compression);
    properties.set_default("client.id", "console-producer");
    for (key, option) in [
        ("linger.ms", "timeout"),
        ("acks", "request-required-acks"),
        ("request.timeout.ms", "request-timeout-ms"),
        ("retries", "message-send-max-retries"),
        ("retry.backoff.ms", "retry-backoff-ms"),
        ("send.buffer.bytes", "socket-buffer-size"),
        ("buffer.memory", "max-memory-bytes"),
        ("batch.size", "batch-size"),
        ("batch.size", "max-partition-memory-bytes"),
        ("metadata.max.age.ms", "metadata-expiry-ms"),
        ("max.block.ms", "max-block-ms"),
    ] {
        if found.has(option) || properties.get(key).is_none() {
            properties.set(key, found.value(option).unwrap_or_default());
        }
    }
    Ok(properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options, Stop> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Options::parse(&args, &mut Out::new_for_test())
    }

    #[test]
    fn defaults_are_the_tools_and_properties_come_before_them() {
        let least = ["--topic", "t", "--bootstrap-server", "h:1"];
        let options = parse(&least).unwrap();
        let get = |options: &Options, key: &str| options.producer.get(key).map(str::to_owned);
        assert_eq!(get(&options, "linger.ms").as_deref(), Some("1000"));
        assert_eq!(get(&options, "compression.type").as_deref(), Some("none"));
        assert_eq!(get(&options, "client.id").as_deref(), Some("console-producer"));
        assert!(!options.sync && options.reader.is_empty());
        let more =
            [&least[..], &["--command-property", "linger.ms=3", "--sync", "--compression-codec"]].concat();
        let options = parse(&more).unwrap();
        assert_eq!(get(&options, "linger.ms").as_deref(), Some("3"));
        assert_eq!(get(&options, "compression.type").as_deref(), Some("gzip"));
        let more =
            [&least[..], &["--producer-property", "linger.ms=3", "--timeout", "7", "--property", "a=b=c"]]
                .concat();
        let options = parse(&more).unwrap();
        assert_eq!(get(&options, "linger.ms").as_deref(), Some("7"));
        assert_eq!(options.reader, [("a".to_owned(), "b=c".to_owned())]);
    }

    #[test]
    fn misuse_is_told_in_kafkas_words() {
        let err = |args: &[&str]| parse(args).unwrap_err().err.lines().next().unwrap_or_default().to_owned();
        assert_eq!(err(&["--bootstrap-server", "h:1"]), "Missing required argument \"[topic]\"");
        assert_eq!(err(&["--topic", "t"]), "Error while validating the bootstrap address");
        assert_eq!(
            err(&["--topic", "t", "--bootstrap-server", "h"]),
            "Please provide valid host:port like host1:9091,host2:9092"
        );
        assert_eq!(
            err(&["--topic", "t", "--reader-property", "a=b", "--property", "c=d"]),
            "Options --reader-property and --property cannot be specified together."
        );
        assert_eq!(
            err(&["--topic", "t", "--bootstrap-server", "h:1", "--line-reader", "my.Reader"]),
            "java.lang.ClassNotFoundException: my.Reader"
        );
    }
}
