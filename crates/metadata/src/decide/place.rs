//! Where new replicas go: Kafka's striped placement.
//!
//! Racks take turns to give the first replica of a partition, and the brokers of a rack take turns within it, so that
//! leaders spread evenly and no two partitions in a row have the same replicas. Fenced brokers are used only when a
//! rack has no other left, and never for the leader. Where the turns begin is random.

use std::collections::BTreeMap;

use ottla_protocol::error_code::ErrorCode;

use super::Refusal;
use crate::random::{Random, shuffle};

/// A broker that may get replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsableBroker {
    /// Its id.
    pub id: i32,
    /// Its rack.
    pub rack: Option<String>,
    /// Whether it is fenced.
    pub fenced: bool,
}

/// Brokers that take turns. A new round (one per partition) begins one further on.
#[derive(Default)]
struct Turns {
    brokers: Vec<i32>,
    start: usize,
    taken: usize,
    round: usize,
}

impl Turns {
    fn begin(&mut self, random: &mut dyn Random) {
        self.brokers.sort_unstable();
        if !self.brokers.is_empty() {
            self.start = random.below(self.brokers.len());
        }
    }

    /// The next broker of this round; nothing once each had its turn.
    fn next(&mut self, round: usize) -> Option<i32> {
        let count = self.brokers.len();
        if count == 0 {
            return None;
        }
        if self.round != round {
            self.round = round;
            self.taken = 0;
            self.start = (self.start + 1) % count;
        }
        if self.taken == count {
            return None;
        }
        let broker = self.brokers[(self.start + self.taken) % count];
        self.taken += 1;
        Some(broker)
    }
}

#[derive(Default)]
struct Rack {
    unfenced: Turns,
    fenced: Turns,
}

impl Rack {
    fn next(&mut self, round: usize) -> Option<i32> {
        self.unfenced.next(round).or_else(|| self.fenced.next(round))
    }
}

struct Racks {
    racks: Vec<Rack>,
    total: usize,
    unfenced: usize,
    /// Partitions placed so far; never reset, so that a broker list always knows a new round.
    round: usize,
    /// Partitions placed since the last mixing.
    since_mixed: usize,
    first: usize,
}

impl Racks {
    fn new(brokers: &[UsableBroker], random: &mut dyn Random) -> Racks {
        // Keyed by name, so that the brokers without a rack come first and the rest in order.
        let mut racks: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
        for broker in brokers {
            let rack = racks.entry(broker.rack.as_deref()).or_default();
            let turns = if broker.fenced { &mut rack.fenced } else { &mut rack.unfenced };
            turns.brokers.push(broker.id);
        }
        let mut racks: Vec<Rack> = racks.into_values().collect();
        for rack in &mut racks {
            rack.fenced.begin(random);
            rack.unfenced.begin(random);
        }
        let first = if racks.is_empty() { 0 } else { random.below(racks.len()) };
        let unfenced = brokers.iter().filter(|broker| !broker.fenced).count();
        Racks { racks, total: brokers.len(), unfenced, round: 0, since_mixed: 0, first }
    }

    /// Replicas of the next partition. There must be an unfenced broker and at least `replicas` in all.
    fn place(&mut self, replicas: usize, random: &mut dyn Random) -> Vec<i32> {
        // After as many partitions as there are unfenced brokers the pattern would repeat: mix it.
        if self.since_mixed == self.unfenced && self.unfenced > 1 {
            shuffle(&mut self.racks, random);
            for rack in &mut self.racks {
                shuffle(&mut rack.fenced.brokers, random);
                shuffle(&mut rack.unfenced.brokers, random);
            }
            self.since_mixed = 0;
        }
        let count = self.racks.len();
        if self.first == count {
            self.first = 0;
        }
        let mut placed = Vec::with_capacity(replicas);
        let leader_rack = (0..count)
            .map(|step| (self.first + step) % count)
            .find(|&rack| match self.racks[rack].unfenced.next(self.round) {
                Some(leader) => {
                    placed.push(leader);
                    true
                }
                None => false,
            })
            .expect("placement: an unfenced broker leads every partition");
        // The others come from the racks in turn, but the leader's rack is passed over once.
        let mut passed_over = false;
        let mut rack = self.first;
        while placed.len() < replicas {
            if rack == leader_rack && !passed_over {
                passed_over = true;
            } else if let Some(broker) = self.racks[rack].next(self.round) {
                placed.push(broker);
            }
            rack = (rack + 1) % count;
        }
        self.round += 1;
        self.since_mixed += 1;
        self.first += 1;
        placed
    }
}

/// Replica lists for `partitions` new partitions of `replicas` replicas each, the leader first. Refuses with
/// INVALID_REPLICATION_FACTOR what the brokers cannot hold.
pub fn place(
    brokers: &[UsableBroker],
    partitions: usize,
    replicas: i16,
    random: &mut dyn Random,
) -> Result<Vec<Vec<i32>>, Refusal> {
    let refuse = |message: String| Err(Refusal::new(ErrorCode::InvalidReplicationFactor, message));
    let mut racks = Racks::new(brokers, random);
    if replicas <= 0 {
        return refuse(format!(
            "Invalid replication factor {replicas}: the replication factor must be positive."
        ));
    }
    if racks.unfenced == 0 {
        return refuse(
            "All brokers are currently fenced, or have all their log directories cordoned.".to_owned(),
        );
    }
    let wanted = replicas as usize;
    if wanted > racks.total {
        return refuse(format!(
            "The target replication factor of {replicas} cannot be reached because only {} broker(s) are \
             registered or some brokers have all their log directories cordoned.{}",
            racks.total,
            fenced(brokers)
        ));
    }
    Ok((0..partitions).map(|_| racks.place(wanted, random)).collect())
}

/// Which of the registered brokers do not live; empty when all do. Kafka does not say it.
fn fenced(brokers: &[UsableBroker]) -> String {
    let mut ids: Vec<i32> = brokers.iter().filter(|broker| broker.fenced).map(|broker| broker.id).collect();
    if ids.is_empty() {
        return String::new();
    }
    ids.sort_unstable();
    let alive = brokers.len() - ids.len();
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!(" Of these {alive} are alive; fenced: {}", ids.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seeded;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn brokers(list: &[(i32, Option<&str>, bool)]) -> Vec<UsableBroker> {
        list.iter()
            .map(|&(id, rack, fenced)| UsableBroker { id, rack: rack.map(str::to_owned), fenced })
            .collect()
    }

    fn message(brokers: &[UsableBroker], replicas: i16) -> String {
        place(brokers, 1, replicas, &mut Seeded(1)).unwrap_err().message.unwrap()
    }

    #[test]
    fn says_which_brokers_do_not_live() {
        let three = brokers(&[(7, None, true), (1, None, false), (3, None, true)]);
        let said = message(&three, 4);
        assert!(said.contains("because only 3 broker(s) are registered"), "{said}");
        assert!(said.ends_with(" Of these 1 are alive; fenced: 3, 7"), "{said}");
    }

    #[test]
    fn refuses_in_kafkas_words() {
        let one = brokers(&[(1, None, false)]);
        assert!(message(&one, 0).starts_with("Invalid replication factor 0"));
        assert_eq!(
            message(&one, 3),
            "The target replication factor of 3 cannot be reached because only 1 broker(s) are registered or \
             some brokers have all their log directories cordoned."
        );
        let fenced = brokers(&[(1, None, true)]);
        assert!(message(&fenced, 1).starts_with("All brokers are currently fenced"));
    }

    #[test]
    fn leaders_spread_evenly_over_the_brokers() {
        let three = brokers(&[(1, None, false), (2, None, false), (3, None, false)]);
        for seed in 0..50 {
            let placed = place(&three, 6, 2, &mut Seeded(seed)).unwrap();
            for broker in 1..=3 {
                assert_eq!(placed.iter().filter(|replicas| replicas[0] == broker).count(), 2);
            }
            let first_round: BTreeSet<_> = placed[..3].iter().collect();
            assert_eq!(first_round.len(), 3, "three partitions in a row differ");
        }
    }

    #[test]
    fn every_partition_reaches_every_rack() {
        let list = brokers(&[
            (0, Some("a"), false),
            (1, Some("a"), false),
            (2, Some("b"), false),
            (3, Some("c"), false),
        ]);
        for seed in 0..50 {
            for replicas in place(&list, 20, 3, &mut Seeded(seed)).unwrap() {
                let racks: BTreeSet<_> =
                    replicas.iter().map(|&id| list[id as usize].rack.clone().unwrap()).collect();
                assert_eq!(racks.len(), 3);
            }
        }
    }

    #[test]
    fn fenced_brokers_come_last_and_never_lead() {
        let list = brokers(&[(1, None, false), (2, None, true), (3, None, false)]);
        for replicas in place(&list, 30, 2, &mut Seeded(5)).unwrap() {
            assert!(!replicas.contains(&2));
        }
        for replicas in place(&list, 30, 3, &mut Seeded(5)).unwrap() {
            assert_ne!(replicas[0], 2);
            assert!(replicas.contains(&2));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn no_broker_twice_and_an_unfenced_leader(
            racks in proptest::collection::vec((0u8..4, any::<bool>()), 1..12),
            partitions in 1usize..40,
            replicas in 1i16..12,
            seed in any::<u64>(),
        ) {
            let list: Vec<UsableBroker> = racks
                .iter()
                .enumerate()
                .map(|(id, &(rack, fenced))| UsableBroker {
                    id: id as i32,
                    rack: (rack > 0).then(|| rack.to_string()),
                    fenced,
                })
                .collect();
            let possible = list.iter().any(|b| !b.fenced) && replicas as usize <= list.len();
            match place(&list, partitions, replicas, &mut Seeded(seed)) {
                Err(_) => prop_assert!(!possible),
                Ok(placed) => {
                    prop_assert!(possible);
                    prop_assert_eq!(placed.len(), partitions);
                    for partition in placed {
                        let distinct: BTreeSet<_> = partition.iter().collect();
                        prop_assert_eq!(distinct.len(), replicas as usize);
                        prop_assert!(!list[partition[0] as usize].fenced);
                    }
                }
            }
        }
    }
}
