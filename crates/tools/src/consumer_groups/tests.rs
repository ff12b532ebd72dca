//! What kafka-consumer-groups plans and prints.

use std::collections::BTreeMap;

use ottla_client::{Node, TopicPartition};

use super::layout::{self, OffsetRow};
use super::plan::{self, Offsets};
use super::server::{Group, Member, TYPES, assigned, spelled};
use super::{describe, list};

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

fn group(members: Vec<Member>) -> Group {
    Group {
        id: "g".into(),
        state: "Stable".into(),
        assignor: "range".into(),
        coordinator: Node { id: 1, host: "localhost".into(), port: 9092, rack: None, fenced: false },
        members,
        epoch: None,
        target_epoch: None,
    }
}

#[test]
fn rows_come_owner_by_owner_and_then_those_without_one() {
    let member = |id: &str, assignment: Vec<TopicPartition>| Member {
        id: id.into(),
        host: "/127.0.0.1".into(),
        client: "c".into(),
        assignment,
        ..Member::default()
    };
    let group = group(vec![
        member("one", vec![at("t", 9)]),
        member("idle", vec![]),
        member("two", vec![at("t", 10), at("t", 2)]),
    ]);
    let committed = BTreeMap::from([(at("t", 2), (5, Some(0))), (at("a", 0), (1, None))]);
    let ends = BTreeMap::from([(at("t", 2), 7), (at("t", 9), 3)]);
    let rows = describe::table(&group, &committed, &ends);
    let short: Vec<_> =
        rows.iter().map(|row| (row.member.as_str(), row.topic.as_str(), row.partition)).collect();
    assert_eq!(short, [("two", "t", 2), ("two", "t", 10), ("one", "t", 9), ("-", "a", 0)]);
    assert_eq!(
        layout::offsets("g", &rows[..1], false),
        "\nGROUP           TOPIC           PARTITION  CURRENT-OFFSET  LOG-END-OFFSET  LAG             CONSUMER-ID     HOST            CLIENT-ID\n\
         g               t               2          5               7               2               two             /127.0.0.1      c\n"
    );
    assert!(layout::offsets("g", &rows, true).contains("t               2          0               5"));
}

#[test]
fn a_row_without_committed_offset_has_no_lag() {
    let row = OffsetRow { topic: "t".into(), end: Some(4), ..OffsetRow::default() };
    let text = layout::offsets("g", &[row], false);
    assert!(text.contains("0          -               4               -               "), "{text}");
}

#[test]
fn the_head_of_the_members_stands_even_above_nothing() {
    assert_eq!(
        layout::members("g", &[], false, false),
        "\nGROUP           CONSUMER-ID     HOST            CLIENT-ID       #PARTITIONS     \n"
    );
    let member =
        Member { id: "m".into(), instance: Some("i".into()), upgraded: Some(true), ..Member::default() };
    let text = layout::members("g", &[member], true, true);
    assert!(text.contains("GROUP-INSTANCE-ID") && !text.contains("UPGRADED"), "{text}");
}

#[test]
fn the_state_names_the_coordinator() {
    assert_eq!(
        layout::state(&group(vec![]), false),
        "\nGROUP           COORDINATOR (ID)          ASSIGNMENT-STRATEGY  STATE                #MEMBERS\n\
         g               localhost:9092  (1)       range                Stable               0\n"
    );
}

#[test]
fn assignments_are_text_by_topic() {
    assert_eq!(layout::assignment(&[at("b", 10), at("a", 1), at("b", 2)]), "a:1;b:2,10");
    assert_eq!(layout::assignment(&[]), "-");
}

#[test]
fn bytes_that_are_no_assignment_say_nothing() {
    let assigned = |bytes: &[u8]| assigned(&bytes::Bytes::copy_from_slice(bytes));
    assert!(assigned(&[0, 0, 0, 9, 1]).is_empty());
    assert!(assigned(&[0]).is_empty());
    let one = [0, 1, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 1, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(assigned(&one), [at("t", 7)]);
}

#[test]
fn states_and_types_are_read_in_any_case() {
    assert_eq!(list::states("stable, Empty").expect("both are states"), ["Stable", "Empty"]);
    assert_eq!(list::types("CLASSIC").expect("a type"), ["Classic"]);
    let error = list::states("bad").expect_err("no state");
    assert!(error.message.starts_with("Invalid state list 'bad'. Valid states are: "));
    let error = list::types("share").expect_err("no type of consumer groups");
    assert!(error.message.starts_with("Invalid types list 'share'. Valid types are: "));
}

#[test]
fn scopes_name_partitions() {
    assert_eq!(plan::topic_with_partitions("t:0,2").expect("partitions"), [at("t", 0), at("t", 2)]);
    let error = plan::topic_with_partitions("t:a").expect_err("a is no number");
    assert_eq!(error.message, "Invalid partition 'a' specified in topic arg 't:a''");
    let error = plan::topic_with_partitions("t:0:1").expect_err("two colons");
    assert_eq!(error.message, "Invalid topic arg 't:0:1', expected topic name and partitions");
}

#[test]
fn offsets_stay_within_the_log() {
    let of = |offset| Offsets::from([(at("t", 0), offset)]);
    let (starts, ends) = (of(5), of(10));
    assert_eq!(plan::within(&of(7), &starts, &ends), (of(7), vec![]));
    let (offsets, warnings) = plan::within(&of(11), &starts, &ends);
    assert_eq!(offsets, ends);
    assert_eq!(
        warnings,
        ["New offset (11) is higher than latest offset for topic partition t-0. Value will be set to 10"]
    );
    assert_eq!(plan::within(&of(-1), &starts, &ends).0, starts);
}

#[test]
fn a_shift_needs_a_committed_offset() {
    let committed = BTreeMap::from([(at("t", 0), (5, None))]);
    let shifted = plan::shifted(&[at("t", 0)], &committed, -2).expect("it is committed");
    assert_eq!(shifted, Offsets::from([(at("t", 0), 3)]));
    let error = plan::shifted(&[at("t", 1)], &committed, 1).expect_err("not committed");
    assert_eq!(
        error.message,
        "Cannot shift offset for partition t-1 since there is no current committed offset"
    );
}

#[test]
fn plans_are_read_with_and_without_groups() {
    let plan = plan::from_csv("t,0,5\nt,1,6\n", &["g"]).expect("a short plan");
    assert_eq!(plan["g"], Offsets::from([(at("t", 0), 5), (at("t", 1), 6)]));
    let plan = plan::from_csv("g,t,0,5\nh,\"a,b\",1,6\n", &["g", "h"]).expect("a long plan");
    assert_eq!(plan["h"], Offsets::from([(at("a,b", 1), 6)]));
    let error = plan::from_csv("t,0,5\nt,x,6\n", &["g"]).expect_err("x is no partition");
    assert_eq!(error.message, "line 2: the partition is not a number: \"t,x,6\"");
    assert!(plan::from_csv("t,0\n", &["g"]).is_err());
    assert!(plan::from_csv("t,0,-5\n", &["g"]).is_err());
}

#[test]
fn what_is_exported_can_be_read_again() {
    let long = "a-topic-with-a-name-of-more-than-24-letters";
    let groups = vec![("g 1".to_owned(), vec![(at("t", 0), 5), (at(long, 1), 6)])];
    assert_eq!(plan::to_csv(&groups, false), format!("t,0,5\n\"{long}\",1,6\n"));
    let text = plan::to_csv(&groups, true);
    assert!(text.starts_with("\"g 1\",t,0,5\n"), "{text}");
    let plan = plan::from_csv(&text, &[]).expect("what was written");
    assert_eq!(plan["g 1"].len(), 2);
}

#[test]
fn times_are_read_as_java_reads_them() {
    let ms = |text: &str| plan::date_time(text).map_err(|thrown| thrown.message);
    assert_eq!(ms("1970-01-02T00:00:00.000"), Ok(86_400_000));
    assert_eq!(ms("1970-01-01T09:00:00.005+09:00"), Ok(5));
    assert_eq!(ms("1970-01-01T09:00:00.005+09"), Ok(5));
    assert_eq!(ms("1970-01-01T00:00:00.000Z"), Ok(0));
    assert_eq!(
        ms("1970-01-01T00:00:00"),
        Err("java.text.ParseException: Unparseable date: \"1970-01-01T00:00:00Z\"".into())
    );
    assert_eq!(
        ms("1970-01-01"),
        Err("java.text.ParseException: Error parsing timestamp. It does not contain a 'T' according to ISO8601 format".into())
    );
    assert!(ms("1970-02-30T00:00:00.000").is_err());
}

#[test]
fn durations_are_read_as_java_reads_them() {
    let ms = |text: &str| plan::duration_ms(text).ok();
    assert_eq!(ms("P1DT2H3M4.5S"), Some(86_400_000 + 2 * 3_600_000 + 3 * 60_000 + 4_500));
    assert_eq!(ms("PT-1H"), Some(-3_600_000));
    assert_eq!(ms("-pt1s"), Some(-1000));
    for wrong in ["", "P", "PT", "P1DT", "1D", "P1H", "PT1D", "PT1.1234567890S"] {
        assert_eq!(ms(wrong), None, "{wrong}");
    }
}

#[test]
fn partitions_come_as_java_has_them() {
    let items: Vec<(TopicPartition, ())> = (0..3).map(|partition| (at("t", partition), ())).collect();
    let order: Vec<i32> = plan::java_order(items).into_iter().map(|(at, ())| at.partition).collect();
    // "t".hashCode() = 116; (31 + p) * 31 + 116 = 1077, 1108, 1139: buckets 5 (1077), 4 (1108), 3 (1139) of 16.
    assert_eq!(order, [2, 1, 0]);
}

#[test]
fn words_of_servers_are_spelled_as_java_spells_them() {
    assert_eq!(spelled(&TYPES, "classic"), "Classic");
    assert_eq!(spelled(&TYPES, "new"), "Unknown");
    assert_eq!(spelled(&TYPES, ""), "");
}
