//! `kafka-consumer-perf-test`.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use ottla_client::{Consumer, Polled, Properties, TopicPartition};

use super::now_ms;
use crate::args::jopt::{self, Found, Kind, Parser};
use crate::clients::{self, Signals};
use crate::java_format::{DateFormat, fixed};
use crate::runtime::{self, Out, Stop};

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-consumer-perf-test", args, consume)
}

fn parser() -> Parser {
    let group = format!("perf-consumer-{}", uuid::Uuid::new_v4().as_u128() % 100_000);
    let mut p = Parser::new();
    p.takes("bootstrap-server", "REQUIRED: The server(s) to connect to.", "server to connect to", Kind::Text);
    p.takes("topic", "The topic to consume from.", "topic", Kind::Text);
    p.takes(
        "include",
        "Regular expression specifying list of topics to include for consumption.",
        "Java regex (String)",
        Kind::Text,
    );
    p.takes("group", "The group id to consume on.", "gid", Kind::Text).default(&group);
    p.takes(
        "fetch-size",
        "The maximum amount of data to fetch from a single partition per request.",
        "size",
        Kind::Integer,
    )
    .default("1048576");
    p.takes(
        "command-property",
        "Kafka consumer related configuration properties like client.id. These configs take \
         precedence over those passed via --command-config or --consumer.config.",
        "prop1=val1",
        Kind::Text,
    );
    p.flag(
        "from-latest",
        "If the consumer does not already have an established offset to consume from, start with \
         the latest record present in the log rather than the earliest record.",
    );
    p.takes("socket-buffer-size", "The size of the tcp RECV size.", "size", Kind::Integer).default("2097152");
    p.takes(
        "consumer.config",
        "(DEPRECATED) Consumer config properties file. This option will be removed in a future \
         version. Use --command-config instead.",
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
    p
}

/// What was asked for.
struct Options {
    bootstrap: String,
    topic: Option<String>,
    include: Option<String>,
    properties: Properties,
    records: i64,
    interval_ms: i64,
    timeout_ms: i64,
    detailed: bool,
    header: bool,
    metrics: bool,
    dates: DateFormat,
}

fn options(args: &[String], out: &mut Out) -> Result<Options, Stop> {
    let mut p = parser();
    let found = match p.parse(args) {
        Ok(found) => found,
        Err(misuse) if misuse.is_conversion() => return Err(misuse.into()),
        Err(misuse) => return Err(p.usage(misuse)),
    };
    p.help_or_version(&found, "This tool is used to verify the consumer performance.", out)?;
    p.check_required(&found, &["bootstrap-server"])?;
    p.check_one_of(&found, &["topic", "include"])?;
    p.check_one_of(&found, &["messages", "num-records"])?;
    p.check_invalid(&found, "consumer.config", &["command-config"])?;
    if found.has("messages") {
        runtime::deprecated("Warning: --messages is deprecated. Use --num-records instead.");
    }
    if found.has("consumer.config") {
        runtime::deprecated("Warning: --consumer.config is deprecated. Use --command-config instead.");
    }
    let interval_ms = found.long("reporting-interval").unwrap_or(5000);
    if interval_ms <= 0 {
        return Err(Stop::error("Reporting interval must be greater than 0."));
    }
    let text = |name: &str| found.has(name).then(|| found.value(name).unwrap_or_default().to_owned());
    Ok(Options {
        bootstrap: found.value("bootstrap-server").unwrap_or_default().to_owned(),
        topic: text("topic"),
        include: text("include"),
        properties: properties(&found)?,
        records: found.long("messages").or(found.long("num-records")).unwrap_or(0),
        interval_ms,
        timeout_ms: found.long("timeout").unwrap_or(10_000),
        detailed: found.has("show-detailed-stats"),
        header: !found.has("hide-header"),
        metrics: found.has("print-metrics"),
        dates: DateFormat::new(found.value("date-format").unwrap_or("yyyy-MM-dd HH:mm:ss:SSS"))
            .map_err(Stop::error)?,
    })
}

fn properties(found: &Found) -> Result<Properties, Stop> {
    let file = if found.has("consumer.config") { "consumer.config" } else { "command-config" };
    let mut properties = runtime::properties(found.value(file))?;
    for (key, value) in jopt::key_values(&found.values("command-property")) {
        properties.set(&key, &value);
    }
    for (key, option) in [
        ("group.id", "group"),
        ("receive.buffer.bytes", "socket-buffer-size"),
        ("max.partition.fetch.bytes", "fetch-size"),
    ] {
        properties.set(key, found.value(option).unwrap_or_default());
    }
    properties.set("auto.offset.reset", if found.has("from-latest") { "latest" } else { "earliest" });
    properties.set("check.crcs", "false");
    properties.set_default("client.id", "perf-consumer-client");
    Ok(properties)
}

/// What was read, and how long the group took to give partitions.
#[derive(Debug, Default, Clone, Copy)]
struct Read {
    records: i64,
    bytes: i64,
}

#[derive(Debug)]
struct Joins {
    assigned: BTreeSet<TopicPartition>,
    start_ms: i64,
    total_ms: i64,
    round_ms: i64,
}

impl Joins {
    fn assigned(&mut self, partitions: Vec<TopicPartition>, now_ms: i64) {
        if self.assigned.is_empty() {
            self.total_ms += now_ms - self.start_ms;
            self.round_ms += now_ms - self.start_ms;
        }
        self.assigned.extend(partitions);
    }

    fn revoked(&mut self, partitions: &[TopicPartition], now_ms: i64) {
        for partition in partitions {
            self.assigned.remove(partition);
        }
        if self.assigned.is_empty() {
            self.start_ms = now_ms;
        }
    }
}

fn consume(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let options = options(args, out)?;
    if options.header {
        writeln!(
            out,
            "{}, data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, \
             fetch.MB.sec, fetch.nMsg.sec",
            if options.detailed { "time, threadId" } else { "start.time, end.time" }
        )?;
        out.flush()?;
    }
    runtime::block_on(async {
        let mut signals = Signals::listen()?;
        let consumer = tokio::select! {
            consumer = clients::consumer(&options.bootstrap, &options.properties) => consumer?.1,
            code = signals.next() => return Err(Stop::quiet(code)),
        };
        let mut consumer = consumer;
        match (&options.topic, &options.include) {
            (Some(topic), _) => consumer.subscribe(&[topic])?,
            (None, include) => {
                clients::subscribe_matching(&mut consumer, include.as_deref().unwrap_or_default())?
            }
        }
        let start_ms = now_ms();
        let mut joins = Joins { assigned: BTreeSet::new(), start_ms, total_ms: 0, round_ms: 0 };
        let read = tokio::select! {
            read = read(&options, &mut consumer, &mut joins, out) => read?,
            code = signals.next() => {
                consumer.close().await?;
                return Err(Stop::quiet(code));
            }
        };
        let end_ms = now_ms();
        if !options.detailed {
            writeln!(out, "{}", summary(&options.dates, read, joins.total_ms, start_ms, end_ms))?;
        }
        if options.metrics {
            metrics(&consumer, read, out)?;
        }
        out.flush()?;
        Ok(consumer.close().await?)
    })
}

async fn read(
    options: &Options,
    consumer: &mut Consumer,
    joins: &mut Joins,
    out: &mut Out,
) -> Result<Read, Stop> {
    let mut now = now_ms();
    let (mut last_report, mut last_consumed) = (now, now);
    let (mut read, mut last) = (Read::default(), Read::default());
    while read.records < options.records && now - last_consumed <= options.timeout_ms {
        match consumer.poll(Duration::from_millis(100)).await? {
            Polled::Records(mut fetched) => {
                now = now_ms();
                let before = read.records;
                fetched
                    .for_each(|record| {
                        let length = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len) as i64;
                        read.records += 1;
                        read.bytes += length(record.record.key) + length(record.record.value);
                        Ok::<(), std::convert::Infallible>(())
                    })?
                    .unwrap_or_else(|never| match never {});
                if read.records > before {
                    last_consumed = now;
                    if now - last_report >= options.interval_ms {
                        if options.detailed {
                            let round = joins.round_ms;
                            writeln!(
                                out,
                                "{}",
                                progress(&options.dates, read, last, last_report, now, round)
                            )?;
                            out.flush()?;
                        }
                        joins.round_ms = 0;
                        (last_report, last) = (now, read);
                    }
                }
            }
            Polled::Assigned(partitions) => joins.assigned(partitions, now_ms()),
            Polled::Revoked(partitions) | Polled::Lost(partitions) => joins.revoked(&partitions, now_ms()),
            _ => {}
        }
        now = now_ms();
    }
    if read.records < options.records {
        writeln!(
            out,
            "WARNING: Exiting before consuming the expected number of records: timeout ({} ms) exceeded. You can use \
             the --timeout option to increase the timeout.",
            options.timeout_ms
        )?;
    }
    Ok(read)
}

fn mb(bytes: i64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

/// The one line of a run without details.
fn summary(dates: &DateFormat, read: Read, joined_ms: i64, start_ms: i64, end_ms: i64) -> String {
    let seconds = (end_ms - start_ms) as f64 / 1000.0;
    let fetch_ms = end_ms - start_ms - joined_ms;
    let fetching = fetch_ms as f64 / 1000.0;
    format!(
        "{}, {}, {}, {}, {}, {}, {joined_ms}, {fetch_ms}, {}, {}",
        dates.format(start_ms),
        dates.format(end_ms),
        fixed(mb(read.bytes), 4),
        fixed(mb(read.bytes) / seconds, 4),
        read.records,
        fixed(read.records as f64 / seconds, 4),
        fixed(mb(read.bytes) / fetching, 4),
        fixed(read.records as f64 / fetching, 4)
    )
}

/// The line of an interval.
fn progress(
    dates: &DateFormat,
    read: Read,
    last: Read,
    start_ms: i64,
    end_ms: i64,
    joined_ms: i64,
) -> String {
    let elapsed = (end_ms - start_ms) as f64;
    let fetch_ms = end_ms - start_ms - joined_ms;
    let (mb_read, records) = (mb(read.bytes - last.bytes), read.records - last.records);
    let per_fetch = |amount: f64| if fetch_ms <= 0 { 0.0 } else { 1000.0 * amount / fetch_ms as f64 };
    format!(
        "{}, 0, {}, {}, {}, {}, {joined_ms}, {fetch_ms}, {}, {}",
        dates.format(end_ms),
        fixed(mb(read.bytes), 4),
        fixed(1000.0 * mb_read / elapsed, 4),
        read.records,
        fixed(records as f64 / elapsed * 1000.0, 4),
        fixed(per_fetch(mb_read), 4),
        fixed(per_fetch(records as f64), 4)
    )
}

/// What is counted here, in the form of Kafka's table. Java's client has other metrics.
fn metrics(consumer: &Consumer, read: Read, out: &mut Out) -> Result<(), Stop> {
    let rows = [
        ("consumer-coordinator-metrics:assigned-partitions", consumer.assignment().len() as i64),
        ("consumer-fetch-manager-metrics:bytes-consumed-total", read.bytes),
        ("consumer-fetch-manager-metrics:records-consumed-total", read.records),
    ];
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    writeln!(out, "\n{:<width$}   Value", "Metric Name")?;
    for (name, value) in rows {
        writeln!(out, "{name:<width$} : {value}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_kafkas() {
        let dates = DateFormat::new("S").unwrap();
        let read = Read { records: 1000, bytes: 3 << 20 };
        assert_eq!(
            summary(&dates, read, 500, 1000, 3000),
            "0, 0, 3.0000, 1.5000, 1000, 500.0000, 500, 1500, 2.0000, 666.6667"
        );
        let last = Read { records: 500, bytes: 1 << 20 };
        assert_eq!(
            progress(&dates, read, last, 0, 1000, 1000),
            "0, 0, 3.0000, 2.0000, 1000, 500.0000, 1000, 0, 0.0000, 0.0000"
        );
        assert_eq!(summary(&dates, Read::default(), 0, 5, 5), "5, 5, 0.0000, NaN, 0, NaN, 0, 0, NaN, NaN");
    }

    #[test]
    fn only_the_time_without_partitions_is_rebalance_time() {
        let mut joins = Joins { assigned: BTreeSet::new(), start_ms: 100, total_ms: 0, round_ms: 0 };
        let (a, b) = (TopicPartition::new("t", 0), TopicPartition::new("t", 1));
        joins.assigned(vec![a.clone()], 150);
        joins.assigned(vec![b.clone()], 900);
        joins.revoked(&[a], 1000);
        assert_eq!(joins.total_ms, 50);
        joins.revoked(std::slice::from_ref(&b), 2000);
        joins.assigned(vec![b], 2300);
        assert_eq!((joins.total_ms, joins.round_ms), (350, 350));
    }

    #[test]
    fn what_is_needed_is_asked_for() {
        let err = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            let stop = options(&args, &mut Out::new_for_test()).err().unwrap();
            stop.err.lines().next().unwrap_or_default().to_owned()
        };
        assert_eq!(err(&["--topic", "t"]), "Missing required argument \"[bootstrap-server]\"");
        assert_eq!(
            err(&["--bootstrap-server", "h:1", "--num-records", "1"]),
            "Exactly one of the following arguments is required: [topic], [include]"
        );
        assert_eq!(
            err(&["--bootstrap-server", "h:1", "--topic", "t"]),
            "Exactly one of the following arguments is required: [messages], [num-records]"
        );
    }
}
