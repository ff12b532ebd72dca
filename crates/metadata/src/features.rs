//! Metadata versions and feature levels of Kafka 4.3: names, ranges, defaults, dependencies.

use std::collections::BTreeMap;

/// The name of the feature that every cluster has.
pub const METADATA_VERSION: &str = "metadata.version";
/// The raft protocol's feature; its level lives in control records, never in a `FeatureLevelRecord`.
pub const KRAFT_VERSION: &str = "kraft.version";
/// Eligible leader replicas (KIP-966).
pub const ELIGIBLE_LEADER_REPLICAS: &str = "eligible.leader.replicas.version";

/// A level of `metadata.version`, between [`MetadataVersion::MINIMUM`] and [`MetadataVersion::LATEST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetadataVersion(i16);

/// Release names of the levels from 7 on, and whether a level changed the format of metadata records.
const VERSIONS: [(&str, bool); 24] = [
    ("3.3-IV3", true),
    ("3.4-IV0", true),
    ("3.5-IV0", false),
    ("3.5-IV1", false),
    ("3.5-IV2", true),
    ("3.6-IV0", false),
    ("3.6-IV1", true),
    ("3.6-IV2", true),
    ("3.7-IV0", true),
    ("3.7-IV1", false),
    ("3.7-IV2", true),
    ("3.7-IV3", false),
    ("3.7-IV4", false),
    ("3.8-IV0", false),
    ("3.9-IV0", false),
    ("4.0-IV0", false),
    ("4.0-IV1", true),
    ("4.0-IV2", false),
    ("4.0-IV3", false),
    ("4.1-IV0", false),
    ("4.1-IV1", false),
    ("4.2-IV0", false),
    ("4.2-IV1", false),
    ("4.3-IV0", true),
];

impl MetadataVersion {
    /// The lowest level 4.x can run (3.3-IV3).
    pub const MINIMUM: MetadataVersion = MetadataVersion(7);
    /// The latest production level of 4.3 (4.3-IV0).
    pub const LATEST: MetadataVersion = MetadataVersion(30);

    /// The version with this level, if this node can run it.
    pub fn from_level(level: i16) -> Option<MetadataVersion> {
        (Self::MINIMUM.0..=Self::LATEST.0).contains(&level).then_some(MetadataVersion(level))
    }

    /// The version a release name stands for: `4.3`, `4.3.1` or `4.3-IV0`; a release means its last level.
    pub fn from_release(name: &str) -> Option<MetadataVersion> {
        let mut dots = name.match_indices('.').map(|(at, _)| at);
        let release = match dots.nth(1) {
            Some(second) => &name[..second],
            None => name,
        };
        let matches = |full: &str| full == name || full.split_once("-IV").is_some_and(|(r, _)| r == release);
        let at = VERSIONS.iter().rposition(|(full, _)| matches(full))?;
        Some(MetadataVersion(Self::MINIMUM.0 + at as i16))
    }

    /// The level written in a `FeatureLevelRecord`.
    pub fn level(self) -> i16 {
        self.0
    }

    /// The release name, for instance `4.3-IV0`.
    pub fn name(self) -> &'static str {
        VERSIONS[(self.0 - Self::MINIMUM.0) as usize].0
    }

    /// True when going between the two versions crosses a change of record formats, so that it cannot be undone.
    pub fn metadata_changes_between(self, other: MetadataVersion) -> bool {
        let (low, high) = if self < other { (self, other) } else { (other, self) };
        (low.0 + 1..=high.0).any(|level| VERSIONS[(level - Self::MINIMUM.0) as usize].1)
    }

    /// SCRAM credentials in metadata (3.5-IV2).
    pub fn has_scram(self) -> bool {
        self.0 >= 11
    }

    /// An ISR shrink must bump the leader epoch (before 3.6-IV0, KAFKA-15021).
    pub fn bumps_epoch_on_shrink(self) -> bool {
        self.0 < 12
    }

    /// Metadata transactions (KIP-868, 3.6-IV1).
    pub fn has_transactions(self) -> bool {
        self.0 >= 13
    }

    /// Delegation tokens in metadata (3.6-IV2).
    pub fn has_delegation_tokens(self) -> bool {
        self.0 >= 14
    }

    /// Controller registration (KIP-919, 3.7-IV0).
    pub fn has_controller_registration(self) -> bool {
        self.0 >= 15
    }

    /// Log directories in registrations and assignments (KIP-858, 3.7-IV2).
    pub fn has_directories(self) -> bool {
        self.0 >= 17
    }

    /// Eligible leader replicas in partition records (KIP-966, 4.0-IV1).
    pub fn has_elr(self) -> bool {
        self.0 >= 23
    }

    /// Cordoned log directories (KIP-1066, 4.3-IV0).
    pub fn has_cordoned_dirs(self) -> bool {
        self.0 >= 30
    }

    /// Version to write `RegisterBrokerRecord` in.
    pub fn register_broker_record(self) -> i16 {
        match self.0 {
            30.. => 4,
            17.. => 3,
            8.. => 2,
            _ => 1,
        }
    }

    /// Version to write `PartitionRecord` and `PartitionChangeRecord` in.
    pub fn partition_record(self) -> i16 {
        match self.0 {
            23.. => 2,
            17.. => 1,
            _ => 0,
        }
    }

    /// Version in which brokers send Fetch to each other.
    pub fn fetch_request(self) -> i16 {
        match self.0 {
            27.. => 18,
            21.. => 17,
            19.. => 16,
            10.. => 15,
            9.. => 14,
            _ => 13,
        }
    }

    /// Version in which brokers send ListOffsets to each other.
    pub fn list_offsets_request(self) -> i16 {
        match self.0 {
            29.. => 11,
            25.. => 10,
            21.. => 9,
            9.. => 8,
            _ => 7,
        }
    }
}

/// An inclusive range of feature levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LevelRange {
    /// Lowest level.
    pub min: i16,
    /// Highest level.
    pub max: i16,
}

impl std::fmt::Display for LevelRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.min == self.max { write!(f, "{}", self.min) } else { write!(f, "{}-{}", self.min, self.max) }
    }
}

impl LevelRange {
    /// What a node that does not know a feature supports: only its being off.
    pub const DISABLED: LevelRange = LevelRange { min: 0, max: 0 };

    /// True when `level` lies in the range.
    pub fn contains(self, level: i16) -> bool {
        (self.min..=self.max).contains(&level)
    }
}

/// A feature besides `metadata.version`.
#[derive(Debug)]
pub struct Feature {
    /// Its name in records and requests.
    pub name: &'static str,
    /// Its highest production level; the lowest is 0.
    pub max: i16,
    /// (level, metadata.version level) pairs: the level a new cluster gets from that metadata.version on.
    defaults: &'static [(i16, i16)],
    /// The metadata.version level it needs when it is above 0.
    needs_metadata_version: i16,
}

/// Every production feature of 4.3 besides `metadata.version`, in name order.
pub const FEATURES: [Feature; 6] = [
    Feature { name: ELIGIBLE_LEADER_REPLICAS, max: 1, defaults: &[(1, 26)], needs_metadata_version: 23 },
    Feature { name: "group.version", max: 1, defaults: &[(1, 22)], needs_metadata_version: 7 },
    Feature { name: KRAFT_VERSION, max: 1, defaults: &[(1, 21)], needs_metadata_version: 7 },
    Feature { name: "share.version", max: 1, defaults: &[(1, 28)], needs_metadata_version: 7 },
    Feature { name: "streams.version", max: 1, defaults: &[(1, 29)], needs_metadata_version: 7 },
    Feature { name: "transaction.version", max: 2, defaults: &[(2, 24)], needs_metadata_version: 7 },
];

impl Feature {
    /// The feature with this name.
    pub fn named(name: &str) -> Option<&'static Feature> {
        FEATURES.iter().find(|feature| feature.name == name)
    }

    /// The level a cluster formatted at `version` gets.
    pub fn default_level(&self, version: MetadataVersion) -> i16 {
        let fits = |&&(_, from): &&(i16, i16)| from <= version.level();
        self.defaults.iter().rfind(fits).map_or(0, |&(level, _)| level)
    }

    /// Why `level` cannot be set while the cluster is at `version`; nothing if it can (Kafka's wording).
    pub fn unmet_dependency(&self, level: i16, version: Option<MetadataVersion>) -> Option<String> {
        if level < 1 {
            return None;
        }
        let reached = version.map_or(0, MetadataVersion::level);
        if reached < MetadataVersion::MINIMUM.level() {
            return Some(format!(
                "{} could not be set to {level} because it depends on metadata.version={} ({})",
                self.name,
                MetadataVersion::MINIMUM.level(),
                MetadataVersion::MINIMUM.name()
            ));
        }
        (reached < self.needs_metadata_version).then(|| {
            format!(
                "{} could not be set to {level} because it depends on {METADATA_VERSION} level {}",
                self.name, self.needs_metadata_version
            )
        })
    }
}

/// The levels this node supports, by feature name: what ApiVersions, registrations and feature updates use.
pub fn supported() -> BTreeMap<String, LevelRange> {
    let metadata = LevelRange { min: MetadataVersion::MINIMUM.level(), max: MetadataVersion::LATEST.level() };
    FEATURES
        .iter()
        .map(|feature| (feature.name.to_owned(), LevelRange { min: 0, max: feature.max }))
        .chain([(METADATA_VERSION.to_owned(), metadata)])
        .collect()
}

/// The range this node supports of one feature; unknown features are off.
pub fn supported_range(name: &str) -> LevelRange {
    match (name, Feature::named(name)) {
        (METADATA_VERSION, _) => {
            LevelRange { min: MetadataVersion::MINIMUM.level(), max: MetadataVersion::LATEST.level() }
        }
        (_, Some(feature)) => LevelRange { min: 0, max: feature.max },
        (_, None) => LevelRange::DISABLED,
    }
}

/// The feature levels a cluster formatted at `version` starts with, above 0 only and without `kraft.version`
/// and `metadata.version`.
pub fn defaults(version: MetadataVersion) -> BTreeMap<String, i16> {
    FEATURES
        .iter()
        .filter(|feature| feature.name != KRAFT_VERSION)
        .map(|feature| (feature.name.to_owned(), feature.default_level(version)))
        .filter(|&(_, level)| level > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_names_find_their_last_level() {
        let level = |name| MetadataVersion::from_release(name).map(MetadataVersion::level);
        assert_eq!(level("4.3"), Some(30));
        assert_eq!(level("4.3.1"), Some(30));
        assert_eq!(level("4.0"), Some(25));
        assert_eq!(level("4.0-IV1"), Some(23));
        assert_eq!(level("3.3-IV3"), Some(7));
        assert_eq!(level("4.4"), None);
        assert_eq!(level("3"), None);
        assert_eq!(MetadataVersion::LATEST.name(), "4.3-IV0");
    }

    #[test]
    fn defaults_of_a_new_cluster_follow_its_metadata_version() {
        let at = |level| defaults(MetadataVersion::from_level(level).unwrap());
        let expect = |pairs: &[(&str, i16)]| pairs.iter().map(|&(n, l)| (n.to_owned(), l)).collect();
        assert_eq!(at(21), BTreeMap::new());
        assert_eq!(at(25), expect(&[("group.version", 1), ("transaction.version", 2)]));
        assert_eq!(
            at(30),
            expect(&[
                (ELIGIBLE_LEADER_REPLICAS, 1),
                ("group.version", 1),
                ("share.version", 1),
                ("streams.version", 1),
                ("transaction.version", 2),
            ])
        );
    }

    #[test]
    fn format_changes_block_downgrades_across_them() {
        let version = |level| MetadataVersion::from_level(level).unwrap();
        assert!(!version(25).metadata_changes_between(version(29)));
        assert!(version(30).metadata_changes_between(version(29)));
        assert!(version(22).metadata_changes_between(version(23)));
        assert!(!version(23).metadata_changes_between(version(23)));
    }

    #[test]
    fn record_versions_follow_the_metadata_version() {
        let versions = |level| {
            let version = MetadataVersion::from_level(level).unwrap();
            (version.register_broker_record(), version.partition_record())
        };
        assert_eq!(versions(7), (1, 0));
        assert_eq!(versions(8), (2, 0));
        assert_eq!(versions(17), (3, 1));
        assert_eq!(versions(23), (3, 2));
        assert_eq!(versions(30), (4, 2));
    }
}
