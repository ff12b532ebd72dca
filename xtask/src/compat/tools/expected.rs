//! Every difference between Apache Kafka's tools and nodes and ours that the judge of the tools meets, with its reason.
//! An entry (or one of its patterns) that no longer matches anything is an error.

/// A difference that is meant, or known.
pub struct Expected {
    /// The tool, `*` for any letters.
    pub tool: &'static str,
    /// The invocation as its script writes it, `*` for any letters.
    pub run: &'static str,
    pub side: Side,
    pub what: What,
    pub why: &'static str,
}

/// Whose difference it is.
#[derive(Clone, Copy)]
pub enum Side {
    /// Our tools', on either node.
    Tool,
    /// Our node's, under either tool.
    Server,
    /// Only our tool on our node.
    Both,
}

/// What differs.
#[derive(Clone, Copy)]
pub enum What {
    /// Lines of a difference: `-` the reference's, `+` the other's; then `exit N`, `out| text` or `err| text`. `*` stands for
    /// any letters. Every pattern must match something.
    Lines(&'static [&'static str]),
    /// The same text on standard output with code 0 that Apache's tool prints with code 1, mostly on standard error.
    HelpOnStdout,
    /// The same lines of standard output in another order, or the same objects of JSON.
    Order,
}

const fn tool(tool: &'static str, run: &'static str, what: What, why: &'static str) -> Expected {
    Expected { tool, run, side: Side::Tool, what, why }
}

const fn server(tool: &'static str, run: &'static str, what: What, why: &'static str) -> Expected {
    Expected { tool, run, side: Side::Server, what, why }
}

const fn both(tool: &'static str, run: &'static str, what: What, why: &'static str) -> Expected {
    Expected { tool, run, side: Side::Both, what, why }
}

/// The list.
pub const EXPECTED: &[Expected] = &[
    // Every tool.
    tool(
        "*",
        "*--help",
        What::HelpOnStdout,
        "help that was asked for is an answer: standard output, exit code 0",
    ),
    tool(
        "*",
        "*",
        What::Lines(&[
            "-err| java.*",
            "-err| org.apache.kafka.*",
            "-err| joptsimple.*",
            "-err| com.fasterxml.*",
            "-err| ",
        ]),
        "an error is said in one sentence; Apache's tools print the exception with its trace behind it",
    ),
    tool(
        "*",
        "*",
        What::Lines(&["+err|     did you mean *", "+err|     next: *", "+err|     cause: *"]),
        "an error is followed by its cause and by what to type next",
    ),
    tool(
        "*",
        "*",
        What::Lines(&[
            "+err| the bootstrap server did not answer:",
            "+err|   localhost:1: connection refused (127.0.0.1:1): nobody listens there",
            "+err|   no.such.host.invalid:9092: the host name does not resolve: *",
        ]),
        "each address that does not answer is named with its own cause",
    ),
    tool(
        "*",
        "*{dir}/missing.*",
        What::Lines(&[
            "-err| *{dir}/missing.*",
            "+err| *{dir}/missing.*: No such file or directory (os error 2)",
            "+err| No such file or directory (os error 2)",
        ]),
        "a file that is not there is told as such, not by its bare name",
    ),
    tool(
        "*",
        "*",
        What::Lines(&["-out| *deprecated*", "+err| *deprecated*"]),
        "notices of old flags go to standard error, so that pipes stay clean",
    ),
    tool(
        "*",
        "*--broker-list *",
        What::Lines(&[
            "+err| Option --broker-list is no longer an option of Apache Kafka and is taken as --bootstrap-server.*",
        ]),
        "old scripts go on working",
    ),
    tool(
        "*",
        "*{dead}*",
        What::Lines(&["+err| *TimeoutException: Timed out waiting for a node assignment.*"]),
        "the exception is told once; Apache's tools tell it in their traces, with the call that waited",
    ),
    tool(
        "*",
        "*--zookeeper *",
        What::Lines(&["+err| --zookeeper is gone: *"]),
        "what took the place of ZooKeeper's address is explained",
    ),
    tool(
        "*",
        "*",
        What::Lines(&["+err| WARN *"]),
        "a warning is a plain line; Apache's are log4j's, left out here, or are not given",
    ),
    // kafka-topics
    tool("kafka-topics", "*--describe*", What::Order, SORTED),
    tool(
        "kafka-topics",
        "--bootstrap-server no* --list",
        What::Lines(&["+err| org.apache.kafka.common.config.ConfigException: *"]),
        "what is wrong with the address is told beside Apache's \"Failed to create new KafkaAdminClient\"",
    ),
    tool(
        "kafka-topics",
        "*--alter*--config *",
        What::Lines(&["-err| Option combination *", "+err| Option combination *"]),
        "Apache's tool names the options in another order each time its virtual machine is started",
    ),
    // kafka-configs
    tool("kafka-configs", "*--describe --entity-type topics", What::Order, SORTED),
    tool(
        "kafka-configs",
        "*--user cf-u*SCRAM-SHA-256*",
        What::Lines(&["-exit 0", "-out| Completed updating config for user cf-u.", "+exit 1", "+err| *"]),
        "SCRAM credentials are not made yet, so that there is none to delete either",
    ),
    tool(
        "kafka-configs",
        "*--broker 7*",
        What::Lines(&["+err| the cluster has no live node 7"]),
        "the cause of a time-out is told",
    ),
    server(
        "kafka-configs",
        "*--broker-logger*",
        What::Lines(&["-out|   *=* sensitive=false synonyms={}"]),
        "the node has no log4j loggers whose levels could be shown or changed",
    ),
    server(
        "kafka-configs",
        "*",
        What::Lines(&[
            "-exit 0",
            "-out| Quota configs for *",
            "-out| Completed updating *config for *",
            "+exit 1",
            "+err| Error while executing config command with args *",
            "+err| *The node does not support *_CLIENT_QUOTAS",
            "+err| *The node does not support ALTER_USER_SCRAM_CREDENTIALS",
            "+err| ",
        ]),
        "quotas and SCRAM credentials are not served yet",
    ),
    both(
        "kafka-configs",
        "*",
        What::Lines(&["+err| localhost:{port}: * is not spoken in a version of *"]),
        "quotas and SCRAM credentials are not served yet; which node lacks what is told",
    ),
    server(
        "kafka-configs",
        "*--topic none --all",
        What::Lines(&[
            "-err| *UnknownTopicOrPartitionException: ",
            "+err| *UnknownTopicOrPartitionException: This server does not host this topic-partition.",
        ]),
        "the answer has a message where Apache Kafka's has none",
    ),
    // kafka-console-producer
    tool(
        "kafka-console-producer",
        "--broker-list *",
        What::Lines(&["-exit 1", "+exit 0", "-err| *"]),
        "old scripts go on working",
    ),
    server(
        "kafka-console-producer",
        "*cp-small*",
        What::Lines(&["-err| *RecordTooLargeException: *", "+err| *RecordTooLargeException: *"]),
        "the broker says how large the batch and how low the limit is",
    ),
    tool(
        "kafka-console-producer",
        "*'bad topic'",
        What::Lines(&["+err| *InvalidTopicException: Invalid topics: [bad topic]"]),
        "what was not sent, and why, is a plain line; Apache's is one of log4j's, left out here",
    ),
    tool(
        "kafka-console-producer",
        "*{dead}*",
        What::Lines(&[
            "-exit 0",
            "+exit 1",
            "+err| *TimeoutException: Timed out waiting for a node assignment.",
        ]),
        "what was typed was not sent: the exit code says so",
    ),
    // kafka-consumer-groups
    tool(
        "kafka-consumer-groups",
        "*",
        What::Lines(&["-exit 0", "+exit 1"]),
        "an error ends the tool with 1; Apache's ends with 0 after most errors",
    ),
    tool("kafka-consumer-groups", "*", What::Order, SORTED),
    tool(
        "kafka-consumer-groups",
        "*nonsense*",
        What::Lines(&[
            "-err| Invalid * list 'nonsense'. Valid *",
            "+err| Invalid * list 'nonsense'. Valid *",
        ]),
        "Apache's tool lists the values in another order each time it is started",
    ),
    tool(
        "kafka-consumer-groups",
        "*--validate-regex '['",
        What::Lines(&[
            "-out| The regular expression `[` is invalid: *",
            "+out| The regular expression `[` is invalid: *",
        ]),
        "what is wrong with a regular expression is said in our words",
    ),
    tool(
        "kafka-consumer-groups",
        "*.csv --dry-run",
        What::Lines(&["-err|  at [Source: *"]),
        "an error is said in one sentence; Apache's tools print the exception with its trace behind it",
    ),
    tool(
        "kafka-consumer-groups",
        "*/wrong.csv --dry-run",
        What::Lines(&[
            "-out| ",
            "-out| Error: No reset plan for group cg-one found",
            "-out| GROUP *",
            "+out| Error: * due to line 1: the partition is not a number: *",
        ]),
        "the line of a file that cannot be read is told, and nothing else",
    ),
    tool(
        "kafka-consumer-groups",
        "*{dir}/missing.properties",
        What::Lines(&["-out| ", "-out| Error: *NoSuchFileException: {dir}/missing.properties"]),
        "a file that is not there is told as such, on standard error",
    ),
    // kafka-groups
    tool("kafka-groups", "*--list*", What::Order, SORTED),
    // kafka-get-offsets
    tool(
        "kafka-get-offsets",
        "--broker-list *",
        What::Lines(&[
            "-exit 1",
            "+exit 0",
            "+out| go-b:0:2",
            "-err| Error occurred: broker-list is not a recognized option",
        ]),
        "old scripts go on working",
    ),
    // kafka-delete-records
    tool(
        "kafka-delete-records",
        "*/*.json",
        What::Lines(&["+err|     EOF while parsing *", "+err|     No such file or directory (os error 2)"]),
        "the cause is told",
    ),
    tool(
        "kafka-delete-records",
        "*none.json*",
        What::Lines(&[
            "-out| partition: none-0*TimeoutException*",
            "+out| partition: none-0*UnknownTopicOrPartitionException*",
        ]),
        "an unknown topic is told at once; Apache's client asks again until its time is over",
    ),
    server(
        "kafka-delete-records",
        "*none.json*",
        What::Lines(&[
            "-out| partition: none-0*TimeoutException*",
            "+out| partition: none-0*TimeoutException*",
        ]),
        "the message counts how often Apache's client asked",
    ),
    tool(
        "kafka-delete-records",
        "*{dead}*",
        What::Lines(&["-exit 0", "+exit 1", "-out| *", "+err| *TimeoutException: *"]),
        "an unreachable cluster is told once and ends the tool with 1; Apache's tells it of each partition and ends with 0",
    ),
    // kafka-log-dirs
    tool("kafka-log-dirs", "*", What::Order, SORTED),
    // kafka-cluster
    tool(
        "kafka-cluster",
        "*--config *--command-config *",
        What::Lines(&["-err| net.sourceforge.argparse4j.*"]),
        "an error is said in one sentence; Apache's tools print the exception with its trace behind it",
    ),
    tool(
        "kafka-cluster",
        "cluster-id --bootstrap-server nonsense",
        What::Lines(&[
            "-err| Failed to create new KafkaAdminClient",
            "+err| *ConfigException: Invalid url *",
        ]),
        "what is wrong with the address is told, not that no client was made",
    ),
    // kafka-features
    server(
        "kafka-features",
        "*disable --feature no.such.feature",
        What::Lines(&[
            "-exit 1",
            "+exit 0",
            "-out| Could not disable *",
            "+out| no.such.feature was disabled.",
            "-err| 1 out of 1 *",
        ]),
        "known: the controller takes level 0 of a feature that it does not know",
    ),
    tool(
        "kafka-features",
        "*--node-id 7",
        What::Lines(&["+err| the cluster has no live node 7"]),
        "the cause of a time-out is told",
    ),
    // kafka-metadata-quorum
    tool(
        "kafka-metadata-quorum",
        "*{dead}*",
        What::Lines(&["+err| localhost:{number}: connection refused *", "+err| next: *"]),
        "each address that does not answer is named with its own cause",
    ),
    server(
        "kafka-metadata-quorum",
        "*",
        What::Lines(&[
            "-out| CurrentVoters: *",
            "+out| CurrentVoters: *",
            "-out| *AAAAAAAAAAAAAAAAAAAAAA *",
            "+out| *{uuid} *",
        ]),
        "a static voter's directory is known and told",
    ),
    tool(
        "kafka-metadata-quorum",
        "--bootstrap-controller {b} *",
        What::Lines(&["+err| *MismatchedEndpointTypeException: *"]),
        "a broker's port given as a controller's is explained",
    ),
    // kafka-broker-api-versions
    server(
        "kafka-broker-api-versions",
        "*",
        What::Lines(&["-out| \t*(*): *", "+out| \t*(*): UNSUPPORTED*"]),
        "APIs that docs/STATUS.md calls waiting are not served",
    ),
    // kafka-leader-election
    tool(
        "kafka-leader-election",
        "*broken.json",
        What::Lines(&["+err| {dir}/broken.json: EOF while parsing *", "+err|     "]),
        "the place of a fault in a file is told",
    ),
    tool(
        "kafka-leader-election",
        "*{dead}*",
        What::Lines(&[
            "+err| *TimeoutException: Timed out waiting for a node assignment. Call: electLeaders",
        ]),
        "the cause of a time-out is told",
    ),
    // kafka-reassign-partitions
    tool(
        "kafka-reassign-partitions",
        "*",
        What::Lines(&[
            "-out| org.apache.kafka.*",
            "-out| java.*",
            "-out| joptsimple.*",
            "-out|  at [Source: *",
            "-out| ",
        ]),
        "an error is said in one sentence; Apache's tool prints the exception with its trace behind it",
    ),
    tool(
        "kafka-reassign-partitions",
        "*broken.json*",
        What::Lines(&[
            "-out| Error: Unexpected end-of-input *",
            "+out| Error: com.fasterxml.jackson.core.JsonParseException: EOF while parsing *",
            "+err| {dir}/broken.json: EOF while parsing *",
            "+err|     ",
        ]),
        "the place of a fault in a file is told, by another reader of JSON",
    ),
    tool(
        "kafka-reassign-partitions",
        "*{dir}/missing.properties",
        What::Lines(&["-out| Error: {dir}/missing.properties"]),
        "a file that is not there is told as such, on standard error",
    ),
    tool(
        "kafka-reassign-partitions",
        "*/seven.json --command-config *",
        What::Lines(&[
            "-out| Error: *Timed out waiting *",
            "+out| Error: *Unexpected broker id, expected 1, but received 7",
        ]),
        "known: throttles of a broker that is not there are asked of another one, which refuses",
    ),
    // kafka-storage
    tool(
        "kafka-storage",
        "format *",
        What::Lines(&["-out| Bootstrap metadata: BootstrapMetadata(*"]),
        "known: the records that a cluster begins with are not told",
    ),
    tool(
        "kafka-storage",
        "*",
        What::Lines(&["+err| Next: bin/kafka-server-start.sh *", "+err|     found: *"]),
        "what is there, and what to type next",
    ),
    tool(
        "kafka-storage",
        "*",
        What::Lines(&[
            "-err| Exception in thread \"main\" *",
            "+err| Invalid cluster.id in: *",
            "+err| No feature:group.version with feature level 99",
            "+err| Can't parse feature=level string group.version: *",
            "+err| 'nonsense' is no initial controller; *",
            "+err| {dir}/*.properties:*",
            "+err| controller.listener.names is missing: *",
            "+err|     Missing required configuration *",
            "+err|     Invalid value nonsense for configuration process.roles: *",
            "+err|     allowed: *",
            "+err| node.id is missing: *",
        ]),
        "an error is said in one sentence, of a file everything that is wrong with it; Apache's tool dies of an exception",
    ),
    tool(
        "kafka-storage",
        "*-S*",
        What::Lines(&[
            "-err| Failed to find equals sign in SCRAM argument 'nonsense'",
            "+err| --add-scram: SCRAM is not served *",
        ]),
        "SCRAM comes later",
    ),
    tool(
        "kafka-storage",
        "*--add-scram*",
        What::Lines(&[
            "-exit 0",
            "+exit 1",
            "-out| All of the log directories *",
            "+err| --add-scram: SCRAM is not served *",
        ]),
        "SCRAM comes later",
    ),
    // kafka-dump-log
    tool(
        "kafka-dump-log",
        "*LongDecoder",
        What::Lines(&[
            "-err| Exception in thread \"main\" java.nio.BufferUnderflowException",
            "+err| Exception in thread \"main\" java.nio.BufferUnderflowException: *",
        ]),
        "the exception says what is wrong",
    ),
    tool(
        "kafka-dump-log",
        "*--remote-log-metadata-decoder",
        What::Lines(&[
            "-out| | offset: * Error at offset *",
            "+out| | offset: * Records of tiered storage are not read *",
        ]),
        "records of tiered storage are not read",
    ),
    server(
        "kafka-dump-log",
        "*--offsets-decoder*",
        What::Lines(&["-out| baseOffset: * baseSequence: 0 *", "+out| baseOffset: * baseSequence: -1 *"]),
        "a batch without a producer has no sequence; Apache's coordinator writes 0",
    ),
    // kafka-producer-perf-test
    tool(
        "kafka-producer-perf-test",
        "*.txt*",
        What::Lines(&[
            "-err| Exception in thread \"main\" java.lang.IllegalArgumentException: *",
            "+err| java.lang.IllegalArgumentException: *",
        ]),
        "an error is said in one sentence; Apache's tool dies of an exception that nobody catches",
    ),
    tool(
        "kafka-producer-perf-test",
        "*--print-metrics",
        What::Lines(&["-out| *", "+out| *"]),
        "the counters are those of our producer",
    ),
    tool(
        "kafka-producer-perf-test",
        "*--transactional-id *",
        What::Lines(&[
            "-exit 0",
            "+exit 1",
            "-out| *",
            "+err| *transactions are not served by this release yet",
        ]),
        "transactions come later",
    ),
    // kafka-e2e-latency
    tool(
        "kafka-e2e-latency",
        "--help",
        What::Lines(&["-out| Invalid number of arguments. *"]),
        "--help alone is understood",
    ),
    tool(
        "kafka-e2e-latency",
        "--version",
        What::Lines(&["-exit 1", "+exit 0", "+out| 4.3.1", "-err| Invalid number of arguments. *"]),
        "--version alone is understood",
    ),
    // Share groups are not served, neither by the tools nor by the node.
    tool(
        "*-share-consumer*",
        "*",
        What::Lines(&[
            "-exit 0",
            "-exit 130",
            "+exit 1",
            "-out| *",
            "-err| *",
            "+err| *share groups are not served by this release yet",
        ]),
        "share groups come later",
    ),
    server(
        "*-share-consumer*",
        "*",
        What::Lines(&[
            "-exit 0",
            "+exit 1",
            "-out| *",
            "-err| *",
            "+err| *The cluster does not support the share group protocol *",
            "+err| ",
        ]),
        "share groups come later",
    ),
    // kafka-console-consumer
    tool(
        "kafka-console-consumer",
        "*--include '[' *",
        What::Lines(&[
            "-err| ^",
            "+err| java.util.regex.PatternSyntaxException: *",
            "+err| Processed a total of 0 messages",
        ]),
        "what is wrong with a regular expression is said in our words",
    ),
    tool(
        "kafka-console-consumer",
        "*{dead}*",
        What::Lines(&[
            "-exit 0",
            "+exit 1",
            "-err| Processed a total of 0 messages",
            "+err| *TimeoutException: *",
        ]),
        "an unreachable cluster is told and ends the tool with 1; Apache's ends with 0",
    ),
];

const SORTED: &str = "what Apache's tool has in the order of a Java hash map is sorted";
