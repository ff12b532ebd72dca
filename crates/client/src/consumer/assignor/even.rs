//! Strategies without a memory: ranges of each topic, and all partitions in turn (`RangeAssignor`,
//! `RoundRobinAssignor`). Racks are not looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Assignment, Member, in_order, nobody, wanted};
use crate::TopicPartition;

/// Every topic is cut into runs, one for each of its members; the first ones are longer by one where it does not
/// come out even.
pub(super) fn range(members: &[Member], topics: &BTreeMap<Arc<str>, i32>) -> Assignment {
    let mut assignment = nobody(members);
    let order = in_order(members);
    for (topic, count) in wanted(members, topics) {
        let takers: Vec<&&Member> = order.iter().filter(|member| member.wants(topic)).collect();
        let (each, longer) = (count / takers.len() as i32, count % takers.len() as i32);
        let mut first = 0;
        for (at, member) in takers.iter().enumerate() {
            let length = each + i32::from((at as i32) < longer);
            let run = (first..first + length).map(|partition| TopicPartition::new(topic.clone(), partition));
            assignment.get_mut(&member.id).expect("CLIENT-30 every member has a place").extend(run);
            first += length;
        }
    }
    assignment
}

/// All partitions of all topics are dealt out like cards, past those who do not want the topic.
pub(super) fn round_robin(members: &[Member], topics: &BTreeMap<Arc<str>, i32>) -> Assignment {
    let mut assignment = nobody(members);
    let order = in_order(members);
    let mut turn = 0;
    for (topic, count) in wanted(members, topics) {
        for partition in 0..count {
            while !order[turn % order.len()].wants(topic) {
                turn += 1;
            }
            let member = order[turn % order.len()];
            turn += 1;
            let place = assignment.get_mut(&member.id).expect("CLIENT-30 every member has a place");
            place.push(TopicPartition::new(topic.clone(), partition));
        }
    }
    assignment
}
