//! Groups, transactions and access: what differs, and why.

use super::{DRAWN, Expected, SORTED, Side, What, any, both, server, tool};

pub const ENTRIES: &[Expected] = &[
    // kafka-consumer-groups
    tool(
        "kafka-consumer-groups",
        "*",
        What::Lines(&["-exit 0", "+exit 1"]),
        "an error ends the tool with 1; Apache's ends with 0 after most errors",
    ),
    tool(
        "kafka-consumer-groups",
        "--bootstrap-server nonsense --list",
        What::Lines(&["+err| org.apache.kafka.common.config.ConfigException: *"]),
        "what is wrong with the address is told beside Apache's \"Failed to create new KafkaAdminClient\"",
    ),
    tool(
        "kafka-consumer-groups",
        "*--describe --group none*",
        What::Lines(&["+err| Error: Consumer group 'none' does not exist."]),
        "the sentence of Kafka before 4.0, which guides show, is on standard error beside that of 4.3",
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
    Expected {
        tool: "kafka-groups",
        run: "*--list*",
        side: Side::Theirs,
        what: What::DrawnOrder,
        why: "groups come in the order in which the coordinator has them",
    },
    tool("kafka-groups", "*--list*", What::Order, SORTED),
    // kafka-share-groups
    tool(
        "kafka-share-groups",
        "*",
        What::Lines(&["-exit 0", "+exit 1"]),
        "an error ends the tool with 1; Apache's ends with 0 after most errors",
    ),
    // kafka-streams-groups
    tool(
        "kafka-streams-groups",
        "*",
        What::Lines(&["-exit 0", "+exit 1"]),
        "an error ends the tool with 1; Apache's ends with 0 after most errors",
    ),
    // kafka-share-groups
    any("kafka-share-groups", "*", What::DrawnOrder, DRAWN),
    // kafka-streams-groups
    tool(
        "kafka-streams-groups",
        "*.csv --dry-run",
        What::Lines(&["-err|  at [Source: *"]),
        "an error is said in one sentence; Apache's tools print the exception with its trace behind it",
    ),
    // kafka-share-groups
    server(
        "kafka-share-groups",
        "*--list*",
        What::Lines(&["-out| sg-one*", "-out| sg-two*"]),
        "share groups come later: there is none to list",
    ),
    server(
        "kafka-share-groups",
        "*--describe*",
        What::Lines(&[
            "-exit 0",
            "+exit 1",
            "-out| ",
            "-out| GROUP * COORDINATOR (ID) * #MEMBERS",
            "-out| GROUP * TOPIC * START-OFFSET *",
            "-out| sg-* sg-a * -*",
            "-out| sg-* localhost:{port} * Empty *",
            "-out| *GroupIdNotFoundException: Group sg-none not found.",
            "-err| ",
            "-err| Share group 'sg-*' has no active members.",
            "-err| *GroupIdNotFoundException: Group sg-none not found.",
            "+out| ",
            "+out| *UnsupportedVersionException: The node does not support SHARE_GROUP_DESCRIBE",
        ]),
        "share groups come later: none is described",
    ),
    server(
        "kafka-share-groups",
        "*--reset-offsets*",
        What::Lines(&[
            "-exit 0",
            "+exit 1",
            "-out| ",
            "-out| GROUP * TOPIC * NEW-OFFSET",
            "-out| sg-* sg-a * 0",
            "-out| Warn: Partition 1 from topic sg-a is empty. *",
            "-out| *java.text.ParseException: Error parsing timestamp. *",
            "-out| Error: * This server does not host this topic-partition.",
            "-err| *java.text.ParseException: Error parsing timestamp. *",
            "-err| *UnknownTopicOrPartitionException: *",
        ]),
        "share groups come later: none is described, and the rest is not looked at",
    ),
    Expected {
        tool: "kafka-share-groups",
        run: "*--reset-offsets*",
        side: Side::Theirs,
        what: What::Lines(&["+err| The node does not support SHARE_GROUP_DESCRIBE"]),
        why: "share groups come later: none is described",
    },
    Expected {
        tool: "kafka-share-groups",
        run: "*--describe*",
        side: Side::Theirs,
        what: What::Lines(&[
            "+err| *UnsupportedVersionException: The node does not support SHARE_GROUP_DESCRIBE",
        ]),
        why: "share groups come later: none is described",
    },
    both(
        "kafka-share-groups",
        "*--reset-offsets*",
        What::Lines(&["+out| *UnsupportedVersionException: The node does not support SHARE_GROUP_DESCRIBE"]),
        "share groups come later: none is described",
    ),
    both(
        "kafka-share-groups",
        "*",
        What::Lines(&[
            "+err| localhost:{port}: * is not spoken in a version of *: the other side speaks None",
        ]),
        "share groups come later; which node lacks what is told",
    ),
    server(
        "kafka-share-groups",
        "*--delete-offsets*",
        What::Lines(&[
            "-out| sg-a * Successful",
            "-out| sg-none * Error: This server does not host this topic-partition.",
        ]),
        "share groups come later: none has offsets",
    ),
    both(
        "kafka-share-groups",
        "*--delete-offsets*",
        What::Lines(&[
            "-exit 0",
            "+exit 1",
            "-out| TOPIC * STATUS",
            "+out| *UnsupportedVersionException: The node does not support DELETE_SHARE_GROUP_OFFSETS",
        ]),
        "share groups come later: none has offsets, which is told once",
    ),
    Expected {
        tool: "kafka-share-groups",
        run: "*--delete-offsets*",
        side: Side::Theirs,
        what: What::Lines(&[
            "+out| ",
            "+out| *UnsupportedVersionException: The node does not support DELETE_SHARE_GROUP_OFFSETS",
            "+out| sg-* Error: The node does not support DELETE_SHARE_GROUP_OFFSETS",
        ]),
        why: "share groups come later: none has offsets",
    },
    server(
        "kafka-share-groups",
        "*--delete *",
        What::Lines(&[
            "-out| Deletion of requested share groups ('sg-*') was successful.",
            "+out| ",
            "+out| Error: Deletion of some share groups failed:",
            "+out| * Group 'sg-*' could not be deleted due to: *: Group 'sg-*' is not a share group.",
            "+out| Deletion of requested share groups () was successful.",
        ]),
        "share groups come later: there is none to delete",
    ),
    // kafka-streams-groups
    server(
        "kafka-streams-groups",
        "*sr-one*",
        What::Lines(&[
            "-out| *GroupIdNotFoundException: Group sr-one not found.",
            "+out| *UnsupportedVersionException: The node does not support STREAMS_GROUP_DESCRIBE",
        ]),
        "streams groups come later: whether there is one is not answered",
    ),
    server(
        "kafka-streams-groups",
        "*--reset-offsets*",
        What::Lines(&[
            "-exit 0",
            "+exit 1",
            "-out| ",
            "-out| Error: One or more topics are not part of the group 'sr-one'.",
            "-out| GROUP * TOPIC * NEW-OFFSET *",
            "-out| sr-one * sr-a *",
        ]),
        "streams groups come later: none is described, and the rest is not looked at",
    ),
    both(
        "kafka-streams-groups",
        "*sr-one*",
        What::Lines(&["+err| localhost:{port}: StreamsGroupDescribe: * the other side speaks None"]),
        "streams groups come later; which node lacks what is told",
    ),
    Expected {
        tool: "kafka-streams-groups",
        run: "*sr-one*",
        side: Side::Theirs,
        what: What::Lines(&[
            "-err| *GroupIdNotFoundException: Group sr-one not found.",
            "+err| *UnsupportedVersionException: The node does not support STREAMS_GROUP_DESCRIBE",
        ]),
        why: "streams groups come later; Apache's tool prints its traces",
    },
    Expected {
        tool: "kafka-streams-groups",
        run: "*.csv --dry-run",
        side: Side::Theirs,
        what: What::Lines(&["-err| com.fasterxml.*", "-err|  at [Source: *"]),
        why: "streams groups come later: the file is not looked at",
    },
    // kafka-streams-application-reset
    tool(
        "kafka-streams-application-reset",
        "*--to-offset x",
        What::Lines(&[
            "-out| Reset-offsets for input topics [sa-in]",
            "-out| Following input topics offsets will be reset to (for consumer group sa-app)",
            "-err| ERROR: joptsimple.OptionArgumentConversionException: Cannot parse argument 'x' of option to-offset",
            "+err| Cannot parse argument 'x' of option to-offset",
            "+err| Option (* = required) *",
            "+err| ---*",
            "+err| * --application-id *",
            "+err| --*",
            "+err|  *",
        ]),
        "arguments are looked at before anything is done, and the help is shown with what is wrong",
    ),
    // kafka-acls
    tool(
        "kafka-acls",
        "*",
        What::Lines(&["-out| java.*", "-out| joptsimple.*", "-out| ", "+err| Value [*"]),
        "an error is said in one sentence; Apache's tool prints the exception with its trace behind it",
    ),
    tool(
        "kafka-acls",
        "*{dir}/missing.properties*",
        What::Lines(&["-out| Error while executing ACL command: {dir}/missing.properties"]),
        "a file that is not there is told as such, on standard error",
    ),
    tool(
        "kafka-acls",
        "*--remove --topic a-one",
        What::Lines(&[
            "-exit 1",
            "+exit 0",
            "-out| Error while executing ACL command: Cannot invoke \"java.io.Console*",
        ]),
        "the question may be answered through a pipe, too; Apache's tool needs a terminal and fails without",
    ),
    any(
        "kafka-acls",
        "*",
        What::Drawn(&[
            "-out| *\t*",
            "+out| *\t*",
            "-err| *\t*",
            "+err| *\t*",
            "-err| ResourceType * only supports operations [*",
            "+err| ResourceType * only supports operations [*",
        ]),
        "Apache's tool lists operations in the order of a Java set, which it draws anew each time it is started",
    ),
    // kafka-delegation-tokens
    tool(
        "kafka-delegation-tokens",
        "*",
        What::Lines(&[
            "-err| Cannot invoke \"java.lang.Long.longValue()\" *",
            "+err| Option max-life-time-period requires an argument",
        ]),
        "a missing value is named, where Apache's tool tells of a NullPointerException",
    ),
    // kafka-transactions
    server(
        "kafka-transactions",
        "*list*",
        What::Order,
        "transactions come in the order in which the coordinator has them, which is sorted",
    ),
    any(
        "kafka-transactions",
        "*/quick.properties describe-producers*",
        What::Drawn(&[
            "-err| Failed to describe producers for partition *: Call(callName=describeProducers(api=METADATA), *",
            "+err| Failed to describe producers for partition *: Call(callName=describeProducers(api=METADATA), *",
            "-err| Failed to describe producers for partition *: Timed out waiting for a node assignment. Call: describeProducers(api=METADATA).*",
            "+err| Failed to describe producers for partition *: Timed out waiting for a node assignment. Call: describeProducers(api=METADATA).*",
        ]),
        "no partition, no leader: Apache's tool asks again until its time is over, and says by chance what it waited for or how often it asked",
    ),
    tool(
        "kafka-transactions",
        "*-v*",
        What::Lines(&["-out| 4.3.1 (Commit:*", "+out| 4.3.1"]),
        "a version of ours is no commit of Apache Kafka",
    ),
];
