//! Records written, read and measured: what differs, and why.

use super::{Expected, Side, What, any, server, tool};

pub const ENTRIES: &[Expected] = &[
    // kafka-verifiable-*
    tool(
        "kafka-verifiable-*",
        "* missing.properties",
        What::Lines(&["+err| missing.properties: No such file or directory (os error 2)"]),
        "a file that is not there is told as such, beside its bare name",
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
        "*--print-metrics*",
        What::Lines(&[
            "-out| producer-*:*",
            "-out| kafka-metrics-count:*",
            "-out| app-info:*",
            "+out| producer-metrics:*",
        ]),
        "the counters are those of our producer",
    ),
    // kafka-e2e-latency
    tool(
        "kafka-e2e-latency",
        "--help",
        What::Lines(&["-out| Invalid number of arguments. *", "+out| *"]),
        "--help alone is understood",
    ),
    tool(
        "kafka-e2e-latency",
        "--version",
        What::Lines(&["-exit 1", "+exit 0", "+out| 4.3.1", "-err| Invalid number of arguments. *"]),
        "--version alone is understood",
    ),
    // *-share-consumer*
    tool(
        "*-share-consumer*",
        "*",
        What::Lines(&[
            "-exit 0",
            "-exit 130",
            "+exit 1",
            "+err| *share groups are not served by this release yet",
            "+err| cause: this release of the tools has no share consumer (KIP-*",
            "+err| next: read the topic with kafka-*",
        ]),
        "share groups come later",
    ),
    tool(
        "kafka-console-share-consumer",
        "*",
        What::Lines(&["-err| Processed a total of 0 messages", "-out| shutdown_complete"]),
        "share groups come later: nothing is read, which is told in another way",
    ),
    tool(
        "kafka-verifiable-share-consumer",
        "*--max-messages 1*",
        What::Lines(&[
            "-out| {\"timestamp\":{ms},\"name\":\"startup_complete\"}",
            "-out| {\"timestamp\":{ms},\"name\":\"offset_reset_strategy_set\",\"offsetResetStrategy\":\"earliest\"}",
            "-out| {\"timestamp\":{ms},\"name\":\"shutdown_complete\"}",
        ]),
        "share groups come later",
    ),
    Expected {
        tool: "kafka-verifiable-share-consumer",
        run: "*--max-messages 1*",
        side: Side::Theirs,
        what: What::Drawn(&["-exit 130", "+exit 0"]),
        why: "share groups come later: Apache's tool may have given up before it is interrupted",
    },
    tool(
        "kafka-verifiable-share-consumer",
        "*nonsense*",
        What::Lines(&[
            "-err| Exception in thread \"main\" *: No enum constant *AcknowledgementMode.NONSENSE",
        ]),
        "share groups come later",
    ),
    tool(
        "kafka-share-consumer-perf-test",
        "*",
        What::Lines(&["-out| start.time, end.time, *"]),
        "share groups come later, which is said before the header is printed",
    ),
    server(
        "kafka-share-consumer-perf-test",
        "*",
        What::Lines(&[
            "-exit 0",
            "+exit 1",
            "-out| WARNING: Exiting before consuming *",
            "-out| {time}, {time}, {number}, *",
            "-out| {number}, {number}, {number}, *",
            "-out| Share consumer {number} having client id * consumption metrics- *",
            "+err| *The cluster does not support the share group protocol *",
            "+err| ",
        ]),
        "share groups come later: nothing is measured",
    ),
    tool(
        "kafka-share-consumer-perf-test",
        "*",
        What::Lines(&[
            "-out| WARNING: Exiting before consuming *",
            "-out| {time}, {time}, {number}, *",
            "-out| {number}, {number}, {number}, *",
            "-out| Share consumer {number} having client id * consumption metrics- *",
        ]),
        "share groups come later: nothing is measured",
    ),
    any(
        "kafka-share-consumer-perf-test",
        "*--print-metrics*",
        What::Lines(&[
            "-out| ",
            "-out| Metric Name Value",
            "-out| consumer-*:*",
            "-out| kafka-metrics-count:*",
        ]),
        "share groups come later: nothing is counted",
    ),
    any(
        "kafka-share-consumer-perf-test",
        "*--print-metrics*",
        What::Drawn(&["-out| app-info:*", "-err| *InterruptException: Timeout waiting for results *"]),
        "share groups come later; Apache's tool may not end in its own time, and consumers of one name in one JVM take these counters from each other",
    ),
    // kafka-console-consumer
    tool(
        "kafka-console-consumer",
        "*",
        What::Lines(&["-err| The consumer rebalance protocol (KIP-848) is production-ready! *"]),
        "the notice recommends a protocol that our consumer does not speak yet",
    ),
    tool(
        "kafka-console-consumer",
        "*",
        What::Lines(&[
            "+err| org.apache.kafka.common.errors.TimeoutException",
            "+err| org.apache.kafka.common.errors.InvalidTopicException: *",
            "+err| org.apache.kafka.common.config.ConfigException: *",
            "+err| Unknown error when running consumer: *",
        ]),
        "what went wrong is a plain line; Apache's is one of log4j's, left out here",
    ),
    tool(
        "kafka-console-consumer",
        "*--max-messages x",
        What::Lines(&["-err| Processed a total of 0 messages", "+err| *"]),
        "an argument that is no number is named, with the flags; Apache's tool says it in a line of log4j's, left out here",
    ),
    // kafka-consumer-perf-test
    tool(
        "kafka-consumer-perf-test",
        "*",
        What::Lines(&["-out| start.time, end.time, *", "-out| time, threadId, *"]),
        "arguments are looked at before the header is printed",
    ),
    tool(
        "kafka-consumer-perf-test",
        "*--print-metrics*",
        What::Lines(&[
            "-out| consumer-*:*",
            "-out| kafka-metrics-count:*",
            "-out| app-info:*",
            "+out| consumer-*:*",
        ]),
        "the counters are those of our consumer",
    ),
    // kafka-verifiable-consumer
    tool(
        "kafka-verifiable-consumer",
        "*",
        What::Lines(&[
            "-err| Exception in thread \"main\" org.apache.kafka.common.*",
            "+err| org.apache.kafka.common.config.ConfigException: *",
        ]),
        "an error is said in one sentence; Apache's tool dies of an exception that nobody catches",
    ),
    tool(
        "kafka-verifiable-consumer",
        "*--group-protocol consumer*",
        What::Lines(&[
            "-exit 0",
            "-out| {*",
            "+exit 1",
            "+err| *group.protocol=consumer (KIP-848) is not served by this client yet: use classic",
        ]),
        "the consumer protocol of KIP-848 comes later",
    ),
    server(
        "kafka-verifiable-consumer",
        "*--group-protocol consumer*",
        What::Lines(&["-out| {*"]),
        "the consumer protocol of KIP-848 comes later",
    ),
    // kafka-console-consumer
    tool(
        "kafka-console-consumer",
        "*--include '[' *",
        What::Lines(&[
            "+err| [",
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
