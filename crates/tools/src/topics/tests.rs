//! What is refused before anything is sent.

use super::*;
use crate::args::jopt::Parser;

fn read(line: &str) -> (Parser, Found) {
    let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let mut parser = options::parser();
    let found = parser.parse(&args).expect("read");
    (parser, found)
}

fn refused(line: &str) -> String {
    let (parser, found) = read(line);
    let stop = options::check(&parser, &found, &mut Out::new_for_test()).expect_err(line);
    assert_eq!(stop.code, 1, "{line}");
    stop.err.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn combinations_are_refused_in_kafkas_words() {
    let one = "Command must include exactly one action: --list, --describe, --create, --alter or --delete";
    assert_eq!(refused("--topic a"), one);
    assert_eq!(refused("--list --create"), one);
    assert_eq!(refused("--list"), "--bootstrap-server must be specified");
    let at = "--bootstrap-server a:1";
    assert_eq!(refused(&format!("{at} --create")), "Missing required argument \"[topic]\"");
    assert_eq!(refused(&format!("{at} --alter --topic a")), "Missing required argument \"[partitions]\"");
    assert_eq!(
        refused(&format!("{at} --alter --topic a --partitions 3 --replication-factor 2")),
        "Option \"[replication-factor]\" can't be used with option \"[alter]\""
    );
    assert_eq!(
        refused(&format!("{at} --create --topic a --replica-assignment 1 --partitions 2")),
        "Option \"[replica-assignment]\" can't be used with option \"[partitions]\""
    );
    assert_eq!(
        refused(&format!("{at} --describe --under-replicated-partitions --topics-with-overrides")),
        "Option \"[under-replicated-partitions]\" can't be used with option \"[topics-with-overrides]\""
    );
    assert_eq!(
        refused(&format!("{at} --alter --topic a --config x=y --partitions 2")),
        "Option combination \"[[config], [bootstrap-server]]\" can't be used with option \"[alter]\" (To alter topic configurations, the kafka-configs tool can be used.)"
    );
}

#[test]
fn assignments_and_configs_are_read_as_kafka_reads_them() {
    let assignment = |text: &str| change::assignment(&read(&format!("--replica-assignment {text}")).1);
    assert_eq!(assignment("1:2,2:3"), Ok(vec![vec![1, 2], vec![2, 3]]));
    assert_eq!(assignment("1:x").expect_err("no number").message, "For input string: \"x\"");
    assert_eq!(
        assignment("1:1").expect_err("twice").message,
        "Partition replica lists may not contain duplicate entries: 1"
    );
    assert_eq!(
        assignment("1:2,3").expect_err("uneven").message,
        "Partition 1 has different replication factor: [3]"
    );
    let configs = change::configs(&["a = 1", "b=2", "a=3"]).expect("pairs");
    let pairs: Vec<(&str, Option<&str>)> =
        configs.iter().map(|config| (config.name.as_str(), config.value.as_deref())).collect();
    assert_eq!(pairs, [("b", Some("2")), ("a", Some("3"))]);
    for bad in ["a", "a=", "a=b=c"] {
        assert!(change::configs(&[bad]).is_err(), "{bad}");
    }
}
