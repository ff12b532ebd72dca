//! `kafka-console-share-consumer`: its arguments are checked, and then it says that share groups wait.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::args::jopt::{Kind, Parser};
use crate::runtime::{self, Out, Stop};

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-console-share-consumer", args, consume)
}

/// Why a tool for share groups ends; `other` is the tool that does the same without them.
pub(crate) fn not_served(other: &str) -> Stop {
    Stop::error(
        "org.apache.kafka.common.errors.UnsupportedVersionException: share groups are not served by this release yet",
    )
    .and_err("    cause: this release of the tools has no share consumer (KIP-932)")
    .and_err(format!("    next: read the topic with {other}, or with Apache Kafka's own tool if the cluster has share groups"))
}

fn parser() -> Parser {
    let mut p = Parser::new();
    p.takes("topic", "The topic to consume from.", "topic", Kind::Text);
    p.takes(
        "consumer-property",
        "(DEPRECATED) Consumer config properties in the form key=value. This option will be \
         removed in a future version. Use --command-property instead.",
        "consumer_prop",
        Kind::Text,
    );
    p.takes(
        "command-property",
        "Consumer config properties in the form key=value.",
        "consumer_prop",
        Kind::Text,
    );
    p.takes(
        "consumer-config",
        "(DEPRECATED) Consumer config properties file. Note that [command-property] takes \
         precedence over this config. This option will be removed in a future version. Use \
         --command-config instead.",
        "config file",
        Kind::Text,
    );
    p.takes(
        "command-config",
        "Consumer config properties file. Note that [command-property] takes precedence over this \
         config.",
        "config file",
        Kind::Text,
    );
    p.takes(
        "formatter",
        "The name of a class to use for formatting Kafka messages for display.",
        "class",
        Kind::Text,
    )
    .default("org.apache.kafka.tools.consumer.DefaultMessageFormatter");
    p.takes(
        "property",
        "(DEPRECATED) The properties to initialize the message formatter. Default properties \
         include: \n print.timestamp=true|false\n print.key=true|false\n \
         print.offset=true|false\n print.delivery=true|false\n print.epoch=true|false\n \
         print.partition=true|false\n print.headers=true|false\n print.value=true|false\n \
         key.separator=<key.separator>\n line.separator=<line.separator>\n \
         headers.separator=<headers.separator>\n null.literal=<null.literal>\n \
         key.deserializer=<key.deserializer>\n value.deserializer=<value.deserializer>\n \
         header.deserializer=<header.deserializer>\n\nUsers can also pass in customized \
         properties for their formatter; more specifically, users can pass in properties keyed \
         with 'key.deserializer.', 'value.deserializer.' and 'headers.deserializer.' prefixes to \
         configure their deserializers. \nThis option will be removed in a future version. Use \
         --formatter-property instead.",
        "prop",
        Kind::Text,
    );
    p.takes(
        "formatter-property",
        "The properties to initialize the message formatter. Default properties include: \n \
         print.timestamp=true|false\n print.key=true|false\n print.offset=true|false\n \
         print.delivery=true|false\n print.epoch=true|false\n print.partition=true|false\n \
         print.headers=true|false\n print.value=true|false\n key.separator=<key.separator>\n \
         line.separator=<line.separator>\n headers.separator=<headers.separator>\n \
         null.literal=<null.literal>\n key.deserializer=<key.deserializer>\n \
         value.deserializer=<value.deserializer>\n \
         header.deserializer=<header.deserializer>\n\nUsers can also pass in customized \
         properties for their formatter; more specifically, users can pass in properties keyed \
         with 'key.deserializer.', 'value.deserializer.' and 'headers.deserializer.' prefixes to \
         configure their deserializers.",
        "prop",
        Kind::Text,
    );
    p.takes(
        "formatter-config",
        "Config properties file to initialize the message formatter. Note that \
         [formatter-property] takes precedence over this config.",
        "config file",
        Kind::Text,
    );
    p.takes(
        "max-messages",
        "The maximum number of messages to consume before exiting. If not set, consumption is \
         continual.",
        "num_messages",
        Kind::Integer,
    );
    p.takes(
        "timeout-ms",
        "If specified, exit if no message is available for consumption for the specified \
         interval.",
        "timeout_ms",
        Kind::Integer,
    );
    p.flag("reject", "If specified, messages are rejected as they are consumed.");
    p.flag("release", "If specified, messages are released as they are consumed.");
    p.flag(
        "reject-message-on-error",
        "If there is an error when processing a message, reject it instead of halting.",
    );
    p.takes("bootstrap-server", "REQUIRED: The server(s) to connect to.", "server to connect to", Kind::Text);
    p.takes(
        "key-deserializer",
        "The name of the class to use for deserializing keys.",
        "deserializer for keys",
        Kind::Text,
    );
    p.takes(
        "value-deserializer",
        "The name of the class to use for deserializing values.",
        "deserializer for values",
        Kind::Text,
    );
    p.takes("group", "The share group id of the consumer.", "share group id", Kind::Text);
    p.flag(
        "enable-systest-events",
        "Log lifecycle events of the share consumer in addition to logging consumed messages. \
         (This is specific for system tests.)",
    );
    p
}

fn consume(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let mut p = parser();
    let found = match p.parse(args) {
        Ok(found) => found,
        Err(misuse) => return Err(p.usage(misuse)),
    };
    p.help_or_version(
        &found,
        "This tool helps to read data from Kafka topics using share groups and outputs it to standard output.",
        out,
    )?;
    if !found.has("topic") {
        return Err(p.usage("--topic is a required argument"));
    }
    p.check_required(&found, &["bootstrap-server"])?;
    for (wrong, message) in [
        (
            found.has("reject") && found.has("release"),
            "At most one of --reject and --release may be specified.",
        ),
        (
            found.has("consumer-property") && found.has("command-property"),
            "Options --consumer-property and --command-property cannot be specified together.",
        ),
        (
            found.has("consumer-config") && found.has("command-config"),
            "Options --consumer-config and --command-config cannot be specified together.",
        ),
        (
            found.has("property") && found.has("formatter-property"),
            "Options --property and --formatter-property cannot be specified together.",
        ),
    ] {
        if wrong {
            return Err(p.usage(message));
        }
    }
    Err(not_served("kafka-console-consumer"))
}
