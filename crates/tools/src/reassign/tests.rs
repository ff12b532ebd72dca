//! Plans read, made and printed.

use std::collections::{BTreeMap, BTreeSet};

use ottla_client::TopicPartition;
use ottla_protocol::messages::list_partition_reassignments_response::OngoingPartitionReassignment;

use super::plan::{self, Assignment, DirMove, Replica};

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

fn error(text: &str) -> String {
    let wanted = plan::reassignment(text, "f.json").and_then(|wanted| plan::executable(&wanted));
    wanted.expect_err("the file is wrong").message
}

fn file(entries: &str) -> String {
    format!(r#"{{"version":1,"partitions":[{entries}]}}"#)
}

#[test]
fn a_file_written_is_a_file_read() {
    let assignment = Assignment::from([(at("t", 10), vec![1]), (at("t", 2), vec![2, 1])]);
    let replica = Replica { broker: 1, at: at("t", 2) };
    let dirs = BTreeMap::from([(replica.clone(), "/data/\"1\"".to_owned())]);
    let text = plan::to_json(&assignment, &dirs);
    assert_eq!(
        text,
        r#"{"version":1,"partitions":[{"topic":"t","partition":2,"replicas":[2,1],"log_dirs":["any","/data/\"1\""]},{"topic":"t","partition":10,"replicas":[1],"log_dirs":["any"]}]}"#
    );
    let wanted = plan::reassignment(&text, "f.json").expect("what was written");
    assert_eq!(wanted.dirs, dirs);
    assert_eq!(plan::executable(&wanted).expect("no duplicates"), assignment);
    assert_eq!(replica.to_string(), "t-2-1");
}

#[test]
fn faults_of_files_are_named() {
    let entry = r#"{"topic":"t","partition":0,"replicas":[1]}"#;
    assert_eq!(error(&file("")), "Partition reassignment list cannot be empty");
    assert_eq!(
        error(&file(r#"{"topic":"t","partition":0,"replicas":[]}"#)),
        "Partition replica list cannot be empty"
    );
    assert_eq!(
        error(&file(&format!("{entry},{entry}"))),
        "Partition reassignment contains duplicate topic partitions: t-0"
    );
    assert_eq!(
        error(&file(r#"{"topic":"t","partition":0,"replicas":[1,2,1]}"#)),
        "Partition replica lists may not contain duplicate entries: t-0 contains multiple entries for 1"
    );
    assert_eq!(
        error(&file(r#"{"topic":"t","partition":0,"replicas":[1,2],"log_dirs":["a"]}"#)),
        "Size of replicas list [1, 2] is different from size of log dirs list [a] for partition t-0"
    );
    assert_eq!(error(r#"{"version":2}"#), "Not supported version field value 2");
    assert!(error(&file(r#"{"topic":1}"#)).ends_with("Expected `String` value, received 1"));
}

#[test]
fn broken_json_has_a_line_and_a_column() {
    let thrown = plan::reassignment("{\"version\":1,\n  \"partitions\":[}\n", "f.json").expect_err("no JSON");
    assert!(thrown.causes.contains("f.json: expected value at line 2 column 17"), "{}", thrown.causes);
    assert!(thrown.causes.contains("\n      \"partitions\":[}"), "{}", thrown.causes);
}

#[test]
fn what_is_generated_from_is_checked() {
    let topics = r#"{"topics":[{"topic":"a"},{"topic":"b"}],"version":1}"#;
    let (brokers, topics) = plan::to_generate(topics, "f.json", "2,1").expect("a good file");
    assert_eq!((brokers, topics), (vec![2, 1], vec!["a".to_owned(), "b".to_owned()]));
    let message =
        |text: &str, brokers: &str| plan::to_generate(text, "f", brokers).expect_err("wrong").message;
    assert_eq!(message("{}", "1,1"), "Broker list contains duplicate entries: [1]");
    assert_eq!(message("{}", "x"), "For input string: \"x\"");
    assert_eq!(message("oops", "1"), "The input string is not a valid JSON");
    let twice = r#"{"topics":[{"topic":"a"},{"topic":"a"}]}"#;
    assert_eq!(message(twice, "1"), "List of topics to reassign contains duplicate entries: [a]");
}

fn ongoing() -> plan::Ongoing {
    let of = OngoingPartitionReassignment {
        partition_index: 0,
        replicas: vec![1, 2, 3],
        adding_replicas: vec![3],
        removing_replicas: vec![1],
    };
    plan::Ongoing::from([(at("t", 0), of)])
}

#[test]
fn the_list_names_what_comes_and_goes() {
    assert_eq!(plan::listed(&plan::Ongoing::new()), "No partition reassignments found.");
    assert_eq!(
        plan::listed(&ongoing()),
        "Current partition reassignments:\nt-0: replicas: 1,2,3. adding: 3. removing: 1."
    );
}

#[test]
fn throttles_name_sources_for_leaders_and_newcomers_for_followers() {
    let proposed = Assignment::from([(at("t", 0), vec![2, 4]), (at("t", 10), vec![1, 3])]);
    let current = Assignment::from([(at("t", 0), vec![9]), (at("t", 10), vec![1, 2])]);
    let moves = plan::moves(&ongoing(), &proposed, &current);
    // What moves already keeps its sources.
    assert_eq!(moves[&at("t", 0)].sources, BTreeSet::from([1, 2]));
    assert_eq!(moves[&at("t", 0)].destinations, BTreeSet::from([4]));
    let throttles = plan::throttles(&moves);
    assert_eq!(throttles["t"], ("0:1,0:2,10:1,10:2".to_owned(), "0:4,10:3".to_owned()));
}

#[test]
fn verify_says_where_a_partition_stands() {
    let t = at("t", 0);
    assert_eq!(plan::verified(&t, None, &[1]), "Reassignment of partition t-0 is still in progress.");
    assert_eq!(plan::verified(&t, Some(&[1]), &[1]), "Reassignment of partition t-0 is completed.");
    assert_eq!(
        plan::verified(&t, Some(&[1, 2]), &[3]),
        "There is no active reassignment of partition t-0, but replica set is 1,2 rather than 3."
    );
}

#[test]
fn directories_are_followed() {
    let replica = Replica { broker: 1, at: at("t", 0) };
    let line = |current, future| DirMove::of("/b", current, future).line(&replica, "/b");
    assert_eq!(line(Some("/b"), None), "Reassignment of replica t-0-1 completed successfully.");
    assert_eq!(line(Some("/a"), Some("/b")), "Reassignment of replica t-0-1 is still in progress.");
    assert_eq!(
        line(Some("/a"), Some("/c")),
        "Partition t-0 on broker 1 is being moved to log dir /c instead of /b."
    );
    assert_eq!(line(Some("/a"), None), "Partition t-0 on broker 1 is not being moved from log dir /a to /b.");
    assert!(line(None, None).starts_with("Partition t-0 is not found in any live log dir on broker 1."));
}
