//! What joptsimple prints for small parsers, as observed.

use super::*;
use crate::runtime::Out;

fn sample() -> Parser {
    let mut parser = Parser::new();
    parser.takes("topic", "The topic.", "topic", Kind::Text);
    parser.takes("partitions", "How many partitions there are to be.", "# of partitions", Kind::Integer);
    parser.takes(
        "bootstrap-server",
        "Where the brokers are, as host1:port1,host2:port2 and so on.",
        "server to connect to",
        Kind::Text,
    );
    parser.takes("timeout", "How long.", "timeout (ms)", Kind::Long).default(5000);
    parser.may_take("state", "With or without.", "", Kind::Text);
    parser.flag("list", "List them.");
    parser.takes("parts", "Several.", "", Kind::Text).separated_by(',').also(&["p"]);
    parser
}

fn args(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn parse(line: &str) -> Result<Found, Misuse> {
    sample().parse(&args(line))
}

#[test]
fn help_is_a_table_filled_with_blanks() {
    let mut parser = sample();
    parser.parse(&args("--list")).expect("read");
    let expected = "\
Option                                   Description                           \n\
------                                   -----------                           \n\
--bootstrap-server <String: server to    Where the brokers are, as host1:port1,\n\
\x20 connect to>                              host2:port2 and so on.              \n\
--help                                   Print usage information.              \n\
--list                                   List them.                            \n\
-p, --parts <String>                     Several.                              \n\
--partitions <Integer: # of partitions>  How many partitions there are to be.  \n\
--state [String]                         With or without.                      \n\
--timeout <Long: timeout (ms)>           How long. (default: 5000)             \n\
--topic <String: topic>                  The topic.                            \n\
--version                                Display Kafka version.                \n";
    assert_eq!(parser.help(), expected);
}

#[test]
fn values_are_found_in_every_spelling() {
    for line in ["--topic a --list", "--topic=a --list", "-topic a --list", "--list --topic a rest"] {
        let found = parse(line).expect(line);
        assert_eq!(found.value("topic"), Some("a"), "{line}");
        assert!(found.has("list") && !found.has("state"));
    }
    // A needed value may look like an option; an optional one may not.
    assert_eq!(parse("--topic --list").expect("read").value("topic"), Some("--list"));
    let found = parse("--state --list").expect("read");
    assert!(found.has("state") && !found.has_argument("state") && found.has("list"));
    assert_eq!(parse("--state Stable").expect("read").value("state"), Some("Stable"));
    assert_eq!(parse("--parts a,b -p c -pd").expect("read").values("parts"), ["a", "b", "c", "d"]);
    assert_eq!(parse("--topic a -- --list").expect("read").rest(), ["--list"]);
    let found = parse("--list").expect("read");
    assert_eq!(found.long("timeout"), Some(5000));
    assert!(!found.has("timeout"));
    assert_eq!(
        parse("--topic a --topic b").expect("read").one("topic").expect_err("twice").message(),
        "Found multiple arguments for option topic, but you asked for only one"
    );
}

#[test]
fn messages_are_joptsimples_and_more() {
    for (line, message) in [
        ("--bogus x", "bogus is not a recognized option"),
        ("--topic", "Option topic requires an argument"),
        ("--partitions x --topic a", "Cannot parse argument 'x' of option partitions"),
        ("-bogus", "b is not a recognized option"),
        ("-parts", "Option p/parts requires an argument"),
    ] {
        assert_eq!(parse(line).expect_err(line).message(), message);
    }
    // Kafka turns abbreviations off; we say which one was meant.
    let near = parse("--part 3").expect_err("no abbreviations");
    assert_eq!(near.message(), "part is not a recognized option");
    assert_eq!(
        parse("--bootstrap-servers a").expect_err("typo").more(),
        "    did you mean --bootstrap-server?"
    );
}

#[test]
fn zookeeper_is_explained_with_the_command_to_type() {
    let misuse = parse("--list --zookeeper h:2181").expect_err("gone");
    assert_eq!(misuse.message(), "zookeeper is not a recognized option");
    assert!(misuse.more().contains("--bootstrap-server HOST:9092 --list"), "{}", misuse.more());
    assert!(!misuse.more().contains("2181"), "{}", misuse.more());
}

#[test]
fn broker_list_is_bootstrap_server() {
    let found = parse("--broker-list h:9092 --topic a").expect("read");
    assert_eq!(found.value("bootstrap-server"), Some("h:9092"));
    assert!(found.has("bootstrap-server") && !found.has("broker-list"));
}

#[test]
fn checks_say_what_kafkas_say() {
    let mut parser = sample();
    let found = parser.parse(&args("--topic a --list")).expect("read");
    let first = |stop: crate::runtime::Stop| stop.err.lines().next().unwrap_or_default().to_owned();
    assert_eq!(
        first(parser.check_required(&found, &["topic", "bootstrap-server"]).expect_err("missing")),
        "Missing required argument \"[bootstrap-server]\""
    );
    assert_eq!(
        first(parser.check_invalid(&found, "topic", &["list"]).expect_err("both")),
        "Option \"[topic]\" can't be used with option \"[list]\""
    );
    assert_eq!(
        first(parser.check_one_of(&found, &["topic", "list"]).expect_err("two")),
        "Exactly one of the following arguments is required: [topic], [list]"
    );
    assert_eq!(
        first(parser.check_invalid_set(&found, &["topic"], &["list"], " so").expect_err("set")),
        "Option combination \"[[topic]]\" can't be used with option \"[list]\" so"
    );
    assert_eq!(parser.spell("parts"), "[p, parts]");
    let mut out = Out::new_for_test();
    let found = parser.parse(&args("--version")).expect("read");
    assert_eq!(parser.help_or_version(&found, "About.", &mut out).expect_err("ends").code, 0);
    assert_eq!(out.into_test(), b"4.3.1\n");
    let found = parser.parse(&[]).expect("read");
    let stop = parser.help_or_version(&found, "About.", &mut Out::new_for_test()).expect_err("ends");
    assert_eq!((stop.code, stop.err.lines().next()), (1, Some("About.")));
}
