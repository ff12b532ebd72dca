//! What kafka-share-groups takes and prints.

use std::collections::BTreeMap;

use ottla_client::{Node, TopicPartition};
use ottla_protocol::messages::share_group_describe_response::{
    Assignment, DescribedGroup, Member, TopicPartitions,
};

use super::layout::{self, Offset};
use super::share_groups;
use crate::consumer_groups::command::refused;
use crate::runtime::{Out, Thrown};

#[test]
fn misuse_is_told_in_kafkas_words() {
    for (line, said) in [
        (
            "--list --describe --all-groups",
            "Command must include exactly one action: --list, --describe, --delete, --reset-offsets, --delete-offsets.",
        ),
        ("--describe", "Option [describe] takes one of these options: [all-groups], [group]"),
        ("--describe --group g --state empty", "Option [describe] does not take a value for [state]"),
        (
            "--delete --group g --all-groups",
            "Option [delete] takes either [group] or [all-groups], not both.",
        ),
        (
            "--delete-offsets --group g",
            "Option [delete-offsets] takes the following options: [group], [topic]",
        ),
        (
            "--reset-offsets --group g --topic t --to-latest",
            "Option [reset-offsets] takes the option: [execute] or [dry-run]",
        ),
        (
            "--reset-offsets --group g --topic t --dry-run",
            "Option [reset-offsets] takes one of these options: [to-datetime], [to-earliest], [to-latest]",
        ),
        (
            "--reset-offsets --group g --topic t --dry-run --to-latest --to-earliest",
            "Option \"[to-earliest]\" can't be used with option \"[to-latest]\"",
        ),
        ("--list --members", "Option(s) [members] are unavailable given other options on the command line"),
    ] {
        assert_eq!(refused(share_groups, line), said, "{line}");
    }
    assert!(layout::states("stable,wrong", &super::STATES).is_err());
    assert_eq!(layout::states("EMPTY", &super::STATES).expect("known"), ["Empty"]);
}

fn group() -> DescribedGroup {
    let given = TopicPartitions { topic_name: "t".into(), partitions: vec![1, 0], ..Default::default() };
    let member = Member {
        member_id: "m".into(),
        member_epoch: 2,
        client_id: "c".into(),
        client_host: "/127.0.0.1".into(),
        assignment: Assignment { topic_partitions: vec![given] },
        ..Member::default()
    };
    DescribedGroup {
        group_id: "g".into(),
        group_state: "Stable".into(),
        group_epoch: 3,
        assignment_epoch: 4,
        members: vec![member],
        ..DescribedGroup::default()
    }
}

#[test]
fn groups_are_tables_of_kafkas_widths() {
    let node = Node { id: 1, host: "localhost".into(), port: 9092, rack: None, fenced: false };
    assert_eq!(
        layout::state(&group(), &node, false),
        "\nGROUP           COORDINATOR (ID)          STATE           #MEMBERS\n\
         g               localhost:9092  (1)       Stable          1\n"
    );
    assert!(
        layout::state(&group(), &node, true)
            .contains("STATE           GROUP-EPOCH  ASSIGNMENT-EPOCH  #MEMBERS\n")
    );
    assert_eq!(
        layout::members(&group(), false),
        "\nGROUP           CONSUMER-ID     HOST            CLIENT-ID       #PARTITIONS  ASSIGNMENT\n\
         g               m               /127.0.0.1      c               2            t:0,1\n"
    );
    let offset = Offset { start: 4, leader_epoch: Some(0), lag: Some(2) };
    let offsets =
        BTreeMap::from([(TopicPartition::new("t", 0), Some(offset)), (TopicPartition::new("t", 1), None)]);
    assert_eq!(
        layout::offsets("GROUP", &offsets, false),
        "\nGROUP           TOPIC           PARTITION  START-OFFSET  LAG\n\
         GROUP           t               0          4             2\n\
         GROUP           t               1          -             -\n"
    );
    assert!(layout::offsets("g", &offsets, true).contains("LEADER-EPOCH  START-OFFSET  LAG\n"));
    let rows = BTreeMap::from([("t", Ok(())), ("u", Err("no".to_owned()))]);
    assert_eq!(
        layout::deleted_offsets(&rows),
        "\nTOPIC           STATUS\nt               Successful\nu               Error: no\n"
    );
}

#[test]
fn what_could_not_be_deleted_is_told() {
    let mut out = Out::new_for_test();
    let results = BTreeMap::from([
        ("a".to_owned(), Ok(())),
        ("b".to_owned(), layout::may_delete("Share", "b", Some("Stable"))),
        ("c".to_owned(), layout::may_delete("Share", "c", None)),
    ]);
    assert!(layout::deletions("share", results, &mut out).is_err());
    let text = String::from_utf8(out.into_test()).expect("UTF-8");
    assert_eq!(
        text,
        "\nError: Deletion of some share groups failed:\n\
         * Group 'b' could not be deleted due to: org.apache.kafka.common.errors.GroupNotEmptyException: Share group 'b' is not EMPTY.\n\
         * Group 'c' could not be deleted due to: java.lang.IllegalArgumentException: Group 'c' is not a share group.\n\
         \nThese share groups were deleted successfully: 'a'\n"
    );
    let stop = super::COMMAND.stop(
        Thrown::new("x", "y: The node does not support SHARE_GROUP_DESCRIBE").into(),
        &super::options::parser(),
    );
    assert!(stop.out.starts_with("\nError: Executing share group command failed due to y: The node"));
    assert!(stop.err.contains("KIP-932") && stop.code == 1);
}
