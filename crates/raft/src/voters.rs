//! Who may vote: replica keys, endpoints, voter sets and the changes between them (KIP-853).

use std::collections::BTreeMap;

use uuid::Uuid;

/// One replica of the metadata log: node id plus the id of the directory it keeps the log in.
///
/// Kafka writes an unknown directory as the zero uuid; here it is `None`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReplicaKey {
    /// Node id; negative for clients that are not replicas.
    pub id: i32,
    /// Directory id, if it is known.
    pub directory: Option<Uuid>,
}

impl ReplicaKey {
    /// A key from the wire form, where the zero uuid stands for "unknown".
    pub fn new(id: i32, directory: Uuid) -> Self {
        Self { id, directory: (!directory.is_nil()).then_some(directory) }
    }

    /// Does this key, as someone else wrote it down, mean `other`? Unknown directories match any.
    pub fn covers(&self, other: &ReplicaKey) -> bool {
        self.id == other.id && (self.directory.is_none() || self.directory == other.directory)
    }

    /// The directory in wire form: the zero uuid when unknown.
    pub fn directory_or_nil(&self) -> Uuid {
        self.directory.unwrap_or(Uuid::nil())
    }
}

/// A host and a port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HostPort {
    /// Host name or address, as it was advertised.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl HostPort {
    /// A new address.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

/// Addresses of one node by listener name. Names are kept in upper case, as Kafka compares them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Endpoints(BTreeMap<String, HostPort>);

impl Endpoints {
    /// No address at all.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Addresses from (listener, address) pairs; later pairs win.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, HostPort)>) -> Self {
        Self(pairs.into_iter().map(|(name, at)| (name.to_uppercase(), at)).collect())
    }

    /// One address on one listener.
    pub fn single(listener: &str, at: HostPort) -> Self {
        Self::from_pairs([(listener.to_owned(), at)])
    }

    /// The address on a listener.
    pub fn get(&self, listener: &str) -> Option<&HostPort> {
        self.0.get(&listener.to_uppercase())
    }

    /// All pairs, by listener name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &HostPort)> {
        self.0.iter().map(|(name, at)| (name.as_str(), at))
    }

    /// How many listeners are known.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Is nothing known?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An inclusive range of feature levels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct VersionRange {
    /// Lowest level.
    pub min: i16,
    /// Highest level.
    pub max: i16,
}

impl VersionRange {
    /// Is `level` inside?
    pub fn contains(&self, level: i16) -> bool {
        self.min <= level && level <= self.max
    }

    /// Not negative and not upside down.
    pub fn is_valid(&self) -> bool {
        self.min >= 0 && self.max >= self.min
    }
}

/// One voter as KRAFT_VOTERS stores it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Voter {
    /// Id and directory.
    pub key: ReplicaKey,
    /// Where it listens.
    pub endpoints: Endpoints,
    /// Which `kraft.version` levels it supports.
    pub kraft_versions: VersionRange,
}

/// The voters, by id.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VoterSet(BTreeMap<i32, Voter>);

impl VoterSet {
    /// No voters: a node that must learn them from the log.
    pub fn empty() -> Self {
        Self::default()
    }

    /// A set from voters; a repeated id keeps the last.
    pub fn from_voters(voters: impl IntoIterator<Item = Voter>) -> Self {
        Self(voters.into_iter().map(|voter| (voter.key.id, voter)).collect())
    }

    /// The set of `controller.quorum.voters`: ids and addresses, no directory ids, `kraft.version` 0.
    pub fn from_static(listener: &str, voters: impl IntoIterator<Item = (i32, HostPort)>) -> Self {
        Self::from_voters(voters.into_iter().map(|(id, at)| Voter {
            key: ReplicaKey { id, directory: None },
            endpoints: Endpoints::single(listener, at),
            kraft_versions: VersionRange::default(),
        }))
    }

    /// How many voters.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// No voters?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All voters by id.
    pub fn iter(&self) -> impl Iterator<Item = &Voter> {
        self.0.values()
    }

    /// All ids, ascending.
    pub fn ids(&self) -> impl Iterator<Item = i32> {
        self.0.keys().copied()
    }

    /// The voter with this id.
    pub fn get(&self, id: i32) -> Option<&Voter> {
        self.0.get(&id)
    }

    /// Is this replica one of the voters? A voter without a known directory matches by id alone.
    pub fn contains(&self, key: &ReplicaKey) -> bool {
        self.0.get(&key.id).is_some_and(|voter| voter.key.covers(key))
    }

    /// Is this replica the one and only voter?
    pub fn is_only(&self, key: &ReplicaKey) -> bool {
        self.len() == 1 && self.contains(key)
    }

    /// Known addresses of a voter; empty when the id is not a voter.
    pub fn endpoints(&self, id: i32) -> Endpoints {
        self.0.get(&id).map(|voter| voter.endpoints.clone()).unwrap_or_default()
    }

    /// Smallest number of voters that is more than half.
    pub fn majority(&self) -> usize {
        self.len() / 2 + 1
    }

    /// The set with one voter more; `None` if the id is taken.
    pub fn with_added(&self, voter: Voter) -> Option<VoterSet> {
        if self.0.contains_key(&voter.key.id) {
            return None;
        }
        let mut next = self.clone();
        next.0.insert(voter.key.id, voter);
        Some(next)
    }

    /// The set with one voter less; `None` if it is not exactly a voter or the last one.
    pub fn with_removed(&self, key: &ReplicaKey) -> Option<VoterSet> {
        if self.len() < 2 || self.0.get(&key.id).map(|voter| voter.key) != Some(*key) {
            return None;
        }
        let mut next = self.clone();
        next.0.remove(&key.id);
        Some(next)
    }

    /// The set with one voter's entry replaced; `None` if it is not a voter.
    pub fn with_updated(&self, voter: Voter) -> Option<VoterSet> {
        self.contains(&voter.key).then(|| self.replaced(voter))
    }

    /// As [`Self::with_updated`], matching by id only: how a static set learns directory ids.
    pub fn with_updated_by_id(&self, voter: Voter) -> Option<VoterSet> {
        self.0.contains_key(&voter.key.id).then(|| self.replaced(voter))
    }

    fn replaced(&self, voter: Voter) -> VoterSet {
        let mut next = self.clone();
        next.0.insert(voter.key.id, voter);
        next
    }

    /// Is this voter in the set with other endpoints or versions than it has now?
    pub fn needs_update(&self, voter: &Voter) -> bool {
        self.0.get(&voter.key.id).is_some_and(|stored| stored.key.covers(&voter.key) && stored != voter)
    }

    /// Can a majority of one set not exist without meeting a majority of the other? True when they differ
    /// by at most one replica.
    pub fn overlaps(&self, other: &VoterSet) -> bool {
        let missing = |a: &VoterSet, b: &VoterSet| {
            a.iter().filter(|voter| b.get(voter.key.id).map(|v| v.key) != Some(voter.key)).count()
        };
        missing(self, other) <= 1 && missing(other, self) <= 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voter(id: i32, directory: u128) -> Voter {
        Voter {
            key: ReplicaKey::new(id, Uuid::from_u128(directory)),
            endpoints: Endpoints::single("controller", HostPort::new("localhost", 9000 + id as u16)),
            kraft_versions: VersionRange { min: 0, max: 1 },
        }
    }

    #[test]
    fn membership_follows_the_directory_when_it_is_known() {
        let set = VoterSet::from_voters([voter(1, 11)]);
        assert!(set.contains(&ReplicaKey::new(1, Uuid::from_u128(11))));
        assert!(!set.contains(&ReplicaKey::new(1, Uuid::from_u128(12))));
        let fixed = VoterSet::from_static("CONTROLLER", [(1, HostPort::new("h", 1))]);
        assert!(fixed.contains(&ReplicaKey::new(1, Uuid::from_u128(12))));
    }

    #[test]
    fn changes_are_one_voter_at_a_time() {
        let set = VoterSet::from_voters([voter(1, 1), voter(2, 2)]);
        assert!(set.with_added(voter(2, 9)).is_none());
        let three = set.with_added(voter(3, 3)).expect("free id");
        assert!(set.overlaps(&three));
        assert!(three.with_removed(&ReplicaKey::new(3, Uuid::from_u128(4))).is_none());
        assert_eq!(three.with_removed(&voter(3, 3).key), Some(set.clone()));
        let single = VoterSet::from_voters([voter(1, 1)]);
        assert!(single.with_removed(&voter(1, 1).key).is_none());
        let four = three.with_added(voter(4, 4)).expect("free id");
        assert!(!set.overlaps(&four));
    }

    #[test]
    fn listener_names_do_not_care_about_case() {
        let at = voter(1, 1).endpoints;
        assert_eq!(at.get("Controller"), Some(&HostPort::new("localhost", 9001)));
    }
}
