//! Which replicas move so that every live broker has its share, as few as possible; then, among the replicas that there
//! are, which comes first. Pure: the cluster as it is goes in, the changes come out.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A broker that may get replicas: one that lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broker {
    /// Node id.
    pub id: i32,
    /// `broker.rack`
    pub rack: Option<String>,
}

/// A partition and its replicas, the preferred leader first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    /// The topic's name.
    pub topic: String,
    /// The partition's number.
    pub partition: i32,
    /// Node ids.
    pub replicas: Vec<i32>,
}

/// Replicas and leaderships, counted over all topics and for each.
#[derive(Default)]
struct Load {
    all: BTreeMap<i32, i64>,
    of_topic: BTreeMap<(String, i32), i64>,
}

impl Load {
    fn add(&mut self, topic: &str, broker: i32, by: i64) {
        *self.all.entry(broker).or_default() += by;
        *self.of_topic.entry((topic.to_owned(), broker)).or_default() += by;
    }

    fn of(&self, broker: i32) -> i64 {
        self.all.get(&broker).copied().unwrap_or(0)
    }

    /// How many more of this topic the first has than the second.
    fn surplus(&self, topic: &str, (from, to): (i32, i32)) -> i64 {
        let of = |broker| self.of_topic.get(&(topic.to_owned(), broker)).copied().unwrap_or(0);
        of(from) - of(to)
    }
}

/// The partitions as they shall be, in the order of `now`. What lies on a broker that does not live stays there.
pub(super) fn plan(brokers: &[Broker], now: &[Placed]) -> Vec<Placed> {
    let mut then = now.to_vec();
    spread_replicas(brokers, &mut then);
    spread_leaders(brokers, &mut then);
    then
}

/// Moves a replica from a broker with more to one with fewer until no two differ by more than one.
fn spread_replicas(brokers: &[Broker], placed: &mut [Placed]) {
    let rack =
        |id: i32| brokers.iter().find(|broker| broker.id == id).and_then(|broker| broker.rack.as_deref());
    let mut load = Load::default();
    for partition in placed.iter() {
        for id in &partition.replicas {
            load.add(&partition.topic, *id, 1);
        }
    }
    let mut ids: Vec<i32> = brokers.iter().map(|broker| broker.id).collect();
    loop {
        ids.sort_by_key(|id| (load.of(*id), *id));
        // The fullest gives to the emptiest, if it has something that may lie there.
        let pairs = ids.iter().rev().flat_map(|from| ids.iter().map(move |to| (*from, *to)));
        let found = pairs
            .take_while(|(from, _)| load.of(*from) - load.of(ids[0]) > 1)
            .filter(|(from, to)| load.of(*from) - load.of(*to) > 1)
            .find_map(|pair| Some((pair, best(placed, pair, &load, &rack)?)));
        let Some(((from, to), at)) = found else { return };
        let partition = &mut placed[at];
        for id in &mut partition.replicas {
            if *id == from {
                *id = to;
            }
        }
        load.add(&partition.topic, from, -1);
        load.add(&partition.topic, to, 1);
    }
}

/// The partition whose replica moves with the most gain: of a topic that has most replicas where it comes from, and
/// rather a follower than the leader. Never one that would share a broker, or lie in fewer racks than before.
fn best<'a>(
    placed: &[Placed],
    (from, to): (i32, i32),
    load: &Load,
    rack: &impl Fn(i32) -> Option<&'a str>,
) -> Option<usize> {
    let racks = |replicas: &[i32]| replicas.iter().map(|id| rack(*id)).collect::<BTreeSet<_>>().len();
    let may_move = |partition: &Placed| {
        let moved: Vec<i32> =
            partition.replicas.iter().map(|id| if *id == from { to } else { *id }).collect();
        partition.replicas.contains(&from)
            && !partition.replicas.contains(&to)
            && racks(&moved) >= racks(&partition.replicas)
    };
    let candidates = placed.iter().enumerate().filter(|(_, partition)| may_move(partition));
    let leads = |partition: &Placed| partition.replicas.first() == Some(&from);
    candidates
        .max_by_key(|(at, partition)| {
            (load.surplus(&partition.topic, (from, to)), !leads(partition), std::cmp::Reverse(*at))
        })
        .map(|(at, _)| at)
}

/// Puts other replicas first until no two brokers differ by more than one in what they shall lead, where the replicas
/// allow it. A surplus may go over several brokers on its way.
fn spread_leaders(brokers: &[Broker], placed: &mut [Placed]) {
    let alive: BTreeSet<i32> = brokers.iter().map(|broker| broker.id).collect();
    let mut load = Load::default();
    for partition in placed.iter() {
        if let Some(first) = partition.replicas.first() {
            load.add(&partition.topic, *first, 1);
        }
    }
    let mut ids: Vec<i32> = alive.iter().copied().collect();
    loop {
        ids.sort_by_key(|id| (std::cmp::Reverse(load.of(*id)), *id));
        let Some(path) = ids.iter().find_map(|from| path(placed, *from, &alive, &load)) else { return };
        for (at, to) in path {
            let partition = &mut placed[at];
            let place =
                partition.replicas.iter().position(|id| *id == to).expect("REBALANCE-1 a replica there");
            let from = partition.replicas[0];
            partition.replicas.swap(0, place);
            load.add(&partition.topic, from, -1);
            load.add(&partition.topic, to, 1);
        }
    }
}

/// The shortest way from a broker to one that shall lead at least two fewer: partitions, each with its new leader.
fn path(placed: &[Placed], from: i32, alive: &BTreeSet<i32>, load: &Load) -> Option<Vec<(usize, i32)>> {
    // How each broker was reached: by which partition, from whom.
    let mut reached: BTreeMap<i32, Option<(usize, i32)>> = BTreeMap::from([(from, None)]);
    let mut queue = VecDeque::from([from]);
    while let Some(here) = queue.pop_front() {
        if load.of(from) - load.of(here) > 1 {
            let mut steps = Vec::new();
            let mut at = here;
            while let Some(Some((partition, before))) = reached.get(&at) {
                steps.push((*partition, at));
                at = *before;
            }
            steps.reverse();
            return Some(steps);
        }
        let mut ways: Vec<(i64, i32, usize)> = Vec::new();
        for (at, partition) in placed.iter().enumerate().filter(|(_, p)| p.replicas.first() == Some(&here)) {
            for to in partition.replicas.iter().skip(1).filter(|to| alive.contains(to)) {
                ways.push((-load.surplus(&partition.topic, (here, *to)), *to, at));
            }
        }
        ways.sort_unstable();
        for (_, to, at) in ways {
            if let Entry::Vacant(new) = reached.entry(to) {
                new.insert(Some((at, here)));
                queue.push_back(to);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brokers(ids: &[(i32, &str)]) -> Vec<Broker> {
        let rack = |rack: &str| (!rack.is_empty()).then(|| rack.to_owned());
        ids.iter().map(|(id, name)| Broker { id: *id, rack: rack(name) }).collect()
    }

    fn topic(name: &str, partitions: &[&[i32]]) -> Vec<Placed> {
        let placed = partitions.iter().zip(0..);
        placed
            .map(|(replicas, partition)| Placed {
                topic: name.into(),
                partition,
                replicas: replicas.to_vec(),
            })
            .collect()
    }

    fn count(placed: &[Placed], id: i32, of: impl Fn(&Placed) -> Vec<i32>) -> usize {
        placed.iter().flat_map(of).filter(|other| *other == id).count()
    }

    fn replicas(placed: &[Placed], ids: &[i32]) -> Vec<usize> {
        ids.iter().map(|id| count(placed, *id, |p| p.replicas.clone())).collect()
    }

    fn leaders(placed: &[Placed], ids: &[i32]) -> Vec<usize> {
        ids.iter().map(|id| count(placed, *id, |p| p.replicas[..1].to_vec())).collect()
    }

    fn moved(now: &[Placed], then: &[Placed]) -> usize {
        let new = |(now, then): (&Placed, &Placed)| {
            then.replicas.iter().filter(|id| !now.replicas.contains(id)).count()
        };
        now.iter().zip(then).map(new).sum()
    }

    #[test]
    fn an_empty_broker_gets_its_share_and_no_more_moves_than_that() {
        let four = brokers(&[(1, ""), (2, ""), (3, ""), (4, "")]);
        let now = topic("t", &[&[1, 2], &[2, 3], &[3, 1], &[1, 3], &[2, 1], &[3, 2], &[1, 2], &[2, 3]]);
        let then = plan(&four, &now);
        assert_eq!(replicas(&then, &[1, 2, 3, 4]), [4, 4, 4, 4]);
        assert_eq!(moved(&now, &then), 4, "what the new one has, and nothing else");
        assert_eq!(leaders(&then, &[1, 2, 3, 4]), [2, 2, 2, 2]);
        assert!(then.iter().all(|p| p.replicas.iter().collect::<BTreeSet<_>>().len() == 2), "{then:?}");
        assert_eq!(plan(&four, &then), then, "what is balanced stays");
    }

    #[test]
    fn each_topic_is_spread_over_the_brokers() {
        let two = brokers(&[(1, ""), (2, "")]);
        let now = [topic("a", &[&[1], &[1]]), topic("b", &[&[1], &[1]])].concat();
        let then = plan(&two, &now);
        let on_two: BTreeSet<&str> =
            then.iter().filter(|p| p.replicas == [2]).map(|p| p.topic.as_str()).collect();
        assert_eq!(on_two, BTreeSet::from(["a", "b"]), "one of each");
    }

    #[test]
    fn racks_are_not_given_up_for_balance() {
        let racks = brokers(&[(1, "x"), (2, "y"), (3, "x")]);
        let now = topic("t", &[&[1, 2], &[1, 2], &[1, 2], &[1, 2]]);
        let then = plan(&racks, &now);
        assert!(then.iter().all(|p| p.replicas.contains(&2)), "2 is alone in its rack: {then:?}");
        assert_eq!(replicas(&then, &[1, 2, 3]), [2, 4, 2]);
    }

    #[test]
    fn what_lies_on_a_dead_broker_stays_there() {
        let alive = brokers(&[(1, ""), (2, "")]);
        let now = topic("t", &[&[9, 1], &[9, 1], &[9, 1], &[1, 9]]);
        let then = plan(&alive, &now);
        assert_eq!(replicas(&then, &[9, 1, 2]), [4, 2, 2]);
        assert!(
            then.iter().zip(&now).all(|(then, now)| then.replicas.contains(&9) == now.replicas.contains(&9))
        );
    }

    #[test]
    fn leaderships_go_by_way_of_others() {
        let three = brokers(&[(1, ""), (2, ""), (3, "")]);
        // Nothing that 1 leads has a replica on 3.
        let now = topic("t", &[&[1, 2], &[1, 2], &[1, 2], &[2, 3], &[2, 3], &[3, 2]]);
        let mut then = now.clone();
        spread_leaders(&three, &mut then);
        assert_eq!(leaders(&then, &[1, 2, 3]), [2, 2, 2], "{then:?}");
        assert_eq!(moved(&now, &then), 0, "the order changes, no replica moves");
    }
}
