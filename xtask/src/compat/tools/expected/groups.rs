//! Groups, transactions and access: what differs, and why.

use super::{DRAWN, Expected, SORTED, Side, What, any, server, tool};

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
    any(
        "kafka-consumer-groups",
        "*nonsense*",
        What::Drawn(&[
            "-err| Invalid * list 'nonsense'. Valid *",
            "+err| Invalid * list 'nonsense'. Valid *",
        ]),
        DRAWN,
    ),
    any(
        "kafka-consumer-groups",
        "*--reset-offsets --group cg-one --topic cg-a",
        What::Drawn(&[
            "-err| Option '[reset-offsets]' requires one of the following scenarios: *",
            "+err| Option '[reset-offsets]' requires one of the following scenarios: *",
        ]),
        DRAWN,
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
    any(
        "kafka-share-groups",
        "*nonsense",
        What::Drawn(&["-err| Invalid state list *", "+err| Invalid state list *"]),
        DRAWN,
    ),
    // kafka-streams-groups
    any(
        "kafka-streams-groups",
        "*nonsense",
        What::Drawn(&["-err| Invalid state list *", "+err| Invalid state list *"]),
        DRAWN,
    ),
    tool(
        "kafka-streams-groups",
        "*.csv --dry-run",
        What::Lines(&["-err|  at [Source: *"]),
        "an error is said in one sentence; Apache's tools print the exception with its trace behind it",
    ),
    // kafka-share-groups
    server(
        "kafka-share-groups",
        "*",
        What::Lines(&["-exit 0", "+exit 1", "-out| *", "-err| *", "+out| *", "+err| *"]),
        "share groups come later",
    ),
    // kafka-streams-groups
    server(
        "kafka-streams-groups",
        "*",
        What::Lines(&["-out| *", "-err| *", "+out| *", "+err| *"]),
        "streams groups come later",
    ),
    // kafka-streams-application-reset
    tool(
        "kafka-streams-application-reset",
        "*--to-offset x",
        What::Lines(&["-out| *", "-err| ERROR: joptsimple.*", "+err| *"]),
        "arguments are looked at before anything is done",
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
    tool(
        "kafka-transactions",
        "*describe-producers*",
        What::Lines(&[
            "-err| Failed to describe producers for partition *: Call(callName=describeProducers(api=METADATA), *",
            "+err| Failed to describe producers for partition *: Timed out waiting for a node assignment. *",
        ]),
        "no partition, no leader: Apache's tool asks again until its time is over and counts; ours says what it waited for",
    ),
    Expected {
        tool: "kafka-transactions",
        run: "*describe-producers*",
        side: Side::Theirs,
        what: What::Drawn(&[
            "-err| Failed to describe producers for partition *: Call(callName=describeProducers(api=METADATA), *",
            "+err| Failed to describe producers for partition *: Call(callName=describeProducers(api=METADATA), *",
        ]),
        why: "Apache's tool counts how often it asked",
    },
    tool(
        "kafka-transactions",
        "*-v*",
        What::Lines(&["-out| 4.3.1 (Commit:*", "+out| 4.3.1"]),
        "a version of ours is no commit of Apache Kafka",
    ),
];
