//! Files of nodes, and their starts: what differs, and why.

use super::{Expected, Side, What, any, tool};

pub const ENTRIES: &[Expected] = &[
    // kafka-storage
    tool(
        "kafka-storage",
        "*",
        What::Lines(&[
            "+err| Next: bin/kafka-server-start.sh *",
            "+err|     found: *",
            "+err| {dir}/* (log.dirs in {dir}/*.properties)",
        ]),
        "what is there, which line of which file says so, and what to type next",
    ),
    any(
        "kafka-storage",
        "*{dir}/broker.properties*",
        What::DrawnOrder,
        "directories in the order of a Java hash map, which depends on where they are",
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
    // kafka-server-start
    tool(
        "kafka-server-start",
        "*",
        What::Lines(&[
            "-out| *--override*",
            "-err| *--override*",
            "-out| *server.properties file*",
            "-err| *server.properties file*",
            "-out| Option *",
            "-err| Option *",
            "-out| ------ *",
            "-err| ------ *",
            "-out| --version *",
            "-err| --version *",
            "+out| USAGE: kafka-server-start.sh *",
            "+err| USAGE: kafka-server-start.sh *",
        ]),
        "the usage is that of the script, which takes -daemon, too; Apache's is that of the Java class behind it",
    ),
    tool(
        "kafka-server-start",
        "--version",
        What::Lines(&["-out| 4.3.1", "+out| ottla * (serves Apache Kafka 4.3.1)"]),
        "whose server it is, is said, too",
    ),
    tool(
        "kafka-server-start",
        "{dir}/*.properties*",
        What::Lines(&[
            "+err| {dir}/missing.properties: cannot read the configuration file: No such file or directory (os error 2)",
            "+err| controller.listener.names is missing: brokers and controllers need the name of the controllers' listener",
            "+err| node.id is missing: every node has a number of its own",
            "+err|     Missing required configuration \"*\" which has no default value.",
            "+err| {dir}/wrong.properties:1: process.roles=nonsense is not allowed",
            "+err|     Invalid value nonsense for configuration process.roles: String must be one of: broker, controller",
            "+err|     allowed: a comma separated list of broker, controller",
            "+err| No `meta.properties` found in {dir}/ss-fresh (have you run `kafka-storage.sh` to format the directory?)",
            "+err| {dir}/fresh.properties:3: If process.roles contains the 'controller' role, the node id 2 must be included in *",
            "+err| --override 'node.id': expected property=value",
            "+err| no-such-flag is not a recognized option",
        ]),
        "why the node does not start is told on standard error; Apache's says it in its log, left out here",
    ),
    // kafka-metadata-shell
    tool(
        "kafka-metadata-shell",
        "*broken.checkpoint*",
        What::Lines(&[
            "-still running",
            "+exit 1",
            "+err| Unexpected error: {dir}/shell/broken.checkpoint: byte 0: *",
        ]),
        "a file without metadata is told; Apache's shell waits for ever for what never comes",
    ),
    any(
        "kafka-metadata-shell",
        "*.checkpoint * /image/features",
        What::Drawn(&[
            "-out| *finalized_*",
            "+out| *finalized_*",
            "-out|   1",
            "+out|   1",
            "-out|   2",
            "+out|   2",
            "-out|   Optional*",
            "+out|   Optional*",
        ]),
        LUCK,
    ),
    any(
        "kafka-metadata-shell",
        "-s {dir}/shell/00000000000000000000.log *",
        What::Drawn(&[
            "-out| *: No such file or directory.",
            "-out| *: no such file or directory.",
            "+out| *",
        ]),
        LUCK,
    ),
    Expected {
        tool: "kafka-metadata-shell",
        run: "-s {dir}/shell/00000000000000000000.log *",
        side: Side::Theirs,
        what: What::Drawn(&["-out| *"]),
        why: LUCK,
    },
];

const LUCK: &str =
    "Apache's shell begins as soon as it has read one batch of a log: what it lacks is a matter of luck";
