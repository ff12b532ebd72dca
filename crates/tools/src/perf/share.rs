//! `kafka-share-consumer-perf-test`: its arguments are checked, and then it says that share groups wait.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::args::jopt::{Kind, Parser};
use crate::console_share;
use crate::runtime::{self, Out, Stop};

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-share-consumer-perf-test", args, consume)
}

fn parser() -> Parser {
    let mut p = Parser::new();
    p.takes("bootstrap-server", "REQUIRED. The server(s) to connect to.", "server to connect to", Kind::Text);
    p.takes("topic", "REQUIRED: The topic to consume from.", "topic", Kind::Text);
    p.takes("group", "The group id to consume on.", "gid", Kind::Text).default("perf-share-consumer");
    p.takes("fetch-size", "The amount of data to fetch in a single request.", "size", Kind::Integer)
        .default("1048576");
    p.takes(
        "command-property",
        "Kafka share consumer related configuration properties like client.id. These configs take \
         precedence over those passed via --command-config or --consumer.config.",
        "prop1=val1",
        Kind::Text,
    );
    p.takes("socket-buffer-size", "The size of the tcp RECV size.", "size", Kind::Integer).default("2097152");
    p.takes(
        "consumer.config",
        "(DEPRECATED) Share consumer config properties file. This option will be removed in a \
         future version. Use --command-config instead.",
        "config file",
        Kind::Text,
    );
    p.takes("command-config", "Config properties file.", "config file", Kind::Text);
    p.flag("print-metrics", "Print out the metrics.");
    p.flag(
        "show-detailed-stats",
        "If set, stats are reported for each reporting interval as configured by \
         reporting-interval.",
    );
    p.may_take(
        "timeout",
        "The maximum allowed time in milliseconds between returned records.",
        "milliseconds",
        Kind::Long,
    )
    .default("10000");
    p.takes(
        "messages",
        "(DEPRECATED) The number of records to consume. This option will be removed in a future \
         version. Use --num-records instead.",
        "count",
        Kind::Long,
    );
    p.takes("num-records", "REQUIRED: The number of records to consume.", "count", Kind::Long);
    p.takes(
        "reporting-interval",
        "Interval in milliseconds at which to print progress info.",
        "interval_ms",
        Kind::Long,
    )
    .default("5000");
    p.takes(
        "date-format",
        "The date format to use for formatting the time field. See java.text.SimpleDateFormat for \
         options.",
        "date format",
        Kind::Text,
    )
    .default("yyyy-MM-dd HH:mm:ss:SSS");
    p.flag("hide-header", "If set, skips printing the header for the stats.");
    p.takes("threads", "The number of share consumers to use for sharing the load.", "count", Kind::Integer)
        .default("1");
    p.flag(
        "show-consumer-stats",
        "If set, stats are reported for each share consumer depending on the no. of threads.",
    );
    p
}

fn consume(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let mut p = parser();
    let found = match p.parse(args) {
        Ok(found) => found,
        Err(misuse) => return Err(p.usage(misuse)),
    };
    p.help_or_version(&found, "This tool is used to verify the share consumer performance.", out)?;
    p.check_required(&found, &["topic", "bootstrap-server"])?;
    p.check_one_of(&found, &["messages", "num-records"])?;
    p.check_invalid(&found, "consumer.config", &["command-config"])?;
    if found.has("messages") {
        runtime::deprecated("Warning: --messages is deprecated. Use --num-records instead.");
    }
    if found.has("consumer.config") {
        runtime::deprecated("Warning: --consumer.config is deprecated. Use --command-config instead.");
    }
    Err(console_share::not_served("kafka-consumer-perf-test"))
}
