//! `kafka-verifiable-consumer`: what a member of a group is given, reads and commits.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use ottla_client::{Committed, Consumer, Fetched, Polled, Properties, TopicPartition};

use super::event;
use crate::args::argparse::{Arg, Kind, Parser};
use crate::clients::{self, Signals};
use crate::record_json::Json;
use crate::runtime::{self, Out, Stop};

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-verifiable-consumer", args, consume)
}

fn parser() -> Parser {
    Parser::new("verifiable-consumer")
        .default_help()
        .description(
            "This tool consumes messages from a specific topic and emits consumer events (e.g. group rebalances, \
             received messages, and offsets committed) as JSON objects to STDOUT.",
        )
        .exclusive_titled(
            "Connection Group",
            "Group of arguments for connection to brokers",
            true,
            vec![
            Arg::option(&["--bootstrap-server"])
                .required()
                .dest("bootstrapServer")
                .metavar("HOST1:PORT1[,HOST2:PORT2[...]]")
                .help(
                    "The server(s) to connect to. Comma-separated list of Kafka brokers in the \
                     form HOST1:PORT1,HOST2:PORT2,...",
                ),
            ],
        )
        .arg(
            Arg::option(&["--topic"])
                .required()
                .metavar("TOPIC")
                .help(
                    "Consumes messages from this topic.",
                ),
        )
        .arg(
            Arg::option(&["--group-protocol"])
                .dest("groupProtocol")
                .default("classic")
                .metavar("GROUP-PROTOCOL")
                .help(
                    "Group protocol (must be one of CLASSIC, CONSUMER)",
                ),
        )
        .arg(
            Arg::option(&["--group-remote-assignor"])
                .dest("groupRemoteAssignor")
                .metavar("GROUP-REMOTE-ASSIGNOR")
                .help(
                    "Group remote assignor; only used if the group protocol is CONSUMER",
                ),
        )
        .arg(
            Arg::option(&["--group-id"])
                .required()
                .dest("groupId")
                .metavar("GROUP-ID")
                .help(
                    "The group id of the consumer group",
                ),
        )
        .arg(
            Arg::option(&["--group-instance-id"])
                .dest("groupInstanceId")
                .metavar("GROUP-INSTANCE-ID")
                .help(
                    "A unique identifier of the consumer instance",
                ),
        )
        .arg(
            Arg::option(&["--max-messages"])
                .dest("maxMessages")
                .kind(Kind::Integer)
                .default("-1")
                .metavar("MAX-MESSAGES")
                .help(
                    "Consume this many messages. If -1 (the default), the consumer will consume \
                     until the process is killed externally",
                ),
        )
        .arg(
            Arg::option(&["--session-timeout"])
                .dest("sessionTimeout")
                .kind(Kind::Integer)
                .metavar("TIMEOUT-MS")
                .help(
                    "Set the consumer's session timeout, note that this configuration is not \
                     supported when group protocol is consumer",
                ),
        )
        .arg(
            Arg::option(&["--verbose"])
                .store_true()
                .metavar("VERBOSE")
                .help(
                    "Enable to log individual consumed records",
                ),
        )
        .arg(
            Arg::option(&["--enable-autocommit"])
                .store_true()
                .dest("useAutoCommit")
                .metavar("ENABLE-AUTOCOMMIT")
                .help(
                    "Enable offset auto-commit on consumer",
                ),
        )
        .arg(
            Arg::option(&["--reset-policy"])
                .dest("resetPolicy")
                .default("earliest")
                .metavar("RESET-POLICY")
                .help(
                    "Set reset policy (must be either 'earliest', 'latest', or 'none')",
                ),
        )
        .arg(
            Arg::option(&["--assignment-strategy"])
                .dest("assignmentStrategy")
                .default("org.apache.kafka.clients.consumer.RangeAssignor")
                .metavar("ASSIGNMENT-STRATEGY")
                .help(
                    "Set assignment strategy (e.g. org.apache.kafka.clients.consumer.RoundRobinAssignor); only used if the group protocol is CLASSIC",
                ),
        )
        .arg(
            Arg::option(&["--consumer.config"])
                .metavar("CONFIG-FILE")
                .help(
                    "(DEPRECATED) Consumer config properties file. This option will be removed in \
                     a future version. Use --command-config instead",
                ),
        )
        .arg(
            Arg::option(&["--command-config"])
                .dest("commandConfigFile")
                .metavar("CONFIG-FILE")
                .help(
                    "Config properties file (config options shared with command line parameters \
                     will be overridden).",
                ),
        )
}

/// What was asked for.
struct Options {
    topic: String,
    bootstrap: String,
    properties: Properties,
    most: Option<u64>,
    auto_commit: bool,
    verbose: bool,
}

fn options(args: &[String], out: &mut Out) -> Result<Options, Stop> {
    let p = parser();
    if args.is_empty() {
        write!(out, "{}", p.help())?;
        return Err(Stop::quiet(0));
    }
    let ns = p.parse(args, out)?;
    let (old, new) = (ns.text("consumer.config"), ns.text("commandConfigFile"));
    if old.is_some() && new.is_some() {
        return Err(p.error("Options --consumer.config and --command-config are mutually exclusive."));
    }
    if old.is_some() {
        runtime::deprecated(
            "Option --consumer.config has been deprecated and will be removed in a future version. Use \
             --command-config instead.",
        );
    }
    let mut properties = super::properties(&p, old.or(new))?;
    let protocol = ns.text("groupProtocol").unwrap_or("classic").to_uppercase();
    properties.set("group.protocol", &protocol);
    match protocol.as_str() {
        "CONSUMER" => {
            if let Some(assignor) = ns.text("groupRemoteAssignor") {
                properties.set("group.remote.assignor", assignor);
            }
        }
        "CLASSIC" => {
            properties.set("partition.assignment.strategy", ns.text("assignmentStrategy").unwrap_or("range"));
        }
        _ => {
            return Err(Stop::error(format!(
                "java.lang.IllegalArgumentException: No enum constant \
                 org.apache.kafka.clients.consumer.GroupProtocol.{protocol}"
            )));
        }
    }
    if let Some(timeout) = ns.integer("sessionTimeout") {
        properties.set("session.timeout.ms", &timeout.to_string());
    }
    properties.set("group.id", ns.text("groupId").unwrap_or_default());
    if let Some(instance) = ns.text("groupInstanceId") {
        properties.set("group.instance.id", instance);
    }
    let auto_commit = ns.flag("useAutoCommit");
    properties.set("enable.auto.commit", if auto_commit { "true" } else { "false" });
    properties.set("auto.offset.reset", ns.text("resetPolicy").unwrap_or("earliest"));
    Ok(Options {
        topic: ns.text("topic").unwrap_or_default().to_owned(),
        bootstrap: ns.text("bootstrapServer").unwrap_or_default().to_owned(),
        properties,
        most: ns.integer("maxMessages").and_then(|most| u64::try_from(most).ok()),
        auto_commit,
        verbose: ns.flag("verbose"),
    })
}

fn consume(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let options = options(args, out)?;
    runtime::block_on(async {
        let mut signals = Signals::listen()?;
        let (_, mut consumer) = tokio::select! {
            consumer = clients::consumer(&options.bootstrap, &options.properties) => consumer?,
            code = signals.next() => return Err(Stop::quiet(code)),
        };
        event("startup_complete", [], out)?;
        let ended = tokio::select! {
            ended = read(&options, &mut consumer, out) => ended,
            code = signals.next() => Err(Stop::quiet(code)),
        };
        let asked = ended.as_ref().is_err_and(|stop| stop.code >= 128);
        if asked {
            event("shutdown_requested", [], out)?;
        }
        let given_up: Vec<TopicPartition> = consumer.assignment();
        tokio::select! {
            closed = consumer.close() => {
                if let Err(error) = closed {
                    let (class, message) = error.exception();
                    runtime::log("ERROR", &format!("{class}: {message}"), "org.apache.kafka.tools.VerifiableConsumer");
                }
            }
            _ = signals.next() => {}
        }
        if !given_up.is_empty() {
            event("partitions_revoked", [("partitions", partitions(&given_up))], out)?;
        }
        event("shutdown_complete", [], out)?;
        if !asked {
            event("shutdown_requested", [], out)?;
        }
        match ended {
            Err(stop) if stop.code < 128 => {
                let message = format!("Error during processing, terminating consumer process: {}", stop.err);
                runtime::log("ERROR", &message, "org.apache.kafka.tools.VerifiableConsumer");
                Ok(())
            }
            ended => ended,
        }
    })
}

fn partitions(partitions: &[TopicPartition]) -> Json {
    let one = |tp: &TopicPartition| {
        Json::object([("topic", Json::text(&*tp.topic)), ("partition", Json::Int(tp.partition.into()))])
    };
    Json::Array(partitions.iter().map(one).collect())
}

async fn read(options: &Options, consumer: &mut Consumer, out: &mut Out) -> Result<(), Stop> {
    consumer.subscribe(&[&options.topic])?;
    let mut consumed = 0;
    while options.most.is_none_or(|most| consumed < most) {
        match consumer.poll(Duration::from_secs(3600)).await? {
            Polled::Records(mut fetched) => {
                let read = records(options, &mut fetched, &mut consumed, out)?;
                if read.is_empty() {
                    continue;
                }
                tell_records(&read, out)?;
                if !options.auto_commit {
                    commit(consumer, &read, out).await?;
                }
            }
            Polled::Assigned(given) => {
                event("partitions_assigned", [("partitions", partitions(&given))], out)?
            }
            Polled::Revoked(taken) | Polled::Lost(taken) => {
                event("partitions_revoked", [("partitions", partitions(&taken))], out)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// What was read of one partition.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    partition: TopicPartition,
    count: i64,
    first: i64,
    last: i64,
}

fn records(
    options: &Options,
    fetched: &mut Fetched,
    consumed: &mut u64,
    out: &mut Out,
) -> Result<Vec<Summary>, Stop> {
    let mut read: Vec<Summary> = Vec::new();
    let ended = fetched.for_each(|record| {
        if options.most.is_some_and(|most| *consumed >= most) {
            return Err(Stop::quiet(0));
        }
        *consumed += 1;
        let offset = record.record.offset;
        match read
            .iter_mut()
            .find(|s| s.partition.partition == record.partition && s.partition.topic == *record.topic)
        {
            Some(summary) => {
                summary.count += 1;
                summary.last = offset;
            }
            None => read.push(Summary {
                partition: TopicPartition { topic: record.topic.clone(), partition: record.partition },
                count: 1,
                first: offset,
                last: offset,
            }),
        }
        if options.verbose {
            let text = |bytes: Option<&[u8]>| {
                bytes.map_or(Json::Null, |bytes| Json::Text(String::from_utf8_lossy(bytes).into_owned()))
            };
            let members = [
                ("key", text(record.record.key)),
                ("value", text(record.record.value)),
                ("topic", Json::text(&**record.topic)),
                ("partition", Json::Int(record.partition.into())),
                ("offset", Json::Int(offset)),
            ];
            event("record_data", members, out).map_err(Stop::from)?;
        }
        Ok(())
    })?;
    match ended {
        Err(stop) if stop != Stop::quiet(0) => Err(stop),
        _ => Ok(read),
    }
}

fn tell_records(read: &[Summary], out: &mut Out) -> Result<(), Stop> {
    let count = read.iter().map(|summary| summary.count).sum();
    let summaries = read
        .iter()
        .map(|s| {
            Json::object([
                ("topic", Json::text(&*s.partition.topic)),
                ("partition", Json::Int(s.partition.partition.into())),
                ("count", Json::Int(s.count)),
                ("minOffset", Json::Int(s.first)),
                ("maxOffset", Json::Int(s.last)),
            ])
        })
        .collect();
    Ok(event("records_consumed", [("count", Json::Int(count)), ("partitions", Json::Array(summaries))], out)?)
}

async fn commit(consumer: &mut Consumer, read: &[Summary], out: &mut Out) -> Result<(), Stop> {
    let offsets: Vec<(TopicPartition, Committed)> = read
        .iter()
        .map(|s| {
            (s.partition.clone(), Committed { offset: s.last + 1, leader_epoch: -1, metadata: String::new() })
        })
        .collect();
    let committed = consumer.commit_offsets(&offsets).await;
    let shown = offsets
        .iter()
        .map(|(tp, committed)| {
            Json::object([
                ("topic", Json::text(&*tp.topic)),
                ("partition", Json::Int(tp.partition.into())),
                ("offset", Json::Int(committed.offset)),
            ])
        })
        .collect();
    let shown = ("offsets", Json::Array(shown));
    match committed {
        Ok(()) => event("offsets_committed", [shown, ("success", Json::Bool(true))], out)?,
        Err(error) => {
            let why = Json::Text(error.exception().1);
            event("offsets_committed", [shown, ("error", why), ("success", Json::Bool(false))], out)?;
        }
    }
    Ok(())
}
