//! `kafka-verifiable-share-consumer`: its arguments are checked, and then it says that share groups wait.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use crate::args::argparse::{Arg, Kind, Parser};
use crate::console_share;
use crate::runtime::{self, Out, Stop};

/// Runs the tool.
pub fn run(args: &[OsString]) -> ExitCode {
    runtime::tool("kafka-verifiable-share-consumer", args, consume)
}

fn parser() -> Parser {
    Parser::new("verifiable-share-consumer")
        .default_help()
        .description(
            "This tool creates a share group and consumes messages from a specific topic and emits share consumer \
             events (e.g. share consumer startup, received messages, and offsets acknowledged) as JSON objects to \
             STDOUT.",
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
            Arg::option(&["--group-id"])
                .required()
                .dest("groupId")
                .metavar("GROUP-ID")
                .help(
                    "The group id of the share group",
                ),
        )
        .arg(
            Arg::option(&["--max-messages"])
                .dest("maxMessages")
                .kind(Kind::Integer)
                .default("-1")
                .metavar("MAX-MESSAGES")
                .help(
                    "Consume this many messages. If -1 (the default), the share consumers will \
                     consume until the process is killed externally",
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
            Arg::option(&["--acknowledgement-mode"])
                .dest("acknowledgementMode")
                .default("auto")
                .metavar("ACKNOWLEDGEMENT-MODE")
                .help(
                    "Acknowledgement mode for the share consumers (must be either 'auto', 'sync' \
                     or 'async')",
                ),
        )
        .arg(
            Arg::option(&["--offset-reset-strategy"])
                .dest("offsetResetStrategy")
                .default("")
                .metavar("OFFSET-RESET-STRATEGY")
                .help(
                    "Share group offset reset strategy (must be either 'earliest' or 'latest')",
                ),
        )
        .arg(
            Arg::option(&["--command-config"])
                .dest("commandConfig")
                .metavar("CONFIG-FILE")
                .help(
                    "Config properties file (config options shared with command line parameters \
                     will be overridden).",
                ),
        )
}

fn consume(args: &[String], out: &mut Out) -> Result<(), Stop> {
    let p = parser();
    if args.is_empty() {
        write!(out, "{}", p.help())?;
        return Err(Stop::quiet(0));
    }
    p.parse(args, out)?;
    Err(console_share::not_served("kafka-verifiable-consumer"))
}
