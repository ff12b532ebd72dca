//! Topics, configurations, brokers and quorums: what differs, and why.

use super::{DRAWN, Expected, SORTED, What, any, both, server, tool};

pub const ENTRIES: &[Expected] = &[
    // kafka-topics
    tool("kafka-topics", "*--describe*", What::Order, SORTED),
    tool(
        "kafka-topics",
        "--bootstrap-server no* --list",
        What::Lines(&["+err| org.apache.kafka.common.config.ConfigException: *"]),
        "what is wrong with the address is told beside Apache's \"Failed to create new KafkaAdminClient\"",
    ),
    any(
        "kafka-topics",
        "*--alter*--config *",
        What::Drawn(&["-err| Option combination *", "+err| Option combination *"]),
        DRAWN,
    ),
    // kafka-configs
    any("kafka-configs", "*--describe --entity-type groups", What::DrawnOrder, SORTED),
    any(
        "kafka-configs",
        "*--broker-logger*",
        What::Drawn(&[
            "-out|   org.apache.kafka.* sensitive=false *",
            "+out|   org.apache.kafka.* sensitive=false *",
        ]),
        "a logger of the Java virtual machine is listed once its class has been used",
    ),
    tool("kafka-configs", "*--describe --entity-type topics", What::Order, SORTED),
    tool(
        "kafka-configs",
        "*--user cf-u*SCRAM-SHA-256*",
        What::Lines(&[
            "-exit 0",
            "-out| Completed updating config for user cf-u.",
            "+exit 1",
            "+err| SCRAM credentials cannot be made by this release yet *",
            "+err| Error while executing config command with args '*--user cf-u --delete-config SCRAM-SHA-256'",
            "+err| *ResourceNotFoundException: Attempt to delete a user credential that does not exist*",
        ]),
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
    any("kafka-delete-records", "*", What::DrawnOrder, DRAWN),
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
        What::Lines(&["+err| the cluster has no live node 7"]),
        "the cause of a time-out is told",
    ),
];
