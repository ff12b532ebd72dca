//! What `ottla group` understands and shows.

use clap::Parser as _;
use ottla_client::{Node, TopicPartition};
use ottla_protocol::messages::list_groups_response::ListedGroup;

use super::super::Form;
use super::reset::To;
use super::show::{self, Described};
use super::{Arguments, why};
use crate::consumer_groups::layout::OffsetRow;
use crate::consumer_groups::server::{Group, Member};
use crate::runtime::Thrown;

#[test]
fn where_to_is_read_in_all_its_ways() {
    let read = |text: &str| To::read(text, 10_000_000);
    assert_eq!(read("earliest"), Ok(To::Earliest));
    assert_eq!(read("17"), Ok(To::Offset(17)));
    assert_eq!(read("-5"), Ok(To::By(-5)));
    assert_eq!(read("+5"), Ok(To::By(5)));
    assert_eq!(read("PT1H"), Ok(To::Time(10_000_000 - 3_600_000)));
    assert_eq!(read("1970-01-01T00:00:01.000Z"), Ok(To::Time(1_000)));
    assert!(read("soon").is_err_and(|why| why.contains("earliest, latest, current")));
    assert!(read("-x").is_err() && read("Pxyz").is_err());
}

#[test]
fn the_command_line_is_checked() {
    let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
    assert!(parse("group reset g --to -5").is_ok(), "a negative shift is a value, no option");
    assert!(parse("group describe g --watch 1 -o json").is_ok());
    assert!(parse("group reset g").is_err(), "where to?");
    assert!(parse("group delete").is_err() && parse("group describe").is_err());
}

fn described() -> Described {
    let member = Member {
        id: "c-1".into(),
        client: "c".into(),
        host: "/10.0.0.1".into(),
        assignment: vec![TopicPartition::new("t", 0)],
        ..Member::default()
    };
    let group = Group {
        id: "g".into(),
        state: "Stable".into(),
        assignor: "range".into(),
        coordinator: Node { id: 2, host: "h".into(), port: 9, rack: None, fenced: false },
        members: vec![member],
        epoch: None,
        target_epoch: None,
    };
    let row = |partition, offset, end, client: &str| OffsetRow {
        topic: "t".into(),
        partition,
        offset,
        end,
        member: "c-1".into(),
        host: "/10.0.0.1".into(),
        client: client.into(),
        ..OffsetRow::default()
    };
    let rows = vec![row(0, Some(5), Some(12), "c"), row(1, None, Some(3), "-")];
    Described { group, rows, gone: vec!["old".into()] }
}

#[test]
fn a_group_is_described_with_its_lag() {
    assert_eq!(
        show::describe(&[described()], Form::Text),
        "group g: stable, 1 member, assignor range, coordinator 2: 2 partitions, lag 7 (of 1 it is not known)\n\
         \x20 old is committed but no longer there\n\
         \x20 topic partition committed end lag client host\n\
         \x20 t             0 5          12 7   c      10.0.0.1\n\
         \x20 t             1 -           3 -   -      10.0.0.1\n"
    );
    let json: serde_json::Value =
        serde_json::from_str(&show::describe(&[described()], Form::Json)).expect("JSON");
    assert_eq!(json[0]["lag"], 7);
    assert_eq!(json[0]["partitions"][1]["lag"], serde_json::Value::Null);
    assert_eq!(json[0]["partitions"][1]["client"], serde_json::Value::Null);
}

#[test]
fn members_and_lists_are_tables() {
    assert_eq!(
        show::members(&[described().group], Form::Text),
        "group g: stable, 1 member, assignor range, coordinator 2\n\
         \x20 member instance client host     partitions\n\
         \x20 c-1    -        c      10.0.0.1 t:0\n"
    );
    let listed = ListedGroup {
        group_id: "g".into(),
        group_type: "Classic".into(),
        protocol_type: "consumer".into(),
        group_state: "Empty".into(),
    };
    assert_eq!(
        show::list(&[listed], Form::Text),
        "  group type    protocol state\n  g     classic consumer empty\n"
    );
    assert!(show::list(&[], Form::Text).starts_with("no groups yet"));
    assert_eq!(show::list(&[], Form::Json), "[]\n");
}

#[test]
fn a_reset_shows_from_where_to_where() {
    let moves = [(TopicPartition::new("t", 0), None, 4), (TopicPartition::new("t", 1), Some(9), 0)];
    assert_eq!(
        show::resets("g", &moves, false, Form::Text),
        "would move g in 2 partitions\n  topic partition from to\n  t             0 -     4\n  t             1 9     0\n"
    );
}

#[test]
fn exceptions_are_told_without_their_class() {
    let inner = "org.apache.kafka.common.errors.TimeoutException: too late";
    let thrown = Thrown::new("java.util.concurrent.ExecutionException", inner);
    assert_eq!(why(thrown), "too late");
}
