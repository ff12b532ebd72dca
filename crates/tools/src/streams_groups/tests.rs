//! What kafka-streams-groups takes and prints.

use std::collections::BTreeMap;

use ottla_client::{Node, TopicPartition};
use ottla_protocol::messages::streams_group_describe_response::{
    Assignment, DescribedGroup, Member, Subtopology, TaskIds, TopicInfo, Topology,
};

use super::layout::{self, Standing};
use super::streams_groups;
use crate::consumer_groups::command::refused;
use crate::runtime::Thrown;

#[test]
fn misuse_is_told_in_kafkas_words() {
    for (line, said) in [
        (
            "--group g",
            "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, or --delete-offsets.",
        ),
        ("--describe", "Option [describe] takes one of these options: [all-groups], [group]"),
        (
            "--delete --group g --input-topic t",
            "Kafka Streams does not support topic-specific offset deletion from a streams group.",
        ),
        (
            "--delete-offsets --group g",
            "Option [delete-offsets] takes the [group] and one of these options: [all-input-topics], [input-topic]",
        ),
        (
            "--delete-offsets --group g --group h --input-topic t",
            "Option [delete-offsets] supports only one [group] at a time, but found: [g, h]",
        ),
        ("--reset-offsets --group g", "Option [reset-offsets] takes the option: [execute] or [dry-run]"),
        ("--delete --group g --execute", "Only Option [reset-offsets] accepts [execute] or [dry-run]"),
        (
            "--delete-all-internal-topics --list",
            "Option [delete-all-internal-topics] takes one of these options: [delete], [reset-offsets]",
        ),
        (
            "--delete-internal-topic t --delete --group g",
            "Option [delete-internal-topic] takes [reset-offsets] when [execute] is used.",
        ),
        ("--list --verbose", "Option(s) [verbose] are unavailable given other options on the command line"),
    ] {
        assert_eq!(refused(streams_groups, line), said, "{line}");
    }
}

fn group() -> DescribedGroup {
    let topic = |name: &str| TopicInfo { name: name.into(), ..TopicInfo::default() };
    let part = Subtopology {
        subtopology_id: "0".into(),
        source_topics: vec!["in".into()],
        state_changelog_topics: vec![topic("g-store-changelog"), topic("in")],
        repartition_source_topics: vec![topic("g-x-repartition")],
        ..Subtopology::default()
    };
    let task = |partitions: &[i32]| TaskIds { subtopology_id: "0".into(), partitions: partitions.to_vec() };
    let member = Member {
        member_id: "m".into(),
        member_epoch: 2,
        client_id: "c".into(),
        process_id: "p".into(),
        assignment: Assignment {
            active_tasks: vec![task(&[0, 1])],
            standby_tasks: vec![task(&[2])],
            warmup_tasks: vec![],
        },
        target_assignment: Assignment { active_tasks: vec![task(&[0])], ..Assignment::default() },
        ..Member::default()
    };
    DescribedGroup {
        group_id: "g".into(),
        group_state: "Stable".into(),
        group_epoch: 3,
        assignment_epoch: 4,
        topology: Some(Topology { epoch: 5, subtopologies: Some(vec![part]) }),
        members: vec![member],
        ..DescribedGroup::default()
    }
}

#[test]
fn active_tasks_read_their_topics() {
    let read: Vec<String> =
        layout::read_by_tasks(&group()).expect("known").iter().map(ToString::to_string).collect();
    assert_eq!(read, ["g-x-repartition-0", "g-x-repartition-1", "in-0", "in-1"]);
    let mut broken = group();
    broken.members[0].assignment.active_tasks[0].subtopology_id = "9".into();
    assert!(layout::read_by_tasks(&broken).is_err_and(|thrown| thrown.message.starts_with("Subtopology 9")));
    let made: Vec<String> = layout::made_by_streams(&group()).into_iter().collect();
    assert_eq!(made, ["g-store-changelog", "g-x-repartition"]);
}

#[test]
fn groups_are_tables_of_kafkas_widths() {
    let node = Node { id: 1, host: "localhost".into(), port: 9092, rack: None, fenced: false };
    assert_eq!(
        layout::state(&group(), &node, false),
        "GROUP           COORDINATOR (ID)          STATE                     #MEMBERS\n\
         g               localhost:9092 (1)        Stable                    1\n"
    );
    assert_eq!(
        layout::members(&group(), false),
        "GROUP           MEMBER          PROCESS         CLIENT-ID       ASSIGNMENTS\n\
         g               m               p               c               ACTIVE: 0:[0,1]; STANDBY: 0:[2]; \n"
    );
    let verbose = layout::members(&group(), true);
    assert!(verbose.contains("TOPOLOGY-EPOCH MEMBER          MEMBER-PROTOCOL"), "{verbose}");
    assert!(verbose.ends_with("STANDBY: 0:[2]; TARGET-ACTIVE: 0:[0]; \n"), "{verbose}");
    let standing = Standing { committed: None, leader_epoch: Some(1), end: 7, lag: 3 };
    let standing = BTreeMap::from([(TopicPartition::new("in", 0), standing)]);
    assert_eq!(
        layout::offsets("g", &standing, false),
        "GROUP           TOPIC           PARTITION  OFFSET-LAG\n\
         g               in              0          3\n"
    );
    assert!(
        layout::offsets("g", &standing, true)
            .ends_with("0          -               1               7               3              \n")
    );
}

#[test]
fn resets_are_a_table_of_fixed_widths() {
    let one = [("g".to_owned(), vec![(TopicPartition::new("in", 0), 4)])];
    assert_eq!(
        layout::resets(&one),
        format!(
            "\n{:30} {:30} {:10} {:15}\n{:30} {:30} {:10} {:15}\n",
            "GROUP", "TOPIC", "PARTITION", "NEW-OFFSET", "g", "in", "0", "4"
        )
    );
    assert_eq!(layout::resets(&[]), "\n");
}

#[test]
fn a_cluster_without_streams_groups_is_explained() {
    let stop = super::COMMAND.stop(
        Thrown::new("x", "y: The node does not support STREAMS_GROUP_DESCRIBE").into(),
        &super::options::parser(),
    );
    assert!(stop.out.starts_with("\nError: Executing streams group command failed due to y: The node"));
    assert!(stop.err.contains("KIP-1071") && stop.code == 1);
}
