//! Shares, and what members and leaders write to each other.

use super::*;

fn member(id: &str, topics: &[&str], owned: &[(&str, i32)], generation: i32) -> Member {
    Member {
        id: id.to_owned(),
        instance: None,
        subscription: Subscription {
            topics: topics.iter().map(|topic| Arc::from(*topic)).collect(),
            owned: owned.iter().map(|(topic, partition)| TopicPartition::new(*topic, *partition)).collect(),
            generation,
            rack: None,
        },
    }
}

fn topics(counts: &[(&str, i32)]) -> BTreeMap<Arc<str>, i32> {
    counts.iter().map(|(topic, count)| (Arc::from(*topic), *count)).collect()
}

fn text(assignment: &Assignment) -> String {
    let one = |(id, partitions): (&String, &Vec<TopicPartition>)| format!("{id}: {partitions:?}");
    assignment.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[test]
fn ranges_are_cut_topic_by_topic() {
    let members = [member("b", &["t", "u"], &[], -1), member("a", &["t", "u"], &[], -1)];
    let assigned = Strategy::Range.assign(&members, &topics(&[("t", 3), ("u", 3), ("w", 9)]));
    assert_eq!(text(&assigned), "a: [t-0, t-1, u-0, u-1]; b: [t-2, u-2]");
}

#[test]
fn static_members_come_first() {
    let mut named = member("z", &["t"], &[], -1);
    named.instance = Some("1".to_owned());
    let members = [member("a", &["t"], &[], -1), named];
    let assigned = Strategy::Range.assign(&members, &topics(&[("t", 3)]));
    assert_eq!(text(&assigned), "a: [t-2]; z: [t-0, t-1]");
}

#[test]
fn cards_are_dealt_past_those_who_do_not_want_them() {
    let members =
        [member("a", &["t"], &[], -1), member("b", &["t", "u"], &[], -1), member("c", &["u"], &[], -1)];
    let assigned = Strategy::RoundRobin.assign(&members, &topics(&[("t", 3), ("u", 2)]));
    assert_eq!(text(&assigned), "a: [t-0, t-2]; b: [t-1, u-0]; c: [u-1]");
}

#[test]
fn the_sticky_one_moves_no_more_than_it_must() {
    let members = [
        member("a", &["t"], &[("t", 0), ("t", 1), ("t", 2), ("t", 3), ("t", 4)], 1),
        member("b", &["t"], &[], -1),
    ];
    let assigned = Strategy::Sticky.assign(&members, &topics(&[("t", 6)]));
    assert_eq!(text(&assigned), "a: [t-0, t-1, t-2]; b: [t-3, t-4, t-5]");
    // Subscriptions that differ: whoever has the choice leaves to the others what only they can take.
    let members = [member("a", &["t"], &[], -1), member("b", &["t", "u"], &[], -1)];
    let assigned = Strategy::Sticky.assign(&members, &topics(&[("t", 2), ("u", 2)]));
    assert_eq!(text(&assigned), "a: [t-0, t-1]; b: [u-0, u-1]");
}

#[test]
fn the_cooperative_one_frees_a_partition_before_it_gives_it() {
    let first =
        [member("a", &["t"], &[("t", 0), ("t", 1), ("t", 2), ("t", 3)], 4), member("b", &["t"], &[], -1)];
    let counts = topics(&[("t", 4)]);
    let assigned = Strategy::CooperativeSticky.assign(&first, &counts);
    assert_eq!(text(&assigned), "a: [t-0, t-1]; b: []");
    let second = [member("a", &["t"], &[("t", 0), ("t", 1)], 5), member("b", &["t"], &[], 5)];
    let assigned = Strategy::CooperativeSticky.assign(&second, &counts);
    assert_eq!(text(&assigned), "a: [t-0, t-1]; b: [t-2, t-3]");
}

#[test]
fn of_two_owners_the_later_one_is_right() {
    let members = [member("a", &["t"], &[("t", 0)], 3), member("b", &["t"], &[("t", 0), ("t", 1)], 4)];
    let assigned = Strategy::Sticky.assign(&members, &topics(&[("t", 2)]));
    assert_eq!(assigned.values().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    assert!(assigned["b"].iter().all(|partition| members[1].subscription.owned.contains(partition)));
}

#[test]
fn messages_come_back_as_they_were() {
    let mut subscription = member("a", &["t", "u"], &[("t", 1), ("u", 0)], 7).subscription;
    subscription.rack = Some("r".to_owned());
    for strategy in [Strategy::Range, Strategy::Sticky, Strategy::CooperativeSticky] {
        let bytes = write_subscription(&subscription, strategy);
        assert_eq!(bytes[..2], [0, 3], "version 3");
        assert_eq!(read_subscription(&bytes, strategy).unwrap(), subscription, "{strategy:?}");
    }
    let partitions = [TopicPartition::new("t", 0), TopicPartition::new("t", 4)];
    assert_eq!(read_assignment(&write_assignment(&partitions)).unwrap(), partitions);
    assert_eq!(read_assignment(&bytes::Bytes::new()).unwrap(), []);
    assert!(read_subscription(&bytes::Bytes::from_static(&[0, 0, 1]), Strategy::Range).is_err());
}
