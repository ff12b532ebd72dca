//! Every tool: what differs, and why.

use super::{Expected, What, tool};

pub const ENTRIES: &[Expected] = &[
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
];
