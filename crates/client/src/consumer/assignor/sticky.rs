//! The strategy with a memory (KIP-54): members keep what they have as far as shares stay even, and its cooperative
//! form (KIP-429), in which a partition is free before it is given to another.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{Assignment, Member, in_order, nobody, wanted};
use crate::TopicPartition;

/// Shares that differ by at most one where subscriptions allow, with as few moves as that takes.
pub(super) fn assign(members: &[Member], topics: &BTreeMap<Arc<str>, i32>) -> Assignment {
    let mut assignment = nobody(members);
    let order = in_order(members);
    let mut free: BTreeSet<TopicPartition> = BTreeSet::new();
    for (topic, count) in wanted(members, topics) {
        free.extend((0..count).map(|partition| TopicPartition::new(topic.clone(), partition)));
    }
    for (partition, owner) in owners(members) {
        if members.iter().any(|member| member.id == owner && member.wants(&partition.topic))
            && free.remove(&partition)
        {
            place(&mut assignment, &owner).push(partition);
        }
    }
    // Topics that fewer members can take go first: their choice is smallest.
    let takers = |topic: &str| order.iter().filter(|member| member.wants(topic)).count();
    let choices: HashMap<Arc<str>, usize> =
        wanted(members, topics).into_iter().map(|(topic, _)| (topic.clone(), takers(topic))).collect();
    let mut free: Vec<TopicPartition> = free.into_iter().collect();
    free.sort_by_key(|partition| choices[&partition.topic]);
    for partition in free {
        let eligible = order.iter().filter(|member| member.wants(&partition.topic));
        let least = eligible.min_by_key(|member| assignment[&member.id].len());
        if let Some(member) = least {
            place(&mut assignment, &member.id).push(partition);
        }
    }
    even_out(&order, &mut assignment);
    assignment.values_mut().for_each(|partitions| partitions.sort());
    assignment
}

fn place<'a>(assignment: &'a mut Assignment, member: &str) -> &'a mut Vec<TopicPartition> {
    assignment.get_mut(member).expect("CLIENT-30 every member has a place")
}

/// Who has which partition now. Of two that claim the same the one of the later generation is right; of two in one
/// generation neither is.
fn owners(members: &[Member]) -> BTreeMap<TopicPartition, String> {
    let mut claims: BTreeMap<TopicPartition, (i32, Option<&str>)> = BTreeMap::new();
    for member in members {
        let generation = member.subscription.generation;
        for partition in &member.subscription.owned {
            let claim = claims.entry(partition.clone()).or_insert((generation, Some(&member.id)));
            if claim.1 == Some(&member.id) {
                continue;
            }
            match generation.cmp(&claim.0) {
                std::cmp::Ordering::Greater => *claim = (generation, Some(&member.id)),
                std::cmp::Ordering::Equal => claim.1 = None,
                std::cmp::Ordering::Less => {}
            }
        }
    }
    claims.into_iter().filter_map(|(partition, (_, owner))| Some((partition, owner?.to_owned()))).collect()
}

/// Moves single partitions from the fullest to the emptiest member that can take one, until none has two more than
/// another that wants one of them.
fn even_out(order: &[&Member], assignment: &mut Assignment) {
    loop {
        let mut by_load: Vec<&&Member> = order.iter().collect();
        by_load.sort_by_key(|member| assignment[&member.id].len());
        let step = by_load.iter().rev().find_map(|from| {
            by_load.iter().find_map(|to| {
                if assignment[&from.id].len() < assignment[&to.id].len() + 2 {
                    return None;
                }
                let at = assignment[&from.id].iter().rposition(|partition| to.wants(&partition.topic))?;
                Some((from.id.clone(), to.id.clone(), at))
            })
        });
        let Some((from, to, at)) = step else { return };
        let partition = place(assignment, &from).remove(at);
        place(assignment, &to).push(partition);
    }
}

/// A partition that moves is given to nobody this time: its owner sees that it is gone, gives it up and joins again.
pub(super) fn hold_back(members: &[Member], mut assignment: Assignment) -> Assignment {
    let owners = owners(members);
    for (member, partitions) in &mut assignment {
        partitions.retain(|partition| owners.get(partition).is_none_or(|owner| owner == member));
    }
    assignment
}
