//! What changed in a cluster between two looks at it, one line for each change.

use std::collections::{BTreeMap, BTreeSet};

use ottla_local_cluster::{Leader, View};

/// One look at the cluster.
#[derive(Debug, Clone, Default)]
pub(super) struct Look {
    /// What a broker says; none when no broker answers.
    pub(super) view: Option<View>,
    /// The active controller; none while there is no majority.
    pub(super) controller: Option<Leader>,
}

/// How many partitions one line names.
const NAMED: usize = 3;

/// The lines that tell how `new` differs from `old`. A look that saw nothing tells nothing: what is not known has not
/// changed.
pub(super) fn lines(old: &Look, new: &Look) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some(before), Some(now)) = (old.controller, new.controller)
        && before.id != now.id
    {
        lines.push(format!("the active controller is node {} now (epoch {})", now.id, now.epoch));
    }
    if let (Some(before), Some(now)) = (&old.view, &new.view) {
        brokers(before, now, &mut lines);
        leaders(before, now, &mut lines);
    }
    lines
}

fn brokers(old: &View, new: &View, lines: &mut Vec<String>) {
    let before: BTreeSet<i32> = old.brokers.iter().copied().collect();
    let now: BTreeSet<i32> = new.brokers.iter().copied().collect();
    for id in before.difference(&now) {
        lines.push(format!("node {id} is fenced: clients and replicas go elsewhere"));
    }
    for id in now.difference(&before) {
        lines.push(format!("node {id} is back and serves"));
    }
}

/// Partitions that moved the same way stand on one line.
fn leaders(old: &View, new: &View, lines: &mut Vec<String>) {
    let before: BTreeMap<(&str, i32), i32> =
        old.partitions.iter().map(|p| ((p.topic.as_str(), p.index), p.leader)).collect();
    let mut moved: BTreeMap<(i32, i32), Vec<String>> = BTreeMap::new();
    for partition in &new.partitions {
        if let Some(leader) = before.get(&(partition.topic.as_str(), partition.index))
            && *leader != partition.leader
        {
            moved.entry((*leader, partition.leader)).or_default().push(partition.name());
        }
    }
    for ((from, to), partitions) in moved {
        let mut what = partitions[..partitions.len().min(NAMED)].join(", ");
        if partitions.len() > NAMED {
            what.push_str(&format!(" and {} more", partitions.len() - NAMED));
        }
        lines.push(match (from, to) {
            (from, ..0) => format!("{what}: no leader any more (it was node {from})"),
            (..0, to) => format!("{what}: node {to} leads"),
            _ => format!("{what}: the leader is node {to} now (it was node {from})"),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_local_cluster::Partition;

    fn look(brokers: &[i32], leaders: &[i32], controller: Option<(i32, i32)>) -> Look {
        let partition = |(index, leader): (usize, &i32)| Partition {
            topic: "orders".into(),
            index: index as i32,
            leader: *leader,
            replicas: vec![1, 2, 3],
            isr: vec![1, 2, 3],
        };
        let partitions = leaders.iter().enumerate().map(partition).collect();
        Look {
            view: Some(View { brokers: brokers.to_vec(), partitions }),
            controller: controller.map(|(id, epoch)| Leader { id, epoch }),
        }
    }

    #[test]
    fn nothing_changed_nothing_said() {
        let same = look(&[1, 2, 3], &[1, 2], Some((1, 4)));
        assert!(lines(&same, &same).is_empty());
        // A re-election of the same node, or a moment without an answer, is nothing to a user.
        assert!(lines(&same, &look(&[1, 2, 3], &[1, 2], Some((1, 5)))).is_empty());
        assert!(lines(&same, &Look::default()).is_empty());
        // A topic that came or went is no movement.
        assert!(lines(&same, &look(&[1, 2, 3], &[1, 2, 3, 1], Some((1, 4)))).is_empty());
    }

    #[test]
    fn a_node_that_goes_and_comes_back() {
        let (before, after) = (look(&[1, 2, 3], &[1, 2], Some((1, 4))), look(&[2, 3], &[2, 2], Some((3, 5))));
        assert_eq!(
            lines(&before, &after),
            [
                "the active controller is node 3 now (epoch 5)",
                "node 1 is fenced: clients and replicas go elsewhere",
                "orders-0: the leader is node 2 now (it was node 1)",
            ]
        );
        assert_eq!(lines(&after, &look(&[1, 2, 3], &[2, 2], Some((3, 5)))), ["node 1 is back and serves"]);
    }

    #[test]
    fn many_partitions_are_one_line() {
        let (before, after) = (look(&[1, 2], &[1; 9], None), look(&[1, 2], &[2; 9], None));
        assert_eq!(
            lines(&before, &after),
            ["orders-0, orders-1, orders-2 and 6 more: the leader is node 2 now (it was node 1)"]
        );
        assert_eq!(
            lines(&after, &look(&[1, 2], &[-1; 9], None)),
            ["orders-0, orders-1, orders-2 and 6 more: no leader any more (it was node 2)"]
        );
    }
}
