//! The commands of `kafka-transactions` and their arguments.

use crate::args::argparse::{Arg, Kind, Parser};

pub(crate) fn parser() -> Parser {
    let topic = || Arg::option(&["--topic"]);
    let partition = || Arg::option(&["--partition"]).kind(Kind::Integer).help("partition number");
    Parser::new("kafka-transactions.sh")
        .description("This tool is used to analyze the transactional state of producers in the cluster. It can be used to detect and recover from hanging transactions.")
        .arg(
            Arg::option(&["-v", "--version"])
                .version()
                .help("show the version of this Kafka distribution and exit"),
        )
        .arg(
            Arg::option(&["--command-config"])
                .metavar("FILE")
                .help("property file containing configs to be passed to admin client"),
        )
        .arg(
            Arg::option(&["--bootstrap-server"])
                .required()
                .metavar("host:port")
                .help("hostname and port for the broker to connect to, in the form `host:port`  (multiple comma-separated entries can be given)"),
        )
        .subcommands_titled("command", "commands")
        .subcommands_metavar("COMMAND")
        .subcommand(
            Parser::sub("list")
                .about("list transactions")
                .arg(Arg::option(&["--duration-filter"]).kind(Kind::Long).help("Duration (in millis) to filter by: if < 0, all transactions will be returned; otherwise, only transactions running longer than this duration will be returned"))
                .arg(Arg::option(&["--transactional-id-pattern"]).help("Transactional id regular expression pattern to filter by")),
        )
        .subcommand(
            Parser::sub("describe")
                .description("Describe the state of an active transactional-id.")
                .about("describe the state of an active transactional-id")
                .arg(Arg::option(&["--transactional-id"]).required().help("transactional id")),
        )
        .subcommand(
            Parser::sub("describe-producers")
                .about("describe the states of active producers for a topic partition")
                .arg(Arg::option(&["--broker-id"]).kind(Kind::Integer).help("optional broker id to describe the producer state on a specific replica"))
                .arg(topic().required().help("topic name"))
                .arg(partition().required()),
        )
        .subcommand(
            Parser::sub("abort")
                .about("abort a hanging transaction (requires administrative privileges)")
                .arg(topic().required().help("topic name"))
                .arg(partition().required())
                .group_described(
                    "Brokers on versions 3.0 and above",
                    "For newer brokers, only the start offset of the transaction to be aborted is required",
                    vec![Arg::option(&["--start-offset"]).kind(Kind::Long).help("start offset of the transaction to abort")],
                )
                .group_described(
                    "Brokers on versions older than 3.0",
                    "For older brokers, you must provide all of these arguments",
                    vec![
                        Arg::option(&["--producer-id"]).kind(Kind::Long).help("producer id"),
                        Arg::option(&["--producer-epoch"]).kind(Kind::Short).help("producer epoch"),
                        Arg::option(&["--coordinator-epoch"]).kind(Kind::Integer).help("coordinator epoch"),
                    ],
                ),
        )
        .subcommand(
            Parser::sub("find-hanging")
                .about("find hanging transactions")
                .arg(Arg::option(&["--broker-id"]).kind(Kind::Integer).help("broker id to search for hanging transactions"))
                .arg(
                    Arg::option(&["--max-transaction-timeout"])
                        .kind(Kind::Integer)
                        .default(15)
                        .help("maximum transaction timeout in minutes to limit the scope of the search (15 minutes by default)"),
                )
                .arg(topic().help("topic name to limit search to (required if --partition is specified)"))
                .arg(partition()),
        )
        .subcommand(
            Parser::sub("forceTerminateTransaction")
                .description("Force abort an ongoing transaction on transactionalId")
                .about("Force abort an ongoing transaction on transactionalId (requires administrative privileges)")
                .arg(Arg::option(&["--transactionalId"]).required().help("transactional id")),
        )
}
